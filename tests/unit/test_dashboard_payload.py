"""What is made of the marts' rows for the dashboard, with values worked out by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pyarrow as pa
import pytest

from energy_dashboard.payload import BORDERS, Warehouse, payload
from energy_dashboard.periods import Period, parse_period
from energy_dashboard.queries import SOURCES, STATISTICS
from odre.settings import Settings

NOW: Final = datetime(2026, 11, 24, 10, 30, 15, 999, tzinfo=UTC)

_FLOATS: Final = (
    "consumption_mwh",
    *(f"{source}_mwh" for source in SOURCES),
    "pumping_mwh",
    "physical_exchange_mwh",
    *(f"{direction}_{border}_mwh" for direction in ("import", "export") for border in BORDERS),
    "co2_g_per_kwh",
    "gas_stock_gwh",
    "gas_fullness_pct",
    "temperature_mean_c",
    "heating_degree_days",
    "measured_hours",
)
_TEXTS: Final = ("temperature_category", "top_source", "top_export_destination")
_FLAGS: Final = ("electricity_is_complete", "is_complete")
DAYS: Final = pa.schema(
    [("day", pa.date32())]
    + [(name, pa.float64()) for name in _FLOATS]
    + [(name, pa.string()) for name in _TEXTS]
    + [(name, pa.bool_()) for name in _FLAGS]
)

STATE: Final = pa.schema(
    [
        ("dataset", pa.string()),
        ("measured_until", pa.timestamp("us", tz="UTC")),
        ("published_at", pa.timestamp("us", tz="UTC")),
        ("loaded_at", pa.timestamp("us", tz="UTC")),
        ("built_at", pa.timestamp("us", tz="UTC")),
    ]
)


def day_row(day: date, **values: Any) -> dict[str, Any]:
    """A complete day: nuclear alone, and nothing exchanged at any border."""
    return {
        "day": day,
        **{f"{source}_mwh": 0.0 for source in SOURCES},
        **{f"{direction}_{border}_mwh": 0.0 for direction in ("import", "export") for border in BORDERS},
        "consumption_mwh": 240.0,
        "nuclear_mwh": 100.0,
        "physical_exchange_mwh": -10.0,
        "co2_g_per_kwh": 20.0,
        "electricity_is_complete": True,
        "is_complete": False,
        "measured_hours": 24.0,
        **values,
    }


def days(*rows: Mapping[str, Any]) -> pa.Table:
    return pa.Table.from_pylist([dict(row) for row in rows], DAYS)


def warehouse(statistics: Mapping[str, list[dict[str, Any]]] | None = None, **available: Any) -> Warehouse:
    """What is of all data: rows of some statistics, whose other columns are null, and what is available."""
    bounds = {"first_day": None, "last_day": None, "last_complete_day": None, "heating_base_c": None, **available}
    loaded = {
        "dataset": "power",
        "measured_until": datetime(2026, 11, 24, 9, 45, tzinfo=UTC),
        "published_at": None,
        "loaded_at": datetime(2026, 11, 24, 10, 20, 1, 5, tzinfo=UTC),
        "built_at": datetime(2026, 11, 24, 10, 25, tzinfo=UTC),
    }
    texts = [
        {"part": part, "row_json": json.dumps({**dict.fromkeys(STATISTICS[part].columns), **row})}
        for part, rows in (statistics or {}).items()
        for row in rows
    ]
    schema = pa.schema([("part", pa.string()), ("row_json", pa.string())])
    return Warehouse(
        pa.Table.from_pylist([loaded], STATE),
        {
            "available": pa.Table.from_pylist([bounds]),
            "statistics": pa.Table.from_pylist(texts, schema),
        },
    )


def shown(text: str, *rows: Mapping[str, Any], **parts: Any) -> dict[str, Any]:
    period = parse_period(text)
    assert isinstance(period, Period)
    hours = {"hours": parts["hours"]} if "hours" in parts else {}
    made = payload(
        period,
        parts.get("warehouse") or warehouse(),
        {"days": days(*rows), **hours},
        stale_after_hours={"power": 6, "gas": 168},
        sample=False,
        now=NOW,
    )
    # It must be JSON as it stands, in which there is no NaN.
    result: dict[str, Any] = json.loads(json.dumps(made, allow_nan=False))
    return result


def test_every_day_has_a_place_and_what_was_not_measured_is_null() -> None:
    first, last = date(2026, 3, 28), date(2026, 3, 30)
    got = shown("2026-03-28_2026-03-30", day_row(first), day_row(last, nuclear_mwh=None, consumption_mwh=None))
    daily = got["daily"]
    assert daily["day"] == ["2026-03-28", "2026-03-29", "2026-03-30"]
    assert daily["expected_hours"] == [24, 23, 24]
    assert daily["measured_hours"] == [24.0, 0.0, 24.0]
    assert daily["electricity_is_complete"] == [True, False, True]
    assert daily["consumption_mwh"] == [240.0, None, None]
    assert daily["production_mwh"] == [100.0, None, None]
    assert daily["wind_mwh"] == [0.0, None, 0.0]
    assert {len(column) for column in daily.values()} == {3}


def test_mean_power_is_over_the_hours_of_the_day_and_of_whole_days_alone() -> None:
    autumn = shown("2026-10-25", day_row(date(2026, 10, 25), consumption_mwh=250.0))["daily"]
    assert (autumn["expected_hours"], autumn["consumption_mean_mw"]) == ([25], [10.0])
    part = shown("2026-10-25", day_row(date(2026, 10, 25), electricity_is_complete=False))["daily"]
    assert part["consumption_mean_mw"] == [None]


def test_header_sums_all_that_was_measured_and_compares_what_is_whole_in_both_years() -> None:
    header = shown(
        "2026-01-01_2026-01-04",
        # The year before: the second day is not whole, the fourth is absent.
        day_row(date(2025, 1, 1), consumption_mwh=200.0),
        day_row(date(2025, 1, 2), consumption_mwh=999.0, electricity_is_complete=False),
        day_row(date(2025, 1, 3), consumption_mwh=100.0),
        day_row(date(2026, 1, 1), consumption_mwh=300.0),
        day_row(date(2026, 1, 2), consumption_mwh=50.0),
        day_row(date(2026, 1, 3), consumption_mwh=30.0, physical_exchange_mwh=5.25),
        day_row(date(2026, 1, 4), consumption_mwh=7.25, electricity_is_complete=False),
    )["header"]
    assert header["consumption_mwh"] == {
        "value": 387.25,
        "days": 4,
        "change": {"value": 330.0, "previous": 300.0, "difference": 30.0, "difference_pct": 10.0, "days": 2},
    }
    assert header["physical_exchange_mwh"]["value"] == -24.75
    assert header["physical_exchange_mwh"]["change"] == {
        "value": -4.75,
        "previous": -20.0,
        "difference": 15.25,
        "difference_pct": None,
        "days": 2,
    }


def test_mean_co2_is_weighted_by_production() -> None:
    header = shown(
        "2026-01-01_2026-01-03",
        day_row(date(2026, 1, 1), nuclear_mwh=300.0, co2_g_per_kwh=10.0),
        day_row(date(2026, 1, 2), nuclear_mwh=60.0, gas_mwh=40.0, co2_g_per_kwh=50.0),
        day_row(date(2026, 1, 3), nuclear_mwh=1e9, co2_g_per_kwh=None),
    )["header"]
    assert (header["co2_g_per_kwh"]["value"], header["co2_g_per_kwh"]["days"]) == (20.0, 2)
    assert header["co2_g_per_kwh"]["change"] is None
    assert header["production_mwh"]["value"] == 1_000_000_400.0


def test_temperature_is_a_mean_and_fullness_the_last_one() -> None:
    cold, mild = date(2026, 1, 1), date(2026, 1, 2)
    header = shown(
        "2026-01-01_2026-01-03",
        {"day": cold.replace(year=2025), "temperature_mean_c": 1.0, "gas_fullness_pct": 50.0},
        {"day": mild.replace(year=2025), "temperature_mean_c": 2.0, "gas_fullness_pct": 60.0},
        {"day": cold, "temperature_mean_c": 4.0, "gas_fullness_pct": 80.0},
        {"day": mild, "temperature_mean_c": None, "gas_fullness_pct": 75.5},
        {"day": date(2026, 1, 3), "temperature_mean_c": 8.0},
    )["header"]
    assert (header["temperature_mean_c"]["value"], header["temperature_mean_c"]["days"]) == (6.0, 2)
    assert header["temperature_mean_c"]["change"]["difference"] == 3.0
    assert header["gas_fullness_pct"] == {
        "value": 75.5,
        "days": 1,
        "change": {"value": 75.5, "previous": 60.0, "difference": 15.5, "difference_pct": None, "days": 1},
    }


def test_a_29_february_is_compared_with_nothing() -> None:
    header = shown("2024-02-29", day_row(date(2023, 2, 28)), day_row(date(2024, 2, 29)))["header"]
    assert header["consumption_mwh"] == {"value": 240.0, "days": 1, "change": None}


def test_totals_are_ranked_and_shares_are_of_production() -> None:
    """Of the days of which all sources are known: what happens to be there on another would be too large a part."""
    got = shown(
        "2026-01-01_2026-01-03",
        day_row(date(2026, 1, 1), nuclear_mwh=50.0, wind_mwh=20.0, gas_mwh=20.0),
        day_row(date(2026, 1, 2), nuclear_mwh=10.0, hydro_mwh=100.0),
        day_row(date(2026, 1, 3), nuclear_mwh=None, wind_mwh=1000.0),
    )
    assert got["totals"]["source"][:4] == ["hydro", "nuclear", "gas", "wind"]
    assert got["totals"]["energy_mwh"] == [100.0, 60.0, 20.0, 20.0, 0.0, 0.0, 0.0, 0.0]
    assert got["totals"]["share_pct"] == [50.0, 30.0, 10.0, 10.0, 0.0, 0.0, 0.0, 0.0]
    assert got["shares"] == {
        "production_mwh": 200.0,
        "top_source": "hydro",
        "low_carbon_pct": 90.0,
        "renewable_pct": 60.0,
    }
    assert (got["header"]["production_mwh"]["value"], got["header"]["production_mwh"]["days"]) == (200.0, 2)


def test_exchanges_are_summed_apart_by_border() -> None:
    """Of the days of which all borders are known."""
    got = shown(
        "2026-01-01_2026-01-03",
        day_row(
            date(2026, 1, 1),
            import_italy_mwh=1.0,
            export_italy_mwh=30.0,
            export_spain_mwh=10.0,
            top_export_destination="italy",
        ),
        day_row(date(2026, 1, 2), import_italy_mwh=2.5, top_export_destination=None),
        day_row(date(2026, 1, 3), import_italy_mwh=1000.0, import_spain_mwh=None, export_spain_mwh=None),
    )["exchanges"]
    of = {border: {name: column[n] for name, column in got.items()} for n, border in enumerate(got["border"])}
    assert of["italy"] == {
        "border": "italy",
        "import_mwh": 3.5,
        "export_mwh": 30.0,
        "balance_mwh": -26.5,
        "export_share_pct": 75.0,
        "top_days": 1,
    }
    assert (of["spain"]["import_mwh"], of["spain"]["balance_mwh"], of["spain"]["export_share_pct"]) == (0, -10, 25)
    assert (of["england"]["export_share_pct"], of["england"]["top_days"]) == (0, 0)
    unknown = shown("2026-01-01", day_row(date(2026, 1, 1), import_spain_mwh=None))["exchanges"]
    assert unknown["import_mwh"] == unknown["balance_mwh"] == unknown["export_share_pct"] == [None] * 5


def test_coverage_counts_the_days_of_each_part() -> None:
    whole = {"gas_stock_gwh": 1.0, "temperature_mean_c": 1.0}
    first, second = date(2026, 1, 1), date(2026, 1, 2)
    got = shown("2026-01-01_2026-01-02", day_row(first, **whole), day_row(second, **whole))["coverage"]
    assert (got["days"], got["state"]) == (2, "complete")
    got = shown("2026-01-01_2026-01-02", day_row(first), day_row(second, electricity_is_complete=False))["coverage"]
    assert got == {
        "days": 2,
        "electricity_days": 2,
        "electricity_complete_days": 1,
        "gas_days": 0,
        "temperature_days": 0,
        "state": "partial",
    }


def test_a_period_without_data_is_empty_and_nothing_in_it_is_zero() -> None:
    got = shown("2030")
    assert got["coverage"]["state"] == "empty"
    assert {value for column in got["daily"].values() for value in column if not isinstance(value, str)} == {
        None,
        False,  # and the hours that were measured: 0
        23,
        24,
        25,
    }
    assert {figure["value"] for figure in got["header"].values()} == {None}
    assert set(got["totals"]["energy_mwh"]) == {None}
    assert got["shares"] == {"production_mwh": None, "top_source": None, "low_carbon_pct": None, "renewable_pct": None}
    assert set(got["exchanges"]["export_mwh"]) == {None}
    assert got["temperature_categories"]["days"] == [0, 0, 0]


def test_hours_of_a_short_period_stand_in_their_places() -> None:
    # Paris's day of the autumn change begins at 22:00 UTC, and has 25 hours; the source leaves one of them out.
    start = datetime(2026, 10, 24, 22, tzinfo=UTC)
    there = [start + timedelta(hours=n) for n in range(25) if n != 2]
    measured = [60] * 22 + [45, 0]
    hours = pa.table(
        {
            "instant": pa.array(there, pa.timestamp("us", tz="UTC")),
            "measured_minutes": pa.array(measured, pa.int64()),
            "nuclear_mwh": pa.array([1.0] * 24, pa.float64()),
        }
    )
    got = shown("2026-10-25", day_row(date(2026, 10, 25)), hours=hours)["hourly"]
    assert len(got["instant"]) == 25
    assert (got["instant"][0], got["instant"][-1]) == ("2026-10-24T22:00:00Z", "2026-10-25T22:00:00Z")
    assert got["measured_minutes"] == [60, 60, 0, *[60] * 20, 45, 0]
    assert got["nuclear_mwh"] == [1.0, 1.0, None, *[1.0] * 22]
    assert shown("2026-10-25", day_row(date(2026, 10, 25)))["hourly"] is None


def test_campaigns_are_cut_to_the_period() -> None:
    got = shown("2024-03-31_2025-04-01")["campaigns"]
    assert list(zip(got["campaign"], got["kind"], got["start"], got["end"], strict=True)) == [
        ("2023-withdrawal", "withdrawal", "2024-03-31", "2024-03-31"),
        ("2024-injection", "injection", "2024-04-01", "2024-10-31"),
        ("2024-withdrawal", "withdrawal", "2024-11-01", "2025-03-31"),
        ("2025-injection", "injection", "2025-04-01", "2025-04-01"),
    ]


def test_freshness_has_each_dataset_that_is_held_to_one() -> None:
    got = shown("2026-01-01")
    assert got["freshness"] == {
        "dataset": ["power", "gas"],
        "measured_until": ["2026-11-24T09:45:00Z", None],
        "published_at": [None, None],
        "loaded_at": ["2026-11-24T10:20:01Z", None],
        "stale_after_hours": [6, 168],
    }
    assert (got["built_at"], got["generated_at"]) == ("2026-11-24T10:25:00Z", "2026-11-24T10:30:15Z")


def test_when_successes_are_due_is_shown_as_it_is_noted() -> None:
    known = warehouse()
    row = {"name": "d", "succeeded_at": datetime(2026, 1, 1, 6, tzinfo=UTC), "expected_by": None}
    due = pa.Table.from_pylist([row], known.due.schema)
    got = shown("2026-01-01", warehouse=Warehouse(known.state, known.lasting, due))
    assert got["due"] == {"name": ["d"], "succeeded_at": ["2026-01-01T06:00:00Z"], "expected_by": [None]}
    assert shown("2026-01-01")["due"]["name"] == []


def test_before_anything_was_loaded_nothing_is_fresh() -> None:
    known = warehouse()
    got = shown("2026-01-01", warehouse=Warehouse(known.state.slice(0, 0), known.lasting))
    assert got["built_at"] is None
    assert got["freshness"]["loaded_at"] == [None, None]


def test_answers_have_both_languages_and_the_method_behind_them() -> None:
    row = {
        "question": 6,
        "period_start": "2023-01-01",
        **{
            f"{name}_{language}": None if name == "figures" else f"{name} {language}"
            for name in ("question", "answer", "figures", "caveat")
            for language in ("en", "fr")
        },
    }
    (answer,) = shown("2026-01-01", warehouse=warehouse({"answers": [row]}))["answers"]
    assert answer == {
        "question": 6,
        "method": "exchanges-by-fullness",
        "period_start": "2023-01-01",
        "period_end": None,
        "en": {"question": "question en", "answer": "answer en", "figures": None, "caveat": "caveat en"},
        "fr": {"question": "question fr", "answer": "answer fr", "figures": None, "caveat": "caveat fr"},
    }


def test_what_is_available_is_told_beside_the_base_of_degree_days() -> None:
    known = warehouse(first_day=date(2012, 1, 1), last_day=date(2026, 11, 24), heating_base_c=18.000000001)
    got = shown("2026-01-01", warehouse=known)
    assert got["available"] == {"first_day": "2012-01-01", "last_day": "2026-11-24", "last_complete_day": None}
    assert got["heating_base_c"] == 18.0


@pytest.mark.parametrize("nothing", ["NaN", math.nan])
def test_a_statistic_that_is_no_number_is_null(nothing: object) -> None:
    """As BigQuery writes it into JSON, and as others do."""
    fits = [{"winter": "all", "r2": 0.123456789}, {"winter": "2022-2023", "r2": nothing, "n": 87}]
    got = shown("2026-01-01", warehouse=warehouse({"thermosensitivity": fits}))["thermosensitivity"]
    assert (got["winter"], got["r2"], got["n"]) == (["2022-2023", "all"], [None, 0.123457], [87, None])


def test_statistics_without_rows_have_their_columns() -> None:
    got = shown("2026-01-01")
    assert got["answers"] == []
    for part in STATISTICS.keys() - {"answers"}:
        assert got[part] == {column: [] for column in STATISTICS[part].columns}


@pytest.mark.parametrize("text", ["2026-01-01", "2026"])
def test_queries_name_marts_and_ledger_alone_and_hold_no_value(text: str) -> None:
    from energy_dashboard.queries import due_query, lasting_queries, period_queries, state_query

    period = parse_period(text)
    assert isinstance(period, Period)
    settings = Settings.from_environment({"DATASET_PREFIX": "me_"})
    queries = {
        "state": state_query(settings),
        "due": due_query(settings),
        **lasting_queries(settings),
        **period_queries(settings, period),
    }
    for name, query in queries.items():
        tables = [part for n, part in enumerate(query.sql.split("`")) if n % 2]
        dataset = "odre-local.me_energy_ops." if name in ("state", "due") else "odre-local.me_energy."
        assert tables, name
        assert all(table.startswith(dataset) for table in tables), name
        assert "2026" not in query.sql
