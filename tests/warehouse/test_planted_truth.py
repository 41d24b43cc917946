"""Generated data with known effects, all the way through the tables: the marts find what is there, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import pytest

from emulators.odre.generate import Effect, generate
from tests.warehouse.support import NewWarehouse, TestWarehouse

#: What a production follows. Steps are megawatts, days 24 of them: a slope of 24 MWh for each MW.
SLOPE: Final = Effect("nucleaire", slope=-400.0, level=30_000.0, noise=900.0)
LAG: Final = Effect("charbon", slope=100.0, lag_days=30, level=6_000.0, noise=300.0)
NOTHING: Final = Effect("solaire", level=3_000.0, noise=300.0)
#: In biomass, whose source has two small parts besides.
SEASON: Final = Effect("bioenergies_biomasse", seasonal=800.0, level=3_000.0, noise=200.0)


@pytest.fixture(scope="module")
def planted(new_warehouse: NewWarehouse) -> TestWarehouse:
    """Three years with the four effects, landed and built. Of a hundred seeds five find something where nothing is."""
    warehouse = new_warehouse()
    anchor = datetime(2024, 2, 20, 9, 7, tzinfo=UTC)
    for dataset in generate(anchor, years=3, seed=1, effects=(SLOPE, LAG, NOTHING, SEASON)):
        warehouse.land_all_of(dataset)
    warehouse.dbt("seed")
    warehouse.dbt("run", "--select", "+relationships", "+thermosensitivity")
    return warehouse


def found(warehouse: TestWarehouse, y: str, method: str, lag_days: int = 0) -> dict[str, float | str]:
    """A row of the pair with temperature, with the interval of r put on the slope."""
    names = ["n", "r", "r_low", "r_high", "slope", "direction", "reading"]
    ((*values,),) = warehouse.query(
        f"select {', '.join(names)} from {{marts}}.relationships where x = 'temperature_mean_c' and y = '{y}'"
        f" and method = '{method}' and lag_days = {lag_days} and period = 'all' and season_filter = 'all'"
    )
    row = dict(zip(names, values, strict=True))
    for end in ("low", "high"):
        row[f"slope_{end}"] = row["slope"] / row["r"] * row[f"r_{end}"]
    return row


@pytest.mark.parametrize("method", ["raw", "deseasonalised", "first_difference"])
def test_a_slope_is_found_within_its_interval(planted: TestWarehouse, method: str) -> None:
    row = found(planted, "nuclear_mwh", method)
    assert row["direction"] == "negative"
    assert float(row["slope_low"]) < 24 * SLOPE.slope < float(row["slope_high"])


def test_a_slope_is_found_in_megawatts_for_each_degree(planted: TestWarehouse) -> None:
    (bounds,) = planted.query(
        "select mw_per_c_low, mw_per_c_high from {marts}.thermosensitivity where y = 'nuclear_mwh' and winter = 'all'"
    )
    assert bounds[0] < -SLOPE.slope < bounds[1]
    assert bounds[1] - bounds[0] < 100


def test_a_lag_is_found_where_it_is(planted: TestWarehouse) -> None:
    lagged = {days: found(planted, "coal_mwh", "lagged", days) for days in (1, 7, 30, 60, 90, 120)}
    assert max(lagged, key=lambda days: float(lagged[days]["r"])) == LAG.lag_days
    row = lagged[LAG.lag_days]
    assert row["direction"] == "positive"
    assert "beyond the season" not in str(row["reading"])
    assert float(row["slope_low"]) < 24 * LAG.slope < float(row["slope_high"])
    # The same day has nothing of it but the season.
    assert found(planted, "coal_mwh", "deseasonalised")["direction"] == "none"


@pytest.mark.parametrize("method", ["raw", "deseasonalised", "first_difference"])
def test_nothing_is_found_where_nothing_is(planted: TestWarehouse, method: str) -> None:
    row = found(planted, "solar_mwh", method)
    assert int(row["n"]) > 800
    assert row["direction"] == "none"


def test_a_season_is_told_from_an_influence(planted: TestWarehouse) -> None:
    raw, beyond = found(planted, "bioenergy_mwh", "raw"), found(planted, "bioenergy_mwh", "deseasonalised")
    assert (raw["direction"], beyond["direction"]) == ("negative", "none")
    assert "the season alone can explain it" in str(raw["reading"])
    assert "link of the raw figures is the season’s" in str(beyond["reading"])
    assert found(planted, "bioenergy_mwh", "first_difference")["direction"] == "none"
