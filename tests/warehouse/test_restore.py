"""Raw tables made again from the lake: equal to what they were, whatever is lost; nothing is touched until they are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from google.cloud import bigquery

from emulators.odre.server import Request
from emulators.odre.source import MemorySource
from odre import warehouse
from odre.contracts import contracts_dir, read_contracts
from odre.manifest import read_commit_name
from odre.restore import Restore, RestoreRefused
from odre.tables import ensure_tables
from tests.warehouse.ingest import DAY, Pipeline, gas, power
from tests.warehouse.support import GAS, REAL_TIME

START = datetime(2024, 1, 1, tzinfo=UTC)

#: Table → its rows, sorted.
Tables = dict[str, list[tuple[Any, ...]]]


def restored_tables(pipeline: Pipeline) -> dict[str, warehouse.Table]:
    """The tables that a restore makes again."""
    found = warehouse.tables(read_contracts().values(), pipeline.house.settings)
    return {f"{table.dataset}.{table.name}": table for table in found if table.name not in ("builds", "turns")}


def contents(pipeline: Pipeline) -> Tables:
    """Every row of those tables."""
    rows = {}
    for name, table in restored_tables(pipeline).items():
        bound = f"where {table.partition_column} is not null and {table.partition_column} >= '1900-01-01'"
        rows[name] = sorted(pipeline.house.query(f"select * from {name} {bound}"), key=str)
    return rows


@pytest.fixture
def history(pipeline: Pipeline, serving: Callable[..., list[Request]]) -> Tables:
    """Two datasets after runs that overlap, restate, quarantine and end out of order; the tables as they are then."""
    source = MemorySource()
    serving(source)
    source.publish(GAS, gas({DAY: 100.0, DAY + timedelta(days=1): 90.0}))
    pipeline.run(GAS, "first")
    spoilt = power(START, [50_000] * 8)
    place = spoilt.schema.get_field_index("consommation")
    spoilt = spoilt.set_column(place, "consommation", pa.array(["50000"] * 6 + ["fifty", "12,5"]))
    source.publish(REAL_TIME, spoilt)
    pipeline.run(REAL_TIME, "hour 1")
    source.publish(REAL_TIME, power(START, [50_000, 50_001, *[50_000] * 6]))
    pipeline.run(REAL_TIME, "hour 2")

    # Of two that overlap, the one that asked first commits last: its values join the earlier ones.
    source.publish(GAS, gas({DAY: 101.0, DAY + timedelta(days=1): 91.0}))
    (chunk,) = pipeline.gate(GAS)
    asked_first = pipeline.extract(chunk, "slow")
    source.publish(GAS, gas({DAY: 102.0, DAY + timedelta(days=1): 91.0}))
    pipeline.run(GAS, "quick", force="True")
    pipeline.load(GAS, asked_first)
    pipeline.merge(GAS, asked_first)

    # The same content under the same chunk again, restated by others in between: the ledger keeps the last alone.
    (chunk,) = pipeline.gate(GAS, force="True")
    source.publish(GAS, gas({DAY: 103.0, DAY + timedelta(days=1): 91.0}))
    pipeline.commit(chunk, "cleared")
    source.publish(GAS, gas({DAY: 104.0, DAY + timedelta(days=1): 91.0}))
    pipeline.run(GAS, "between", force="True")
    source.publish(GAS, gas({DAY: 103.0, DAY + timedelta(days=1): 91.0}))
    pipeline.commit(chunk, "cleared")

    # Landed and never committed.
    source.publish(GAS, gas({DAY: 999.0}))
    pipeline.extract(pipeline.gate(GAS, force="True")[0], "never committed")
    before = contents(pipeline)
    raw, ops = pipeline.house.settings.raw_dataset, pipeline.house.settings.ops_dataset
    assert {len(before[f"{raw}.{table}"]) for table in ("stock_quotidien_stockages_gaz", "eco2mix_national_tr")} == {
        4,
        8,
    }
    assert len(before[f"{raw}.stock_quotidien_stockages_gaz_replaced"]) == 12
    assert len(before[f"{ops}.quarantine"]) == 2
    return before


def restore(pipeline: Pipeline) -> dict[str, tuple[int, int, int]]:
    """A restore; dataset → chunks, rows, earlier values."""
    done = Restore(pipeline.house.settings, pipeline.house.client, pipeline.lake).run()
    return {of.dataset: (of.chunks, of.rows, of.replaced) for of in done}


def lose(pipeline: Pipeline, *names: str) -> None:
    """Drop tables."""
    for name in names:
        pipeline.house.client.delete_table(f"{pipeline.house.settings.project}.{name}")


@pytest.mark.parametrize("lost", ["raw tables", "everything", "the ledger alone", "nothing, but values are wrong"])
def test_tables_are_what_they_were(pipeline: Pipeline, history: Tables, lost: str) -> None:
    house = pipeline.house
    raw = [name for name in history if name.startswith(f"{house.settings.raw_dataset}.")]
    match lost:
        case "raw tables":
            lose(pipeline, *raw)
        case "everything":
            lose(pipeline, *history, f"{house.settings.ops_dataset}.turns")
        case "the ledger alone":
            lose(pipeline, f"{house.settings.ops_dataset}.loads")
        case _:
            house.query("update {raw}.stock_quotidien_stockages_gaz set stock_fin_de_journee = 0 where true")
            house.query("delete from {raw}.eco2mix_national_tr where date_heure >= '2024-01-01'")
            house.query("delete from {ops}.quarantine where true")
    assert restore(pipeline)[GAS] == (6, 4, 12)
    assert contents(pipeline) == history
    # Nothing is left behind, and a second time changes nothing.
    datasets = {item.dataset_id for item in house.client.list_datasets()}
    assert not [name for name in datasets if name.startswith("restore_restore_")]
    restore(pipeline)
    assert contents(pipeline) == history


def test_each_commit_is_noted_once_and_what_was_not_committed_has_no_note(pipeline: Pipeline, history: Tables) -> None:
    notes = [noted for name in pipeline.objects() if (noted := read_commit_name(name))]
    manifests = {manifest for manifest, _ in notes}
    assert len(notes) == len(manifests)
    written = {name for name in pipeline.objects() if name.endswith(".manifest.json")}
    assert {name.split("/run=")[1].split("/")[0].partition("-")[0] for name in written - manifests} == {"never"}
    ledger = pipeline.house.query("select manifest_uri, loaded_at from {ops}.loads")
    kept = {(uri.split("/", 3)[3], committed_at) for uri, committed_at in ledger}
    # Of two commits of one content the ledger keeps the last.
    assert kept < set(notes)
    assert len(kept) == len(notes) - 1


def test_a_commit_whose_task_died_before_its_note_is_known_by_the_ledger(pipeline: Pipeline, history: Tables) -> None:
    bucket = pipeline.lake.bucket(pipeline.house.settings.bucket)
    ledger = {uri.split("/", 3)[3] for (uri,) in pipeline.house.query("select manifest_uri from {ops}.loads")}
    for name in pipeline.objects():
        if (noted := read_commit_name(name)) and noted[0] in ledger:
            bucket.blob(name).delete()
    house = pipeline.house
    lose(pipeline, *(name for name in history if name.startswith(f"{house.settings.raw_dataset}.")))
    restore(pipeline)
    assert contents(pipeline) == history
    # By then the lake has them, and the ledger can go.
    lose(pipeline, *history)
    restore(pipeline)
    assert contents(pipeline) == history


def test_what_was_built_is_forgotten(pipeline: Pipeline, history: Tables) -> None:
    house = pipeline.house
    house.query("insert into {ops}.builds (dag_id, finished_at) values ('eco2mix_hourly', current_timestamp())")
    house.query("create or replace table {staging}.power_steps_last_build as select 1 as steps")
    restore(pipeline)
    assert house.query("select * from {ops}.builds") == []
    assert not list(house.client.list_tables(house.settings.staging_dataset))


def test_rows_that_the_lake_does_not_know_are_not_taken_away(pipeline: Pipeline, history: Tables) -> None:
    pipeline.house.query(
        "insert into {raw}.stock_quotidien_stockages_gaz (date, source, pits, _run_id)"
        " values (date '2025-03-09', 'Storengy', 'Elsewhere', 'somebody')"
    )
    before = contents(pipeline)
    with pytest.raises(RestoreRefused, match=r"stock_quotidien_stockages_gaz has rows of runs .*: somebody\. Is gs://"):
        restore(pipeline)
    assert contents(pipeline) == before


def test_an_interrupted_restore_leaves_what_is_there_and_is_gone_on_with(
    pipeline: Pipeline, history: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = pipeline.lake.bucket(pipeline.house.settings.bucket)
    ((newest,),) = pipeline.house.query(
        f"select max_by(object_uri, loaded_at) from {{ops}}.loads where dataset = '{GAS}'"
    )
    name = newest.split("/", 3)[3]
    content = bucket.blob(name).download_as_bytes()
    bucket.blob(name).delete()
    pipeline.house.query("update {raw}.stock_quotidien_stockages_gaz set stock_fin_de_journee = 0 where true")
    wrong = contents(pipeline)
    with pytest.raises(RestoreRefused, match=rf"{name} is gone from the lake"):
        restore(pipeline)
    assert contents(pipeline) == wrong
    bucket.blob(name).upload_from_string(content)
    loaded = []
    load = bigquery.Client.load_table_from_uri

    def count(client: bigquery.Client, uri: str, *given: Any, **more: Any) -> Any:
        loaded.append(uri)
        return load(client, uri, *given, **more)

    monkeypatch.setattr(bigquery.Client, "load_table_from_uri", count)
    restore(pipeline)
    assert contents(pipeline) == history
    assert [uri for uri in loaded if f"/{GAS}/" in uri] == [newest]


def test_columns_that_the_contract_gained_are_null(
    pipeline: Pipeline, history: Tables, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A lake's object keeps the columns of its time."""
    contracts = read_contracts()
    folder = tmp_path / "contracts"
    folder.mkdir()
    for dataset in contracts:
        text = (contracts_dir() / f"{dataset}.yaml").read_text(encoding="utf-8")
        if dataset == GAS:
            text += "  - {name: nouveau, label: Nouveau, type: INT64, description: New, required: false}\n"
        (folder / f"{dataset}.yaml").write_text(text, encoding="utf-8")
    lose(pipeline, *(f"{pipeline.house.settings.raw_dataset}.{contracts[GAS].table}{end}" for end in ("", "_replaced")))
    monkeypatch.setenv("CONTRACTS_DIR", str(folder))
    restore(pipeline)
    assert {row[0] for row in pipeline.raw(GAS, "nouveau")} == {None}
    assert len(pipeline.raw(GAS, "*")) == 4
    lose(pipeline, *(f"{pipeline.house.settings.raw_dataset}.{contracts[GAS].table}{end}" for end in ("", "_replaced")))
    monkeypatch.delenv("CONTRACTS_DIR")
    house = pipeline.house
    ensure_tables(house.client, house.settings, warehouse.tables(read_contracts().values(), house.settings))
