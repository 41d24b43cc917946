"""Raw tables made again from the lake: equal to what they were, whatever is lost; nothing is touched until they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from google.cloud import bigquery

from emulators.odre.server import serve
from emulators.odre.source import MemorySource
from local.stack import Stack
from odre import warehouse
from odre.contracts import contracts_dir, read_contract, read_contracts
from odre.manifest import read_commit_name, split_uri
from odre.restore import Restore, RestoreRefused, main
from tests.warehouse.ingest import DAY, Pipeline, gas, power
from tests.warehouse.support import GAS, REAL_TIME, TestWarehouse

#: Of this year, and so of one chunk.
START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
RAW = read_contract(GAS).table

#: Table → its rows, sorted.
Tables = dict[str, list[tuple[Any, ...]]]


@dataclass
class History:
    """A pipeline after some runs, and every row of the tables that a restore makes again, as it was then."""

    pipeline: Pipeline
    tables: Tables

    @property
    def house(self) -> TestWarehouse:
        """The warehouse."""
        return self.pipeline.house

    def now(self) -> Tables:
        """Every row of those tables."""
        rows = {}
        for table in warehouse.tables(read_contracts().values(), self.house.settings):
            if table.dataset == self.house.settings.raw_dataset or table.name in ("loads", "quarantine"):
                name = f"{table.dataset}.{table.name}"
                where = f"{table.partition_column} >= '1900-01-01'"
                rows[name] = sorted(self.house.query(f"select * from {name} where {where}"), key=str)
        return rows

    def restore(self) -> None:
        """A restore."""
        Restore(self.house.settings, self.house.client, self.pipeline.lake).run()

    def lose(self, *names: str) -> None:
        """Drop tables."""
        for name in names:
            self.house.client.delete_table(f"{self.house.settings.project}.{name}")

    def blob(self, name: str) -> Any:
        """An object of the lake."""
        return self.pipeline.lake.bucket(self.house.settings.bucket).blob(name)


@pytest.fixture(scope="module")
def history(house: TestWarehouse, emulators: Stack) -> Iterator[History]:
    """Two datasets after runs that overlap, restate, quarantine and end out of order. Each test leaves them so."""
    google = {"conn_type": "google_cloud_platform", "extra": {"is_anonymous": True, "project": house.settings.project}}
    source = MemorySource()
    with pytest.MonkeyPatch.context() as patch, serve(source) as url:
        for name, value in {
            **house.environment,
            "STORAGE_EMULATOR_HOST": emulators.warehouse.storage,
            "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": json.dumps(google),
            "AIRFLOW_CONN_ODRE_DEFAULT": url,
            "LAKE_PREFIX": "restore/",
        }.items():
            patch.setenv(name, value)
        patch.setattr(house, "settings", replace(house.settings, lake_prefix="restore/"))
        pipeline = Pipeline(house)
        _make_history(pipeline, source)
        made = History(pipeline, {})
        made.tables = made.now()
        raw, ops = house.settings.raw_dataset, house.settings.ops_dataset
        assert len(made.tables[f"{raw}.{RAW}"]) == 4
        assert len(made.tables[f"{raw}.{RAW}_replaced"]) == 12
        assert len(made.tables[f"{raw}.eco2mix_national_tr"]) == 8
        assert len(made.tables[f"{ops}.quarantine"]) == 2
        yield made


def _make_history(pipeline: Pipeline, source: MemorySource) -> None:
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


def test_each_commit_is_noted_once_and_what_was_not_committed_has_no_note(history: History) -> None:
    objects = history.pipeline.objects()
    notes = [noted for name in objects if (noted := read_commit_name(name))]
    manifests = {manifest for manifest, _ in notes}
    assert len(notes) == len(manifests)
    written = {name for name in objects if name.endswith(".manifest.json")}
    (uncommitted,) = written - manifests
    assert "/run=never-committed" in uncommitted
    ledger = history.house.query("select manifest_uri, loaded_at from {ops}.loads")
    kept = {(split_uri(uri)[1], committed_at) for uri, committed_at in ledger}
    # Of two commits of one content the ledger keeps the last.
    assert kept < set(notes)
    assert len(kept) == len(notes) - 1


def test_tables_are_what_they_were_after_all_of_them_were_lost(
    history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    history.lose(*history.tables, f"{history.house.settings.ops_dataset}.turns")
    assert main() == 0
    told = capsys.readouterr().out.splitlines()
    assert f"{GAS}: 6 chunks, 4 rows, 12 earlier values" in told
    assert f"{REAL_TIME}: 2 chunks, 8 rows, 1 earlier values" in told
    assert history.now() == history.tables
    beside = [item.dataset_id for item in history.house.client.list_datasets() if "restore_restore_" in item.dataset_id]
    assert beside == [], "nothing is left behind"


def test_another_lake_is_refused(history: History) -> None:
    """By the ledger, which names manifests that are not there; without one, since there is nothing to restore."""
    other = replace(history.house.settings, lake_prefix="elsewhere/")
    with pytest.raises(RestoreRefused, match=r"manifest\.json is gone from the lake"):
        Restore(other, history.house.client, history.pipeline.lake).run()
    empty = replace(other, dataset_prefix="nothing_")
    for name in (empty.raw_dataset, empty.ops_dataset):
        history.house.client.create_dataset(name, exists_ok=True)
    with pytest.raises(RestoreRefused, match=r"gs://odre-lake/elsewhere/raw/ has no note of a commit: nothing to"):
        Restore(empty, history.house.client, history.pipeline.lake).run()
    for name in (empty.raw_dataset, empty.ops_dataset):
        for prefix in ("", "restore_"):
            history.house.client.delete_dataset(f"{prefix}{name}", delete_contents=True)
    assert history.now() == history.tables


def test_what_is_wrong_is_mended_from_a_ledger_without_notes_and_builds_are_forgotten(history: History) -> None:
    house = history.house
    ledger = {split_uri(uri)[1] for (uri,) in house.query("select manifest_uri from {ops}.loads")}
    for name in history.pipeline.objects():
        # As where a task died between its commit and its note.
        if (noted := read_commit_name(name)) and noted[0] in ledger:
            history.blob(name).delete()
    house.query(f"update {{raw}}.{RAW} set stock_fin_de_journee = 0 where true")
    house.query("delete from {raw}.eco2mix_national_tr where date_heure >= '2024-01-01'")
    house.query("delete from {ops}.quarantine where true")
    house.query("insert into {ops}.builds (dag_id, finished_at) values ('eco2mix_hourly', current_timestamp())")
    house.query("create or replace table {staging}.power_steps_last_build as select 1 as steps")
    history.restore()
    assert history.now() == history.tables
    noted_again = [read_commit_name(name) for name in history.pipeline.objects()]
    assert ledger <= {noted[0] for noted in noted_again if noted}
    assert house.query("select * from {ops}.builds") == []
    assert not list(house.client.list_tables(house.settings.staging_dataset))


def test_nothing_is_touched_until_all_is_there_and_an_interrupted_restore_goes_on(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = history.house
    newest = house.value(f"select max_by(object_uri, loaded_at) from {{ops}}.loads where dataset = '{GAS}'")
    _, name = split_uri(newest)
    content = history.blob(name).download_as_bytes()
    history.blob(name).delete()
    house.query(f"update {{raw}}.{RAW} set stock_fin_de_journee = 0 where true")
    house.query(
        f"insert into {{raw}}.{RAW} (date, source, pits, _run_id)"
        " values (date '2025-03-09', 'Storengy', 'Elsewhere', 'somebody')"
    )
    wrong = history.now()
    with pytest.raises(RestoreRefused, match=rf"{name} is gone from the lake\. See docs/runbooks/restore\.md"):
        history.restore()
    assert history.now() == wrong

    history.blob(name).upload_from_string(content)
    loaded = []
    load = bigquery.Client.load_table_from_uri

    def count(client: bigquery.Client, uri: str, *given: Any, **more: Any) -> Any:
        loaded.append(uri)
        return load(client, uri, *given, **more)

    monkeypatch.setattr(bigquery.Client, "load_table_from_uri", count)
    with pytest.raises(
        RestoreRefused, match=rf"{RAW} has rows of runs that the lake does not know: somebody\. Is gs://"
    ):
        history.restore()
    assert history.now() == wrong
    house.query(f"delete from {{raw}}.{RAW} where _run_id = 'somebody'")
    history.restore()
    assert history.now() == history.tables
    # From the first of the two commits of that object on, once.
    assert [uri.split("/run=")[1].split("/")[0] for uri in loaded if f"/{GAS}/" in uri] == [
        "cleared",
        "between",
        "cleared",
    ]


def test_columns_that_the_contract_gained_are_null(
    history: History, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A lake's object keeps the columns of its time."""
    for path in contracts_dir().glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        if path.stem == GAS:
            text += "  - {name: nouveau, label: Nouveau, type: INT64, description: New, required: false}\n"
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("CONTRACTS_DIR", str(tmp_path))
    history.restore()
    assert [row[0] for row in history.pipeline.raw(GAS, "nouveau")] == [None] * 4
    before = history.tables[f"{history.house.settings.raw_dataset}.{RAW}"]
    columns = "date, stock_fin_de_journee, source, pits, _loaded_at, _run_id"
    assert sorted(history.pipeline.raw(GAS, columns), key=str) == before
