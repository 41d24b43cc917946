"""Texts of cells as values of the contract's types."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.conversions import GAS, NOW, convert, gas_row, landed, power_row, power_rows, quarantined, to_csv


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
    "text",
    [
        "2022-02-30",
        "2022-13-45",
        "0001-01-01",
        "1899-12-31",
        "2160-01-01",
        "9999-12-31",
        "02/08/2022",
        "2022-08-02T22:00:00+00:00",
        "0000-12-31",
        "0000-12-31T00:00",
    ],
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
    "text",
    [
        "2022-08-02T10:15:00",
        "2022-02-30T10:15:00Z",
        "yesterday",
        "0001-01-01T00:00:00+01:00",
        "1899-12-31T23:59:59Z",
        "2160-01-01T00:00:00Z",
        "9999-12-31T23:59:59-12:00",
    ],
)
def test_an_instant_without_offset_is_bad(tmp_path: Path, text: str) -> None:
    conversion = convert([power_row(NOW, date_heure=text)], tmp_path)
    assert quarantined(conversion) == [
        (f"date_heure={text}", "date_heure", text, "not an instant with its offset", False)
    ]


def test_bytes_that_are_not_utf8_are_bad_where_they_stand(tmp_path: Path) -> None:
    rows = to_csv([gas_row("2022-11-01", "Centre"), gas_row("2022-11-01", "Saline")])
    conversion = convert(rows.replace(b"Storengy;Saline", b"Stor\xffengy;Saline"), tmp_path, GAS)
    assert [row[1:4] for row in quarantined(conversion)] == [("source", "Stor�engy", "not UTF-8 text")]
    assert conversion.rows_landed == 1


def test_a_nul_is_no_text(tmp_path: Path) -> None:
    rows = [gas_row("2022-11-01", "Centre"), gas_row("2022-11-01", "Sal\0ine"), gas_row("2022-11-01", "Serene")]
    conversion = convert(rows, tmp_path, GAS)
    assert quarantined(conversion) == [("date=2022-11-01, pits=Sal�ine", "pits", "Sal�ine", "not UTF-8 text", False)]
    assert [row["pits"] for row in landed(conversion)] == ["Centre", "Serene"]


def test_a_row_of_another_shape_that_is_not_utf8_either_is_bad_and_nothing_else_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content = to_csv([gas_row("2022-11-01", "Centre"), gas_row("2022-11-01", "Saline")])
    conversion = convert(content.replace(b"Storengy;Saline", b"Stor\xffengy;Saline;7"), tmp_path, GAS)
    assert [row[2:4] for row in quarantined(conversion)] == [
        ("2022-11-01;1000.5;Stor�engy;Saline;7", "wrong number of fields: 5 instead of 4")
    ]
    assert (conversion.rows_landed, capfd.readouterr().err) == (1, "")


def test_blanks_around_a_text_make_no_other_key(tmp_path: Path) -> None:
    rows = [gas_row("2022-11-01", " Centre"), gas_row("2022-11-01", "Saline "), gas_row("2022-11-02", "  ")]
    rows[0]["source"] = " Storengy "
    conversion = convert(rows, tmp_path, GAS)
    assert [(row["pits"], row["source"]) for row in landed(conversion)] == [
        ("Centre", " Storengy "),
        ("Saline", "Storengy"),
    ]
    assert [row[3] for row in quarantined(conversion)] == ["key is missing"]


def test_zero_has_no_sign(tmp_path: Path) -> None:
    assert landed(convert([power_row(NOW, gaz="-0")], tmp_path))[0]["gaz"] == 0


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


def test_arrays_are_built_without_type_inference(tmp_path: Path) -> None:
    """An all-null column of a block keeps its type: a later block's values must fit the same file."""
    rows = power_rows(40)
    for row in rows[:20]:
        row["gaz"] = "ND"
    table = pq.read_table(convert(rows, tmp_path, block_bytes=500).path)
    assert table.schema.field("gaz").type == pa.int64()
    assert table["gaz"].to_pylist() == [None] * 20 + list(range(20, 40))
