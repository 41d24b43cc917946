"""The header, and rows whose texts hold separators, quotes and line ends."""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from pathlib import Path

import pytest

from odre import csv_blocks
from odre.convert import convert_csv
from odre.quarantine import ContractBroken
from tests.unit.conversions import (
    GAS,
    convert,
    gas_row,
    landed,
    power_rows,
    to_csv,
)


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


def test_a_quoted_text_that_never_ends_is_refused(tmp_path: Path) -> None:
    start = b'date;stock_fin_de_journee;source;pits\n2022-11-01;1;"A'
    with pytest.raises(ContractBroken, match="a row does not end"):
        convert_csv(
            itertools.chain([start], itertools.repeat(b"x\n" * 500_000)), GAS, list(GAS.by_name), tmp_path / "o"
        )


def test_quoted_separators_and_line_ends_are_text(tmp_path: Path) -> None:
    names = ["a;b", 'c\n"d"', '"', "plain", "x\r\ny", '5" pipe']
    rows = [gas_row("2022-11-01", name) for name in names]
    content = to_csv(rows)
    for size in (1, 7, 30, 64, 1 << 20):
        conversion = convert(content, tmp_path, GAS, block_bytes=size)
        assert sorted(row["pits"] for row in landed(conversion)) == sorted(names)


def test_a_quote_within_a_text_opens_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_blocks, "LONGEST_ROW_BYTES", 5_000)
    rows = [gas_row(f"{date(2020, 1, 1) + timedelta(days=day)}", "A") for day in range(1000)]
    content = to_csv(rows).replace(b"Storengy", b'5" pipe', 1)
    for size in (100, 1000, 1 << 20):
        assert convert(content, tmp_path, GAS, block_bytes=size).rows_landed == 1000


def test_a_last_row_without_line_end_counts_and_is_told(tmp_path: Path) -> None:
    content = to_csv(power_rows(2))
    assert convert(content, tmp_path).ends_in_newline
    conversion = convert(content.rstrip(), tmp_path)
    assert (conversion.rows_landed, conversion.ends_in_newline) == (2, False)
