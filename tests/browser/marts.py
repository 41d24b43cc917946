"""Marts of the dashboard's tests: small tables by simple rules, asked as the warehouse is."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pyarrow as pa
from google.cloud import bigquery

from energy_dashboard.marts import Marts, MartsAbsent, WarehouseSilent
from energy_dashboard.payload import BORDERS, NOTHING_DUE
from energy_dashboard.queries import SOURCES, Query
from odre.paris import PARIS

FIRST_DAY: Final = date(2022, 1, 1)
LAST_DAY: Final = date(2026, 3, 20)
#: Measured until noon.
INCOMPLETE: Final = date(2026, 3, 10)
#: Not measured at all.
ABSENT: Final = date(2026, 3, 12)
#: Measured, but for wind from 06:00 to 12:00.
WITHOUT_WIND: Final = date(2024, 6, 12)
#: Gas and temperature are published later.
LAST_GAS: Final = date(2026, 3, 15)
LAST_TEMPERATURE: Final = date(2026, 3, 14)
#: Operators of storage that were late.
NO_GAS: Final = date(2026, 3, 5)

#: Mean power of each source, MW.
LEVELS: Final = {
    "nuclear": 42_000,
    "hydro": 7_000,
    "wind": 5_000,
    "solar": 2_000,
    "bioenergy": 1_000,
    "gas": 3_000,
    "coal": 100,
    "oil": 200,
}
CO2: Final = 30.0
TEXT: Final = "<b>&amp;\"'</b></script><script>window.broken = true</script>"

#: What the line of consumption against cold says.
MW_PER_C: Final = 2_400.0
BASE_MW: Final = 45_000.0


def power(source: str, moment: date) -> float:
    """Mean power of a source on a day, MW: another one each day of the week, and each year."""
    return LEVELS[source] * (1 + 0.05 * moment.weekday() + 0.01 * (moment.year - 2022))


def temperature(day: date) -> float:
    """Mean temperature of a day, °C: coldest in the middle of January."""
    return 12 - 14 * math.cos((day.timetuple().tm_yday - 15) / 365 * 2 * math.pi) + day.day % 3


def consumption(day: date) -> float:
    """Mean power consumed on a day, MW: on the line in 2025, and beside it in other years."""
    return (BASE_MW + MW_PER_C * max(18 - temperature(day), 0)) * (1 + 0.02 * (day.year - 2025))


def stock(day: date) -> float:
    """Gas in storage on a day, GWh: fullest at the end of October."""
    return 80_000 + 45_000 * math.cos((day.timetuple().tm_yday - 304) / 365 * 2 * math.pi)


def climate(day: date) -> dict[str, Any]:
    """A row of ``energy_climate_daily``, with its measured hours."""
    # The day on which the clocks go back has an hour that the source leaves out.
    hours = _hours(day)
    measured = 0.0 if day == ABSENT else 12.0 if day == INCOMPLETE else min(hours, 24.0)
    row: dict[str, Any] = {
        "day": day,
        "measured_hours": measured or None,
        "electricity_is_complete": measured == hours and day != WITHOUT_WIND,
    }
    there = measured > 0
    cold = temperature(day) if day <= LAST_TEMPERATURE else None
    for source in SOURCES:
        known = there and (day, source) != (WITHOUT_WIND, "wind")
        row[f"{source}_mwh"] = power(source, day) * measured if known else None
    row["consumption_mwh"] = consumption(day) * measured if there else None
    for number, border in enumerate(BORDERS, 1):
        # England sends more than it takes; the first three take something on some days.
        row[f"import_{border}_mwh"] = 100.0 * number * measured if there else None
        row[f"export_{border}_mwh"] = (600.0 - 100 * number) * measured * (day.day % 2) if there else None
    imports = [row[f"import_{border}_mwh"] for border in BORDERS]
    exports = [row[f"export_{border}_mwh"] for border in BORDERS]
    row["commercial_import_mwh"] = sum(imports) if there else None
    row["commercial_export_mwh"] = sum(exports) if there else None
    row["physical_exchange_mwh"] = -2_000.0 * measured if there else None
    row["co2_g_per_kwh"] = CO2 if there else None
    row["top_source"] = "nuclear" if there else None
    row["top_export_destination"] = "england" if there and day.day % 2 else None
    gas = stock(day) if day <= LAST_GAS and day != NO_GAS else None
    row["gas_stock_gwh"] = gas
    row["gas_fullness_pct"] = None if gas is None else gas / 1_300
    row["temperature_mean_c"] = cold
    row["heating_degree_days"] = None if cold is None else max(18 - cold, 0)
    row["temperature_category"] = None if cold is None else "cold" if cold <= 10 else "hot" if cold > 25 else "average"
    row["is_complete"] = bool(row["electricity_is_complete"] and gas is not None and cold is not None)
    return row


def _hours(day: date) -> float:
    begins, ends = (datetime.combine(moment, datetime.min.time(), PARIS) for moment in (day, day + timedelta(days=1)))
    return (ends.astimezone(UTC) - begins.astimezone(UTC)) / timedelta(hours=1)


def hours(first_day: date, last_day: date) -> list[dict[str, Any]]:
    """The hours of a period as the steps sum them: those that were measured."""
    rows = []
    instant = datetime.combine(first_day, datetime.min.time(), PARIS).astimezone(UTC)
    while (local := instant.astimezone(PARIS)).date() <= last_day:
        if local.date() != ABSENT and not (local.date() == INCOMPLETE and local.hour >= 12):
            mwh: dict[str, float | None] = {f"{source}_mwh": power(source, local.date()) for source in SOURCES}
            if local.date() == WITHOUT_WIND and 6 <= local.hour < 12:
                mwh["wind_mwh"] = None
            other = {"consumption_mwh": 60_000.0, "pumping_mwh": -100.0, "physical_exchange_mwh": -2_000.0}
            rows.append({"instant": instant, "measured_minutes": 60, **mwh, **other})
        instant += timedelta(hours=1)
    return rows


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows)


DAYS: Final = _table([climate(FIRST_DAY + timedelta(days=n)) for n in range((LAST_DAY - FIRST_DAY).days + 1)])

SEASONS: Final[list[dict[str, Any]]] = [
    {
        "season": season,
        "source": source,
        "years": 3,
        "first_year": 2023,
        "last_year": 2025,
        **{f"energy_{what}_mwh": 1e6 for what in ("mean", "stddev", "min", "max")},
        "share_mean_pct": share,
        "share_stddev_pct": 0.5,
        "share_min_pct": share - 0.5,
        "share_max_pct": share + 0.5,
    }
    for season, nuclear in {"winter": 64.0, "spring": 68.0, "summer": 71.0, "autumn": 66.0}.items()
    for source, share in {"nuclear": nuclear, "hydro": 90 - nuclear, "gas": 7.0, "solar": 3.0}.items()
]

FULLNESS: Final[list[dict[str, Any]]] = [
    {
        "method": method,
        "group_type": kind,
        "group_number": number,
        "border": border,
        "n": 100,
        "fullness_low_pct": 10.0 * number - offset,
        "fullness_high_pct": 10.0 * number + 9 - offset,
        "import_mwh": 20_000.0 * number - 1000 * offset,
        "export_mwh": 200_000.0 - 10_000 * number - 6000 * offset,
        "volume_mwh": 200_000.0 + 10_000 * number - 7000 * offset,
        "balance_mwh": -200_000.0 + 30_000 * number + 5000 * offset,
    }
    for method, offset in {"raw": 0, "deseasonalised": 30}.items()
    for kind, groups in {"tercile": 3, "decile": 10}.items()
    for number in range(1, groups + 1)
    for border in ("all", *BORDERS)
]

RELATIONSHIPS: Final[list[dict[str, Any]]] = [
    {
        "question": question,
        "x": "temperature_mean_c" if question < 4 else "gas_fullness_pct",
        "y": y,
        "method": "deseasonalised",
        "n": 1500,
        "n_effective": 200.0,
        "r": r,
        "r_low": r - 0.1,
        "r_high": r + 0.1,
        "slope": 1.0,
        "slope_unit": "MWh/°C",
        "direction": "none",
    }
    for question, y, r in (
        (2, "gas_stock_gwh", 0.05),
        (2, "gas_flow_gwh", 0.30),
        (3, "consumption_mwh", -0.70),
        (3, "gas_mwh", -0.50),
        (3, "wind_mwh", 0.02),
        (4, "nuclear_mwh", -0.20),
        (6, "commercial_volume_mwh", -0.04),
        (6, "import_spain_mwh", 0.20),
    )
]

ANSWERS: Final[list[dict[str, Any]]] = [
    {
        "question": number,
        "period_start": FIRST_DAY,
        "period_end": LAST_GAS,
        **{
            f"{part}_{language}": f"{part} {number} {language}" + (f" {TEXT}" if number == 1 else "")
            for part in ("question", "answer", "figures", "caveat")
            for language in ("en", "fr")
        },
    }
    for number in range(1, 7)
]


LINES: Final[list[dict[str, Any]]] = [
    {
        "winter": winter,
        "n": 151,
        "n_effective": 80.0,
        "mw_per_c": MW_PER_C,
        "mw_per_c_low": MW_PER_C - 100,
        "mw_per_c_high": MW_PER_C + 100,
        "base_mw": BASE_MW,
        "r2": 0.9,
    }
    for winter in ("2024-2025", "2025-2026", "all")
]

STATISTICS: Final = {
    "thermosensitivity": LINES,
    "seasons": SEASONS,
    "fullness": FULLNESS,
    "relationships": RELATIONSHIPS,
    "answers": ANSWERS,
}


def _nobody() -> bigquery.Client:
    raise AssertionError("no test asks a warehouse")


class MartsOfTests(Marts):
    """Answers the dashboard's queries by name; ``silent``, ``absent``, ``empty`` and ``loaded_at`` are set by tests."""

    def __init__(self) -> None:
        super().__init__(_nobody, max_bytes=0, dataset="energy")
        self.loaded_at: dict[str, datetime] = {}
        self.silent = self.absent = self.empty = False
        self.due = NOTHING_DUE

    def read(self, queries: Mapping[str, Query]) -> dict[str, pa.Table]:
        """The rows of each query."""
        if self.silent:
            raise WarehouseSilent("a test")
        if self.absent:
            raise MartsAbsent("a test")
        return {name: self._table(name, query.parameters) for name, query in queries.items()}

    def _table(self, name: str, parameters: Mapping[str, Any]) -> pa.Table:
        if name == "days":
            spans = [("previous_first_day", "previous_last_day"), ("first_day", "last_day")]
            wanted = [
                row
                for row in ([] if self.empty else DAYS.to_pylist())
                if any(parameters[first] <= row["day"] <= parameters[last] for first, last in spans)
            ]
            return pa.Table.from_pylist(wanted, DAYS.schema)
        if name == "hours":
            return pa.Table.from_pylist(hours(parameters["first_day"], parameters["last_day"]))
        if name == "state":
            return _table(
                [
                    {
                        "dataset": dataset,
                        "measured_until": datetime.combine(until, datetime.min.time(), UTC),
                        "published_at": None,
                        "loaded_at": self.loaded_at.get(dataset, datetime.now(UTC) - timedelta(minutes=5)),
                        "built_at": datetime(2026, 3, 21, tzinfo=UTC),
                    }
                    for dataset, until in {
                        "eco2mix-national-tr": LAST_DAY,
                        "eco2mix-national-cons-def": date(2026, 1, 31),
                        "stock-quotidien-stockages-gaz": LAST_GAS,
                        "temperature-quotidienne-regionale": LAST_TEMPERATURE,
                    }.items()
                ]
            )
        if name == "due":
            return self.due
        if name == "available":
            first, last = (None, None) if self.empty else (FIRST_DAY, LAST_DAY)
            return _table(
                [
                    {
                        "first_day": first,
                        "last_day": last,
                        "last_complete_day": last,
                        "heating_base_c": 18.0,
                    }
                ]
            )
        assert name == "statistics"
        return _table(
            [
                {"part": part, "row_json": json.dumps(row, default=str)}
                for part, rows in STATISTICS.items()
                for row in rows
            ]
        )
