"""Rows in the key's order, each key once."""

from __future__ import annotations

from pathlib import Path

import pytest

from odre.quarantine import ContractBroken
from tests.unit.conversions import (
    GAS,
    convert,
    gas_row,
    landed,
    power_rows,
    quarantined,
)


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
