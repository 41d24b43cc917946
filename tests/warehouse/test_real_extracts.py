"""The figures that an energy analyst worked out on the real extracts, from the marts."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from emulators.odre.folder import FolderSource
from tests.warehouse.support import MARTS, NewWarehouse, TestWarehouse


@pytest.fixture(scope="module")
def real(new_warehouse: NewWarehouse, real_data: Path) -> TestWarehouse:
    """The extracts landed and built, every data test included."""
    warehouse = new_warehouse()
    source = FolderSource(real_data)
    for identifier in source.identifiers():
        served = source.dataset(identifier, refresh=False)
        assert served is not None
        warehouse.land_all_of(served)
    warehouse.dbt("build", "--exclude-resource-type", "unit_test")
    return warehouse


@pytest.fixture(scope="module")
def days(real: TestWarehouse) -> pd.DataFrame:
    """``energy_climate_daily`` by day."""
    columns = ["day", "gas_stock_gwh", "gas_flow_gwh", "temperature_mean_c"]
    rows = real.query(f"select {', '.join(columns)} from {{marts}}.energy_climate_daily")
    frame = pd.DataFrame(rows, columns=columns).set_index("day").sort_index()
    frame.index = pd.DatetimeIndex(frame.index)
    return frame.astype(float)


def test_national_gas_stock(real: TestWarehouse) -> None:
    stock, fullness = real.query(
        "select stock_gwh, fullness_pct from {marts}.gas_stock_daily"
        " where storage_point = 'France' and day = '2022-11-01'"
    )[0]
    assert round(stock) == 133_007
    assert fullness == pytest.approx(100 * stock / 132_500)


@pytest.mark.parametrize(
    ("column", "twh"),
    [
        ("consumption_mwh", [31.787, 33.186, 31.256, 31.171]),
        ("nuclear_mwh", [20.095, 18.717, 18.070, 18.119]),
        ("gas_mwh", [2.295, 2.941, 2.796, 3.010]),
        ("physical_exchange_mwh", [1.046, 3.224, 3.186, 3.288]),
    ],
)
def test_energy_by_month(real: TestWarehouse, column: str, twh: list[float]) -> None:
    rows = real.query(
        f"select extract(month from day), sum({column}) / 1e6 from {{marts}}.energy_climate_daily"
        " where day between '2022-06-01' and '2022-09-30' group by 1 order by 1"
    )
    assert [month for month, _ in rows] == [6, 7, 8, 9]
    assert [value for _, value in rows] == pytest.approx(twh, abs=0.001)


def test_net_commercial_import(real: TestWarehouse) -> None:
    """12.57 TWh; with the empty quarter-hours taken for gaps it would be half of it."""
    borders = ["england", "spain", "italy", "switzerland", "germany_belgium"]
    net = " + ".join(f"import_{border}_mwh - export_{border}_mwh" for border in borders)
    assert real.value(
        f"select sum({net}) / 1e6 from {{marts}}.energy_climate_daily where day between '2022-06-01' and '2022-10-17'"
    ) == pytest.approx(12.57, abs=0.005)


def test_only_measured_steps_count(real: TestWarehouse) -> None:
    assert real.value("select count(*) from {raw}.eco2mix_national_tr where date_heure < '2023-01-01'") == 13_440
    rows = real.query(
        "select count(*), max(instant), countif(wind_offshore_mw is not null)"
        " from {marts}.power_steps where day < '2023-01-01'"
    )
    count, last, offshore = rows[0]
    assert (count, last.isoformat(), offshore) == (13_304, "2022-10-17T11:45:00+00:00", 0)


@pytest.mark.parametrize(("column", "expected"), [("gas_stock_gwh", 0.2111), ("gas_flow_gwh", 0.7560)])
def test_same_day_correlation_with_temperature(days: pd.DataFrame, column: str, expected: float) -> None:
    both = days.truncate("2016-01-01", "2024-07-30").dropna(subset=["gas_stock_gwh", "temperature_mean_c"])
    assert len(both) == 3123
    assert both[column].corr(both["temperature_mean_c"]) == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize(("window", "expected"), [(30, 0.4356), (60, 0.6283), (90, 0.7833), (120, 0.8856)])
def test_correlation_with_a_trailing_mean(days: pd.DataFrame, window: int, expected: float) -> None:
    temperature = days["temperature_mean_c"].dropna().rolling(f"{window}D").mean()
    both = pd.concat([days["gas_stock_gwh"], temperature], axis=1, join="inner").dropna().truncate(after="2024-07-30")
    assert len(both) == 3123
    assert both["gas_stock_gwh"].corr(both["temperature_mean_c"]) == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize(
    ("y", "method", "lag_days", "expected"),
    [
        ("gas_stock_gwh", "raw", 0, 0.2111),
        ("gas_flow_gwh", "raw", 0, 0.7560),
        ("gas_stock_gwh", "trailing_mean", 30, 0.4356),
        ("gas_stock_gwh", "trailing_mean", 60, 0.6283),
        ("gas_stock_gwh", "trailing_mean", 90, 0.7833),
        ("gas_stock_gwh", "trailing_mean", 120, 0.8856),
    ],
)
def test_relationships_give_them_too(real: TestWarehouse, y: str, method: str, lag_days: int, expected: float) -> None:
    """With an interval that allows for how long the curves remember, and a sentence."""
    rows = real.query(
        "select n, r, r_low, r_high, n_effective, reading from {marts}.relationships"
        f" where x = 'temperature_mean_c' and y = '{y}' and method = '{method}' and lag_days = {lag_days}"
        " and period = 'all' and season_filter = 'all'"
    )
    ((n, r, low, high, effective, reading),) = rows
    assert n == 3123
    assert r == pytest.approx(expected, abs=0.002)
    assert low < r < high
    assert 10 < effective < n / 10
    assert f"r = {r:.2f}" in reading


def test_four_months_of_electricity_are_not_enough(real: TestWarehouse) -> None:
    readings = real.query(
        "select distinct reading from {marts}.relationships"
        " where y in ('consumption_mwh', 'nuclear_mwh') and season_filter = 'all'"
    )
    assert readings == [("not enough data",)]


def test_days_missing_at_the_source_stay_missing(real: TestWarehouse) -> None:
    """31 days of temperature never return, and gas and electricity keep theirs."""
    first, last, there = real.query("select min(day), max(day), count(*) from {marts}.temperature_daily")[0]
    assert (last - first).days + 1 - there == 31
    row = real.query(
        "select gas_stock_gwh is null, temperature_mean_c is null from {marts}.energy_climate_daily"
        " where day = '2023-10-31'"
    )
    assert row == [(False, True)]


def test_a_day_of_2025_has_batteries_and_offshore_wind(real: TestWarehouse) -> None:
    rows = real.query(
        "select battery_charge_mwh, battery_discharge_mwh from {marts}.energy_climate_daily where day = '2025-08-22'"
    )
    assert rows[0][0] < 0 < rows[0][1]
    wind = real.query(
        "select technology, energy_mwh, is_complete from {marts}.energy_mix_detail_daily"
        " where day = '2025-08-22' and source = 'wind' order by technology"
    )
    assert [name for name, _, _ in wind] == ["wind_offshore", "wind_onshore"]
    total = real.value("select energy_mwh from {marts}.energy_mix_daily where day = '2025-08-22' and source = 'wind'")
    assert sum(energy for _, energy, _ in wind) == pytest.approx(total, abs=24)
    assert date(2025, 8, 22) in {day for (day,) in real.query("select day from {marts}.temperature_daily")}


def test_building_again_changes_no_mart(real: TestWarehouse) -> None:
    before = real.state()
    # The extracts hold no complete year, and no figure twice.
    empty = {mart for mart, (rows, _) in before.items() if rows == 0}
    assert empty == {"energy_mix_season", "power_revisions"}
    assert len({hash_ for _, hash_ in before.values()}) == len(MARTS) - len(empty) + 1
    real.dbt("run")
    assert real.state() == before
    real.dbt("run", "--full-refresh")
    assert real.state() == before
