"""Rows that do not land, and how many of them a conversion bears."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from odre.convert import convert_csv
from odre.quarantine import BadRows, ContractBroken, write_quarantine
from tests.unit.conversions import GAS, NOW, convert, gas_row, landed, power_row, power_rows, quarantined, to_csv


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


def test_ten_bad_rows_are_borne_and_eleven_are_not(tmp_path: Path) -> None:
    bad = [row | {"gaz": "12,5"} for row in power_rows(11)]
    assert convert(bad[:10], tmp_path).rows_quarantined == 10
    with pytest.raises(ContractBroken, match=r"11 of 11 rows are bad.*not a whole number \(11\)") as failure:
        convert(bad, tmp_path)
    assert failure.value.quarantine.num_rows == 11
    assert str(failure.value).endswith("see docs/runbooks/quarantine-growing.md")
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


def test_the_quarantine_is_stored_as_it_is(tmp_path: Path) -> None:
    conversion = convert([power_row(NOW, gaz="x")], tmp_path)
    sha256 = write_quarantine(conversion.quarantine, tmp_path / "quarantine.parquet")
    assert pq.read_table(tmp_path / "quarantine.parquet").equals(conversion.quarantine)
    assert sha256 == write_quarantine(conversion.quarantine, tmp_path / "again.parquet")


def test_the_share_is_that_of_the_run(tmp_path: Path) -> None:
    """A chunk of few rows may be bad as a whole; many chunks with few bad rows each add up."""
    rows = [gas_row(f"2022-11-{day:02}", "Centre", "bad") for day in range(1, 13)]
    with pytest.raises(ContractBroken, match=r"12 of 12 rows are bad, more than 1\.0% and 10"):
        convert(rows, tmp_path, GAS)
    asked = []

    def of_run(own: BadRows) -> BadRows:
        asked.append(own)
        return BadRows(own.bad + 5, 5_000)

    assert convert(rows, tmp_path, GAS, of_run=of_run).rows_quarantined == 12
    assert asked == [BadRows(12, 12)]
    with pytest.raises(ContractBroken, match="51 of 5000 rows of the run are bad"):
        convert(rows[:1], tmp_path, GAS, of_run=lambda own: BadRows(own.bad + 50, 5_000))
    assert convert(rows[:1], tmp_path, GAS, of_run=lambda own: BadRows(own.bad + 9, 10)).rows_quarantined == 1


def test_a_run_is_not_asked_about_when_nothing_is_bad(tmp_path: Path) -> None:
    convert([gas_row("2022-11-01", "Centre")], tmp_path, GAS, of_run=lambda own: pytest.fail("nothing is bad"))
