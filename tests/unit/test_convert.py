from __future__ import annotations

import csv
import io
import itertools
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odre import convert as convert_module
from odre.contracts import Contract, read_contract
from odre.convert import (
    QUARANTINE_SCHEMA,
    ContractBroken,
    Conversion,
    convert_csv,
    detect_drift,
    write_quarantine,
)

POWER = read_contract("eco2mix-national-tr")
GAS = read_contract("stock-quotidien-stockages-gaz")
SECOND = timedelta(seconds=1)
COLUMNS = list(GAS.by_name)
TEMPERATURE = read_contract("temperature-quotidienne-regionale")
PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 9, 15, 10, 20, tzinfo=UTC)
REAL_DATA = Path(os.environ.get("REAL_DATA_DIR", Path(__file__).resolve().parents[3] / "shared" / "data"))
#: A contract that never fails for its share of bad rows.
TOLERANT = replace(POWER, max_bad_share=1.0)

needs_real_data = pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"no real extracts in {REAL_DATA}")

Row = dict[str, str]


def power_row(instant: datetime, **cells: str) -> Row:
    """A row of eco2mix as the source writes it, empty but for its time and what is given."""
    local = instant.astimezone(PARIS)
    row = dict.fromkeys(POWER.by_name, "")
    row |= {
        "perimetre": "France",
        "nature": "Données temps réel",
        "date": f"{local:%Y-%m-%d}",
        "heure": f"{local:%H:%M}",
    }
    return row | {"date_heure": instant.isoformat(), "consommation": "50000"} | cells


def power_rows(count: int, start: datetime = datetime(2022, 8, 2, tzinfo=UTC)) -> list[Row]:
    return [power_row(start + timedelta(minutes=15 * step), gaz=str(step)) for step in range(count)]


def gas_row(day: str, pits: str, stock: str = "1000.5") -> Row:
    return {"date": day, "stock_fin_de_journee": stock, "source": "Storengy", "pits": pits}


def to_csv(rows: Sequence[Row], columns: Sequence[str] | None = None, line_end: str = "\r\n") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns or rows[0]), delimiter=";", lineterminator=line_end)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def pieces(content: bytes, size: int = 1000) -> Iterator[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


def convert(
    content: bytes | Sequence[Row],
    tmp_path: Path,
    contract: Contract = POWER,
    columns: Sequence[str] | None = None,
    **options: Any,
) -> Conversion:
    content = content if isinstance(content, bytes) else to_csv(content)
    asked = columns or list(contract.by_name)
    return convert_csv(pieces(content), contract, asked, tmp_path / "out.parquet", now=NOW, **options)


def landed(conversion: Conversion) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(conversion.path).to_pylist()
    return rows


def quarantined(conversion: Conversion) -> list[tuple[Any, ...]]:
    assert conversion.quarantine.schema == QUARANTINE_SCHEMA
    return [tuple(row.values()) for row in conversion.quarantine.to_pylist()]


# Types, null markers and the file.


def test_every_column_has_the_contracts_type_and_absent_ones_are_null(tmp_path: Path) -> None:
    asked = [name for name in POWER.by_name if name != "eolien_offshore"]
    rows = [{name: row[name] for name in asked} for row in power_rows(3)]
    conversion = convert(rows, tmp_path, columns=asked)
    table = pq.read_table(conversion.path)
    assert table.schema.equals(POWER.arrow_schema)
    assert table["gaz"].to_pylist() == [0, 1, 2]
    assert table["eolien_offshore"].null_count == 3
    first = table.to_pylist()[0]
    assert first["date_heure"] == datetime(2022, 8, 2, tzinfo=UTC)
    assert (first["date"], first["heure"]) == (date(2022, 8, 2), "02:00")


def test_the_file_is_zstd_and_named_by_what_is_in_it(tmp_path: Path) -> None:
    import hashlib

    conversion = convert(power_rows(3), tmp_path)
    content = conversion.path.read_bytes()
    assert conversion.sha256 == hashlib.sha256(content).hexdigest()
    assert conversion.size_bytes == len(content)
    metadata = pq.ParquetFile(conversion.path).metadata
    assert {metadata.row_group(0).column(index).compression for index in range(metadata.num_columns)} == {"ZSTD"}


@pytest.mark.parametrize("marker", ["", "ND", "-", " ND", "ND "])
def test_null_markers_are_null_and_not_bad(tmp_path: Path, marker: str) -> None:
    conversion = convert([power_row(NOW, stockage_batterie=marker)], tmp_path)
    assert landed(conversion)[0]["stockage_batterie"] is None
    assert quarantined(conversion) == []


def test_a_null_marker_in_a_new_column_is_null(tmp_path: Path) -> None:
    rows = [power_row(NOW, nucleaire="ND", nature="-")]
    assert [(row["nucleaire"], row["nature"]) for row in landed(convert(rows, tmp_path))] == [(None, None)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("50765", 50765),
        ("50765.0", 50765),
        ("-13", -13),
        (" 7", 7),
        ("7\t", 7),
        ("0050", 50),
        ("1e3", 1000),
        ("12.", 12),
    ],
)
def test_whole_numbers_in_any_spelling_of_them(tmp_path: Path, text: str, value: int) -> None:
    rows = [power_row(NOW, consommation=text), power_row(NOW + timedelta(minutes=15), gaz="bad")]
    alone = convert(rows[:1], tmp_path)
    assert landed(alone)[0]["consommation"] == value
    assert landed(convert(rows, tmp_path))[0]["consommation"] == value


