"""Paris time: the civil date and time that the source publishes beside an instant, held against it.

Pure: no Airflow import. By Python's time zones: Arrow's own need files of the machine that a small image may not have.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from odre.arrays import EPOCH, MICROSECOND, any_true, instant, integers, null_as_false, one_chunk, true_places
from odre.contracts import Contract
from odre.quarantine import NO_LOCAL_TIME, OTHER_LOCAL_TIME, Finding, Rejected, key_of_row

PARIS: Final = ZoneInfo("Europe/Paris")


def check_local_time(table: pa.Table, contract: Contract) -> tuple[pa.Table, Iterable[Rejected]]:
    """The rows whose local date and time are those of their instant in Paris, and the others.

    In the hour that the spring change skips, the source publishes rows all the same. Whichever offset it took for
    their instant (that of winter makes 02:15 collide with 03:15, that of summer with 01:15), that local time does
    not exist: a rule of the source. Any other disagreement is bad. A date or time that is missing disagrees with
    nothing.
    """
    date_column, time_column = contract.local_date_column, contract.local_time_column
    if date_column is None or time_column is None or table.num_rows == 0:
        return table, ()
    dates, times = one_chunk(table[date_column]), one_chunk(table[time_column])
    # Few distinct texts: read each once, in microseconds of the day; a text that is no time of day equals none.
    encoded = times.dictionary_encode()
    of_day = integers(_microseconds_of_day(text) for text in encoded.dictionary.to_pylist())
    midnights = dates.cast(pa.timestamp("us")).cast(pa.int64())
    published = pc.add(midnights, of_day.take(encoded.indices))
    differs = pc.not_equal(published, _local_microseconds(one_chunk(table[contract.time_column])))
    if not any_true(differs):
        return table, ()
    # Null, and so neither rejected nor kept by the mask itself, where the local date or time is missing.
    differs = null_as_false(differs)

    def rejected() -> Iterator[Rejected]:
        for row in true_places(differs):
            day, text = dates[row].as_py(), times[row].as_py()
            is_rule = _is_skipped_in_spring(day, _microseconds_of_day(text))
            finding = Finding(time_column, f"{day} {text}", NO_LOCAL_TIME if is_rule else OTHER_LOCAL_TIME)
            yield Rejected(key_of_row(contract.key, table, row), [finding], is_rule)

    return table.filter(pc.invert(differs)), rejected()


@lru_cache(maxsize=1440)
def _microseconds_of_day(text: str) -> int:
    """A time of day, ``HH:MM`` or ``HH:MM:SS``, in microseconds; -1 where it is none."""
    try:
        moment = time.fromisoformat(text)
    except ValueError:
        return -1
    return ((moment.hour * 60 + moment.minute) * 60 + moment.second) * 1_000_000 + moment.microsecond


def _local_microseconds(instants: pa.Array) -> pa.Array:
    """Civil time in Paris, in microseconds since 1970-01-01T00:00 there."""
    utc = instants.cast(pa.int64())
    local = utc
    for year in range(instant(pc.min(instants)).year, instant(pc.max(instants)).year + 1):
        for since, offset in _offset_changes(year):
            shifted = pc.add(utc, integers([offset // MICROSECOND])[0])
            local = pc.if_else(pc.greater_equal(utc, integers([(since - EPOCH) // MICROSECOND])[0]), shifted, local)
    return local


@cache
def _offset_changes(year: int) -> tuple[tuple[datetime, timedelta], ...]:
    """The offsets of Paris in a year of UTC, each with the instant since which it holds; New Year's first."""
    start = datetime(year, 1, 1, tzinfo=UTC)

    def offset(second: int) -> timedelta:
        return (start + timedelta(seconds=second)).astimezone(PARIS).utcoffset() or timedelta()

    changes = [(0, offset(0))]
    for day in range(1, 366 if calendar.isleap(year) else 365):
        before, after = (day - 1) * 86_400, day * 86_400
        if offset(after) == changes[-1][1]:
            continue
        while after - before > 1:
            middle = (before + after) // 2
            if offset(middle) == changes[-1][1]:
                before = middle
            else:
                after = middle
        changes.append((after, offset(after)))
    return tuple((start + timedelta(seconds=second), since_then) for second, since_then in changes)


def _is_skipped_in_spring(day: date, microseconds: int) -> bool:
    """Whether a civil time of Paris does not exist, because the clocks jumped over it."""
    if microseconds < 0:
        return False
    local = datetime.combine(day, time()) + timedelta(microseconds=microseconds)
    there_and_back = local.replace(tzinfo=PARIS).astimezone(UTC).astimezone(PARIS)
    return there_and_back.replace(tzinfo=None) != local
