"""What a collector of OpenLineage is told of a run: an edge for each step from ODRÉ to the marts."""

from __future__ import annotations

import pytest

from odre.contracts import read_contract
from tests.waiting import wait_until
from tests.warehouse.support import GAS
from tests.watch.conftest import Receiver, ToldStack

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
    wait_until(lambda: wanted <= edges(receiver), f"told of {wanted - edges(receiver)}", 60)
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
