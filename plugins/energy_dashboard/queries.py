"""What the dashboard asks the warehouse: figures of marts, freshness of the ledger; what varies goes as parameters.

Pure: no Airflow import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from energy_dashboard.periods import Period
from odre.settings import Settings

PARIS: Final = ZoneInfo("Europe/Paris")

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


def lasting_queries(settings: Settings) -> dict[str, Query]:
    """What is of all data and not of a period, by the name of its part of the answer."""
    marts = f"{settings.project}.{settings.marts_dataset}"
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
        "thermosensitivity": Query(f"""\
SELECT winter, n, n_effective, mw_per_c, mw_per_c_low, mw_per_c_high, base_mw, r2
FROM `{marts}.thermosensitivity`
WHERE y = 'consumption_mwh'
ORDER BY winter
"""),
        "seasons": Query(f"SELECT * FROM `{marts}.energy_mix_season` ORDER BY season, source"),
        "fullness": Query(
            f"SELECT * FROM `{marts}.exchanges_by_fullness` ORDER BY method, group_type, group_number, border"
        ),
        "relationships": Query(f"""\
SELECT * EXCEPT (lag_days, period, season_filter, reading)
FROM `{marts}.relationships`
WHERE period = 'all' AND season_filter = 'all' AND method IN ('raw', 'deseasonalised')
ORDER BY question, x, y, method
"""),
        "answers": Query(f"SELECT * FROM `{marts}.answers` ORDER BY question"),
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
        start, end = bounds(period)
        energies = ",\n  ".join(f"SUM({name}_mw * step_minutes) / 60 AS {name}_mwh" for name in _BY_HOUR)
        queries["hours"] = Query(
            f"""\
SELECT
  TIMESTAMP_TRUNC(instant, HOUR) AS instant,
  SUM(step_minutes) AS measured_minutes,
  {energies}
FROM `{marts}.power_steps`
WHERE instant >= @start AND instant < @end
GROUP BY 1
ORDER BY 1
""",
            {"start": start, "end": end},
        )
    return queries


def bounds(period: Period) -> tuple[datetime, datetime]:
    """The instants at which a period begins and ends: midnights in Paris."""
    start, end = (datetime.combine(day, time(), PARIS) for day in (period.start, period.end + timedelta(days=1)))
    return start, end
