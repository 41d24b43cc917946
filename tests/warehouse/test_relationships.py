"""The statistics against pandas: the same days, every figure worked out again without SQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from google.cloud import bigquery

from tests.warehouse.support import NewWarehouse, TestWarehouse

SOURCES: Final = ("nuclear", "wind", "solar", "hydro", "gas", "coal", "oil", "bioenergy")
BORDERS: Final = ("england", "spain", "italy", "switzerland", "germany_belgium")
EXCHANGES: Final = (
    "physical_exchange_mwh",
    *(f"commercial_{kind}_mwh" for kind in ("volume", "import", "export")),
    *(f"{direction}_{border}_mwh" for border in BORDERS for direction in ("import", "export")),
)
PAIRS: Final = (
    *((2, "temperature_mean_c", y) for y in ("gas_stock_gwh", "gas_flow_gwh")),
    *((3, "temperature_mean_c", f"{name}_mwh") for name in ("consumption", *SOURCES)),
    *((4, "gas_fullness_pct", f"{name}_mwh") for name in SOURCES),
    *((6, "gas_fullness_pct", y) for y in EXCHANGES),
)
METHODS: Final = (
    ("raw", 0),
    ("deseasonalised", 0),
    ("first_difference", 0),
    *(("lagged", days) for days in (1, 7, 30, 60, 90, 120)),
    *(("trailing_mean", days) for days in (7, 30, 60, 90, 120)),
)
#: Distance in days, and the days that it stands for.
DISTANCES: Final = {
    **dict.fromkeys(range(1, 7), 1.0),
    **{7: 4.0, 14: 7.0, 21: 7.0, 28: 10.5, 42: 14.0, 56: 14.0, 70: 17.5, 91: 10.5},
}
Z95: Final = 1.959963984540054
STATISTICS: Final = ("int_daily_series", "relationships", "thermosensitivity", "exchanges_by_fullness")

#: A pandas frame or series: what its columns are is only known when it is made.
Frame = Any


def remembering(noise: np.random.Generator, days: int, memory: float) -> npt.NDArray[np.float64]:
    """Standard normal noise of which a share is left the day after."""
    values = noise.normal(size=days)
    for at in range(1, days):
        values[at] = memory * values[at - 1] + np.sqrt(1 - memory**2) * values[at]
    return values


def made_days(first: str, last: str, seed: int = 1) -> Frame:
    """Days such as ``energy_climate_daily`` has them, by hand: seasons, links, noise that lasts, and holes."""
    noise = np.random.default_rng(seed)
    index = pd.date_range(first, last)
    days = len(index)
    season = np.cos(2 * np.pi * (index.day_of_year.to_numpy() - 17) / 365.25)
    frame = pd.DataFrame(index=index)
    frame["temperature_mean_c"] = (12 - 8 * season + 3 * remembering(noise, days, 0.8)).round(6)
    frame.loc[noise.random(days) < 0.02, "temperature_mean_c"] = np.nan
    frame["heating_degree_days"] = (18 - frame["temperature_mean_c"]).clip(lower=0).round(6)
    turned = np.cos(2 * np.pi * (index.day_of_year.to_numpy() - 290) / 365.25)
    frame["gas_stock_gwh"] = (80_000 + 40_000 * turned + 4_000 * remembering(noise, days, 0.99)).round(3)
    frame["gas_flow_gwh"] = frame["gas_stock_gwh"].diff().round(6)
    frame["gas_fullness_pct"] = 100 * frame["gas_stock_gwh"] / 132_500
    frame.loc[noise.random(days) < 0.02, ["gas_stock_gwh", "gas_flow_gwh", "gas_fullness_pct"]] = np.nan
    for at, name in enumerate(("consumption", *SOURCES, "physical_exchange")):
        steps = 400_000 + 20_000 * (at % 3) * season - 3_000 * (at % 2) * frame["temperature_mean_c"].fillna(10)
        frame[f"{name}_mwh"] = (4 * (steps + 9_000 * remembering(noise, days, 0.7))).round() / 4
    for direction in ("import", "export"):
        for border in BORDERS:
            frame[f"{direction}_{border}_mwh"] = (4_000 * abs(remembering(noise, days, 0.6))).round(2)
        frame[f"commercial_{direction}_mwh"] = frame[[f"{direction}_{border}_mwh" for border in BORDERS]].sum(axis=1)
    frame["commercial_volume_mwh"] = frame["commercial_import_mwh"] + frame["commercial_export_mwh"]
    # One that does not vary, one that is only there for two months, and days that are not complete.
    frame["oil_mwh"] = 2_400.0
    frame.loc[frame.index[60:], "bioenergy_mwh"] = np.nan
    frame["electricity_is_complete"] = noise.random(days) > 0.03
    return frame


def build(warehouse: TestWarehouse, frame: Frame) -> TestWarehouse:
    """Put the days in place of ``energy_climate_daily`` and build the statistics of them."""
    rows = frame.reset_index(names="day").assign(day=lambda made: made["day"].dt.date)
    types = {"day": "DATE", "electricity_is_complete": "BOOL"}
    schema = [bigquery.SchemaField(name, types.get(name, "FLOAT64")) for name in rows.columns]
    table = f"{warehouse.settings.project}.{warehouse.settings.marts_dataset}.energy_climate_daily"
    job = bigquery.LoadJobConfig(schema=schema, write_disposition="WRITE_TRUNCATE")
    warehouse.client.load_table_from_dataframe(rows, table, job_config=job).result()
    warehouse.dbt("run", "--select", *STATISTICS)
    return warehouse


@pytest.fixture(scope="module")
def days() -> Frame:
    return made_days("2018-06-01", "2023-03-31")


@pytest.fixture(scope="module")
def made(new_warehouse: NewWarehouse, days: Frame) -> TestWarehouse:
    return build(new_warehouse(), days)


@pytest.fixture(scope="module")
def three_months(new_warehouse: NewWarehouse) -> TestWarehouse:
    return build(new_warehouse(), made_days("2023-01-01", "2023-03-31"))


def table(warehouse: TestWarehouse, sql: str) -> Frame:
    """A query's rows as a frame."""
    rows = [dict(row) for row in warehouse.client.query(sql.format(marts=warehouse.settings.marts_dataset)).result()]
    return pd.DataFrame(rows)


