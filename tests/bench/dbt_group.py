"""``dbt_group.*``: the dbt tasks of the hourly DAG under a real scheduler, against one ``dbt build`` of the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from emulators.odre.generate import CONSOLIDATED, REAL_TIME
from local.basics import ROOT, clean_environment
from local.runs import adopt_or_trigger
from local.stack import DBT_PROJECT, Ports, Source, Stack
from odre.contracts import read_contract
from odre.transform import DBT_GROUP, read_manifest, selection
from tests.bench.figures import Figure, against, in_turn, ratios
from tests.bench.places import configured, wait_until
from tests.bench.sizes import Size
from tests.warehouse.ingest import Pipeline
from tests.warehouse.support import TestWarehouse

DAG_ID: Final = "eco2mix_hourly"
DATASETS: Final = (REAL_TIME, CONSOLIDATED)
PATIENCE: Final = 900


def _follow(stack: Stack, run_id: str) -> list[dict[str, Any]]:
    """Wait for the end of a run; its tasks."""
    deadline = time.monotonic() + PATIENCE
    while (state := stack.airflow.run(DAG_ID, run_id)["state"]) in ("queued", "running"):
        stack.processes.check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"The run {run_id} has not ended after {PATIENCE} s")
        time.sleep(2)
    if state != "success":
        raise RuntimeError(f"The run {run_id} of {DAG_ID} ended as {state}: see {stack.airflow_home / 'logs'}")
    return stack.airflow.tasks(DAG_ID, run_id)


def _group_seconds(tasks: list[dict[str, Any]]) -> float:
    """Seconds from the moment at which the dbt group may begin to the end of its last task."""
    (join,) = [task for task in tasks if task["task_id"] == "join"]
    members = [task for task in tasks if task["task_id"].startswith(f"{DBT_GROUP}.")]
    assert {task["state"] for task in members} == {"success"}
    ends = [datetime.fromisoformat(task["end_date"]) for task in members]
    return (max(ends) - datetime.fromisoformat(join["end_date"])).total_seconds()


def dbt_group(size: Size, folder: Path) -> Iterator[Figure]:
    """Both sides find the same: each comes after an ingest that read the ordinary windows again."""
    ports = Ports.free()
    url = f"http://127.0.0.1:{ports.odre}"
    state = folder / "group"
    shutil.rmtree(state, ignore_errors=True)
    dags = folder / "dags"
    dags.mkdir(parents=True, exist_ok=True)
    # One DAG alone, so that nothing else runs.
    shutil.copy(ROOT / "dags" / f"{DAG_ID}.py", dags)
    with Stack(Source("bench", connection=url), ports, state, dags_folder=dags) as stack:
        stack.start_warehouse()
        stack.processes.start(
            "source",
            [
                *(sys.executable, "-m", "emulators.odre", "--generated"),
                *(f"--years={size.group_years}", f"--port={ports.odre}"),
            ],
            {**clean_environment(), "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT / "plugins")},
        )
        wait_until(f"{url}/api/explore/v2.1/catalog/datasets", stack)
        stack.build_manifest()
        stack.start_airflow()
        tasks = _follow(stack, adopt_or_trigger(stack.airflow, [DAG_ID])[DAG_ID])
        environment = {**stack.environment(), "DBT_EXCLUDE_RESOURCE_TYPES": "unit_test"}
        chosen = selection(read_manifest(), [read_contract(dataset).table for dataset in DATASETS])
        command = [str(Path(sys.executable).with_name("dbt")), "--quiet", "build", "--select", *chosen]
        command += [f"--project-dir={DBT_PROJECT}", f"--profiles-dir={DBT_PROJECT}", f"--target-path={folder / 'dbt'}"]
        command += [f"--log-path={folder / 'dbt'}"]

        def group() -> float:
            run_id = stack.airflow.trigger(DAG_ID, {"force": True})
            return _group_seconds(_follow(stack, run_id))

        def build() -> float:
            with configured(stack):
                pipeline = Pipeline(TestWarehouse("", stack.warehouse.bigquery, folder))
                for dataset in DATASETS:
                    pipeline.run(dataset, f"bench-{time.monotonic()}", force="True")
            begun = time.perf_counter()
            subprocess.run(command, cwd=ROOT, env=environment, check=True)
            return time.perf_counter() - begun

        if size.group_repeats:
            build()  # once for nothing: dbt keeps what it parsed
            groups, builds = in_turn(size.group_repeats, group, build)
        else:
            groups, builds = [_group_seconds(tasks)], [build()]
        slots = environment["AIRFLOW__CORE__PARALLELISM"]
    shutil.rmtree(state, ignore_errors=True)
    count = sum(task["task_id"].startswith(f"{DBT_GROUP}.") for task in tasks)
    about = f"{count} tasks, {slots} at a time on {os.cpu_count()} cores: {against(groups, builds, 's')}"
    yield Figure("dbt_group.ratio_to_build", "×", ratios(groups, builds), about)
