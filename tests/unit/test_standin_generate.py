"""The generated source: deterministic, plausible, and with every trap of the real one in it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from emulators.odre.folder import content_hash
from emulators.odre.generate import (
    CONSOLIDATED,
    GAS,
    REAL_TIME,
    REGIONS,
    SOURCES,
    SUB_TECHNOLOGIES,
    TEMPERATURE,
    Effect,
    generate,
)
from emulators.odre.odsql import kind
from emulators.odre.source import Dataset
from odre.contracts import read_contract
from odre.drift import detect_drift

ANCHOR = datetime(2026, 8, 20, 9, 7, tzinfo=UTC)
#: A pandas frame or series: what its columns are is only known when it is made.
Frame = Any
PARIS = ZoneInfo("Europe/Paris")
BATTERIES = ["stockage_batterie", "destockage_batterie"]
BORDERS = ["angleterre", "espagne", "italie", "suisse", "allemagne_belgique"]


@cache
def datasets(anchor: datetime = ANCHOR, **options: Any) -> dict[str, Dataset]:
    return {dataset.identifier: dataset for dataset in generate(anchor, **options)}


@cache
def frame(identifier: str, anchor: datetime = ANCHOR, **options: Any) -> Frame:
    return datasets(anchor, **options)[identifier].table.to_pandas()


def measured(identifier: str) -> Frame:
    rows = frame(identifier)
    return rows[rows["consommation"].notna()]


def numbers(column: Frame) -> Frame:
    known: Frame = pd.to_numeric(column, errors="coerce")
    return known.fillna(0.0)


@pytest.mark.parametrize("identifier", [REAL_TIME, CONSOLIDATED, GAS, TEMPERATURE])
def test_every_dataset_has_its_contracts_columns(identifier: str) -> None:
    dataset, contract = datasets()[identifier], read_contract(identifier)
    assert dataset.table.column_names == [column.name for column in contract.columns]
    fields = {field.name: kind(field.type) for field in dataset.table.schema}
    drift = detect_drift(contract, fields)
    assert (drift.unknown, drift.absent) == ((), ())
    assert "generated sample data" in dataset.title


def test_the_same_arguments_give_the_same_data_and_another_seed_others() -> None:
    again = {dataset.identifier: dataset for dataset in generate(ANCHOR)}
    for identifier, dataset in datasets().items():
        assert again[identifier].table.equals(dataset.table)
        assert again[identifier].data_processed == dataset.data_processed
        assert not datasets(seed=1)[identifier].table.equals(dataset.table)


def test_there_are_three_years_of_history() -> None:
    first = {
        REAL_TIME: frame(CONSOLIDATED)["date"].min(),
        GAS: str(frame(GAS)["date"].min()),
        TEMPERATURE: str(frame(TEMPERATURE)["date"].min()),
    }
    assert set(first.values()) == {"2023-01-01"}


def test_history_does_not_begin_before_the_source_does() -> None:
    long = datasets(years=20)
    assert pc.min(long[CONSOLIDATED].table["date"]).as_py() == "2012-01-01"
    assert pc.min(long[GAS].table["date"]).as_py() == date(2010, 11, 1)
    assert pc.min(long[TEMPERATURE].table["date"]).as_py() == date(2016, 1, 1)


def test_a_later_anchor_shows_the_same_past_and_more() -> None:
    later = ANCHOR + timedelta(hours=3)
    now, then = measured(REAL_TIME), frame(REAL_TIME, later)
    then = then[then["consommation"].notna()]
    assert len(then) == len(now) + 12
    pd.testing.assert_frame_equal(then.iloc[: len(now)], now)
    for identifier in (CONSOLIDATED, TEMPERATURE):
        assert datasets(later)[identifier].table.equals(datasets()[identifier].table)


@pytest.mark.parametrize(
    ("identifier", "before", "at"),
    [
        (REAL_TIME, "2026-08-20T09:14:59Z", "2026-08-20T09:15:00Z"),
        # The end of March, Paris time, and 125 days.
        (CONSOLIDATED, "2026-08-03T21:59:59Z", "2026-08-03T22:00:00Z"),
        (CONSOLIDATED, "2026-05-31T21:59:59Z", "2026-06-01T00:00:00Z"),
        (GAS, "2026-08-20T09:59:59Z", "2026-08-20T10:00:00Z"),
        (TEMPERATURE, "2026-08-05T05:59:59Z", "2026-08-05T06:00:00Z"),
    ],
)
def test_the_mark_changes_when_and_only_when_the_content_does(identifier: str, before: str, at: str) -> None:
    instants = [
        datetime.fromisoformat(before),
        datetime.fromisoformat(at),
        datetime.fromisoformat(at) + timedelta(minutes=14),
    ]
    first, second, third = (datasets(instant, years=1)[identifier] for instant in instants)
    assert content_hash(first.table) != content_hash(second.table)
    assert first.data_processed < second.data_processed <= instants[1]
    assert content_hash(second.table) == content_hash(third.table)
    assert second.data_processed == third.data_processed


def test_a_revision_restates_recent_figures_under_a_newer_mark() -> None:
    for identifier, oldest in ((REAL_TIME, 3), (CONSOLIDATED, 400), (TEMPERATURE, 100)):
        was, now = frame(identifier), frame(identifier, revision=1)
        assert datasets(revision=1)[identifier].data_processed > datasets()[identifier].data_processed
        changed = ((was != now) & ~(was.isna() & now.isna())).any(axis=1)
        assert 5 <= changed.sum() <= 100
        time = read_contract(identifier).time_column
        last = was[was[read_contract(identifier).measured_column].notna()][time].max()
        assert (pd.to_datetime(was[changed][time]) >= pd.to_datetime(last) - pd.Timedelta(days=oldest)).all()
        assert not datasets(revision=2)[identifier].table.equals(datasets(revision=1)[identifier].table)
    assert datasets(revision=1)[GAS].table.equals(datasets()[GAS].table)
    assert datasets(revision=1)[GAS].data_processed == datasets()[GAS].data_processed


def test_the_real_time_table_starts_where_consolidation_ends() -> None:
    real_time, consolidated = frame(REAL_TIME), frame(CONSOLIDATED)
    assert consolidated["date"].max() == "2026-03-31"
    assert real_time["date"].min() == "2026-04-01"
    assert 125 <= (ANCHOR - real_time["date_heure"].min()).days <= 156
    assert (real_time["date_heure"].diff().dropna() == pd.Timedelta(minutes=15)).all()


def test_future_rows_are_published() -> None:
    rows = frame(REAL_TIME)
    last = measured(REAL_TIME)["date_heure"].max()
    assert timedelta(minutes=30) <= ANCHOR - last.to_pydatetime() <= timedelta(minutes=60)
    future = rows[rows["date_heure"] > last]
    assert future["consommation"].isna().all()
    assert future["gaz"].isna().all()
    today = future[future["date"] == "2026-08-20"]
    assert today["prevision_j"].notna().all()
    on_the_half_hour = today["heure"].str[3:].isin(["00", "30"])
    assert today[on_the_half_hour]["ech_comm_suisse"].notna().all()
    assert today[~on_the_half_hour]["ech_comm_suisse"].isna().all()
    assert sorted(future["date"].unique()) == ["2026-08-20", "2026-08-21", "2026-08-22"]
    empty = future[future["date"] == "2026-08-22"]
    assert len(empty) == 96
    assert empty.drop(columns=["perimetre", "nature", "date", "heure", "date_heure"]).isna().all(axis=None)


def test_numbers_that_are_text_and_no_data() -> None:
    rows = measured(REAL_TIME)
    for column in [*BATTERIES, "eolien_terrestre", "eolien_offshore"]:
        assert kind(datasets()[REAL_TIME].table.schema.field(column).type) == "text"
        assert 0 < (rows[column] == "ND").sum() < len(rows) / 5
        assert rows[column].str.fullmatch(r"ND|-?\d+").all()
        assert frame(REAL_TIME)[column].isna().sum() == len(frame(REAL_TIME)) - len(rows)
    assert not set(BATTERIES) & set(frame(CONSOLIDATED).columns)


def test_commercial_exchanges_stand_at_half_hours_alone_in_a_part() -> None:
    rows = measured(REAL_TIME)
    quarter = rows["heure"].str[3:].isin(["15", "45"])
    for border in BORDERS:
        known = rows[f"ech_comm_{border}"].notna()
        assert known[~quarter].all()
        assert 0.2 < known[quarter].mean() < 0.8


def test_consolidated_rows_are_measured_every_half_hour() -> None:
    rows = frame(CONSOLIDATED)
    on_the_half_hour = rows["heure"].str[3:].isin(["00", "30"])
    assert rows[on_the_half_hour].notna().all(axis=None)
    between = rows[~on_the_half_hour].drop(columns=["perimetre", "nature", "date", "heure", "date_heure"])
    forecasts = [column for column in between.columns if column.startswith("prevision")]
    assert between[forecasts].notna().all(axis=None)
    assert between.drop(columns=forecasts).isna().all(axis=None)


def test_older_figures_are_definitive() -> None:
    rows = frame(CONSOLIDATED)
    ranges = rows.groupby("nature")["date"].agg(["min", "max"])
    assert ranges.loc["Données définitives"].tolist() == ["2023-01-01", "2025-12-31"]
    assert ranges.loc["Données consolidées"].tolist() == ["2026-01-01", "2026-03-31"]
    assert set(frame(REAL_TIME)["nature"]) == {"Données temps réel"}


def test_consolidation_restates_what_real_time_showed() -> None:
    now = frame(CONSOLIDATED, ANCHOR + timedelta(days=45))
    both = measured(REAL_TIME).merge(now, on="date_heure", suffixes=("", "_consolidated"))
    both = both[both["consommation_consolidated"].notna()]
    assert len(both) == (30 + 31) * 48
    error = (both["nucleaire"] - both["nucleaire_consolidated"]).abs()
    assert (error > 0).mean() > 0.9
    assert 100 < error.mean() < 1_000


def test_a_day_has_96_rows_and_march_repeats_instants() -> None:
    rows = frame(CONSOLIDATED)
    assert (rows.groupby("date").size() == 96).all()
    repeated = rows[rows.duplicated("date_heure", keep=False)]
    assert set(repeated["date"]) == {"2023-03-26", "2024-03-31", "2025-03-30", "2026-03-29"}
    assert set(repeated["heure"]) == {
        f"{hour}:{minute}" for hour in ("02", "03") for minute in ("00", "15", "30", "45")
    }
    wall_clock = pd.to_datetime(rows["date"] + " " + rows["heure"])
    exists = rows["date_heure"].dt.tz_convert(PARIS).dt.tz_localize(None) == wall_clock
    assert set(rows[~exists]["heure"]) == {"02:00", "02:15", "02:30", "02:45"}
    assert (~exists).sum() == 16
    on_a_day = repeated[repeated["consommation"].notna()].groupby("date_heure")["consommation"].nunique()
    assert (on_a_day == 2).all()


def test_october_shows_the_repeated_hour_once() -> None:
    day = frame(CONSOLIDATED)[lambda rows: rows["date"] == "2025-10-26"]
    assert len(day) == 96
    gaps = day["date_heure"].diff().dropna()
    assert sorted(gaps.unique()) == [pd.Timedelta(minutes=15), pd.Timedelta(minutes=75)]
    assert (gaps == pd.Timedelta(minutes=75)).sum() == 1
    assert str(day[day["heure"] == "02:00"]["date_heure"].item()) == "2025-10-26 01:00:00+00:00"


def off_balance(rows: Frame) -> Frame:
    batteries = sum(numbers(rows[column]) for column in BATTERIES if column in rows)
    known = rows[list(SOURCES)].sum(axis=1) + rows["pompage"] + rows["ech_physiques"] + batteries
    return (rows["consommation"] - known).abs()


def test_consumption_is_production_pumping_and_exchanges() -> None:
    assert off_balance(measured(CONSOLIDATED)).max() <= 5
    rows = measured(REAL_TIME)
    rows = rows[rows["stockage_batterie"] != "ND"]
    off = off_balance(rows)
    assert (off > 5).mean() < 0.03
    assert 0 < (off > 100).mean() < 0.02
    assert 1_000 < off.max() < 6_000


def test_parts_sum_to_their_source() -> None:
    for identifier in (REAL_TIME, CONSOLIDATED):
        rows = measured(identifier)
        for source, parts in SUB_TECHNOLOGIES.items():
            if parts[0] not in rows:
                continue
            known = rows[~(rows[list(parts)] == "ND").any(axis=1)]
            assert (sum(numbers(known[part]) for part in parts) == known[source]).all()


def test_signs_and_sizes_are_those_of_france() -> None:
    rows = measured(CONSOLIDATED)
    assert (rows[list(SOURCES)] >= 0).all(axis=None)
    assert (rows["pompage"] <= 0).all()
    assert (numbers(measured(REAL_TIME)["stockage_batterie"]) <= 0).all()
    assert (numbers(measured(REAL_TIME)["destockage_batterie"]) >= 0).all()
    year = rows[rows["date"].str.startswith("2024")]
    terawatt_hours = year[["consommation", "nucleaire", "solaire", "eolien", "hydraulique", "gaz"]].sum() * 0.5 / 1e6
    assert terawatt_hours["consommation"] == pytest.approx(450, rel=0.1)
    assert terawatt_hours["nucleaire"] == pytest.approx(340, rel=0.15)
    assert terawatt_hours["solaire"] == pytest.approx(25, rel=0.4)
    assert terawatt_hours["eolien"] == pytest.approx(48, rel=0.3)
    assert terawatt_hours["hydraulique"] == pytest.approx(52, rel=0.3)
    assert terawatt_hours["gaz"] == pytest.approx(20, rel=0.6)
    assert rows["taux_co2"].between(1, 120).all()


def test_consumption_follows_hour_weekday_and_temperature() -> None:
    rows = measured(CONSOLIDATED)
    rows = rows[~rows.duplicated("date_heure", keep=False)]
    hours = rows.groupby(rows["heure"].str[:2])["consommation"].mean()
    assert hours["04"] < hours["10"] < hours["19"]
    weekday = pd.to_datetime(rows["date"]).dt.day_of_week
    assert rows[weekday == 6]["consommation"].mean() < rows[weekday == 2]["consommation"].mean() - 3_000
    assert rows[rows["heure"] == "02:00"]["solaire"].max() == 0
    assert hours.idxmax() in ("12", "13", "19", "20")
    temperature = frame(TEMPERATURE).groupby("date")["tmoy"].mean()
    winter = rows[rows["date"].str[5:7].isin(["12", "01", "02"])]
    days = winter.groupby("date")[["consommation", "gaz"]].mean()
    days["temperature"] = temperature.rename(lambda day: str(day)).reindex(days.index)
    correlation = days.dropna().corr()["temperature"]
    assert correlation["consommation"] < -0.6
    assert correlation["gaz"] < -0.3


def test_gas_goes_in_from_april_and_out_from_november() -> None:
    rows = frame(GAS)
    assert set(rows["pits"]) == {"Centre", "Saline", "Sediane", "Sediane B", "Serene", "Teréga"}
    national = rows.pivot_table(index="date", columns="pits", values="stock_fin_de_journee").dropna().sum(axis=1)
    flow = national.diff().dropna()
    month = pd.to_datetime(flow.index.to_series()).dt.month
    assert (flow[month.between(5, 9)] > 0).mean() > 0.9
    assert (flow[month.isin([12, 1, 2])] < 0).mean() > 0.9
    assert 120_000 < national.max() < 136_000
    assert 5_000 < national.min() < 60_000
    assert (rows["stock_fin_de_journee"] > 0).all()


def test_an_operator_is_late() -> None:
    last = frame(GAS).groupby("source")["date"].max()
    assert last["Storengy"] == date(2026, 8, 18)
    assert last["Teréga"] == date(2026, 7, 31)


def test_temperatures_lack_month_ends_and_change_a_label() -> None:
    rows = frame(TEMPERATURE)
    assert rows["code_insee_region"].nunique() == 13
    assert (rows.groupby("date").size() == 13).all()
    days = pd.date_range(rows["date"].min(), "2026-07-31")
    missing = days.difference(pd.to_datetime(rows["date"].unique()))
    assert len(missing) > 30
    assert missing.is_month_end.all()
    paris = rows[rows["code_insee_region"] == 11].groupby("region")["date"].agg(["min", "max"])
    assert paris.loc["Ile-de-France", "max"] < paris.loc["Île-de-France", "min"]
    assert (rows["tmin"] <= rows["tmoy"]).all()
    assert (rows["tmoy"] <= rows["tmax"]).all()
    assert rows["id"].iloc[0] == "2023-01-01T00:00:00-11"
    assert rows["tmoy"].between(-20, 40).all()


def test_rows_for_measuring() -> None:
    table = datasets(rows=20_000)[REAL_TIME].table
    assert (table.num_rows, table.num_columns) == (20_000, 41)
    assert CONSOLIDATED not in datasets(rows=20_000)
    assert pc.count_distinct(table["date_heure"]).as_py() >= 20_000 - 8
    short = datasets()[REAL_TIME].table
    assert table.slice(20_000 - short.num_rows).equals(pa.table(short))
    assert np.all(np.diff(table["date_heure"].slice(10_000).cast(pa.int64()).to_numpy()) > 0)


def test_an_effect_is_what_its_production_follows_and_the_borders_balance() -> None:
    effect = Effect("nucleaire", slope=-400.0, lag_days=7, seasonal=500.0, level=30_000.0, noise=0.0)
    plain = {made.identifier: made.table.to_pandas() for made in generate(ANCHOR, years=1)}
    given = {made.identifier: made.table.to_pandas() for made in generate(ANCHOR, years=1, effects=[effect])}
    assert given[GAS].equals(plain[GAS])
    assert given[TEMPERATURE].equals(plain[TEMPERATURE])
    rows = given[CONSOLIDATED][given[CONSOLIDATED]["consommation"].notna()]
    assert np.array_equal(rows["consommation"], plain[CONSOLIDATED].loc[rows.index, "consommation"])
    parts = rows[[*SOURCES, "pompage", "ech_physiques"]].sum(axis=1)
    assert (rows["consommation"] - parts).abs().max() <= 3
    # Weighed by millions of inhabitants, as the generator does.
    people = {code: millions for code, _, millions, _, _ in REGIONS}
    regions = given[TEMPERATURE].assign(people=lambda made: made["code_insee_region"].map(people))
    regions["weighed"] = regions["tmoy"] * regions["people"] / sum(people.values())
    temperature = regions.groupby("date")["weighed"].sum()
    temperature.index = pd.DatetimeIndex(temperature.index) + pd.Timedelta(days=effect.lag_days)
    power = rows.groupby(pd.DatetimeIndex(rows["date"]))["nucleaire"].mean()
    season = np.cos(2 * np.pi * ((power.index - pd.Timestamp("1970-01-01")).days - 17) / 365.2425)
    both = pd.DataFrame({"power": power - effect.seasonal * season, "temperature": temperature}).dropna()
    assert len(both) > 300
    assert np.polyfit(both["temperature"], both["power"], 1) == pytest.approx([effect.slope, effect.level], rel=0.002)


@pytest.mark.parametrize(
    ("text", "effect"),
    [
        ("nucleaire", Effect("nucleaire")),
        ("charbon:slope=-2.5,lag_days=30", Effect("charbon", slope=-2.5, lag_days=30)),
    ],
)
def test_an_effect_can_be_written_in_one_word(text: str, effect: Effect) -> None:
    assert Effect.parse(text) == effect


@pytest.mark.parametrize("text", ["nucleaire:height=2", "nucleaire:slope=much", "nucleaire:lag_days=1.5"])
def test_what_is_no_effect_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"height|much|1\.5"):
        Effect.parse(text)


@pytest.mark.parametrize(
    ("effect", "message"),
    [
        (Effect("consommation"), "no production"),
        (Effect("gaz"), "no production"),
        (Effect("charbon", level=100.0, noise=300.0), "negative"),
    ],
)
def test_an_effect_is_on_a_production_and_leaves_it_one(effect: Effect, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generate(ANCHOR, years=1, effects=[effect])