def curve(days: Frame, column: str) -> Frame:
    """A column on the days on which it counts."""
    figures = days[column]
    if column.endswith("_mwh"):
        figures = figures[days["electricity_is_complete"]]
    return figures.dropna()


def anomaly(figures: Frame) -> Frame:
    """What figures are above the mean of their days of the year, 15 days to either side, all years together."""
    of_year = np.minimum(figures.index.day_of_year.to_numpy(), 365)
    means = np.full(366, np.nan)
    for day in range(1, 366):
        distance = np.abs(of_year - day)
        near = figures[np.minimum(distance, 365 - distance) <= 15]
        if len(near) >= 50:
            means[day] = near.mean()
    return (figures - means[of_year]).dropna()


def change(figures: Frame) -> Frame:
    """What figures are above those of the day before."""
    return (figures - figures.shift(1, freq="D")).dropna()


def sides(days: Frame, x: str, y: str, method: str, lag_days: int) -> tuple[Frame, Frame]:
    """The influence and what it is held against, each on its own days."""
    influence, other = curve(days, x), curve(days, y)
    match method:
        case "deseasonalised":
            return anomaly(influence), anomaly(other)
        case "first_difference":
            return change(influence), change(other)
        case "lagged":
            return influence.shift(lag_days, freq="D"), other
        case "trailing_mean":
            return influence.rolling(f"{lag_days}D").mean(), other
    return influence, other


def memory(figures: Frame) -> dict[int, float]:
    """Correlation with itself some days later; 0 where one side does not vary or too few days are there."""
    found = {}
    for distance in DISTANCES:
        both: Frame = pd.concat([figures, figures.shift(distance, freq="D")], axis=1, join="inner").to_numpy()
        varies = len(both) > 1 and both.std(axis=0).min() > 1e-9
        found[distance] = float(np.corrcoef(both.T)[0, 1]) if varies else 0.0
    return found


def inflation(first: dict[int, float], second: dict[int, float]) -> float:
    """How many days count for one."""
    total = 1.0
    for distance, stands_for in DISTANCES.items():
        product = first[distance] * second[distance]
        if product <= 0:
            break
        total += 2 * stands_for * product
    return total


def winter(index: Frame) -> npt.NDArray[np.bool_]:
    return np.isin(index.month, [11, 12, 1, 2, 3])


