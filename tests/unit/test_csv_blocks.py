"""The header, and rows whose texts hold separators, quotes and line ends."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from odre import csv_blocks
from odre.convert import convert_csv
from odre.quarantine import ContractBroken
from tests.unit.conversions import GAS, POWER, convert, gas_row, landed, power_rows, to_csv


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
        ("DATE;stock_fin_de_journee;source;pits", "absent: date; not asked for: DATE"),
        ("date,stock_fin_de_journee,source,pits", "absent: date, stock"),
        ("perimetre;nature;date;heure", "absent: stock"),
        ("date;stock_fin_de_journee;source;pits\r2022;1;a;b\r2023;1;a;b", "the header cannot be read"),
        ("x" * 200_000, "the header cannot be read"),
        ("d\0a\0t\0e\0;\0", "absent: date"),
        ("<!DOCTYPE html><html>", "came instead of CSV"),
        ('{"error_code": "x"}', "came instead of CSV"),
    ],
)
def test_another_header_is_refused(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(ContractBroken, match=message) as failure:
        convert(f"{header}\n1;2;3;4\n".encode(), tmp_path, GAS, span="2022")
    assert str(failure.value).startswith("stock-quotidien-stockages-gaz, 2022: ")
    assert list(tmp_path.iterdir()) == []


def test_a_line_that_never_ends_is_refused_within_bounds(tmp_path: Path) -> None:
    read = 0

    def endless(start: bytes) -> Iterator[bytes]:
        nonlocal read
        yield start
        while True:
            read += 1 << 20
            yield b"x" * (1 << 20)

    for start in (b"", b"date;stock_fin_de_journee;source;pits\n"):
        read = 0
        with pytest.raises(ContractBroken, match="does not end"):
            convert_csv(endless(start), GAS, list(GAS.by_name), tmp_path / "o")
        assert read <= 3 * csv_blocks.LONGEST_ROW_BYTES


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\r\n"])
def test_a_source_without_rows_may_send_no_header(tmp_path: Path, content: bytes) -> None:
    assert convert(content, tmp_path, GAS).rows_source == 0


def test_a_lone_carriage_return_ends_a_row_and_so_spoils_it(tmp_path: Path) -> None:
    content = to_csv([gas_row("2022-11-01", "Centre"), gas_row("2022-11-01", "Saline")])
    conversion = convert(content.replace(b"Storengy;Saline", b"Stor\rengy;Saline"), tmp_path, GAS)
    assert (conversion.rows_landed, conversion.rows_quarantined) == (1, 2)


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


def test_a_last_row_without_line_end_is_whole_only_if_it_closes_with_a_time(tmp_path: Path) -> None:
    content = to_csv(power_rows(2))
    assert convert(content, tmp_path).ends_whole
    conversion = convert(content.rstrip(), tmp_path)
    assert (conversion.rows_landed, conversion.ends_whole) == (2, False)
    time_last = to_csv(power_rows(2), [*(name for name in POWER.by_name if name != "date_heure"), "date_heure"])
    assert convert(time_last.rstrip(), tmp_path).ends_whole
    assert convert(time_last.rstrip(b"\n"), tmp_path).ends_whole
    assert not convert(time_last.rstrip()[:-4], tmp_path).ends_whole