@pytest.mark.parametrize("text", ["12,5", "12.5", "abc", "1 000", "nan", "inf", "99999999999999999999", "1e30", "--1"])
def test_what_is_no_whole_number_is_bad(tmp_path: Path, text: str) -> None:
    conversion = convert([power_row(NOW - timedelta(days=1)), power_row(NOW, consommation=text)], tmp_path)
    assert quarantined(conversion) == [
        ("date_heure=2026-09-15T10:20:00+00:00", "consommation", text, "not a whole number", False)
    ]
    assert (conversion.rows_landed, conversion.rows_quarantined) == (1, 1)


@pytest.mark.parametrize(("text", "value"), [("8681.776161", 8681.776161), ("12", 12.0), ("-0.5", -0.5), (" 1.5", 1.5)])
def test_decimal_numbers(tmp_path: Path, text: str, value: float) -> None:
    rows = [gas_row("2022-11-01", "Centre", text), gas_row("2022-11-01", "Saline", "x")]
    assert landed(convert(rows[:1], tmp_path, GAS))[0]["stock_fin_de_journee"] == value
    assert landed(convert(rows, tmp_path, GAS))[0]["stock_fin_de_journee"] == value


@pytest.mark.parametrize("text", ["12,5", "NaN", "nan", "inf", "-inf", "1e400", "abc"])
def test_what_is_no_finite_number_is_bad(tmp_path: Path, text: str) -> None:
    conversion = convert([gas_row("2022-11-01", "Saline", text)], tmp_path, GAS)
    assert quarantined(conversion) == [
        ("date=2022-11-01, pits=Saline", "stock_fin_de_journee", text, "not a finite number", False)
    ]


@pytest.mark.parametrize(
    "text", ["2022-08-02", "2022-08-02T00:00:00+00:00", "2022-08-02T00:00:00", "2022-08-02 00:00", " 2022-08-02"]
)
def test_a_day_may_be_written_as_its_midnight(tmp_path: Path, text: str) -> None:
    assert landed(convert([gas_row(text, "Saline")], tmp_path, GAS))[0]["date"] == date(2022, 8, 2)


@pytest.mark.parametrize(
    "text", ["2022-02-30", "02/08/2022", "2022-08-02T22:00:00+00:00", "0000-12-31", "0000-12-31T00:00"]
)
def test_what_is_no_day_is_bad(tmp_path: Path, text: str) -> None:
    rows = [gas_row(text, "Saline"), gas_row("2022-08-02", "Saline")]
    conversion = convert(rows, tmp_path, GAS)
    assert quarantined(conversion) == [(f"date={text}, pits=Saline", "date", text, "not a date", False)]
    assert conversion.rows_landed == 1


@pytest.mark.parametrize(
    "text", ["2022-08-02T10:15:00+00:00", "2022-08-02T12:15:00+02:00", "2022-08-02T10:15Z", " 2022-08-02T10:15:00Z"]
)
def test_instants_are_in_utc_whatever_their_offset(tmp_path: Path, text: str) -> None:
    row = power_row(datetime(2022, 8, 2, 10, 15, tzinfo=UTC), date_heure=text)
    assert landed(convert([row], tmp_path))[0]["date_heure"] == datetime(2022, 8, 2, 10, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["2022-08-02T10:15:00", "2022-02-30T10:15:00Z", "yesterday", "0001-01-01T00:00:00+01:00"]
)
def test_an_instant_without_offset_is_bad(tmp_path: Path, text: str) -> None:
    conversion = convert([power_row(NOW, date_heure=text)], tmp_path)
    assert quarantined(conversion) == [
        (f"date_heure={text}", "date_heure", text, "not an instant with its offset", False)
    ]