def recomputed(days: Frame) -> Iterator[dict[str, Any]]:
    """Every row of the mart."""
    for question, x, y in PAIRS:
        for method, lag_days in METHODS:
            influence, other = sides(days, x, y, method, lag_days)
            slower = inflation(memory(influence), memory(other))
            both: Frame = pd.concat([influence, other], axis=1, join="inner").dropna()
            for period in ("all", *map(str, sorted(set(days.index.year)))):
                chosen = np.ones(len(both), bool) if period == "all" else both.index.year == int(period)
                for season, wanted in (
                    ("all", chosen),
                    ("winter", chosen & winter(both.index)),
                    ("summer", chosen & ~winter(both.index)),
                ):
                    values = both[wanted].to_numpy()
                    row = {"question": question, "x": x, "y": y, "method": method, "lag_days": lag_days}
                    row |= {"period": period, "season_filter": season, "n": len(values)}
                    yield row | statistics(values, len(values) / slower)


def statistics(values: npt.NDArray[np.float64], effective: float) -> dict[str, float | None]:
    """Correlation, its interval and the slope, of two columns of values."""
    found: dict[str, float | None] = dict.fromkeys(("r", "r_low", "r_high", "slope"))
    found["n_effective"] = effective
    if len(values) >= 3:
        (xx, xy), (_, yy) = np.cov(values.T)
        if xx > 1e-9 and yy > 1e-9:
            r = float(xy / np.sqrt(xx * yy))
            found |= {"r": r, "slope": xy / xx}
            if effective > 3:
                middle, half = np.arctanh(r), Z95 / np.sqrt(effective - 3)
                found |= {"r_low": np.tanh(middle - half), "r_high": np.tanh(middle + half)}
    return found


KEY: Final = ["question", "x", "y", "method", "lag_days", "period", "season_filter"]


@pytest.fixture(scope="module")
def both(made: TestWarehouse, days: Frame) -> Frame:
    """The mart beside what pandas makes of the same days."""
    actual = table(made, "select * from {marts}.relationships").set_index(KEY).sort_index()
    expected = pd.DataFrame(list(recomputed(days))).set_index(KEY).sort_index()
    assert actual.index.is_unique
    pd.testing.assert_index_equal(actual.index, expected.index)
    return actual.join(expected, rsuffix="_expected")


@pytest.mark.parametrize(
    ("column", "tolerance"), [("n", 0), ("r", 1e-6), ("r_low", 1e-6), ("r_high", 1e-6), ("n_effective", 0.051)]
)
def test_correlations_are_those_of_pandas(both: Frame, column: str, tolerance: float) -> None:
    actual, expected = both[column].astype(float), both[f"{column}_expected"].astype(float)
    pd.testing.assert_series_equal(actual.isna(), expected.isna(), check_names=False)
    assert expected.notna().sum() > 5_000
    assert (actual - expected).abs().max() <= tolerance


def test_slopes_are_those_of_pandas(both: Frame) -> None:
    actual, expected = both["slope"].astype(float), both["slope_expected"].astype(float)
    pd.testing.assert_series_equal(actual.isna(), expected.isna(), check_names=False)
    # A millionth of what the slope would be if all days lay on the line, and the sixth decimal, to which it is rounded.
    steepest = (expected / both["r_expected"].astype(float)).abs()
    assert ((actual - expected).abs() <= 1e-6 * steepest + 1e-6)[expected.notna()].all()


def test_intervals_are_wider_than_independent_days_would_have_it(both: Frame) -> None:
    """Seasons of five years are not 1,700 independent days."""
    row = both.loc[(2, "temperature_mean_c", "gas_stock_gwh", "raw", 0, "all", "all")]
    assert row["n"] > 1_500
    assert 10 < row["n_effective"] < 60
    changes = both.loc[(2, "temperature_mean_c", "gas_stock_gwh", "first_difference", 0, "all", "all")]
    assert changes["n_effective"] > 1_000


def test_directions_follow_from_figures_that_rest_on_enough(both: Frame) -> None:
    for (*_, season), row in both.iterrows():
        enough = row["n"] >= (300 if season == "all" else 120) and row["n_effective"] >= 10 and not pd.isna(row["r"])
        signs = {(True, False): "positive", (False, True): "negative", (False, False): "none"}
        expected = signs[row["r_low"] > 0, row["r_high"] < 0] if enough else None
        assert row["direction"] == expected or (expected is None and pd.isna(row["direction"]))
        assert (row["reading"] == "not enough data") == (expected is None)


def test_three_months_are_not_enough(three_months: TestWarehouse) -> None:
    rows = table(three_months, "select * from {marts}.relationships")
    assert len(rows) == len(PAIRS) * len(METHODS) * 2 * 3
    assert set(rows["reading"]) == {"not enough data"}
    assert rows["direction"].isna().all()
    assert rows["n"].max() <= 90
    levels = rows[(rows["y"] == "gas_stock_gwh") & (rows["method"] == "raw")]
    assert levels["n_effective"].max() < 10
    assert (rows[rows["method"] == "deseasonalised"]["n"] == 0).all()
    numbers = rows[["n_effective", "r", "r_low", "r_high", "slope"]].astype(float)
    assert not np.isinf(numbers.to_numpy()).any()
    nans = (
        "select countif(is_nan(r) or is_nan(slope) or is_nan(r_low) or is_nan(n_effective)) from {marts}.relationships"
    )
    assert three_months.value(nans) == 0


