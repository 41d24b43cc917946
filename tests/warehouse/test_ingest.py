"""From a served source through the operators to the raw tables: what a run asks for, lands, replaces and remembers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pyarrow as pa
import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from google.api_core.exceptions import GoogleAPICallError

from emulators.odre.server import Answer, Request
from emulators.odre.source import MemorySource
from odre import tables, warehouse
from odre.client import OdreClient, SourceUnreachable
from odre.contracts import read_contract, read_contracts
from odre.operators import OdreGateOperator
from tests.conftest import ServeSource
from tests.warehouse.ingest import DAY, POINTS, Pipeline, gas, power, prepare
from tests.warehouse.support import CONSOLIDATED, GAS, REAL_TIME


def test_a_first_run_lands_everything_and_the_next_asks_once(
    pipeline: Pipeline, serving: Callable[..., list[Request]]
) -> None:
    source = MemorySource()
    source.publish(GAS, gas({DAY: 100.0, DAY + timedelta(days=1): 90.5}))
    seen = serving(source)
    pipeline.run(GAS, "first")
    assert pipeline.raw(GAS, "date, pits, stock_fin_de_journee, _run_id") == [
        (day, point, stock, "first")
        for day, stock in ((DAY, 100.0), (DAY + timedelta(days=1), 90.5))
        for point in POINTS
    ]
    ledger = pipeline.house.query(
        "select run_id, chunk, chunks, ordinary, rows_source, rows_landed, date(high_water) from {ops}.loads"
    )
    assert ledger == [("first", 0, 1, True, 4, 4, DAY + timedelta(days=1))]
    asked = len(seen)
    with pytest.raises(AirflowSkipException, match="landed already"):
        pipeline.gate(GAS)
    assert [request.endpoint for request in seen[asked:]] == ["metadata"]


def test_a_mark_that_went_back_is_fetched_once(pipeline: Pipeline, serving: Callable[..., list[Request]]) -> None:
    source = MemorySource()
    source.publish(GAS, gas({DAY: 100.0}), datetime(2099, 1, 1, tzinfo=UTC))
    serving(source)
    pipeline.run(GAS, "from the future")
    source.publish(GAS, gas({DAY: 101.0}), datetime(2025, 3, 2, tzinfo=UTC))
    pipeline.run(GAS, "restored")
    assert pipeline.raw(GAS, "stock_fin_de_journee") == [(101.0,)] * 2
    with pytest.raises(AirflowSkipException, match="landed already"):
        pipeline.gate(GAS)


def test_a_source_that_is_older_than_its_contract_allows_is_named_in_the_log(
    pipeline: Pipeline, serving: Callable[..., list[Request]], capsys: pytest.CaptureFixture[str]
) -> None:
    source = MemorySource()
    hours = read_contract(GAS).freshness_hours
    now = datetime.now(UTC)
    source.publish(GAS, gas({DAY: 100.0}), now - timedelta(hours=hours - 1))
    serving(source)
    pipeline.gate(GAS)
    assert "is stale" not in capsys.readouterr().out
    source.publish(GAS, gas({DAY: 101.0}), now - timedelta(hours=hours + 1))
    pipeline.gate(GAS)
    assert f"{GAS}: the source is stale: it processed this {hours + 1} h ago" in capsys.readouterr().out


def test_the_last_state_shown_wins_and_the_one_before_is_kept(
    pipeline: Pipeline, serving: Callable[..., list[Request]]
) -> None:
    source = MemorySource()
    source.publish(GAS, gas({DAY: 100.0, DAY + timedelta(days=1): 90.0}))
    serving(source)
    pipeline.run(GAS, "first")
    source.publish(GAS, gas({DAY: 100.0, DAY + timedelta(days=1): 91.0, DAY + timedelta(days=2): 80.0}))
    extracted = pipeline.run(GAS, "second")
    expected = [(DAY, 100.0, "first")] * 2
    expected += [(DAY + timedelta(days=1), 91.0, "second")] * 2 + [(DAY + timedelta(days=2), 80.0, "second")] * 2
    assert pipeline.raw(GAS, "date, stock_fin_de_journee, _run_id") == expected
    table = f"{read_contract(GAS).table}_replaced"
    replaced = f"select date, stock_fin_de_journee, _run_id, _replaced_by_run_id from {{raw}}.{table}"
    kept = [(DAY + timedelta(days=1), 90.0, "first", "second")] * 2
    assert pipeline.house.query(replaced) == kept

    # The same chunk again, as a cleared task has it: nothing moves, nothing is counted twice.
    before = pipeline.raw(GAS, "*"), pipeline.house.query("select * from {ops}.loads order by loaded_at")
    pipeline.load(GAS, extracted[0])
    pipeline.merge(GAS, extracted[0])
    assert (pipeline.raw(GAS, "*"), pipeline.house.query("select * from {ops}.loads order by loaded_at")) == before
    assert pipeline.house.query(replaced) == kept


def test_rows_that_vanish_from_the_source_are_kept(pipeline: Pipeline, serving: Callable[..., list[Request]]) -> None:
    source = MemorySource()
    source.publish(GAS, gas({DAY: 100.0, DAY + timedelta(days=1): 90.0}))
    serving(source)
    pipeline.run(GAS, "first")
    source.publish(GAS, gas({DAY + timedelta(days=1): 90.0}))
    pipeline.run(GAS, "second")
    assert {row[0] for row in pipeline.raw(GAS, "date")} == {DAY, DAY + timedelta(days=1)}


def test_a_run_for_a_window_moves_no_mark(pipeline: Pipeline, serving: Callable[..., list[Request]]) -> None:
    source = MemorySource()
    source.publish(GAS, gas({DAY + timedelta(days=n): 100.0 - n for n in range(5)}))
    serving(source)
    pipeline.run(GAS, "backfill", window_start="2025-03-02", window_end="2025-03-04")
    assert {row[0].day for row in pipeline.raw(GAS, "date")} == {2, 3}
    (chunk,) = pipeline.gate(GAS)
    assert chunk["ordinary"]
    assert chunk["run_window_start"] is None
    pipeline.run(GAS, "ordinary")
    assert len(pipeline.raw(GAS, "date")) == 10


def test_half_a_run_moves_no_mark(pipeline: Pipeline, serving: Callable[..., list[Request]]) -> None:
    source = MemorySource()
    start = datetime(2023, 12, 31, 20, tzinfo=UTC)
    source.publish(REAL_TIME, power(start, [50_000] * 32))
    serving(source)
    first, *others = pipeline.gate(REAL_TIME)
    for chunk in others:
        pipeline.commit(chunk, "half")
    # The first chunk failed: the next run asks for everything again, or 2023 would be lost for ever.
    assert [chunk["window_start"] for chunk in pipeline.gate(REAL_TIME)] == [
        chunk["window_start"] for chunk in (first, *others)
    ]
    pipeline.commit(first, "half")
    with pytest.raises(AirflowSkipException):
        pipeline.gate(REAL_TIME)
    assert len(pipeline.raw(REAL_TIME, "date_heure")) == 32


def test_a_consolidation_announced_before_it_is_there_moves_no_mark(
    pipeline: Pipeline, serving: Callable[..., list[Request]]
) -> None:
    source = MemorySource()
    table = power(datetime(2024, 1, 1, tzinfo=UTC), [50_000] * 4, "Données consolidées")
    source.publish(CONSOLIDATED, table.slice(0, 0))
    serving(source)
    pipeline.run(CONSOLIDATED, "announced")
    assert pipeline.raw(CONSOLIDATED, "date_heure") == []
    mark = source.dataset(CONSOLIDATED, refresh=False).data_processed  # type: ignore[union-attr]
    source.publish(CONSOLIDATED, table, mark)
    pipeline.run(CONSOLIDATED, "there")
    assert len(pipeline.raw(CONSOLIDATED, "date_heure")) == 4


def test_consolidated_figures_are_asked_for_again_until_they_are_definitive(
    pipeline: Pipeline, serving: Callable[..., list[Request]]
) -> None:
    source = MemorySource()
    definitive = power(datetime(2020, 6, 1, tzinfo=UTC), [50_000] * 4, "Données définitives")
    unsettled = power(datetime(2022, 6, 1, tzinfo=UTC), [50_000] * 4, "Données consolidées")
    latest = power(datetime(2024, 6, 1, tzinfo=UTC), [50_000] * 4, "Données consolidées")
    source.publish(CONSOLIDATED, pa.concat_tables([definitive, unsettled, latest]))
    serving(source)
    pipeline.run(CONSOLIDATED, "first")
    chunks = pipeline.gate(CONSOLIDATED, force="True")
    assert chunks[0]["run_window_start"] == "2022-06-01T00:00:00+00:00"


def test_future_rows_do_not_move_the_window(pipeline: Pipeline, serving: Callable[..., list[Request]]) -> None:
    source = MemorySource()
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    source.publish(REAL_TIME, power(now - timedelta(hours=2), [50_000] * 4 + [None] * 40))
    serving(source)
    pipeline.run(REAL_TIME, "first")
    chunk = pipeline.gate(REAL_TIME, force="True")[0]
    measured_until = now - timedelta(hours=2) + timedelta(minutes=45)
    assert datetime.fromisoformat(chunk["run_window_start"]) == measured_until - timedelta(days=3)


def test_the_window_reaches_back_to_the_slowest_operator(
    pipeline: Pipeline, serving: Callable[..., list[Request]]
) -> None:
    source = MemorySource()
    late = gas({DAY: 50.0}, ("Teréga",))
    punctual = gas({DAY + timedelta(days=n): 100.0 for n in range(40)}, ("Centre",))
    source.publish(GAS, pa.concat_tables([late, punctual]))
    serving(source)
    pipeline.run(GAS, "first")
    (chunk,) = pipeline.gate(GAS, force="True")
    assert datetime.fromisoformat(chunk["run_window_start"]).date() == DAY - timedelta(days=35)


def test_force_passes_the_gate(pipeline: Pipeline, serving: Callable[..., list[Request]]) -> None:
    source = MemorySource()
    source.publish(GAS, gas({DAY: 100.0}))
    serving(source)
    pipeline.run(GAS, "first")
    assert pipeline.gate(GAS, force="True")


def test_a_task_that_somebody_cleared_passes_the_gate(
    pipeline: Pipeline, serving: Callable[..., list[Request]]
) -> None:
    source = MemorySource()
    source.publish(GAS, gas({DAY: 100.0}))
    serving(source)
    pipeline.run(GAS, "first")
    with pytest.raises(AirflowSkipException):
        pipeline.gate(GAS)
    assert pipeline.gate(GAS, cleared="yes")


def test_a_dataset_that_the_source_lacks(pipeline: Pipeline, serving: Callable[..., list[Request]]) -> None:
    source = MemorySource()
    source.publish(GAS, gas({DAY: 100.0}))
    serving(source)
    with pytest.raises(AirflowSkipException, match="no eco2mix-national-cons-def, which is optional"):
        pipeline.gate(CONSOLIDATED)
    with pytest.raises(AirflowFailException, match="eco2mix-national-tr"):
        pipeline.gate(REAL_TIME)


def test_a_new_column_is_reported_and_an_absent_optional_one_is_null(
    pipeline: Pipeline, serving: Callable[..., list[Request]]
) -> None:
    source = MemorySource()
    table = power(datetime(2024, 1, 1, tzinfo=UTC), [50_000] * 4, eolien_offshore=1)
    table = table.drop_columns(["eolien_offshore"]).append_column("maree", pa.array([1, 2, 3, 4]))
    source.publish(REAL_TIME, table)
    serving(source)
    pipeline.run(REAL_TIME, "drifted")
    assert pipeline.raw(REAL_TIME, "consommation, eolien_offshore") == [(50_000, None)] * 4
    assert pipeline.house.query("select distinct unknown_columns, absent_columns from {ops}.loads") == [
        ("maree", "eolien_offshore")
    ]


@pytest.mark.parametrize("broken", ["absent", "retyped"])
def test_a_broken_contract_stops_the_run_before_the_lake(
    pipeline: Pipeline, serving: Callable[..., list[Request]], broken: str
) -> None:
    source = MemorySource()
    table = power(datetime(2024, 1, 1, tzinfo=UTC), [50_000] * 4).drop_columns(["nucleaire"])
    if broken == "retyped":
        table = table.append_column("nucleaire", pa.array([datetime(2024, 1, 1, tzinfo=UTC)] * 4))
    source.publish(REAL_TIME, table)
    serving(source)
    with pytest.raises(AirflowFailException, match=r"eco2mix-national-tr.*nucleaire"):
        pipeline.gate(REAL_TIME)
    assert pipeline.objects() == set()
    assert pipeline.house.query("select * from {ops}.loads") == []


def test_bad_rows_are_in_the_quarantine_once_and_the_rest_lands(
    pipeline: Pipeline, serving: Callable[..., list[Request]]
) -> None:
    source = MemorySource()
    table = power(datetime(2024, 1, 1, tzinfo=UTC), [50_000] * 4)
    place = table.schema.get_field_index("consommation")
    spoilt = table.set_column(place, "consommation", pa.array(["50000", "fifty", "50000", "12,5"]))
    source.publish(REAL_TIME, spoilt)
    serving(source)
    pipeline.run(REAL_TIME, "first")
    pipeline.run(REAL_TIME, "again", force="True")
    assert len(pipeline.raw(REAL_TIME, "date_heure")) == 2
    entries = pipeline.house.query(
        "select key, `column`, raw_value, is_rule, run_id from {ops}.quarantine order by key"
    )
    assert entries == [
        ("date_heure=2024-01-01T00:15:00+00:00", "consommation", "fifty", False, "first"),
        ("date_heure=2024-01-01T00:45:00+00:00", "consommation", "12,5", False, "first"),
    ]
    counts = "select rows_source, rows_landed, rows_quarantined, rows_excluded from {ops}.loads where rows_source > 0"
    assert pipeline.house.query(counts) == [(4, 2, 2, 0)] * 2


def test_rows_of_the_hour_that_does_not_exist_are_excluded_by_rule(
    pipeline: Pipeline, serving: Callable[..., list[Request]]
) -> None:
    source = MemorySource()
    real = power(datetime(2022, 3, 27, 1, tzinfo=UTC), [50_000] * 4)
    ghost = power(datetime(2022, 3, 27, 1, tzinfo=UTC), [1] * 4)
    place = ghost.schema.get_field_index("heure")
    ghost = ghost.set_column(place, "heure", pa.array(["02:00", "02:15", "02:30", "02:45"]))
    source.publish(REAL_TIME, pa.concat_tables([real, ghost]))
    serving(source)
    pipeline.run(REAL_TIME, "spring")
    assert pipeline.raw(REAL_TIME, "heure, consommation") == [(f"03:{minute:02}", 50_000) for minute in (0, 15, 30, 45)]
    rules = pipeline.house.query("select raw_value, is_rule from {ops}.quarantine order by raw_value")
    assert rules == [(f"2022-03-27 02:{minute:02}", True) for minute in (0, 15, 30, 45)]
    assert pipeline.house.query("select rows_quarantined, rows_excluded from {ops}.loads where rows_source > 0") == [
        (0, 4)
    ]


def test_lake_objects_are_named_by_their_content_and_described(
    pipeline: Pipeline, serving: Callable[..., list[Request]]
) -> None:
    source = MemorySource()
    source.publish(GAS, gas({DAY: 100.0}))
    serving(source)
    (extracted,) = pipeline.run(GAS, "first")
    bucket = pipeline.lake.bucket(pipeline.house.settings.bucket)
    ((uri, sha256, manifest_uri),) = pipeline.house.query(
        "select object_uri, content_sha256, manifest_uri from {ops}.loads"
    )
    assert uri == f"gs://{bucket.name}/{extracted['object_name']}"
    assert extracted["object_name"].endswith(f"/raw/{GAS}/run=first/{sha256}.parquet")
    described = json.loads(bucket.blob(manifest_uri.removeprefix(f"gs://{bucket.name}/")).download_as_bytes())
    assert described["content_sha256"] == sha256
    assert described["rows_landed"] == 2


def test_a_merge_whose_table_is_gone_counts_only_if_it_was_committed(
    pipeline: Pipeline, serving: Callable[..., list[Request]]
) -> None:
    source = MemorySource()
    source.publish(GAS, gas({DAY: 100.0}))
    serving(source)
    (extracted,) = pipeline.run(GAS, "first")
    names = [item.table_id for item in pipeline.house.client.list_tables(pipeline.house.settings.load_dataset)]
    assert names == [], "the run's table is dropped with the merge"
    pipeline.merge(GAS, extracted)
    for window_end, until in ("", "the end"), ("2026-01-02", "2026-01-02T00:00:00"):
        (chunk,) = pipeline.gate(GAS, force="True", window_start="2025-01-25", window_end=window_end)
        landed = pipeline.extract(chunk, f"never loaded {window_end}")
        named = rf"{GAS}, 2025-01-25T00:00:00\S+ to {until}\S*: table \w+ is gone and its chunk is not in the ledger"
        with pytest.raises(GoogleAPICallError, match=named):
            pipeline.merge(GAS, landed)


def test_what_another_try_may_mend_is_tried_four_times_and_nothing_else(
    pipeline: Pipeline, standin: ServeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeps: list[float] = []
    monkeypatch.setattr("odre.hooks.OdreClient", partial(OdreClient, sleep=sleeps.append))
    monkeypatch.setenv("AIRFLOW_CONN_ODRE_DEFAULT", "http://127.0.0.1:9")
    with pytest.raises(SourceUnreachable, match=GAS):
        pipeline.gate(GAS)
    assert len(sleeps) == 3
    sleeps.clear()
    refusing = standin(MemorySource(), behaviour=lambda request, answer: Answer(400, b"{}"))
    monkeypatch.setenv("AIRFLOW_CONN_ODRE_DEFAULT", refusing)
    with pytest.raises(AirflowFailException, match=GAS):
        pipeline.gate(GAS)
    assert sleeps == []


def test_a_window_that_ends_before_it_starts_is_refused_before_anything_is_fetched(pipeline: Pipeline) -> None:
    with pytest.raises(AirflowFailException, match=r"window_end \(2024-03-01\) must be later than window_start"):
        prepare(pipeline.house, window_start="2024-03-02", window_end="2024-03-01")


def test_a_gate_is_of_backfills_or_of_ordinary_runs(pipeline: Pipeline) -> None:
    def gate(backfill: bool, window_start: str) -> None:
        operator = OdreGateOperator(
            task_id="gate",
            dataset=GAS,
            settings=pipeline.house.settings,
            backfill=backfill,
            window_start=window_start,
            window_end="",
        )
        operator.execute({})

    with pytest.raises(AirflowSkipException, match="no window"):
        gate(backfill=True, window_start="")
    with pytest.raises(AirflowSkipException, match="has a window"):
        gate(backfill=False, window_start="2024-03-01")


def test_tables_are_widened_by_new_columns_and_by_nothing_else(pipeline: Pipeline) -> None:
    house = pipeline.house
    table = next(t for t in warehouse.tables(read_contracts().values(), house.settings) if t.name == "loads")
    wider = replace(table, schema=(*table.schema, {"name": "more", "type": "INT64", "mode": "NULLABLE"}))
    tables.ensure_tables(house.client, house.settings, [wider])
    assert house.query("select more from {ops}.loads") == []
    retyped = replace(table, schema=({**table.schema[0], "type": "INT64"}, *wider.schema[1:]))
    with pytest.raises(tables.SchemaRefused, match=r"dataset is STRING there and INT64.*docs/runbooks/schema-drift.md"):
        tables.ensure_tables(house.client, house.settings, [retyped])


def test_what_a_dead_run_left_is_dropped_after_its_day(pipeline: Pipeline) -> None:
    house = pipeline.house
    house.client.query(f"create table {house.settings.load_dataset}.left_behind as select 1 as one").result()
    tables.drop_abandoned(house.client, house.settings, datetime.now(UTC) - timedelta(days=1))
    assert [item.table_id for item in house.client.list_tables(house.settings.load_dataset)] == ["left_behind"]
    tables.drop_abandoned(house.client, house.settings, datetime.now(UTC) + timedelta(days=1))
    assert list(house.client.list_tables(house.settings.load_dataset)) == []