def test_a_row_without_key_is_bad(tmp_path: Path) -> None:
    conversion = convert([gas_row("2022-11-01", "Centre"), gas_row("2022-11-01", "", "7")], tmp_path, GAS)
    assert quarantined(conversion) == [
        ("date=2022-11-01, pits=", "pits", "2022-11-01;7;Storengy;", "key is missing", False)
    ]
    assert [row["pits"] for row in landed(conversion)] == ["Centre"]


def test_each_bad_cell_is_recorded_and_its_row_counted_once(tmp_path: Path) -> None:
    conversion = convert([power_row(NOW, gaz="a", fioul="b")], tmp_path)
    assert [(row[1], row[2]) for row in quarantined(conversion)] == [("fioul", "b"), ("gaz", "a")]
    assert (conversion.rows_source, conversion.rows_landed, conversion.rows_quarantined) == (1, 0, 1)


def test_bytes_that_are_not_utf8_are_bad_where_they_stand(tmp_path: Path) -> None:
    rows = to_csv([gas_row("2022-11-01", "Centre"), gas_row("2022-11-01", "Saline")])
    conversion = convert(rows.replace(b"Storengy;Saline", b"Stor\xffengy;Saline"), tmp_path, GAS)
    assert [row[1:4] for row in quarantined(conversion)] == [("source", "Stor�engy", "not UTF-8 text")]
    assert conversion.rows_landed == 1


def test_rows_with_too_few_or_too_many_fields_are_bad_and_counted(tmp_path: Path) -> None:
    content = (
        b"date;stock_fin_de_journee;source;pits\n2022-11-01;1;S;A\n2022-11-02;2\n2022-11-03;3;S;A;x\n2022-11-04;4;S;A\n"
    )
    conversion = convert(content, tmp_path, GAS)
    assert quarantined(conversion) == [
        ("", "", "2022-11-02;2", "wrong number of fields: 2 instead of 4", False),
        ("", "", "2022-11-03;3;S;A;x", "wrong number of fields: 5 instead of 4", False),
    ]
    assert (conversion.rows_source, conversion.rows_landed, conversion.rows_quarantined) == (4, 2, 2)


def test_an_empty_window_gives_an_empty_file_whether_or_not_the_source_writes_a_header(tmp_path: Path) -> None:
    for content in (b"", to_csv([gas_row("2022-11-01", "A")]).splitlines(keepends=True)[0]):
        conversion = convert(content, tmp_path, GAS)
        assert (conversion.rows_source, conversion.high_water, conversion.first_time) == (0, None, None)
        assert pq.read_table(conversion.path).schema.equals(GAS.arrow_schema)


# The header.


