"""The DAGs as Airflow reads them: what is there, when it runs, and that nothing can hang, flood or stay unexplained."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from odre import alerts
from odre.contracts import read_contract
from odre.settings import DBT_POOL, MERGE_POOL, Settings
from tests.warehouse.support import FETCHES

ROOT = Path(__file__).parents[2]
SCHEDULES = {
    "eco2mix_hourly": "20 * * * *",
    "gas_storage_daily": "0 11 * * *",
    "temperature_monthly": "0 7 1-15 * *",
}
#: Hours without a success after which a DAG is late, while its schedule goes on.
LATE_AFTER_HOURS = {"eco2mix_hourly": 1 + 2, "gas_storage_daily": 24 + 6, "temperature_monthly": 24 + 6}
#: DAG → its raw tables.
TABLES = {dag_id: {read_contract(dataset).table for dataset in datasets} for dag_id, datasets in FETCHES.items()}


def groups(dag: Any) -> list[str]:
    """The groups of gate and chunks: of ordinary runs, and of backfills."""
    return [group for table in sorted(TABLES[dag.dag_id]) for group in (table, f"{table}.backfill")]


@pytest.fixture(params=sorted(SCHEDULES))
def dag(dagbag: Any, request: pytest.FixtureRequest) -> Any:
    """Each DAG."""
    return dagbag.dags[request.param]


def test_the_folder_gives_the_three_dags_and_no_import_error(dagbag: Any) -> None:
    assert dagbag.import_errors == {}
    assert set(dagbag.dags) == set(SCHEDULES)


def test_schedule(dag: Any) -> None:
    assert dag.timetable.expression == SCHEDULES[dag.dag_id]
    assert str(dag.timetable.timezone) == "Europe/Paris"
    assert dag.timetable.run_immediately is True
    assert not dag.catchup
    assert dag.is_paused_upon_creation is False
    assert dag.max_active_runs >= 3, "backfills must leave room for the scheduled run beside it"


def test_documentation(dag: Any) -> None:
    assert "Owner" in dag.doc_md
    assert "When a task fails" in dag.doc_md
    assert "odre" in dag.tags
    assert {task.owner for task in dag.tasks} == {"data-platform"}


def test_every_task_ends_and_is_retried_within_bounds(dag: Any) -> None:
    assert [task.task_id for task in dag.tasks if task.execution_timeout is None] == []
    producer = dag.get_task("dbt.dbt_producer_watcher")
    assert producer.retries == 0, "a second dbt build beside the models' own would write a table twice at once"
    assert all(1 <= task.retries <= 3 and task.retry_exponential_backoff for task in dag.tasks if task is not producer)


def test_writers_of_shared_tables_take_turns_and_nobody_else_waits_for_them(dag: Any) -> None:
    merging = {task.task_id for task in dag.tasks if task.pool == MERGE_POOL.name}
    assert merging == {"prepare"} | {f"{group}.chunks.merge" for group in groups(dag)}
    building = {task.task_id: task.pool_slots for task in dag.tasks if task.pool == DBT_POOL.name}
    assert building.pop("dbt.dbt_producer_watcher") == DBT_POOL.slots, "a build writes alone"
    dbt = [task for task in dag.tasks if task.task_id.startswith("dbt.") and task.task_type != "EmptyOperator"]
    assert building == {task.task_id: 1 for task in dbt if task.task_id != "dbt.dbt_producer_watcher"}


def test_ordinary_runs_go_before_backfills_and_no_run_takes_two_slots_for_a_step(dag: Any) -> None:
    for table in TABLES[dag.dag_id]:
        for step in ("extract", "load", "merge"):
            ordinary, backfill = (dag.get_task(f"{group}.chunks.{step}") for group in (table, f"{table}.backfill"))
            # Absolute: what comes after a task does not count, so that of two that wait the ordinary run's goes.
            assert (ordinary.weight_rule, backfill.weight_rule) == ("absolute", "absolute")
            assert ordinary.priority_weight > backfill.priority_weight
            assert ordinary.max_active_tis_per_dagrun == backfill.max_active_tis_per_dagrun == 1


def test_one_message_a_run_comes_from_the_dags_own_callbacks(dag: Any) -> None:
    assert (dag.on_failure_callback, dag.on_success_callback) == (alerts.notify_failure, alerts.notify_success)
    for task in dag.tasks:
        told = [*task.on_failure_callback, *task.on_retry_callback, *task.on_success_callback]
        assert not [callback for callback in told if callback.__module__ == "odre.alerts"], task.task_id


def test_a_dag_is_late_some_hours_after_its_schedule(dag: Any) -> None:
    every = timedelta(hours=1) if dag.dag_id == "eco2mix_hourly" else timedelta(days=1)
    assert every + dag.get_task("join").late_after == timedelta(hours=LATE_AFTER_HOURS[dag.dag_id])


def test_each_query_of_an_operator_is_labelled_and_bounded(dag: Any) -> None:
    queries = [task for task in dag.tasks if hasattr(task, "configuration") and task.configuration]
    assert len(queries) == len(groups(dag)) + 1
    for task in queries:
        assert task.configuration["labels"].keys() == {"dag", "task", "dataset"}
        assert int(task.configuration["query"]["maximumBytesBilled"]) == Settings.maximum_bytes_billed


def test_jobs_are_waited_for_whatever_airflow_defers_by_default(dag: Any) -> None:
    steps = ["record", *(f"{group}.chunks.{step}" for group in groups(dag) for step in ("load", "merge"))]
    operators = [dag.get_task(step) for step in steps]
    deferrable = [operator.partial_kwargs if operator.is_mapped else vars(operator) for operator in operators]
    assert [step for step, of in zip(steps, deferrable, strict=True) if of.get("deferrable", True)] == []


def test_flow(dag: Any) -> None:
    for group in groups(dag):
        chunks = [f"{group}.chunks.{step}" for step in ("extract", "load", "merge")]
        for before, after in pairwise(["prepare", f"{group}.gate", *chunks, "join"]):
            assert after in dag.get_task(before).downstream_task_ids, f"{before} >> {after}"
        assert dag.get_task(f"{group}.gate").backfill == group.endswith(".backfill")
    # With every gate shut the build must still be looked at.
    assert "prepare" in dag.get_task("join").upstream_task_ids
    assert dag.get_task("join").trigger_rule == "none_failed_min_one_success"


def test_models_have_their_turn_after_the_build_and_none_when_nothing_was_to_build(dag: Any) -> None:
    build, built = (dag.get_task(f"dbt.dbt_producer_watcher{suffix}") for suffix in ("", "_done"))
    assert build.upstream_task_ids == {"join"}
    assert built.upstream_task_ids == {build.task_id}
    assert built.trigger_rule == "all_done"
    firsts = [task for task in dag.tasks if built.task_id in task.upstream_task_ids]
    assert len(firsts) >= 4
    # "built" succeeds after a build that was skipped: that nothing was to build reaches the models through "join".
    assert all(task.upstream_task_ids == {"join", built.task_id} for task in firsts)
    record = dag.get_task("record")
    assert {"join", build.task_id} < record.upstream_task_ids
    assert built.task_id not in record.upstream_task_ids


def test_dbt_group_has_what_the_datasets_touch_and_all_that_it_and_its_tests_need(dag: Any) -> None:
    manifest = json.loads((ROOT / "include" / "dbt" / "target" / "manifest.json").read_text(encoding="utf-8"))
    shown = {task.task_id.split(".")[1] for task in dag.tasks if task.task_id.startswith("dbt.")}
    shown = {name.removesuffix("_run").removesuffix("_seed") for name in shown}
    wanted: set[str] = set()
    frontier = [f"source.energy.odre.{table}" for table in TABLES[dag.dag_id]]
    descendants: set[str] = set()
    while frontier:
        for child in manifest["child_map"][frontier.pop()]:
            if child.startswith(("model.", "seed.")) and child not in descendants:
                descendants.add(child)
                frontier.append(child)
    frontier = list(descendants)
    while frontier:
        node = frontier.pop()
        if node.startswith(("model.", "seed.", "test.")) and node not in wanted:
            wanted.add(node)
            frontier.extend(manifest["parent_map"].get(node, ()))
            # A test that compares a model with another needs both.
            frontier.extend(child for child in manifest["child_map"].get(node, ()) if child.startswith("test."))
    wanted = {name for name in wanted if not name.startswith("test.")} | {"model.energy.bytes_by_dag_daily"}
    assert {name.rsplit(".", 1)[-1] for name in wanted} == shown - {"dbt_producer_watcher", "dbt_producer_watcher_done"}


def test_form(dag: Any) -> None:
    fields = {name: dag.params.get_param(name) for name in dag.params}
    assert set(fields) == {"window_start", "window_end", "force"}
    assert all(field.description and field.schema["title"] for field in fields.values())


@pytest.mark.parametrize(
    "text", ["2022-06-01", "2022-06-01T06:00", "2022-06-01T06:00:00+02:00", "2022-06-01T04:00:00Z"]
)
def test_form_accepts_days_and_times(dagbag: Any, text: str) -> None:
    for dag in dagbag.dags.values():
        assert dag.params.get_param("window_start").resolve(text) == text


@pytest.mark.parametrize("text", ["yesterday", "01/06/2022", "2022-6-1", "2022-06-01; DROP TABLE x"])
def test_form_refuses_anything_else(dagbag: Any, text: str) -> None:
    for dag in dagbag.dags.values():
        with pytest.raises(ValueError, match="does not match"):
            dag.params.get_param("window_start").resolve(text)


def test_dag_files_fit_on_a_screen() -> None:
    for path in (ROOT / "dags").glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 100, path.name


def test_nothing_but_plugins_is_loaded_as_one() -> None:
    """Airflow loads every file that ``.airflowignore`` does not name by its bare name; in a process of its own."""
    script = (
        "import sys\n"
        "from airflow import plugins_manager\n"
        "plugins_manager.ensure_plugins_loaded()\n"
        "errors = plugins_manager.get_import_errors()\n"
        "from pathlib import Path\n"
        f"ours = {{path.stem for path in Path({str(ROOT / 'plugins')!r}).glob('*/*.py')}} - {{'__main__'}}\n"
        "stray = ours & set(sys.modules)\n"
        "print(dict(errors), sorted(stray))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "{} []"
