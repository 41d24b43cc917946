"""What a real Airflow tells: Slack, one message a run; a collector of lineage, each step from ODRÉ to the marts.

One file, since each starts the stack once.
"""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from odre.contracts import read_contract
from tests.waiting import wait_until
from tests.warehouse.support import GAS
from tests.watch.conftest import Receiver, ToldStack, run

#: A dataset's namespace and name.
Node = tuple[str, str]


def edges(receiver: Receiver) -> set[tuple[Node, Node]]:
    """What each event says was made from what."""
    return {
        ((read["namespace"], read["name"]), (written["namespace"], written["name"]))
        for event in receiver.at("/api/v1/lineage")
        if event["eventType"] == "COMPLETE"
        for read in event["inputs"]
        for written in event["outputs"]
    }


def test_a_failure_and_the_recovery_are_told_once_a_run(stack: ToldStack, receiver: Receiver) -> None:
    def told() -> list[str]:
        return [body["text"] for body in receiver.at("/slack") if "*told_of " in body["text"]]

    assert run(stack.airflow, "told_of")[1] == "success"
    failed, state = run(stack.airflow, "told_of", end="badly")
    assert state == "failed"
    wait_until(lambda: len(told()) == 1, "the failure is told")
    first = told()[0]
    assert f"*told_of failed* ({failed})" in first
    assert "end: retries are exhausted after 2 tries" in first
    assert re.search(rf"<{stack.airflow_url}/dags/told_of/runs/manual__\S+/tasks/end\?try_number=2\|Log of end>", first)
    assert first.endswith("Owner: data-platform. Runbook: https://runbooks.example/dag-failed.md")

    at_once, _ = run(stack.airflow, "told_of", end="at once")
    wait_until(lambda: len(told()) == 2, "the second failure is told")
    assert f"({at_once})" in told()[1]
    assert "end: another try cannot mend it" in told()[1]

    well, _ = run(stack.airflow, "told_of")
    wait_until(lambda: len(told()) == 3, "the recovery is told")
    assert f"*told_of works again* ({well})" in told()[2]
    assert run(stack.airflow, "told_of")[1] == "success"

    # Of a failed run that somebody clears, and that succeeds then: told as well.
    again, _ = run(stack.airflow, "told_of", end="at once")
    wait_until(lambda: len(told()) == 4, "the third failure is told")
    path = f"dags/told_of/dagRuns/{quote(again, safe='')}/taskInstances/end"
    stack.airflow.call("PATCH", path, {"new_state": "success"})
    stack.airflow.clear("told_of", again, ["after"])
    wait_until(lambda: len(told()) == 5, "the recovery of the cleared run is told")
    assert f"*told_of works again* ({again})" in told()[4]


@pytest.mark.timeout(1200)
def test_datasets_of_lake_raw_and_marts_appear_with_their_edges(stack: ToldStack, receiver: Receiver) -> None:
    # Its first run begins by itself.
    api, ended = stack.airflow, ("success", "failed")
    wait_until(lambda: bool(api.runs("gas_storage_daily", ended)), "gas_storage_daily ends", 1000, pause=2)
    assert [run["state"] for run in api.runs("gas_storage_daily", ended)] == ["success"]
    table = read_contract(GAS).table

    def bigquery(name: str) -> Node:
        return "bigquery", f"odre-local.{name}"

    source: Node = (f"http://127.0.0.1:{stack.ports.odre}", GAS)
    lake: Node = ("gs://odre-lake", f"raw/{GAS}")
    raw = bigquery(f"odre_raw.{table}")
    wanted = {
        (source, lake),
        (lake, raw),
        (lake, bigquery(f"odre_raw.{table}_replaced")),
        (raw, bigquery("energy_staging.stg_odre__gas_stock")),
        (bigquery("energy_staging.stg_odre__gas_stock"), bigquery("energy.gas_stock_daily")),
        (bigquery("energy.gas_stock_daily"), bigquery("energy.energy_climate_daily")),
    }
    wait_until(lambda: wanted <= edges(receiver), f"told of {wanted - edges(receiver)}")
    found = edges(receiver)
    # Each model from what it was made of, and not everything from everything.
    assert not [edge for edge in found if edge[0] == edge[1]]
    assert (raw, bigquery("energy.energy_climate_daily")) not in found
    # Tables of one run do not litter the graph.
    assert not [node for edge in found for node in edge if "odre_load" in node[1]]
    models = [
        event for event in receiver.at("/api/v1/lineage") if event["job"]["name"].endswith("gas_stock_daily.build.run")
    ]
    parents = {event["run"]["facets"]["parent"]["job"]["name"] for event in models}
    assert parents == {"gas_storage_daily.dbt.dbt_producer_watcher"}


def test_no_task_parses_the_dbt_project_again(stack: ToldStack) -> None:
    logs = list((stack.airflow_home / "logs").glob("dag_id=gas_storage_daily/*/task_id=dbt.dbt_producer_watcher/*.log"))
    assert logs
    for log in logs:
        # What dbt says where it was asked in another way than when the manifest was made.
        assert "Unable to do partial parsing" not in log.read_text()


def test_a_dag_that_is_late_is_told_by_the_next_run_of_another_once(stack: ToldStack, receiver: Receiver) -> None:
    def told() -> list[str]:
        return [body["text"] for body in receiver.at("/slack") if "is late*" in body["text"]]

    stack.warehouse.query(
        "INSERT INTO energy_ops.runs (dag_id, run_id, succeeded_at, expected_by) SELECT 'temperature_monthly', 'r', "
        "TIMESTAMP '2026-01-01 06:05:00+00', TIMESTAMP '2026-01-02 12:00:00+00'"
    )
    for _ in range(2):
        assert run(stack.airflow, "gas_storage_daily")[1] == "success"
    (text,) = told()
    assert "*temperature_monthly is late*: its last success was on 2026-01-01 06:05 UTC" in text
    assert text.endswith("Owner: data-platform. Runbook: https://runbooks.example/dag-failed.md")
