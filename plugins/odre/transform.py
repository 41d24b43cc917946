"""The dbt project as a task group, run when its marts are behind the loads."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.google.cloud.operators.bigquery import BigQueryInsertJobOperator
from airflow.sdk import BaseOperator, Context, TriggerRule
from airflow.sdk.exceptions import AirflowSkipException
from cosmos import DbtTaskGroup, ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import (
    PRODUCER_WATCHER_DONE_TASK_ID,
    PRODUCER_WATCHER_TASK_ID,
    ExecutionMode,
    LoadMode,
    TestBehavior,
)

from odre import warehouse
from odre.contracts import read_contract
from odre.hooks import WarehouseHook
from odre.jobs import OF_THIS_TASK, labels_of, query_job, query_parameter
from odre.operators import was_cleared
from odre.plan import success_due
from odre.settings import DBT_POOL, DBT_PROFILE, Settings, dbt_target, find_folder

DBT_GROUP = "dbt"

#: How long a build with all data tests stands for those after it: less than a day, or a daily run would miss it.
TESTED_FOR = timedelta(hours=23)

#: What a build tests, as its gate decided; a task that is tried again or was cleared tests all.
DATA_TESTS = "{{ 'all' if ti.try_number > 1 else ti.xcom_pull(task_ids='join', key='data_tests') or 'all' }}"


def dbt_project_dir() -> Path:
    """Where the dbt project is: ``DBT_PROJECT_DIR``, or the folder that :func:`odre.settings.find_folder` finds."""
    return find_folder("dbt", os.environ.get("DBT_PROJECT_DIR"))


def manifest_path() -> Path:
    """dbt's manifest, made by ``dbt parse`` when the image is built or the stack is set up.

    In the project's ``target``, or where ``DBT_MANIFEST`` says, as where the project is mounted read-only.
    """
    configured = os.environ.get("DBT_MANIFEST")
    return Path(configured) if configured else dbt_project_dir() / "target" / "manifest.json"


def read_manifest() -> dict[str, Any]:
    """dbt's manifest.

    Raises:
        FileNotFoundError: nobody made it; the message says how.
    """
    path = manifest_path()
    if not path.is_file():
        raise FileNotFoundError(f"{path} is absent: make it with `dbt parse` in {path.parents[1]}")
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return manifest


def project_hash(manifest: dict[str, Any]) -> str:
    """SHA-256 of what dbt builds: nodes and macros, without the times and ids that each parse writes anew."""
    parts = [
        (name, node["checksum"]["checksum"], node.get("raw_code", ""), node.get("unrendered_config", {}))
        for name, node in sorted(manifest["nodes"].items())
    ]
    macros = [(name, macro["macro_sql"]) for name, macro in sorted(manifest["macros"].items())]
    return hashlib.sha256(json.dumps([parts, macros], sort_keys=True).encode()).hexdigest()


def selection(manifest: dict[str, Any], tables: Sequence[str]) -> list[str]:
    """The models and seeds that source tables touch: what descends from them, and all that this and its tests need.

    Spelt out rather than left to dbt's ``@source:``, which Cosmos does not take, and which runs a test that compares
    a chosen model with another without building that other.

    Raises:
        LookupError: no model reads one of the tables.
    """
    sources = [f"source.energy.odre.{table}" for table in tables]
    unread = [name for name in sources if not any(c.startswith("model.") for c in manifest["child_map"].get(name, ()))]
    if unread:
        raise LookupError(f"No dbt model reads {', '.join(unread)}")
    # An exposure names all that somebody reads, not what must be built for it.
    chosen = {name for name in _reach(manifest["child_map"], sources) if not name.startswith("exposure.")}
    while (wider := _reach(manifest["parent_map"], chosen | _tests_of(manifest, chosen))) != chosen:
        chosen = wider
    # Views of what the pipeline costs, which read no source.
    chosen |= {name for name, node in manifest["nodes"].items() if node["fqn"][1] == "operations"}
    return sorted(name.rsplit(".", 1)[-1] for name in chosen if name.startswith(("model.", "seed.")))


def _reach(neighbours: Mapping[str, Sequence[str]], nodes: Iterable[str]) -> set[str]:
    """The nodes and all that can be reached from them."""
    reached: set[str] = set()
    frontier = list(nodes)
    while frontier:
        node = frontier.pop()
        if node not in reached:
            reached.add(node)
            frontier.extend(neighbours.get(node, ()))
    return reached


def _tests_of(manifest: dict[str, Any], nodes: Iterable[str]) -> set[str]:
    return {child for node in nodes for child in manifest["child_map"].get(node, ()) if child.startswith("test.")}


class BuildGateOperator(BaseOperator):
    """Skips the dbt build when this DAG's marts are current; otherwise fixes the moment at which its inputs count.

    Current means: the DAG's last successful build is of the same dbt project and later than the last load of its
    datasets, so that a build that failed is made up for although the source did not change. A run that somebody cleared
    builds all the same. Returns ``started_at``, ``project_hash`` and ``data_tests``, each an XCom of its own: all tests
    once a day and where the project changed or somebody cleared the run, otherwise those of ``keys``.

    A run with current marts has succeeded: that is noted here, or by ``record`` after the build, together with
    ``expected_by``, the time of the next by the DAG's schedule and ``late_after``. Backfills do not count.
    """

    template_fields: Sequence[str] = ("window",)

    def __init__(
        self,
        *,
        datasets: Sequence[str],
        settings: Settings,
        late_after: timedelta,
        window: str = "{{ params.window_start or params.window_end or '' }}",
        **kwargs: Any,
    ) -> None:
        super().__init__(multiple_outputs=True, **kwargs)
        self.datasets = datasets
        self.settings = settings
        self.late_after = late_after
        self.window = window

    def execute(self, context: Context) -> dict[str, str]:
        """Runs the task."""
        started_at = datetime.now(UTC)
        current_hash = project_hash(read_manifest())
        contracts = [read_contract(dataset) for dataset in self.datasets]
        hook = WarehouseHook(self.settings)
        labels = labels_of(self.dag_id, self.task_id, self.settings.ops_dataset)
        dag_id = query_parameter("dag_id", "STRING", self.dag_id)
        state = hook.query_row(
            warehouse.build_state_sql(contracts, self.settings),
            labels,
            dag_id,
            query_parameter("project_hash", "STRING", current_hash),
        )
        expected_by = "" if self.window else self._expected_by(context, started_at)
        cleared = was_cleared(self, context)
        if state["is_current"] and not cleared:
            hook.query(
                warehouse.record_run_sql(self.settings),
                labels,
                dag_id,
                query_parameter("run_id", "STRING", context["run_id"]),
                query_parameter("expected_by", "STRING", expected_by),
            )
            raise AirflowSkipException("The marts are current: nothing was loaded since they were built.")
        tested_at = state["tested_at"]
        is_tested = not cleared and tested_at is not None and started_at - tested_at < TESTED_FOR
        return {
            "started_at": started_at.isoformat(),
            "project_hash": current_hash,
            "data_tests": "keys" if is_tested else "all",
            "expected_by": expected_by,
        }

    def _expected_by(self, context: Context, now: datetime) -> str:
        schedule: Any = context["dag"].timetable
        if not hasattr(schedule, "expression"):
            return ""  # a DAG without a cron schedule is never late
        return success_due(schedule.expression, str(schedule.timezone), self.late_after, now).isoformat()


def dbt_build(datasets: Sequence[str], after: BaseOperator, before: BaseOperator) -> DbtTaskGroup:
    """The part of the dbt project that the datasets touch: what descends from them and all that this needs.

    One task runs the one ``dbt build``; then each model, seed and set of tests has a task that shows how it went. On
    another try (a retry, or someone cleared the task, the group or the run) the first skips itself and each of the
    others runs its own part. They come after the build and not beside it, and share the pool with the builds of other
    DAGs: two writers never meet on a table, nobody takes the reports of an earlier try for this one's, and no task
    waits in a slot.
    """
    manifest = read_manifest()
    group = DbtTaskGroup(
        group_id=DBT_GROUP,
        project_config=ProjectConfig(
            dbt_project_path=dbt_project_dir(), manifest_path=manifest_path(), install_dbt_deps=False
        ),
        profile_config=ProfileConfig(
            profile_name=DBT_PROFILE,
            target_name=dbt_target(),
            profiles_yml_filepath=dbt_project_dir() / "profiles.yml",
        ),
        render_config=RenderConfig(
            load_method=LoadMode.DBT_MANIFEST,
            select=selection(manifest, [read_contract(dataset).table for dataset in datasets]),
            test_behavior=TestBehavior.AFTER_EACH,
        ),
        execution_config=ExecutionConfig(
            execution_mode=ExecutionMode.WATCHER,
            setup_operator_args={"pool": DBT_POOL.name, "pool_slots": DBT_POOL.slots, "retries": 0},
        ),
        operator_args={
            "install_deps": False,
            "pool": DBT_POOL.name,
            # A model may fail for BigQuery's sake; what fails twice within seconds fails for its own.
            "retries": 1,
            "retry_delay": timedelta(seconds=10),
            # Unit tests prove the SQL when it changes (make test), not the data on every run.
            "env": {"DBT_EXCLUDE_RESOURCE_TYPES": "unit_test", "DATA_TESTS": DATA_TESTS},
            "append_env": True,
            "callback": "odre.lineage.emit_models",
        },
    )
    # Cosmos's task with the one dbt build, and the empty one that follows it.
    build: Any = group.get_child_by_label(PRODUCER_WATCHER_TASK_ID)
    built: Any = group.get_child_by_label(PRODUCER_WATCHER_DONE_TASK_ID)
    parts = [task for task in group.get_roots() if task is not build]
    after >> [build, *parts]
    built.trigger_rule = TriggerRule.ALL_DONE  # a model that failed is shown by its own task
    built >> parts
    # The build's own end counts too: it has tests of sources, which have no task of their own.
    [build, *group.get_leaves()] >> before
    return group


def transform(datasets: Sequence[str], settings: Settings, late_after: timedelta) -> tuple[BaseOperator, BaseOperator]:
    """``join → dbt → record``; returns the two ends, for what must come before and after."""
    join = BuildGateOperator(
        task_id="join",
        datasets=datasets,
        settings=settings,
        late_after=late_after,
        # A dataset whose gate skipped does not skip the build: the marts may be behind all the same.
        trigger_rule="none_failed_min_one_success",
        execution_timeout=timedelta(minutes=10),
    )
    fixed: Any = join.output
    record = BigQueryInsertJobOperator(
        task_id="record",
        configuration=query_job(
            warehouse.record_build_sql(settings),
            settings,
            {**OF_THIS_TASK, "dataset": settings.ops_dataset},
            query_parameter("dag_id", "STRING", "{{ dag.dag_id }}"),
            query_parameter("run_id", "STRING", "{{ run_id }}"),
            query_parameter("project_hash", "STRING", fixed["project_hash"]),
            query_parameter("started_at", "TIMESTAMP", fixed["started_at"]),
            query_parameter("data_tests", "STRING", fixed["data_tests"]),
            query_parameter("expected_by", "STRING", fixed["expected_by"]),
        ),
        project_id=settings.project,
        location=settings.location,
        deferrable=False,
        # After a build that nobody needed all its tasks are skipped, and so is its record; a producer that skips
        # itself on a second try is no reason to.
        trigger_rule="none_failed_min_one_success",
        execution_timeout=timedelta(minutes=10),
    )
    dbt_build(datasets, after=join, before=record)
    return join, record
