"""The three DAGs on a real Airflow, from the source to the marts, and again.

Each component has what Cloud Composer 3 gives it (:data:`tests.e2e.composer.GIVEN`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.http import HttpError, request
from local.stack import DAGS
from odre.contracts import read_contract, read_contracts
from tests.e2e.composer import GIVEN
from tests.e2e.support import Pipeline, Snapshot, tries
from tests.warehouse.support import FETCHES

#: The first test waits for the first runs.
pytestmark = pytest.mark.timeout(1800)

#: Packages of the project.
OURS = ("odre", "energy_dashboard")

GAS = "stock_quotidien_stockages_gaz"


def ask(pipeline: Pipeline, component: str, script: str) -> Any:
    """What a script prints as JSON in a process that has what a component has."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=pipeline.stack.environment_of(component),
        cwd=pipeline.stack.state,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def dotted(serialized: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a serialized DAG that names something of ours, with the key under which it stands."""
    if isinstance(serialized, dict):
        for name, inner in serialized.items():
            yield from dotted(inner, name)
    elif isinstance(serialized, list):
        for inner in serialized:
            yield from dotted(inner, key)
    elif isinstance(serialized, str) and serialized.startswith(tuple(f"{package}." for package in OURS)):
        yield key, serialized


def test_first_runs_fill_every_table(pipeline: Pipeline, first: Snapshot) -> None:
    assert pipeline.first_states == dict.fromkeys(DAGS, "success")
    # The settings count: XComs are files.
    assert any((pipeline.stack.state / "xcom").rglob("*"))
    # Nothing was restated yet.
    assert {table for table, (rows, _) in first.items() if rows == 0} == {"energy.power_revisions"}


def test_scheduler_and_triggerer_have_no_plugins_and_the_web_server_no_dags(pipeline: Pipeline) -> None:
    look = "import importlib.util, json; from airflow import settings; settings.initialize(); "
    look += f"print(json.dumps([name for name in {OURS} if importlib.util.find_spec(name)]))"
    for component, folders in GIVEN.items():
        assert ask(pipeline, component, look) == (list(OURS) if "plugins" in folders else []), component
        there = {folder.name for folder in pipeline.stack.gcs(component).iterdir()}
        assert there == set(folders)


def test_what_scheduler_and_triggerer_are_given_names_nothing_that_they_lack(
    pipeline: Pipeline, first: Snapshot
) -> None:
    script = """
import json
from airflow.models.serialized_dag import SerializedDagModel
from airflow.utils.session import create_session
with create_session() as session:
    rows = session.query(SerializedDagModel).all()
    found = {row.dag_id: [row.data, len(row.dag.tasks)] for row in rows}
print(json.dumps(found))
"""
    for component in ("scheduler", "triggerer"):
        found = ask(pipeline, component, script)
        assert set(found) == set(DAGS)
        for data, tasks in found.values():
            assert tasks > 10
            # Airflow shows where an operator's class is, and does not import it.
            assert {key for key, _ in dotted(data)} == {"_task_module"}


def test_the_web_server_serves_the_page_and_knows_when_data_are_stale(pipeline: Pipeline, first: Snapshot) -> None:
    api = pipeline.api
    headers = {"Authorization": f"Bearer {api.log_in()}"}
    shown = request("GET", f"{api.url}/energy-dashboard/data?period=last-30", headers=headers)
    assert shown["freshness"]["dataset"] == list(read_contracts())
    assert shown["freshness"]["stale_after_hours"] == [each.freshness_hours for each in read_contracts().values()]


def test_the_ledger_accounts_for_every_raw_row(pipeline: Pipeline, first: Snapshot) -> None:
    loads = pipeline.query(
        "SELECT dataset, SUM(rows_source), SUM(rows_landed), SUM(rows_quarantined), SUM(rows_excluded) "
        "FROM (SELECT DISTINCT dataset, chunk, rows_source, rows_landed, rows_quarantined, rows_excluded, "
        "content_sha256 FROM energy_ops.loads) GROUP BY dataset"
    )
    assert {load[0] for load in loads} == set(read_contracts())
    for dataset, source, landed, quarantined, excluded in loads:
        assert source == landed + quarantined + excluded
        assert first[f"odre_raw.{read_contract(dataset).table}"][0] == landed


def test_a_second_pass_fetches_nothing_and_changes_nothing(pipeline: Pipeline, first: Snapshot) -> None:
    runs = {dag_id: pipeline.api.trigger(dag_id) for dag_id in DAGS}
    assert pipeline.follow(runs) == dict.fromkeys(DAGS, "success")
    for dag_id, run_id in runs.items():
        states = pipeline.states(dag_id, run_id)
        for dataset in FETCHES[dag_id]:
            assert states[f"{read_contract(dataset).table}.gate"] == {"skipped"}
        assert states["record"] == {"skipped"}
    assert pipeline.snapshot() == first


@pytest.mark.parametrize("part", ["run", "test"])
def test_a_part_that_is_cleared_is_built_again(pipeline: Pipeline, first: Snapshot, part: str) -> None:
    """The dbt group and a whole run take minutes: the tests of the containers clear both, in the UI."""
    dag_id, run_id = "gas_storage_daily", pipeline.first_runs["gas_storage_daily"]
    task = f"dbt.gas_stock_daily.{part}"
    if part == "run":
        pipeline.query("DROP TABLE energy.gas_stock_daily")
    before = tries(pipeline.api, dag_id, run_id)
    assert pipeline.clear(dag_id, run_id, [task]) == "success"
    assert tries(pipeline.api, dag_id, run_id)[task] > before[task]
    assert pipeline.snapshot() == first


def test_a_failed_build_is_made_up_for_although_the_source_did_not_change(pipeline: Pipeline, first: Snapshot) -> None:
    # A key that is there twice, in the oldest row, which the window leaves alone: the build's tests fail.
    contract = read_contract("stock-quotidien-stockages-gaz")
    row = f"SELECT * FROM odre_raw.{GAS} WHERE {contract.all_time} ORDER BY {', '.join(contract.key)} LIMIT 1"
    pipeline.query(f"CREATE OR REPLACE TABLE odre_load.once AS {row}")
    pipeline.query(f"INSERT INTO odre_raw.{GAS} SELECT * FROM odre_load.once")
    day = pipeline.query("SELECT MAX(day) FROM energy.gas_stock_daily")[0][0]
    window = {"window_start": f"{day[:8]}01", "window_end": day}
    run_id = pipeline.run_until_failure("gas_storage_daily", "dbt.dbt_producer_watcher", **window)
    assert pipeline.states("gas_storage_daily", run_id)["record"] != {"success"}
    # The window was fetched again, and does not count as an ordinary run.
    loads = pipeline.query(f"SELECT ordinary, rows_landed > 0 FROM energy_ops.loads WHERE run_id = '{run_id}'")
    assert loads == [[False, True]]
    # Mended: the key is there once.
    same = " AND ".join(f"t.{column} = (SELECT {column} FROM odre_load.once)" for column in contract.key)
    pipeline.query(f"DELETE FROM odre_raw.{GAS} AS t WHERE {contract.all_time} AND {same}")
    pipeline.query(f"INSERT INTO odre_raw.{GAS} SELECT * FROM odre_load.once; DROP TABLE odre_load.once")
    pipeline.query("DROP TABLE IF EXISTS energy.gas_stock_daily")
    run_id, state = pipeline.run("gas_storage_daily")
    assert state == "success"
    states = pipeline.states("gas_storage_daily", run_id)
    assert states[f"{GAS}.gate"] == {"skipped"}
    assert states["record"] == {"success"}
    assert pipeline.snapshot() == first


def test_a_window_that_ends_before_it_starts_is_refused_before_anything_is_fetched(pipeline: Pipeline) -> None:
    run_id, state = pipeline.run("temperature_monthly", window_start="2024-02-01", window_end="2024-01-01")
    assert state == "failed"
    states = pipeline.states("temperature_monthly", run_id)
    assert states["prepare"] == {"failed"}
    assert states["temperature_quotidienne_regionale.gate"] == {"upstream_failed"}
    error = pipeline.error("temperature_monthly", run_id, "prepare")
    assert "window_end (2024-01-01) must be later than window_start (2024-02-01)" in error


@pytest.mark.parametrize("form", [{"window_start": "yesterday"}, {"force": "perhaps"}])
def test_what_the_form_does_not_take_is_refused_at_once(pipeline: Pipeline, form: dict[str, Any]) -> None:
    with pytest.raises(HttpError) as refused:
        pipeline.api.trigger("temperature_monthly", form)
    assert refused.value.status == 400
    assert next(iter(form)) in refused.value.body or next(iter(form.values())) in refused.value.body


def test_what_several_change_at_the_same_moment_is_answered_at_once(pipeline: Pipeline) -> None:
    # SQLite has one writer, and deleting holds it until the commit, with the audit log of the others in between.
    def change(key: str) -> None:
        for _ in range(5):
            pipeline.api.call("POST", "variables", {"key": key, "value": "of a moment"})
            pipeline.api.call("DELETE", f"variables/{key}")

    keys = {"a", "b", "c", "d"}
    with ThreadPoolExecutor(len(keys)) as several:
        list(several.map(change, keys))
    assert not keys & {variable["key"] for variable in pipeline.api.call("GET", "variables")["variables"]}
