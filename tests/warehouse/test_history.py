"""All of history, as the source has it: electricity since 2012, gas since 2010-11, temperatures since 2016."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from google.cloud import bigquery

from emulators.odre.generate import generate
from emulators.odre.source import Dataset
from odre.contracts import read_contract
from tests.warehouse.cost import Partitioned, bytes_read
from tests.warehouse.support import CONSOLIDATED, REAL_TIME, NewWarehouse, TestWarehouse

ANCHOR = datetime(2026, 1, 15, 12, tzinfo=UTC)
#: Five weeks later a month was consolidated, and figures restated.
LATER = datetime(2026, 2, 19, 12, tzinfo=UTC)
YEARS = 16
BUILD = ("build", "--exclude-resource-type", "unit_test")
#: Statistics have tests of their own, on less history.
STATISTICS = ("int_daily_series+", "thermosensitivity+", "exchanges_by_fullness+")
STEP_TABLES = ("power_steps", "power_revisions")
#: Whoever reads tables that have a row a step, their tests included.
STEP_READERS = (
    "stg_odre__eco2mix_national_tr+1",
    "stg_odre__eco2mix_national_cons_def+1",
    "power_steps+1",
    "power_revisions",
)
BUILD_STEPS = (*BUILD, "--select", *STEP_READERS)
QUANTITIES = {
    "consumption": "consommation",
    "nuclear": "nucleaire",
    "wind": "eolien",
    "solar": "solaire",
    "hydro": "hydraulique",
    "gas": "gaz",
    "coal": "charbon",
    "oil": "fioul",
    "bioenergy": "bioenergies",
}


def served(anchor: datetime, **more: Any) -> dict[str, Dataset]:
    return {dataset.identifier: dataset for dataset in generate(anchor, years=YEARS, **more)}


def since(dataset: Dataset, start: datetime) -> Dataset:
    """The rows from an instant on, as a request for a window gets them."""
    return replace(dataset, table=dataset.table.filter(pc.greater_equal(dataset.table["date_heure"], pa.scalar(start))))


def measured(dataset: Dataset, before: datetime) -> pd.DataFrame:
    """The measured figures that a dataset shows, MW by instant; the hour that does not exist in March left out."""
    frame = dataset.table.select(["date_heure", "date", "heure", *QUANTITIES.values()]).to_pandas()
    frame = frame[frame["consommation"].notna() & (frame["date_heure"] <= before)]
    local = frame["date_heure"].dt.tz_convert("Europe/Paris")
    frame = frame[local.dt.strftime("%Y-%m-%d %H:%M") == frame["date"] + " " + frame["heure"]]
    figures: pd.DataFrame = frame.set_index("date_heure")[[*QUANTITIES.values()]].astype("int64").sort_index()
    return figures


def steps_of(shown: dict[str, Dataset], before: datetime) -> pd.DataFrame:
    """The steps that the rules make of what is shown, worked out without SQL: consolidated, then real time."""
    consolidated = measured(shown[CONSOLIDATED], before)
    consolidated = consolidated[pd.DatetimeIndex(consolidated.index).minute.isin([0, 30])]
    real_time = measured(shown[REAL_TIME], before)
    real_time = real_time[real_time.index >= consolidated.index.max() + timedelta(minutes=30)]
    steps: pd.DataFrame = pd.concat([consolidated.assign(step_minutes=30), real_time.assign(step_minutes=15)])
    return steps


def assert_steps(house: TestWarehouse, expected: pd.DataFrame) -> None:
    """The mart has these steps, compared by Paris month: counts, minutes, and the sum of every quantity."""
    months = pd.DatetimeIndex(expected.index).tz_convert("Europe/Paris").strftime("%Y-%m")
    wanted = expected.assign(steps=1).groupby(months).sum()
    sums = ", ".join(f"sum({name}_mw)" for name in QUANTITIES)
    rows = house.query(
        f"select format_date('%Y-%m', day), {sums}, sum(step_minutes), count(*) from {{marts}}.power_steps"
        " group by 1 order by 1"
    )
    assert [row[0] for row in rows] == list(wanted.index)
    assert np.array_equal(np.array([row[1:] for row in rows]), wanted.to_numpy())


def assert_revisions(house: TestWarehouse, expected: pd.DataFrame) -> None:
    """The mart has these differences, by instant and quantity."""
    columns = [f"{name}_difference_mw" for name in QUANTITIES]
    rows = house.query(f"select instant, {', '.join(columns)} from {{marts}}.power_revisions order by instant")
    found = pd.DataFrame(rows, columns=["instant", *QUANTITIES]).set_index("instant")
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, check_names=False, check_index_type=False)


@pytest.fixture(scope="module")
def shown() -> dict[str, Dataset]:
    """What the source shows at first."""
    return served(ANCHOR)


@pytest.fixture(scope="module")
def history(new_warehouse: NewWarehouse, shown: dict[str, Dataset]) -> TestWarehouse:
    """All of it landed and built, with the data tests."""
    house = new_warehouse()
    for dataset in shown.values():
        house.land_all_of(dataset)
    house.dbt(*BUILD, "--exclude", *STATISTICS)
    return house


def test_each_dataset_begins_where_the_source_does(history: TestWarehouse) -> None:
    assert history.query(
        "select (select min(day) from {marts}.power_steps where day < '2013-01-01'),"
        " (select min(day) from {marts}.gas_stock_daily), (select min(day) from {marts}.temperature_daily)"
    ) == [(date(2012, 1, 1), date(2010, 11, 1), date(2016, 1, 1))]


def test_the_steps_are_what_the_rules_make_of_all_rows(history: TestWarehouse, shown: dict[str, Dataset]) -> None:
    assert_steps(history, steps_of(shown, ANCHOR))


def test_no_hole_and_no_overlap_but_the_hour_of_october(history: TestWarehouse) -> None:
    """Each step ends where the next begins, across the switch too."""
    breaks = history.query(
        "select date(instant, 'Europe/Paris'), timestamp_diff(next, instant, minute) - step_minutes from ("
        "  select instant, step_minutes, lead(instant) over (order by instant) as next from {marts}.power_steps)"
        " where next != timestamp_add(instant, interval step_minutes minute) order by 1"
    )
    assert [minutes for _, minutes in breaks] == [60] * 14
    assert [(day.year, day.month, day.isoweekday()) for day, _ in breaks] == [
        (year, 10, 7) for year in range(2012, 2026)
    ]


def periods_of(day: pd.Timestamp) -> list[tuple[str, str, date, date]]:
    """Kind, name, first and last day of each period that a day belongs to."""
    year, month = day.year, day.month
    iso = day.isocalendar()
    monday = day - timedelta(days=day.weekday())
    quarter = (month - 1) // 3
    season_year = year + (month == 12)
    season = {12: 0, 1: 0, 2: 0, 3: 1, 4: 1, 5: 1, 6: 2, 7: 2, 8: 2, 9: 3, 10: 3, 11: 3}[month]
    season_start = date(season_year - 1, 12, 1) if season == 0 else date(year, 3 * season, 1)
    injects = 4 <= month <= 10
    campaign_year = year if month >= 4 else year - 1

    def last(start: date, months: int) -> date:
        return (pd.Timestamp(start) + pd.DateOffset(months=months) - timedelta(days=1)).date()

    campaign_start = date(campaign_year, 4, 1) if injects else date(campaign_year, 11, 1)
    return [
        ("week", f"{iso.year}-W{iso.week:02}", monday.date(), (monday + timedelta(days=6)).date()),
        ("month", f"{year}-{month:02}", date(year, month, 1), last(date(year, month, 1), 1)),
        ("quarter", f"{year}-Q{quarter + 1}", date(year, 3 * quarter + 1, 1), last(date(year, 3 * quarter + 1, 1), 3)),
        ("year", str(year), date(year, 1, 1), date(year, 12, 31)),
        (
            "season",
            f"{season_year}-{['winter', 'spring', 'summer', 'autumn'][season]}",
            season_start,
            last(season_start, 3),
        ),
        (
            "gas_campaign",
            f"{campaign_year}-{'injection' if injects else 'withdrawal'}",
            campaign_start,
            last(campaign_start, 7 if injects else 5),
        ),
    ]


@pytest.fixture(scope="module")
def periods(history: TestWarehouse) -> pd.DataFrame:
    """``energy_mix_period`` worked out from the days with pandas."""
    columns = ["day", "source", "energy_mwh", "measured_hours", "is_complete"]
    rows = history.query(f"select {', '.join(columns)} from {{marts}}.energy_mix_daily")
    days = pd.DataFrame(rows, columns=columns)
    calendar = pd.DataFrame(
        [(day, *period) for day in days["day"].unique() for period in periods_of(pd.Timestamp(day))],
        columns=["day", "period_type", "period", "period_start", "period_end"],
    )
    keys = ["period_type", "period", "period_start", "period_end", "source"]
    sums = (
        calendar.merge(days, on="day")
        .groupby(keys)
        .agg(
            energy_mwh=("energy_mwh", "sum"), measured_hours=("measured_hours", "sum"), complete=("is_complete", "sum")
        )
    )
    sums = sums.reset_index()
    total = sums.groupby(["period_type", "period"])["energy_mwh"].transform("sum")
    sums["share_pct"] = 100 * sums["energy_mwh"] / total
    start = pd.to_datetime(sums["period_start"]).dt.tz_localize("Europe/Paris")
    end = (pd.to_datetime(sums["period_end"]) + timedelta(days=1)).dt.tz_localize("Europe/Paris")
    sums["expected_hours"] = ((end - start).dt.total_seconds() / 3600).astype(int)
    length = (pd.to_datetime(sums["period_end"]) - pd.to_datetime(sums["period_start"])).dt.days + 1
    sums["is_complete"] = sums["complete"] == length
    return sums.sort_values(keys, ignore_index=True)


def test_the_periods_recomputed(history: TestWarehouse, periods: pd.DataFrame) -> None:
    columns = ["period_type", "period", "period_start", "period_end", "source", "energy_mwh", "share_pct"]
    columns += ["measured_hours", "expected_hours", "is_complete"]
    rows = history.query(f"select {', '.join(columns)} from {{marts}}.energy_mix_period order by 1, 2, 3, 4, 5")
    found = pd.DataFrame(rows, columns=columns)
    pd.testing.assert_frame_equal(found, periods[columns], check_exact=False, rtol=1e-12, check_dtype=False)


def test_the_mix_by_season_recomputed(history: TestWarehouse, periods: pd.DataFrame) -> None:
    """Complete: 2013 to 2025, since the first winter lacks its December and the last has only begun."""
    seasons = periods[periods["period_type"] == "season"].copy()
    seasons[["year", "season"]] = seasons["period"].str.split("-", expand=True)
    seasons = seasons[seasons["year"].astype(int).between(2013, 2025)]
    wanted = seasons.groupby(["season", "source"]).agg(
        years=("year", "nunique"),
        energy_mean_mwh=("energy_mwh", "mean"),
        energy_stddev_mwh=("energy_mwh", "std"),
        share_mean_pct=("share_pct", "mean"),
        share_stddev_pct=("share_pct", "std"),
        share_min_pct=("share_pct", "min"),
        share_max_pct=("share_pct", "max"),
    )
    rows = history.query(
        f"select season, source, first_year, last_year, {', '.join(wanted.columns)} from {{marts}}.energy_mix_season"
    )
    found = pd.DataFrame(rows, columns=["season", "source", "first_year", "last_year", *wanted.columns])
    assert set(zip(found["first_year"], found["last_year"], strict=True)) == {(2013, 2025)}
    found = found.set_index(["season", "source"]).sort_index()[list(wanted.columns)]
    pd.testing.assert_frame_equal(found, wanted, check_exact=False, rtol=1e-6, atol=1e-3, check_dtype=False)
    assert (found["years"] == 13).all()


def test_nothing_is_revised_that_was_shown_once(history: TestWarehouse) -> None:
    assert history.value("select count(*) from {marts}.power_revisions where day >= '2000-01-01'") == 0


# What an hourly run reads. The builds that follow change the history: the tests above come before.


@pytest.fixture(scope="module")
def three_months(new_warehouse: NewWarehouse, shown: dict[str, Dataset]) -> TestWarehouse:
    """The last three months alone, built."""
    house = new_warehouse()
    house.land_all_of(since(shown[REAL_TIME], ANCHOR - timedelta(days=92)))
    house.dbt(*BUILD_STEPS)
    return house


def partitioned(house: TestWarehouse) -> dict[str, Partitioned]:
    """The tables that have a row a step, and the views of them."""
    settings = house.settings
    of_raw = {f"{settings.raw_dataset}.{read_contract(name).table}": name for name in (REAL_TIME, CONSOLIDATED)}
    names = {f"{raw}{suffix}": "date_heure" for raw in of_raw for suffix in ("", "_replaced")}
    names |= {f"{settings.marts_dataset}.{table}": "instant" for table in STEP_TABLES}

    def columns(name: str) -> tuple[str, ...]:
        return tuple(field.name for field in house.client.get_table(f"{settings.project}.{name}").schema)

    tables = {}
    for name, column in names.items():
        months = house.query(
            f"select date_trunc(date({column}), month), count(*) from {name}"
            f" where {column} >= timestamp '2000-01-01' group by 1"
        )
        tables[name] = Partitioned(dict(months), columns(name))
    for raw, dataset in of_raw.items():
        view = f"{settings.staging_dataset}.stg_odre__{dataset.replace('-', '_')}"
        tables[view] = Partitioned(tables[raw].rows, columns(view))
    return tables


def bytes_of_an_hour(house: TestWarehouse, hour: datetime) -> dict[str, int]:
    """Lands what an hourly run brings, builds, and estimates what each dbt node read of the tables by step.

    Of the daily marts, which are rebuilt whole, ``int_power_daily`` reads the steps: it is left out.
    """
    # The build before made one month, as in any hour but that of the first build.
    house.dbt("run", "--select", *STEP_TABLES)
    start = hour - timedelta(days=3)
    house.land_all_of(since(served(hour)[REAL_TIME], start), (start, None))
    began = datetime.now(UTC)
    house.dbt(*BUILD_STEPS)
    tables = partitioned(house)
    read: dict[str, int] = {}
    for job in house.client.list_jobs(min_creation_time=began, all_users=True):
        sql = job.query if isinstance(job, bigquery.QueryJob) else ""
        if '"app": "dbt"' in sql and f"{house.prefix}" in sql:
            found = re.search(r'"node_id": "([^"]+)"', sql)
            node = found[1] if found else "without a node"
            read[node] = read.get(node, 0) + bytes_read(sql, tables)
    daily = read.pop("model.energy.int_power_daily")
    assert daily > 0
    return read


def test_an_hourly_run_reads_no_more_of_a_long_history(history: TestWarehouse, three_months: TestWarehouse) -> None:
    hour = ANCHOR + timedelta(hours=1)
    short, long = bytes_of_an_hour(three_months, hour), bytes_of_an_hour(history, hour)
    grown = {node: (short.get(node, 0), read) for node, read in long.items() if read > 1.2 * short.get(node, 0)}
    for table in STEP_TABLES:
        assert long[f"model.energy.{table}"] > 0
    assert sum(long.values()) <= 1.2 * sum(short.values()), grown


# Restatement and consolidation. It changes the history: the tests above come before.


def test_what_consolidation_and_restatement_change(history: TestWarehouse, shown: dict[str, Dataset]) -> None:
    """A month goes from real time to consolidated and other figures are restated: steps, revisions, and both again."""
    hour = served(ANCHOR + timedelta(hours=1))
    later = served(LATER, revision=1)
    assert later[CONSOLIDATED].table.num_rows > shown[CONSOLIDATED].table.num_rows
    start = LATER - timedelta(days=3)
    history.land_all_of(since(later[REAL_TIME], start), (start, None))
    first = ANCHOR - timedelta(days=400)
    history.land_all_of(since(later[CONSOLIDATED], first), (first, None))
    history.dbt(*BUILD_STEPS)
    assert history.plan()["ranges"][0]["first_day"] >= "2024-12-01"

    # Of real time the pipeline has all it was shown: the run in between was missed, and left a hole of weeks.
    now = steps_of(later, LATER)
    real_time = pd.concat([measured(hour[REAL_TIME], LATER), measured(since(later[REAL_TIME], start), LATER)])
    real_time = real_time[real_time.index >= now[now["step_minutes"] == 30].index.max() + timedelta(minutes=30)]
    real_time = real_time[~real_time.index.duplicated(keep="last")]
    expected = pd.concat([now[now["step_minutes"] == 30], real_time.assign(step_minutes=15)]).sort_index()

    # First: real time where it was ever shown, else the consolidated figure of then.
    consolidated = measured(shown[CONSOLIDATED], ANCHOR)
    before = pd.concat([measured(hour[REAL_TIME], ANCHOR + timedelta(hours=1)), consolidated])
    before = before[~before.index.duplicated(keep="first")]
    both = expected.index.intersection(before.index)
    names = list(QUANTITIES.values())
    difference = (expected.loc[both, names] - before.loc[both, names]).rename(
        columns={v: k for k, v in QUANTITIES.items()}
    )
    restated = difference[(difference != 0).any(axis=1)].sort_index()
    assert len(restated) > 1000
    for full_refresh in (False, True):
        if full_refresh:
            history.dbt("run", "--full-refresh", "--select", *STEP_TABLES)
        assert_steps(history, expected)
        assert_revisions(history, restated)
    natures = history.query("select distinct first_nature, current_nature from {marts}.power_revisions order by 1, 2")
    assert natures == [("consolidated", "consolidated"), ("real_time", "consolidated")]