def test_byte_order_mark_and_another_order_of_columns_are_borne(tmp_path: Path) -> None:
    content = to_csv([gas_row("2022-11-01", "Teréga")], ["pits", "source", "date", "stock_fin_de_journee"])
    row = landed(convert(b"\xef\xbb\xbf" + content, tmp_path, GAS))[0]
    assert row == {
        "date": date(2022, 11, 1),
        "stock_fin_de_journee": 1000.5,
        "source": "Storengy",
        "pits": "Teréga",
    }


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("date;stock_fin_de_journee;source", "absent: pits"),
        ("date;stock_fin_de_journee;source;pits;new", "not asked for: new"),
        ("date;stock_fin_de_journee;source;pits;pits", "one repeats"),
        ("<!DOCTYPE html><html>", "came instead of CSV"),
        ('{"error_code": "x"}', "came instead of CSV"),
    ],
)
def test_another_header_is_refused(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(ContractBroken, match=message) as failure:
        convert(f"{header}\n1;2;3;4\n".encode(), tmp_path, GAS, span="2022")
    assert str(failure.value).startswith("stock-quotidien-stockages-gaz, 2022: ")
    assert list(tmp_path.iterdir()) == []


# Local time.


def spring_night(winter_offset: bool) -> list[Row]:
    """The source's rows of a night on which the clocks jump from 02:00 to 03:00, ordered by instant."""
    rows = [power_row(datetime(2022, 3, 27, tzinfo=UTC) + timedelta(minutes=15 * step)) for step in range(12)]
    for minute in (0, 15, 30, 45):
        hour = 1 if winter_offset else 0
        instant = datetime(2022, 3, 27, hour, minute, tzinfo=UTC)
        rows.append(power_row(instant, heure=f"02:{minute:02}", consommation="1"))
    return sorted(rows, key=lambda row: row["date_heure"])


@pytest.mark.parametrize("winter_offset", [True, False])
def test_the_hour_that_spring_skips_is_excluded_whichever_instant_it_was_given(
    tmp_path: Path, winter_offset: bool
) -> None:
    conversion = convert(spring_night(winter_offset), tmp_path)
    assert (conversion.rows_source, conversion.rows_landed) == (16, 12)
    assert (conversion.rows_excluded, conversion.rows_quarantined) == (4, 0)
    hour = "01" if winter_offset else "00"
    assert quarantined(conversion)[0] == (
        f"date_heure=2022-03-27T{hour}:00:00+00:00",
        "heure",
        "2022-03-27 02:00",
        "local time does not exist",
        True,
    )
    assert {row["consommation"] for row in landed(conversion)} == {50000}


@pytest.mark.parametrize("first_pass", [True, False])
def test_the_one_pass_published_of_the_hour_that_october_repeats_lands(tmp_path: Path, first_pass: bool) -> None:
    start = datetime(2022, 10, 30, 0 if first_pass else 1, tzinfo=UTC)
    rows = power_rows(4, start)
    assert [row["heure"] for row in rows] == ["02:00", "02:15", "02:30", "02:45"]
    conversion = convert(rows, tmp_path)
    assert (conversion.rows_landed, quarantined(conversion)) == (4, [])


@pytest.mark.parametrize(
    "wrong", [{"heure": "13:00"}, {"date": "2022-08-03"}, {"heure": "25:00"}, {"heure": "noon"}, {"heure": "12:15:30"}]
)
def test_a_local_time_that_is_not_the_instants_is_bad(tmp_path: Path, wrong: dict[str, str]) -> None:
    row = power_row(datetime(2022, 8, 2, 10, 15, tzinfo=UTC)) | wrong
    conversion = convert([row], tmp_path)
    assert quarantined(conversion) == [
        (
            "date_heure=2022-08-02T10:15:00+00:00",
            "heure",
            f"{row['date']} {row['heure']}",
            "local time disagrees with the instant",
            False,
        )
    ]


def test_a_missing_local_time_disagrees_with_nothing(tmp_path: Path) -> None:
    days = [NOW + timedelta(day) for day in range(3)]
    rows = [power_row(days[0], heure=""), power_row(days[1], date=""), power_row(days[2], heure="00:00")]
    assert [row["date_heure"] for row in landed(convert(rows, tmp_path))] == days[:2]


def test_local_times_of_a_century_are_those_of_python(tmp_path: Path) -> None:
    """Every change of offset that Paris had, wartime and summer times of the past included."""
    instants = [datetime(1900, 1, 1, tzinfo=UTC) + timedelta(hours=977 * step) for step in range(1300)]
    rows = [power_row(instant, heure=f"{instant.astimezone(PARIS):%H:%M:%S}") for instant in instants]
    around = [datetime(2022, month, day, 0, 59, 59, tzinfo=UTC) for month, day in ((3, 27), (10, 30))]
    for second in around:
        rows += [
            power_row(moment, heure=f"{moment.astimezone(PARIS):%H:%M:%S}") for moment in (second, second + SECOND)
        ]
    conversion = convert(sorted(rows, key=lambda row: row["date_heure"]), tmp_path)
    assert (conversion.rows_landed, quarantined(conversion)) == (1304, [])


# Keys.


def test_a_repeated_row_lands_once(tmp_path: Path) -> None:
    first, second = power_rows(2)
    conversion = convert([first, first, first, second], tmp_path)
    assert (conversion.rows_source, conversion.rows_landed, conversion.rows_excluded) == (4, 2, 2)
    assert [row[0:2] + row[3:] for row in quarantined(conversion)] == [
        ("date_heure=2022-08-02T00:00:00+00:00", "", "repeated row", True)
    ]


def test_of_a_key_with_several_values_the_last_lands_and_the_others_are_bad(tmp_path: Path) -> None:
    first, second = power_rows(2)
    conversion = convert([first | {"gaz": "7"}, first | {"gaz": "8"}, first | {"gaz": ""}, second], tmp_path)
    assert [row["gaz"] for row in landed(conversion)] == [None, 1]
    assert (conversion.rows_quarantined, conversion.rows_excluded) == (2, 0)
    assert {row[3] for row in quarantined(conversion)} == {"key repeated with other values"}
    assert "2022-08-02T00:00:00+00:00;50000;" in quarantined(conversion)[0][2]


def test_keys_of_one_time_may_come_in_any_order(tmp_path: Path) -> None:
    rows = [gas_row("2022-11-01", "sediane"), gas_row("2022-11-01", "Centre"), gas_row("2022-11-01", "sediane", "2")]
    conversion = convert([*rows, gas_row("2022-11-02", "Centre")], tmp_path, GAS)
    assert [(row["date"].day, row["pits"], row["stock_fin_de_journee"]) for row in landed(conversion)] == [
        (1, "Centre", 1000.5),
        (1, "sediane", 2.0),
        (2, "Centre", 1000.5),
    ]
    assert conversion.rows_quarantined == 1


def test_times_out_of_order_are_refused(tmp_path: Path) -> None:
    rows = power_rows(3)
    for size in (50, 1 << 20):
        with pytest.raises(ContractBroken, match=r"ignored order_by: 2022-08-02T00:15:00\+00:00 comes after .*00:30"):
            convert([rows[0], rows[2], rows[1]], tmp_path, block_bytes=size)


# Marks.


def test_the_high_water_mark_is_the_last_measure_and_not_the_last_row(tmp_path: Path) -> None:
    rows = [
        power_row(NOW - timedelta(hours=2)),
        power_row(NOW - timedelta(hours=1), consommation=""),
        power_row(NOW + timedelta(hours=1), consommation="ND"),
        power_row(NOW + timedelta(hours=2), consommation="1"),
    ]
    conversion = convert(rows, tmp_path)
    assert conversion.high_water == NOW - timedelta(hours=2)
    assert (conversion.first_time, conversion.last_time) == (NOW - timedelta(hours=2), NOW + timedelta(hours=2))
    assert conversion.rows_landed == 4


def test_gas_waits_for_the_latest_operator(tmp_path: Path) -> None:
    rows = [
        gas_row("2023-08-31", "Centre"),
        gas_row("2023-08-31", "Teréga"),
        gas_row("2023-09-30", "Centre"),
        gas_row("2023-09-30", "Teréga", ""),
    ]
    for size in (40, 1 << 20):
        conversion = convert(rows, tmp_path, GAS, block_bytes=size)
        assert conversion.high_water == datetime(2023, 8, 31, tzinfo=UTC)
        assert conversion.last_time == datetime(2023, 9, 30, tzinfo=UTC)


# Shares.


def test_ten_bad_rows_are_borne_and_eleven_are_not(tmp_path: Path) -> None:
    bad = [row | {"gaz": "12,5"} for row in power_rows(11)]
    assert convert(bad[:10], tmp_path).rows_quarantined == 10
    with pytest.raises(ContractBroken, match=r"11 of 11 rows are bad.*not a whole number \(11\)") as failure:
        convert(bad, tmp_path)
    assert failure.value.quarantine.num_rows == 11
    assert list(tmp_path.iterdir()) == []


def test_one_row_in_a_hundred_is_borne(tmp_path: Path) -> None:
    rows = power_rows(2000)
    for number in range(0, 2000, 100):
        rows[number]["gaz"] = "x"
    assert convert(rows, tmp_path).rows_quarantined == 20
    rows[1]["gaz"] = "x"
    with pytest.raises(ContractBroken, match="21 of 2000"):
        convert(rows, tmp_path)


def test_rows_dropped_by_a_rule_do_not_count_as_bad(tmp_path: Path) -> None:
    rows = [row for row in power_rows(20) for _ in range(2)]
    conversion = convert(rows, tmp_path)
    assert (conversion.rows_landed, conversion.rows_excluded, conversion.rows_quarantined) == (20, 20, 0)


def test_a_stream_of_bad_rows_is_not_read_to_its_end(tmp_path: Path) -> None:
    content = to_csv([gas_row("2022-11-01", "A", "x")])
    header, row = content.splitlines(keepends=True)
    read = 0

    def many() -> Iterator[bytes]:
        nonlocal read
        yield header
        for _ in range(200):
            read += 1
            yield row * 1000

    with pytest.raises(ContractBroken, match="rows so far are bad"):
        convert_csv(many(), GAS, list(GAS.by_name), tmp_path / "out.parquet", block_bytes=10_000)
    assert read < 100


def test_a_quoted_text_that_never_ends_is_refused(tmp_path: Path) -> None:
    start = b'date;stock_fin_de_journee;source;pits\n2022-11-01;1;"A'
    with pytest.raises(ContractBroken, match="a row does not end"):
        convert_csv(
            itertools.chain([start], itertools.repeat(b"x\n" * 500_000)), GAS, list(GAS.by_name), tmp_path / "o"
        )


# Blocks.


def test_quoted_separators_and_line_ends_are_text(tmp_path: Path) -> None:
    names = ["a;b", 'c\n"d"', '"', "plain", "x\r\ny", '5" pipe']
    rows = [gas_row("2022-11-01", name) for name in names]
    content = to_csv(rows)
    for size in (1, 7, 30, 64, 1 << 20):
        conversion = convert(content, tmp_path, GAS, block_bytes=size)
        assert sorted(row["pits"] for row in landed(conversion)) == sorted(names)


def test_a_quote_within_a_text_opens_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert_module, "LONGEST_ROW_BYTES", 5_000)
    rows = [gas_row(f"{date(2020, 1, 1) + timedelta(days=day)}", "A") for day in range(1000)]
    content = to_csv(rows).replace(b"Storengy", b'5" pipe', 1)
    for size in (100, 1000, 1 << 20):
        assert convert(content, tmp_path, GAS, block_bytes=size).rows_landed == 1000


