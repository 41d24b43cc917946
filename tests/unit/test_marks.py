"""The marks that the next run starts from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.unit.conversions import (
    GAS,
    NOW,
    convert,
    gas_row,
    power_row,
)


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
