from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odre.contracts import read_contract
from odre.windows import Window, ordinary_window

POWER = read_contract("eco2mix-national-tr")
DEFINITIVE = read_contract("eco2mix-national-cons-def")
GAS = read_contract("stock-quotidien-stockages-gaz")
NOW = datetime(2026, 9, 15, 10, 20, tzinfo=UTC)
INSTANTS = st.datetimes(min_value=datetime(2005, 1, 1), max_value=datetime(2035, 1, 1), timezones=st.just(UTC))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


def test_where_filters_the_instant_half_open() -> None:
    window = Window(utc(2026, 1, 1), utc(2026, 2, 1, 0, 15))
    assert window.where(POWER) == (
        "date_heure >= date'2026-01-01T00:00:00Z' AND date_heure < date'2026-02-01T00:15:00Z'"
    )


def test_where_is_in_utc_whatever_the_zone_of_the_bounds() -> None:
    paris_summer = timezone(timedelta(hours=2))
    window = Window(datetime(2026, 7, 1, tzinfo=paris_summer), None)
    assert window.where(POWER) == "date_heure >= date'2026-06-30T22:00:00Z'"


def test_where_on_days_takes_every_day_that_the_window_touches() -> None:
    assert Window(utc(2026, 1, 1), utc(2026, 2, 1)).where(GAS) == "date >= date'2026-01-01' AND date < date'2026-02-01'"
    touched = Window(utc(2026, 1, 1, 6), utc(2026, 2, 1, 0, 0, 1)).where(GAS)
    assert touched == "date >= date'2026-01-01' AND date < date'2026-02-02'"


def test_an_unbounded_window_filters_nothing() -> None:
    assert Window().where(POWER) == ""
    assert Window(None, utc(2026, 1, 1)).where(GAS) == "date < date'2026-01-01'"


@pytest.mark.parametrize(
    ("start", "end"),
    [(utc(2026, 2, 1), utc(2026, 1, 1)), (utc(2026, 1, 1), utc(2026, 1, 1)), (datetime(2026, 1, 1), None)],
)
def test_windows_that_make_no_sense_are_refused(start: datetime, end: datetime | None) -> None:
    with pytest.raises(ValueError, match=r"ends at|time zone"):
        Window(start, end)


def test_a_window_reads_well() -> None:
    assert str(Window()) == "all time"
    assert str(Window(utc(2026, 1, 1))) == "from 2026-01-01T00:00:00Z on"
    assert str(Window(None, utc(2026, 1, 1))) == "before 2026-01-01T00:00:00Z"
    assert str(Window(utc(2026, 1, 1), utc(2026, 2, 1))) == "2026-01-01T00:00:00Z to 2026-02-01T00:00:00Z"


def test_a_first_load_asks_one_year_at_a_time_and_leaves_both_ends_open() -> None:
    chunks = Window().chunks(12, first=utc(2023, 5, 3), now=NOW)
    assert chunks == [
        Window(None, utc(2024, 1, 1)),
        Window(utc(2024, 1, 1), utc(2025, 1, 1)),
        Window(utc(2025, 1, 1), utc(2026, 1, 1)),
        Window(utc(2026, 1, 1), None),
    ]


def test_years_before_the_source_begins_and_after_now_cost_no_request() -> None:
    chunks = Window(utc(1990, 1, 1), utc(2100, 1, 1)).chunks(12, first=utc(2025, 5, 3), now=NOW)
    assert chunks == [Window(utc(1990, 1, 1), utc(2026, 1, 1)), Window(utc(2026, 1, 1), utc(2100, 1, 1))]


def test_an_empty_source_is_asked_once() -> None:
    assert Window().chunks(12, first=None, now=NOW) == [Window()]


@given(start=st.none() | INSTANTS, end=st.none() | INSTANTS, first=INSTANTS, now=INSTANTS, months=st.integers(1, 200))
def test_chunks_are_exactly_the_window(
    start: datetime | None, end: datetime | None, first: datetime, now: datetime, months: int
) -> None:
    start, end = (start.replace(microsecond=0) if start else None), (end.replace(microsecond=0) if end else None)
    if start and end and end <= start:
        return
    window = Window(start, end)
    chunks = window.chunks(months, first, now)
    assert (chunks[0].start, chunks[-1].end) == (window.start, window.end)
    for before, after in itertools.pairwise(chunks):
        assert before.end == after.start is not None
        assert after.start is not None
        assert (after.start.day, after.start.hour, after.start.minute) == (1, 0, 0)
        assert (after.start.year * 12 + after.start.month - 1) % months == 0
    for chunk in chunks[1:-1]:
        assert chunk.start is not None
        assert chunk.end is not None
        assert chunk.end <= chunk.start + timedelta(days=31 * months)


def test_the_ordinary_window_starts_its_lookback_before_the_high_water_mark() -> None:
    assert ordinary_window(POWER, NOW, None, NOW) == Window(NOW - timedelta(days=3))
    assert ordinary_window(GAS, utc(2026, 9, 13), None, NOW) == Window(utc(2026, 8, 9))
    assert ordinary_window(GAS, utc(2026, 9, 20), None, NOW) == Window(utc(2026, 8, 11))


def test_a_high_water_mark_in_the_future_does_not_move_the_window() -> None:
    assert ordinary_window(POWER, NOW + timedelta(days=9), None, NOW) == Window(NOW - timedelta(days=3))


def test_a_missed_month_is_asked_again() -> None:
    long_ago = NOW - timedelta(days=60)
    assert ordinary_window(POWER, long_ago, None, NOW) == Window(long_ago - timedelta(days=3))


def test_a_first_run_asks_for_everything() -> None:
    assert ordinary_window(POWER, None, None, NOW) == Window()


def test_unsettled_figures_are_asked_again_however_old() -> None:
    old = NOW - timedelta(days=900)
    assert ordinary_window(DEFINITIVE, NOW, old, NOW) == Window(old)
    assert ordinary_window(DEFINITIVE, NOW, NOW, NOW) == Window(NOW - timedelta(days=400))


def test_settling_means_nothing_to_a_contract_without_it() -> None:
    assert ordinary_window(POWER, NOW, utc(2012, 1, 1), NOW) == Window(NOW - timedelta(days=3))
