"""A warehouse and a lake as version 0.9 left them (``deployed.json``): what the next version's first run makes of them.

The file has every table of the pipeline with its schema and rows, and every object of the lake, of a gas history with
restated and overtaken values, electricity with quarantined cells, temperatures, and a build.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from google.cloud import bigquery

from emulators.odre.server import Request
from emulators.odre.source import MemorySource
from odre.contracts import read_contract
from odre.restore import Restore
from tests.warehouse.ingest import DAY, POINTS, Pipeline, gas, prepare
from tests.warehouse.support import GAS, TestWarehouse

DEPLOYED: Final[dict[str, Any]] = json.loads((Path(__file__).parent / "deployed.json").read_text())
PREFIX: Final = "deployed/"


@pytest.fixture
def deployed(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A pipeline on that warehouse and that lake."""
    house = pipeline.house
    monkeypatch.setenv("LAKE_PREFIX", PREFIX)
    monkeypatch.setattr(house, "settings", replace(house.settings, lake_prefix=PREFIX))
    for dataset in (house.settings.raw_dataset, house.settings.ops_dataset):
        for item in list(house.client.list_tables(dataset)):
            house.client.delete_table(item.reference)
    for table in DEPLOYED["tables"]:
        schema = [bigquery.SchemaField.from_api_repr(field) for field in table["schema"]]
        made = bigquery.Table(table_id(house, table), schema=schema)
        made.time_partitioning = bigquery.TimePartitioning(
            type_=bigquery.TimePartitioningType.MONTH, field=table["partition_column"]
        )
        made.require_partition_filter = table["require_partition_filter"]
        house.client.create_table(made)
        if table["rows"]:
            config = bigquery.LoadJobConfig(schema=schema)
            house.client.load_table_from_json(table["rows"], made.reference, job_config=config).result()
    bucket = pipeline.lake.bucket(house.settings.bucket)
    for blob in list(bucket.list_blobs(prefix=PREFIX)):
        blob.delete()
    for name, content in DEPLOYED["lake"].items():
        bucket.blob(name).upload_from_string(base64.b64decode(content))
    return pipeline


def table_id(house: TestWarehouse, table: dict[str, Any]) -> str:
    """A table of the file in this warehouse."""
    return f"{house.settings.project}.{house.settings.dataset_prefix}{table['dataset']}.{table['name']}"


def rows_of(house: TestWarehouse, table: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a table of the file as they are now, without what was added to its schema since."""
    columns = ", ".join(f"`{field['name']}`" for field in table["schema"])
    where = f"{table['partition_column']} >= '1900-01-01'"
    found = house.query(
        f"select to_json_string(t) from (select {columns} from `{table_id(house, table)}` where {where}) as t"
    )
    return sorted((json.loads(row) for (row,) in found), key=str)


def test_prepare_takes_over_a_deployed_warehouse_without_loss(deployed: Pipeline) -> None:
    house = deployed.house
    prepare(house)
    for table in DEPLOYED["tables"]:
        assert rows_of(house, table) == table["rows"], table["name"]
    assert sum(len(table["rows"]) for table in DEPLOYED["tables"]) > 40


def test_the_next_run_goes_on_where_the_deployed_version_ended(
    deployed: Pipeline, serving: Callable[..., list[Request]]
) -> None:
    house, source = deployed.house, MemorySource()
    prepare(house)
    (raw,) = (table for table in DEPLOYED["tables"] if table["name"] == read_contract(GAS).table)
    before = rows_of(house, raw)
    restated, new = 777.0, DAY + timedelta(days=2)
    source.publish(GAS, gas({DAY: restated, new: 88.0}))
    serving(source)
    (extracted,) = deployed.run(GAS, "next")
    asked = json.loads(extracted["manifest"])["window_start"]
    # The ordinary window of a ledger that has a high-water mark, not everything.
    assert asked is not None
    after = {(row["date"], row["pits"]): row["stock_fin_de_journee"] for row in rows_of(house, raw)}
    kept = {(row["date"], row["pits"]): row["stock_fin_de_journee"] for row in before}
    assert after == kept | {
        (str(day), point): value for day, value in ((DAY, restated), (new, 88.0)) for point in POINTS
    }


def test_a_restore_from_a_deployed_lake_gives_the_same_tables(deployed: Pipeline) -> None:
    house = deployed.house
    prepare(house)
    lost = [table for table in DEPLOYED["tables"] if table["dataset"] == "odre_raw"]
    for table in lost:
        house.client.delete_table(table_id(house, table))
    Restore(house.settings, house.client, deployed.lake).run()
    for table in lost:
        assert rows_of(house, table) == table["rows"], table["name"]