def test_thermosensitivity_is_that_of_pandas(made: TestWarehouse, days: Frame) -> None:
    actual = table(made, "select * from {marts}.thermosensitivity").set_index(["y", "winter"]).sort_index()
    counted = days[winter(days.index) & days["electricity_is_complete"] & days["heating_degree_days"].notna()]
    hours = pd.Series(24.0, counted.index)
    hours[[day for day in counted.index if day.month == 3 and day.day > 24 and day.day_of_week == 6]] = 23.0
    names = pd.Series(
        [f"{day.year - (day.month < 4)}-{day.year + (day.month > 4)}" for day in counted.index], counted.index
    )
    seen = 0
    for name in ("consumption", *SOURCES):
        load = (counted[f"{name}_mwh"] / hours).dropna()
        winters = sorted(set(names[load.index]))
        if not winters:
            assert actual.loc[(f"{name}_mwh", "all"), "n"] == 0
            seen += 1
        for label in ["all", *winters] if winters else []:
            mw = load if label == "all" else load[names[load.index] == label]
            degrees = counted.loc[mw.index, "heating_degree_days"]
            row = actual.loc[(f"{name}_mwh", label)]
            slope, base = np.polyfit(degrees, mw, 1)
            errors = mw - base - slope * degrees
            assert row["n"] == len(mw)
            assert row["mw_per_c"] == pytest.approx(slope, abs=0.01)
            assert row["base_mw"] == pytest.approx(base, abs=0.1)
            if name != "oil":
                slower = inflation(memory(degrees), memory(errors))
                error = np.sqrt((errors**2).sum() / (len(mw) - 2) * slower / ((degrees - degrees.mean()) ** 2).sum())
                assert row["n_effective"] == pytest.approx(len(mw) / slower, abs=0.11)
                assert row["r2"] == pytest.approx(np.corrcoef(degrees, mw)[0, 1] ** 2, abs=1e-5)
                assert row["mw_per_c_low"] == pytest.approx(slope - Z95 * error, abs=0.2)
                assert row["mw_per_c_high"] == pytest.approx(slope + Z95 * error, abs=0.2)
            seen += 1
    assert seen == len(actual)


def test_exchanges_by_fullness_are_those_of_pandas(made: TestWarehouse, days: Frame) -> None:
    actual = table(made, "select * from {marts}.exchanges_by_fullness")
    seen = 0
    for method in ("raw", "deseasonalised"):
        columns = {name: curve(days, name) for name in ("gas_fullness_pct", *EXCHANGES[1:])}
        if method == "deseasonalised":
            columns = {name: anomaly(figures) for name, figures in columns.items()}
        curves = pd.DataFrame(columns).dropna()
        ordered = curves.sort_values("gas_fullness_pct", kind="stable")
        for group_type, groups in (("tercile", 3), ("decile", 10)):
            for number, group in enumerate(np.array_split(np.arange(len(ordered)), groups), 1):
                members = ordered.iloc[group]
                for border in ("all", *BORDERS):
                    row = actual[
                        (actual["method"] == method)
                        & (actual["group_type"] == group_type)
                        & (actual["group_number"] == number)
                        & (actual["border"] == border)
                    ].iloc[0]
                    bought, sold = (
                        members[f"commercial_{way}_mwh" if border == "all" else f"{way}_{border}_mwh"].mean()
                        for way in ("import", "export")
                    )
                    assert row["n"] == len(members)
                    assert row["fullness_low_pct"] == pytest.approx(members["gas_fullness_pct"].min(), abs=1e-5)
                    assert row["fullness_high_pct"] == pytest.approx(members["gas_fullness_pct"].max(), abs=1e-5)
                    figures = [row[f"{name}_mwh"] for name in ("import", "export", "volume", "balance")]
                    assert figures == pytest.approx([bought, sold, bought + sold, bought - sold], abs=1e-4)
                    seen += 1
    assert seen == len(actual)


def test_building_again_gives_the_same(made: TestWarehouse) -> None:
    before = made.state(STATISTICS[1:])
    made.dbt("run", "--select", *STATISTICS)
    assert made.state(STATISTICS[1:]) == before
