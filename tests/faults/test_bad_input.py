"""What a source that misbehaves ends in: absorbed, quarantined or refused, as docs/reliability.md has it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest
from airflow.sdk.exceptions import AirflowFailException

from emulators.odre.faults import DATA, KINDS, Fault, Script
from emulators.odre.source import MemorySource
from odre.client import OdreError
from odre.contracts import read_contract
from tests.conftest import ServeSource
from tests.warehouse.ingest import Pipeline, gas, power
from tests.warehouse.support import GAS, REAL_TIME, TEMPERATURE

PAGE: Final = Path(__file__).parents[2] / "docs" / "reliability.md"
DAY: Final = date(2025, 3, 1)
STOCKS: Final = gas({DAY + timedelta(days=n): 100.0 - n for n in range(30)})
STEPS: Final = power(datetime(2026, 1, 1, tzinfo=UTC), [50_000, 51_000, 52_000], eolien_offshore=7)
REGIONS: Final = pa.Table.from_pylist(
    [
        {"date": DAY, "code_insee_region": code, "region": "Somewhere", "tmin": 1.0, "tmax": 3.0, "tmoy": 2.0}
        for code in ("11", "24")
    ]
)
TABLES: Final = {GAS: STOCKS, REAL_TIME: STEPS, TEMPERATURE: REGIONS}
#: A second try comes at once, silence and dripping are given up soon.
PATIENCE: Final = {"back_off": 0.01, "read_timeout": 0.5, "grace": 0.3}

Row = tuple[Any, ...]
Rows = list[Row]

#: Faults that pass: the run is green and the tables are as without them.
PASSING: Final = (
    "quota_header_short",
    "quota_body_short",
    "server_error",
    "unavailable",
    "silence",
    "drip",
    "reset",
    "cut_at_row_end",
    "wrong_count",
    "bom",
    "columns_reordered",
)


def kept(rows: Rows) -> Rows:
    return rows


def last(change: Callable[[Row], Row]) -> Callable[[Rows], Rows]:
    return lambda rows: [*rows[:-1], change(rows[-1])]


#: States that the source may have, which are taken as they are: the dataset, the column that is looked at besides the
#: key, and what the raw table has then instead of what it had before.
STATES: Final[dict[str, tuple[str, str, Callable[[Rows], Rows]]]] = {
    "column_added": (GAS, "stock_fin_de_journee", kept),
    "optional_column_removed": (REAL_TIME, "eolien_offshore", lambda rows: [(*row[:-1], None) for row in rows]),
    "no_data_marker": (GAS, "stock_fin_de_journee", last(lambda row: (*row[:-1], None))),
    "repeated_rows": (GAS, "stock_fin_de_journee", kept),
    "unknown_nature": (REAL_TIME, "nature", last(lambda row: (*row[:-1], "Données provisoires"))),
    "unknown_region": (TEMPERATURE, "tmoy", lambda rows: [*rows, (DAY, "99", 2.0)]),
    "unknown_storage_point": (
        GAS,
        "stock_fin_de_journee",
        lambda rows: [*rows[:-1], (rows[-1][0], "Nulle part", rows[-1][2]), rows[-1]],
    ),
    "empty_window": (GAS, "stock_fin_de_journee", kept),
    "republished": (GAS, "stock_fin_de_journee", kept),
    "announced": (GAS, "stock_fin_de_journee", kept),
    "restated": (GAS, "stock_fin_de_journee", last(lambda row: (*row[:-1], row[-1] + 1))),
    "vanished": (GAS, "stock_fin_de_journee", kept),
}

#: The row that is bad: column, raw value, reason; and how many of the 60 rows land.
QUARANTINED: Final = {
    "text_in_number": ("stock_fin_de_journee", "douze", "not a finite number", 59),
    "decimal_comma": ("stock_fin_de_journee", "12,5", "not a finite number", 59),
    "repeated_keys": ("", "2025-03-30;71.0;Storengy;Saline", "key repeated with other values", 60),
}

REFUSED: Final = {
    "bad_request": "ODSQLError: ODSQL query is malformed. Run make check-source",
    "not_found": "has no such dataset. Check the dataset's name",
    "quota_header_long": r"quota of calls is used up .* frees at .*Z. Run again then",
    "quota_body_long": r"quota of calls is used up .* frees at .*Z. Run again then",
    "web_page": "text/html; charset=utf-8 came instead of CSV. Check that the portal answers",
    "column_removed": "required columns are absent: stock_fin_de_journee. .*schema-drift.md",
    "column_retyped": r"stock_fin_de_journee \(datetime instead of FLOAT64\). .*schema-drift.md",
}

ENDS: Final = {
    "absorbed": {*PASSING, *STATES},
    "quarantined": {*QUARANTINED},
    "refused": {*REFUSED},
}


@pytest.fixture
def source() -> MemorySource:
    source = MemorySource()
    for dataset, table in TABLES.items():
        source.publish(dataset, table)
    return source


@pytest.fixture
def script(source: MemorySource, standin: ServeSource, monkeypatch: pytest.MonkeyPatch) -> Script:
    """The script of the source behind ``odre_default``; empty at first."""
    script = Script(source)
    connection = {"conn_type": "http", "host": standin(source, behaviour=script), "extra": PATIENCE}
    monkeypatch.setenv("AIRFLOW_CONN_ODRE_DEFAULT", json.dumps(connection))
    return script


def raw(pipeline: Pipeline, dataset: str = GAS, column: str = "stock_fin_de_journee") -> Rows:
    return pipeline.raw(dataset, ", ".join([*read_contract(dataset).key, column]))


def expected() -> Rows:
    rows = STOCKS.sort_by([("date", "ascending"), ("pits", "ascending")]).to_pylist()
    return [(row["date"], row["pits"], row["stock_fin_de_journee"]) for row in rows]


def ledger(pipeline: Pipeline) -> Rows:
    columns = "rows_source, rows_landed, rows_quarantined, rows_excluded"
    return pipeline.house.query(f"select {columns} from {{ops}}.loads order by loaded_at")


def quarantine(pipeline: Pipeline) -> Rows:
    columns = "key, `column`, raw_value, reason, is_rule, run_id"
    return pipeline.house.query(f"select {columns} from {{ops}}.quarantine order by key")


def untouched(pipeline: Pipeline) -> bool:
    return (pipeline.objects(), raw(pipeline), ledger(pipeline), quarantine(pipeline)) == (set(), [], [], [])


@pytest.mark.parametrize("kind", PASSING)
def test_what_passes_is_absorbed(pipeline: Pipeline, script: Script, kind: str) -> None:
    script.set([Fault(kind)])
    pipeline.run(GAS, "run")
    assert raw(pipeline) == expected()
    assert ledger(pipeline) == [(60, 60, 0, 0)]
    assert quarantine(pipeline) == []


@pytest.mark.parametrize("kind", ["unavailable", "silence", "reset", "drip", "cut_at_row_end", "wrong_count"])
def test_what_does_not_pass_fails_within_bounds_and_leaves_nothing(
    pipeline: Pipeline, script: Script, kind: str
) -> None:
    script.set([Fault(kind, times=None)])
    with pytest.raises(OdreError, match=f"^{GAS}, ") as failure:
        pipeline.run(GAS, "run")
    assert failure.value.retryable
    assert untouched(pipeline)
    script.set([])
    pipeline.run(GAS, "next")
    assert raw(pipeline) == expected()


@pytest.mark.parametrize("kind", STATES)
def test_a_state_that_the_source_may_have_is_taken_as_it_is(
    pipeline: Pipeline, source: MemorySource, script: Script, kind: str
) -> None:
    dataset, column, change = STATES[kind]
    pipeline.run(dataset, "first")
    before = raw(pipeline, dataset, column)
    assert len(before) == TABLES[dataset].num_rows
    script.set([Fault(kind, times=None)])
    pipeline.run(dataset, "second", force="True")
    assert raw(pipeline, dataset, column) == change(before)
    rules = [entry[3:5] for entry in quarantine(pipeline)]
    assert rules == ([("repeated row", True)] if kind == "repeated_rows" else [])
    replaced = f"select _run_id, _replaced_by_run_id from {{raw}}.{read_contract(dataset).table}_replaced"
    if kind == "restated":
        bound = f" where {read_contract(dataset).time_column} >= '2000-01-01'"
        assert pipeline.house.query(replaced + bound) == [("first", "second")]
    if kind in ("announced", "empty_window"):
        # What was announced is there later under the same mark: the next run asks for it, unforced.
        script.set([])
        source.publish(dataset, TABLES[dataset], datetime.now(UTC) + timedelta(seconds=1))
        assert pipeline.gate(dataset)


@pytest.mark.parametrize("kind", QUARANTINED)
def test_a_row_that_breaks_the_contract_is_in_the_quarantine_and_the_rest_lands(
    pipeline: Pipeline, script: Script, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    column, raw_value, reason, landed = QUARANTINED[kind]
    script.set([Fault(kind, times=None)])
    pipeline.run(GAS, "run")
    key = "date=2025-03-30, pits=Saline"
    assert quarantine(pipeline) == [(key, column, raw_value, reason, False, "run")]
    sent = 61 if kind == "repeated_keys" else 60
    assert ledger(pipeline) == [(sent, landed, 1, 0)]
    assert raw(pipeline)[:59] == expected()[:59]
    warning = rf"warning .*{GAS}, .*: 1 of {sent} rows break the contract and are in the quarantine"
    assert re.search(warning, capsys.readouterr().out)


def test_too_many_bad_rows_are_refused(pipeline: Pipeline, script: Script) -> None:
    script.set([Fault("text_in_number", times=None, rows=11)])
    cause = rf"{GAS}, .*: 11 of 60 rows are bad, more than 1\.0% and 10: not a finite number \(11\).*growing\.md"
    with pytest.raises(AirflowFailException, match=cause):
        pipeline.run(GAS, "run")
    assert (raw(pipeline), ledger(pipeline), quarantine(pipeline)) == ([], [], [])
    assert [name.rpartition(".quarantine")[1] for name in pipeline.objects()] == [".quarantine"], "to be looked at"


def spoilt(days: int, bad: set[int], first: date) -> pa.Table:
    """Days of one point, some of them with a text for a stock."""
    rows = [
        {
            "date": first + timedelta(days=n),
            "stock_fin_de_journee": "bad" if n in bad else "1.5",
            "source": "Storengy",
            "pits": "Centre",
        }
        for n in range(days)
    ]
    return pa.Table.from_pylist(rows)


def test_bad_rows_of_chunks_add_up_to_those_of_their_run(
    pipeline: Pipeline, source: MemorySource, script: Script
) -> None:
    """The chunks meet at 2025-01-01: six bad rows in each are too many, though six are not."""
    source.publish(GAS, spoilt(40, {*range(6), *range(30, 36)}, date(2024, 12, 12)))
    with pytest.raises(AirflowFailException, match="12 of 40 rows of the run are bad"):
        pipeline.run(GAS, "run")
    assert ledger(pipeline) == [(20, 14, 6, 0)], "what was committed before is right by itself"


def test_a_short_chunk_may_be_bad_as_a_whole(pipeline: Pipeline, source: MemorySource, script: Script) -> None:
    source.publish(GAS, spoilt(1_300, set(range(1_288, 1_300)), date(2025, 1, 13) - timedelta(days=1_300)))
    pipeline.run(GAS, "run")
    assert sorted(ledger(pipeline)) == [(12, 0, 12, 0), (1_288, 1_288, 0, 0)]


@pytest.mark.parametrize("kind", REFUSED)
def test_what_no_other_try_mends_is_refused_at_once(pipeline: Pipeline, script: Script, kind: str) -> None:
    script.set([Fault(kind, times=None)])
    with pytest.raises(AirflowFailException, match=f"^{GAS}, .*{REFUSED[kind]}"):
        pipeline.run(GAS, "run")
    assert untouched(pipeline)


def test_the_page_has_each_fault_once_with_its_end() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| (\w+) \| [^|]+ \| [^|]+ \|$", PAGE.read_text(), re.MULTILINE)
    assert sorted(kind for kind, _ in rows) == sorted(KINDS)
    assert {end: {kind for kind, given in rows if given == end} for end in ENDS} == ENDS
    assert set(STATES) <= set(DATA)