def test_a_last_row_without_line_end_counts_and_is_told(tmp_path: Path) -> None:
    content = to_csv(power_rows(2))
    assert convert(content, tmp_path).ends_in_newline
    conversion = convert(content.rstrip(), tmp_path)
    assert (conversion.rows_landed, conversion.ends_in_newline) == (2, False)


def test_the_columns_spelt_with_decimals_are_learnt_and_forgotten_where_they_fail(tmp_path: Path) -> None:
    rows = power_rows(300)
    for number, row in enumerate(rows):
        row["gaz"] = f"{number}.0"
    rows[200]["gaz"] = "9007199254740995"
    rows[250]["gaz"] = "0.5"
    conversion = convert(rows, tmp_path, block_bytes=2000)
    expected = [number for number in range(300) if number != 250]
    expected[200] = 9007199254740995
    assert [row["gaz"] for row in landed(conversion)] == expected
    assert conversion.rows_quarantined == 1


def test_the_same_rows_give_the_same_file_however_the_stream_is_cut(tmp_path: Path) -> None:
    rows = power_rows(70_000, datetime(2020, 1, 1, tzinfo=UTC))
    for number in (5, 30_000, 69_999):
        rows[number]["gaz"] = "bad"
    content = to_csv(rows)
    conversions = [convert(content, tmp_path, block_bytes=size) for size in (100_000, 3 << 20, 1 << 30)]
    assert len({conversion.sha256 for conversion in conversions}) == 1
    assert conversions[0].rows_landed == 69_997
    assert [pq.ParquetFile(conversions[0].path).metadata.row_group(group).num_rows for group in range(2)] == [
        65536,
        4461,
    ]


