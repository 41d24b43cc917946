"""Windows of time: what a run asks the source for, and how that is cut into requests.

Pure: no Airflow import.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from odre.contracts import FIRST_INSTANT, Contract

DAY = timedelta(days=1)


def _to_utc_second(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError(f"A window's bound must carry its time zone: {moment.isoformat()}")
    return moment.astimezone(UTC).replace(microsecond=0)


def _floor_day(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _ceil_day(moment: datetime) -> datetime:
    floor = _floor_day(moment)
    return floor if floor == moment else floor + DAY


def _month_index(moment: datetime) -> int:
    return moment.year * 12 + moment.month - 1


def _month_start(index: int) -> datetime:
    return datetime(index // 12, index % 12 + 1, 1, tzinfo=UTC)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Window:
    """A half-open span of time ``[start, end)`` in UTC, to the second; ``None`` = unbounded on that side.

    Raises:
        ValueError: a bound has no time zone, or the window ends before or where it starts.
    """

    start: datetime | None = None
    end: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", _to_utc_second(self.start))
        object.__setattr__(self, "end", _to_utc_second(self.end))
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError(f"The window ends at {_text(self.end)}, not after its start at {_text(self.start)}")

    def __str__(self) -> str:
        if self.start is None:
            return "all time" if self.end is None else f"before {_text(self.end)}"
        return f"from {_text(self.start)} on" if self.end is None else f"{_text(self.start)} to {_text(self.end)}"

    def where(self, contract: Contract) -> str:
        """The window as an ODSQL condition on the contract's time column; empty when it is unbounded.

        On a ``DATE`` column the bounds are whole days: each day that the window touches is in it.
        """
        column, conditions = contract.time_column, []
        if contract.time_type == "DATE":
            if self.start is not None:
                conditions.append(f"{column} >= date'{_floor_day(self.start):%Y-%m-%d}'")
            if self.end is not None:
                conditions.append(f"{column} < date'{_ceil_day(self.end):%Y-%m-%d}'")
        else:
            if self.start is not None:
                conditions.append(f"{column} >= date'{_text(self.start)}'")
            if self.end is not None:
                conditions.append(f"{column} < date'{_text(self.end)}'")
        return " AND ".join(conditions)

    def holds(self, contract: Contract, moment: datetime) -> bool:
        """Whether a value of the contract's time column (a day as its midnight in UTC) fulfils :meth:`where`."""
        start, end = self.start, self.end
        if contract.time_type == "DATE":
            start, end = start and _floor_day(start), end and _ceil_day(end)
        return (start is None or moment >= start) and (end is None or moment < end)

    def chunks(self, months: int, first: datetime | None, now: datetime) -> list[Window]:
        """The window cut at calendar boundaries, into pieces of at most ``months`` months each.

        Args:
            months: length of a piece; boundaries are the multiples of it since year 0 (12 → each 1 January).
            first: the source's first instant; nothing is cut before it, nor before any instant of a measure.
                ``None`` = the source is empty: one piece.
            now: nothing is cut after it, since what a source publishes ahead is little.

        The pieces are disjoint and together exactly the window: the outermost ones keep its bounds, open or not.
        """
        if months < 1:
            raise ValueError(f"A chunk is at least one month long, not {months}")
        if first is None:
            return [self]
        earliest = max(first, self.start or FIRST_INSTANT, FIRST_INSTANT)
        latest = min(now, self.end) if self.end is not None else now
        starts: list[datetime | None] = [self.start]
        index = (_month_index(earliest.astimezone(UTC)) // months + 1) * months
        while (boundary := _month_start(index)) <= latest and (self.end is None or boundary < self.end):
            starts.append(boundary)
            index += months
        return [Window(start, end) for start, end in zip(starts, [*starts[1:], self.end], strict=True)]


def ordinary_window(
    contract: Contract, high_water: datetime | None, earliest_unsettled: datetime | None, now: datetime
) -> Window:
    """The window of a run that was given none: from the high-water mark, less the lookback, to the source's end.

    Args:
        high_water: greatest measured instant that ordinary runs have landed; ``None`` = none, so everything is asked.
        earliest_unsettled: earliest landed instant whose figures are not settled yet, for a contract with
            ``lookback_until``; the window reaches back to it.
        now: a high-water mark later than this does not count: the future moves no window.
    """
    if high_water is None:
        return Window()
    start = min(high_water, now) - timedelta(days=contract.lookback_days)
    if contract.lookback_until_column is not None and earliest_unsettled is not None:
        start = min(start, earliest_unsettled)
    return Window(_floor_day(start.astimezone(UTC)) if contract.time_type == "DATE" else start)
