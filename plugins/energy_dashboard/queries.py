"""What the dashboard asks the warehouse: figures of marts, freshness of the ledger; what varies goes as parameters.

Pure: no Airflow import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Final

from energy_dashboard.periods import Period
from odre.paris import PARIS
from odre.settings import Settings

SOURCES: Final = ("nuclear", "wind", "solar", "hydro", "gas", "coal", "oil", "bioenergy")

#: The longest period that is also shown by the hour, days.
HOURLY_UP_TO: Final = 7

#: Figures of the steps that are summed by the hour, MW there and MWh in the sum.
_BY_HOUR: Final = ("consumption", *SOURCES, "pumping", "physical_exchange")


@dataclass(frozen=True)
class Query:
    """One query; the values of its named parameters decide their types."""

    sql: str
    parameters: Mapping[str, str | date | datetime] = field(default_factory=dict)


def state_query(settings: Settings) -> Query:
    """A row a dataset with what the ledger says of it, and in each the end of the last build, null without one.

    Columns ``dataset, measured_until, published_at, loaded_at, built_at``.
    """
    ops = f"{settings.project}.{settings.ops_dataset}"
    return Query(f"""\
SELECT
  dataset,
  MAX(high_water) AS measured_until,
  MAX(source_mark) AS published_at,
  MAX(loaded_at) AS loaded_at,
  (SELECT MAX(finished_at) FROM `{ops}.builds`) AS built_at
FROM `{ops}.loads`
GROUP BY dataset
ORDER BY dataset
""")


def due_query(settings: Settings) -> Query:
    """A row a DAG, or a dataset that was never loaded: ``name, succeeded_at, expected_by`` of the next success."""
    return Query(f"""\
SELECT name, succeeded_at, expected_by
FROM `{settings.project}.{settings.ops_dataset}.due_runs`
ORDER BY name
""")


@dataclass(frozen=True)
class Part:
    """A part of the answer that is of all data and not of a period: the rows of a mart, the greater to come later."""

    mart: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    where: str = "TRUE"


_SEASON: Final = tuple(f"{name}_{of}" for name in ("energy", "share") for of in ("mean", "stddev", "min", "max"))

#: By name in the answer.
STATISTICS: Final[Mapping[str, Part]] = {
    "thermosensitivity": Part(
        "thermosensitivity",
        ("winter", "n", "n_effective", "mw_per_c", "mw_per_c_low", "mw_per_c_high", "base_mw", "r2"),
        ("winter",),
        "y = 'consumption_mwh'",
    ),
    "seasons": Part(
        "energy_mix_season",
        (
            *("season", "source", "years", "first_year", "last_year"),
            *(f"{name}_{'mwh' if name.startswith('energy') else 'pct'}" for name in _SEASON),
        ),
        ("season", "source"),
    ),
    "fullness": Part(
        "exchanges_by_fullness",
        (
            *("method", "group_type", "group_number", "border", "n", "fullness_low_pct", "fullness_high_pct"),
            *("import_mwh", "export_mwh", "volume_mwh", "balance_mwh"),
        ),
        ("method", "group_type", "group_number", "border"),
    ),
    "relationships": Part(
        "relationships",
        (
            *("question", "x", "y", "method", "n", "n_effective"),
            *("r", "r_low", "r_high", "slope", "slope_unit", "direction"),
        ),
        ("question", "x", "y", "method"),
        "period = 'all' AND season_filter = 'all' AND method IN ('raw', 'deseasonalised')",
    ),
    "answers": Part(
        "answers",
        (
            *("question", "period_start", "period_end"),
            *(
                f"{name}_{language}"
                for name in ("question", "answer", "figures", "caveat")
                for language in ("en", "fr")
            ),
        ),
        ("question",),
    ),
}


def lasting_queries(settings: Settings) -> dict[str, Query]:
    """What is of all data and not of a period: ``available``, and all of :data:`STATISTICS` as ``statistics``.

    The latter are one query, whose rows are texts in JSON: the emulator takes longer for a query than for its rows.
    Columns ``part, row_json``.
    """
    marts = f"{settings.project}.{settings.marts_dataset}"
    rows = [
        f"""\
SELECT '{name}' AS part, TO_JSON_STRING(statistics) AS row_json
FROM (SELECT {", ".join(part.columns)} FROM `{marts}.{part.mart}` WHERE {part.where}) AS statistics
"""
        for name, part in STATISTICS.items()
    ]
    return {
        "available": Query(f"""\
SELECT
  MIN(IF(consumption_mwh IS NOT NULL, day, NULL)) AS first_day,
  MAX(IF(consumption_mwh IS NOT NULL, day, NULL)) AS last_day,
  MAX(IF(electricity_is_complete, day, NULL)) AS last_complete_day,
  -- Where a degree day is counted, it is what the day lacks to the base.
  MAX(IF(heating_degree_days > 0, temperature_mean_c + heating_degree_days, NULL)) AS heating_base_c
FROM `{marts}.energy_climate_daily`
"""),
        "statistics": Query("UNION ALL\n".join(rows)),
    }


def period_queries(settings: Settings, period: Period) -> dict[str, Query]:
    """The days of a period and of the same one a year before; for a short one its hours too."""
    marts = f"{settings.project}.{settings.marts_dataset}"
    queries = {
        "days": Query(
            f"""\
WITH hours AS (
  SELECT day, MAX(measured_hours) AS measured_hours
  FROM `{marts}.energy_mix_daily`
  WHERE day BETWEEN @first_day AND @last_day
  GROUP BY day
)

SELECT climate.*, hours.measured_hours
FROM `{marts}.energy_climate_daily` AS climate
LEFT JOIN hours ON climate.day = hours.day
WHERE climate.day BETWEEN @previous_first_day AND @previous_last_day
  OR climate.day BETWEEN @first_day AND @last_day
ORDER BY climate.day
""",
            {
                "first_day": period.start,
                "last_day": period.end,
                "previous_first_day": period.previous_start,
                "previous_last_day": period.previous_end,
            },
        )
    }
    if period.days <= HOURLY_UP_TO:
        energies = ",\n  ".join(
            # As for a day: null if it is unknown at a measured step.
            f"IF(COUNTIF({name}_mw IS NULL) = 0, SUM({name}_mw * step_minutes) / 60, NULL) AS {name}_mwh"
            for name in _BY_HOUR
        )
        queries["hours"] = Query(
            f"""\
SELECT
  TIMESTAMP_TRUNC(instant, HOUR) AS instant,
  SUM(step_minutes) AS measured_minutes,
  {energies}
FROM `{marts}.power_steps`
-- The column that the mart is partitioned by: its days are those of Paris, as the period's are.
WHERE day BETWEEN @first_day AND @last_day
GROUP BY 1
ORDER BY 1
""",
            {"first_day": period.start, "last_day": period.end},
        )
    return queries


def bounds(period: Period) -> tuple[datetime, datetime]:
    """The instants at which a period begins and ends: midnights in Paris."""
    start, end = (datetime.combine(day, time(), PARIS) for day in (period.start, period.end + timedelta(days=1)))
    return start, end