CELLS = {
    "STRING": ["", "ND", "France", " x ", 'a "b"', "c;d", "é"],
    "INT64": ["", "ND", "-", "0", "-5", "42", "43.0", " 44", "1e2", "12,5", "x", "7.5", "nan", "123456789012345678901"],
    "DATE": ["", "-", "2022-08-02", "2022-08-02T00:00:00+00:00", "2022-13-01"],
}
CLEAN = {"STRING": ["", "France"], "INT64": ["", "0", "-5", "42", "4e2"], "DATE": ["", "2022-08-02"]}


@st.composite
def tables(draw: st.DrawFn) -> list[Row]:
    """Rows ordered by instant, some of them bad, repeated, out of the calendar or with a key that repeats."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    dirty = draw(st.sampled_from([0.0, 0.02, 0.3]))
    instant, rows = datetime(2022, 3, 26, 22, tzinfo=UTC), []
    for _ in range(draw(st.integers(0, 40))):
        instant += timedelta(minutes=rng.choice([0, 15, 15, 15, 30]) if rng.random() < dirty else 15)
        row = power_row(instant)
        for column in POWER.columns:
            if column.name in ("date", "heure", "date_heure"):
                continue
            row[column.name] = rng.choice((CELLS if rng.random() < dirty else CLEAN)[column.type])
        if rng.random() < dirty:
            row["heure"] = rng.choice(["02:15", "", "nope", row["heure"]])
        if rng.random() < dirty:
            row["date"] = rng.choice(CELLS["DATE"])
        if rng.random() < dirty:
            row["date_heure"] = rng.choice(["", "x"])
        rows += [row] * (2 if rng.random() < dirty else 1)
    return rows


def read_cell(text: str, kind: str) -> tuple[bool, Any]:
    """An independent reading of a cell: whether it is good, and its value."""
    if text.strip() in POWER.null_markers and kind != "STRING":
        return True, None
    if kind == "STRING":
        return True, None if text in POWER.null_markers else text
    try:
        if kind == "INT64":
            number = float(text)
            return (number.is_integer() and abs(number) < 2**63, int(number)) if abs(number) < 1e300 else (False, None)
        if kind == "DATE":
            moment = datetime.fromisoformat(text)
            return moment.time() == datetime.min.time(), moment.date()
        return True, datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return False, None


def expected_outcome(rows: Sequence[Row]) -> tuple[list[Mapping[str, Any]], int]:
    """What must land, read row by row in plain Python, and how many rows are bad."""
    good: dict[datetime, Mapping[str, Any]] = {}
    bad = 0
    for row in rows:
        cells = {name: read_cell(row[name], POWER.by_name[name].type) for name in row}
        values = {name: value for name, (_, value) in cells.items()}
        if not all(is_good for is_good, _ in cells.values()) or values["date_heure"] is None:
            bad += 1
            continue
        instant = values["date_heure"]
        local = instant.astimezone(PARIS)
        published = (values["date"], values["heure"])
        if None not in published and published != (local.date(), f"{local:%H:%M}"):
            bad += not (values["date"] == date(2022, 3, 27) and values["heure"].startswith("02:"))
            continue
        if instant in good:
            bad += good[instant] != values
        good[instant] = values
    return list(good.values()), bad


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=tables(), size=st.sampled_from([1, 300, 2000, 1 << 20]))
def test_no_row_is_lost_and_every_value_is_the_sources(tmp_path: Path, rows: list[Row], size: int) -> None:
    content = to_csv(rows or [power_row(NOW)])
    if not rows:
        content = content.splitlines(keepends=True)[0]
    conversion = convert(content, tmp_path, TOLERANT, block_bytes=size)
    expected, bad = expected_outcome(rows)
    assert landed(conversion) == expected
    assert (conversion.rows_source, conversion.rows_landed) == (len(rows), len(expected))
    assert conversion.rows_quarantined == bad
    assert conversion.rows_excluded == len(rows) - len(expected) - bad
    whole = convert(content, tmp_path, TOLERANT)
    assert whole.sha256 == conversion.sha256
    assert whole.quarantine.equals(conversion.quarantine)


# Drift.


def fields_of(contract: Contract) -> dict[str, str]:
    types = {"STRING": "text", "INT64": "int", "FLOAT64": "double", "DATE": "date", "TIMESTAMP": "datetime"}
    return {column.name: types[column.type] for column in contract.columns}


def test_new_and_absent_optional_columns_are_reported() -> None:
    fields = fields_of(POWER) | {"hydrogene": "int"}
    del fields["eolien_offshore"]
    drift = detect_drift(POWER, fields)
    assert (drift.unknown, drift.absent) == (("hydrogene",), ("eolien_offshore",))
    assert drift.columns(POWER) == tuple(name for name in POWER.by_name if name != "eolien_offshore")


def test_numbers_published_as_text_are_no_drift() -> None:
    detect_drift(POWER, fields_of(POWER) | {"ech_comm_italie": "text", "date": "text", "gaz": "double"})


def test_an_absent_required_column_is_refused() -> None:
    fields = fields_of(POWER)
    del fields["consommation"], fields["gaz"]
    with pytest.raises(ContractBroken, match=r"eco2mix-national-tr, .* columns are absent: consommation, gaz"):
        detect_drift(POWER, fields)


def test_a_column_retyped_beyond_what_the_contract_casts_is_refused() -> None:
    fields = fields_of(POWER) | {"gaz": "geo_point_2d", "date_heure": "text", "eolien_offshore": "date"}
    with pytest.raises(ContractBroken, match=r"date_heure \(text .*gaz \(geo_point_2d .*eolien_offshore \(date"):
        detect_drift(POWER, fields)


# The quarantine's file.


def test_the_quarantine_is_stored_as_it_is(tmp_path: Path) -> None:
    conversion = convert([power_row(NOW, gaz="x")], tmp_path)
    sha256 = write_quarantine(conversion.quarantine, tmp_path / "quarantine.parquet")
    assert pq.read_table(tmp_path / "quarantine.parquet").equals(conversion.quarantine)
    assert sha256 == write_quarantine(conversion.quarantine, tmp_path / "again.parquet")


# Real extracts, sorted as the source sorts them when asked to.


def sorted_extract(name: str, contract: Contract) -> tuple[bytes, pd.DataFrame]:
    frame = pd.read_csv(REAL_DATA / name, sep=";", dtype=str, keep_default_na=False, encoding="utf-8-sig")
    frame.columns = pd.Index([contract.by_label[_normal(label)].name for label in frame.columns])
    frame = frame.sort_values(list(contract.key), kind="stable").reset_index(drop=True)
    return frame.to_csv(sep=";", index=False, lineterminator="\r\n").encode(), frame


def _normal(label: str) -> str:
    from odre.contracts import normalise_label

    return normalise_label(label)


@needs_real_data
@pytest.mark.parametrize(
    ("name", "contract", "rows"),
    [
        ("eco2mix-national-tr.2022-06-01_2022-10-18.csv", POWER, 13_440),
        ("stock-quotidien-stockages-gaz.2010-11-01_2024-07-31.csv", GAS, 30_132),
        ("temperature-quotidienne-regionale.2016-01-01_2026-02-27.csv", TEMPERATURE, 47_840),
    ],
)
def test_real_extracts_land_whole_and_as_pandas_reads_them(
    tmp_path: Path, name: str, contract: Contract, rows: int
) -> None:
    content, texts = sorted_extract(name, contract)
    conversion = convert(content, tmp_path, contract, block_bytes=500_000)
    assert (conversion.rows_source, conversion.rows_landed) == (rows, rows)
    assert conversion.quarantine.num_rows == 0
    table = pq.read_table(conversion.path)
    for column in contract.columns:
        text = texts[column.name].replace(list(contract.null_markers), None)
        values = table[column.name].to_pandas()
        assert (values.isna() == text.isna()).all()
        if column.type in ("INT64", "FLOAT64"):
            assert (values.dropna() == pd.to_numeric(text.dropna())).all()
        elif column.type == "TIMESTAMP":
            assert (values == pd.to_datetime(text, utc=True)).all()
        else:
            assert (values.dropna().astype(str) == text.dropna()).all()


@needs_real_data
def test_the_future_rows_of_a_real_extract_move_no_mark(tmp_path: Path) -> None:
    content, texts = sorted_extract("eco2mix-national-tr.2022-06-01_2022-10-18.csv", POWER)
    conversion = convert(content, tmp_path)
    measured = texts[texts["consommation"] != ""]
    assert len(texts) - len(measured) == 136
    assert conversion.high_water == datetime.fromisoformat(measured["date_heure"].max())
    assert conversion.last_time is not None
    assert conversion.high_water < conversion.last_time


@needs_real_data
def test_a_real_extract_in_no_order_is_refused(tmp_path: Path) -> None:
    content = (REAL_DATA / "eco2mix-national-tr.2022-06-01_2022-10-18.csv").read_bytes()
    with pytest.raises(ContractBroken, match="ignored order_by"):
        convert(content, tmp_path)


def test_arrays_are_built_without_type_inference(tmp_path: Path) -> None:
    """An all-null column of a block keeps its type: a later block's values must fit the same file."""
    rows = power_rows(40)
    for row in rows[:20]:
        row["gaz"] = "ND"
    table = pq.read_table(convert(rows, tmp_path, block_bytes=500).path)
    assert table.schema.field("gaz").type == pa.int64()
    assert table["gaz"].to_pylist() == [None] * 20 + list(range(20, 40))


def test_good_rows_do_not_import_pandas(tmp_path: Path) -> None:
    """Arrow would, to look at any Python value: half a second and 60 MB of a task that does not need it."""
    (tmp_path / "in.csv").write_bytes(to_csv(power_rows(3)))
    script = (
        "import sys; from pathlib import Path; from odre.contracts import read_contract; from odre.convert import *\n"
        "contract = read_contract('eco2mix-national-tr')\n"
        "convert_csv([Path('in.csv').read_bytes()], contract, list(contract.by_name), Path('out.parquet'))\n"
        "sys.exit('pandas' in sys.modules)"
    )
    plugins = str(Path(convert_module.__file__).parents[1])
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=os.environ | {"PYTHONPATH": plugins}, check=True)
