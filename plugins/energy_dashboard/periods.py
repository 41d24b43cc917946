"""The periods that the dashboard can show, read from the text of an address.

Pure: no Airflow import.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

#: Without a period in the address.
DEFAULT: Final = "last-30"
#: Lengths of the periods that end with the last whole day, days.
LAST_DAYS: Final = (7, 30, 365)
#: The longest free range, days: ten years, so that an answer stays small enough for a page.
LONGEST: Final = 3660

_FIRST_YEAR: Final = 2000
_LAST_YEAR: Final = 2099
#: Month in which each meteorological season begins; a winter begins in the year before its own.
_SEASONS: Final = {"winter": 12, "spring": 3, "summer": 6, "autumn": 9}

_LAST: Final = re.compile(rf"last-({'|'.join(map(str, LAST_DAYS))})")
_DAY: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_MONTH: Final = re.compile(r"(\d{4})-(\d{2})", re.ASCII)
_YEAR: Final = re.compile(r"\d{4}", re.ASCII)
_SEASON: Final = re.compile(rf"(\d{{4}})-({'|'.join(_SEASONS)})", re.ASCII)


class BadPeriod(ValueError):
    """A text that is no period; the message says what one is, and does not repeat the text."""


@dataclass(frozen=True)
class Period:
    """Civil days in Paris, both ends included; ``name`` is the text of the address that means it."""

    name: str
    kind: str
    start: date
    end: date

    @property
    def days(self) -> int:
        """Its length, days."""
        return (self.end - self.start).days + 1

    @property
    def previous_start(self) -> date:
        """Its first day a year before."""
        return a_year_before(self.start)

    @property
    def previous_end(self) -> date:
        """Its last day a year before."""
        return a_year_before(self.end)


@dataclass(frozen=True)
class LastDays:
    """So many days up to the last whole one, which only the warehouse knows."""

    name: str
    days: int

    def until(self, last_day: date) -> Period:
        """The period that ends with this day."""
        return Period(self.name, "last", last_day - timedelta(days=self.days - 1), last_day)


def a_year_before(day: date) -> date:
    """The same day of the year before; the 28th for a 29 February."""
    return day.replace(year=day.year - 1, day=28 if (day.month, day.day) == (2, 29) else day.day)


def parse_period(text: str) -> Period | LastDays:
    """The period that a text means: see docs/dashboard.md.

    Raises:
        BadPeriod: it means none, or one that is too long or outside the years that there can be data of.
    """
    if found := _LAST.fullmatch(text):
        return LastDays(text, int(found[1]))
    first, separator, last = text.partition("_")
    if separator:
        period = Period(text, "range", _day(first), _day(last))
    elif found := _SEASON.fullmatch(text):
        month, year = _SEASONS[found[2]], int(found[1])
        start = _date(year - 1 if month == 12 else year, month, 1)
        period = Period(text, "season", start, _end_of_month(_date(year, (month + 1) % 12 + 1, 1)))
    elif found := _MONTH.fullmatch(text):
        start = _date(int(found[1]), int(found[2]), 1)
        period = Period(text, "month", start, _end_of_month(start))
    elif _YEAR.fullmatch(text):
        period = Period(text, "year", _date(int(text), 1, 1), _date(int(text), 12, 31))
    else:
        period = Period(text, "day", _day(text), _day(text))
    if not 1 <= period.days <= LONGEST:
        raise BadPeriod(f"A period has 1 to {LONGEST} days, and its last day is not before its first")
    return period


def _day(text: str) -> date:
    found = _DAY.fullmatch(text)
    if not found:
        raise BadPeriod(
            "A period is last-7, last-30 or last-365, a day (2026-11-23), a month (2026-11), a year (2026), "
            "a season (2026-winter), or two days (2026-01-15_2026-03-02)"
        )
    return _date(*map(int, found.groups()))


def _date(year: int, month: int, day: int) -> date:
    try:
        result = date(year, month, day)
    except ValueError:
        raise BadPeriod("There is no such day in the calendar") from None
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        raise BadPeriod(f"A period lies in the years {_FIRST_YEAR} to {_LAST_YEAR}")
    return result


def _end_of_month(day: date) -> date:
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])
