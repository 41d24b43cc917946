"""The periods that an address can name."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_dashboard.periods import LONGEST, BadPeriod, LastDays, Period, parse_period


@pytest.mark.parametrize(
    ("text", "kind", "start", "end"),
    [
        ("2026-11-23", "day", date(2026, 11, 23), date(2026, 11, 23)),
        ("2024-02", "month", date(2024, 2, 1), date(2024, 2, 29)),
        ("2026-12", "month", date(2026, 12, 1), date(2026, 12, 31)),
        ("2025", "year", date(2025, 1, 1), date(2025, 12, 31)),
        ("2024-winter", "season", date(2023, 12, 1), date(2024, 2, 29)),
        ("2026-spring", "season", date(2026, 3, 1), date(2026, 5, 31)),
        ("2026-summer", "season", date(2026, 6, 1), date(2026, 8, 31)),
        ("2026-autumn", "season", date(2026, 9, 1), date(2026, 11, 30)),
        ("2025-12-30_2026-01-02", "range", date(2025, 12, 30), date(2026, 1, 2)),
        ("2000-01-01_2010-01-07", "range", date(2000, 1, 1), date(2010, 1, 7)),
    ],
)
def test_a_text_means_days_from_first_to_last(text: str, kind: str, start: date, end: date) -> None:
    assert parse_period(text) == Period(text, kind, start, end)


@pytest.mark.parametrize(("text", "first"), [("last-7", 17), ("last-30", None), ("last-365", None)])
def test_the_last_days_end_with_the_day_that_the_warehouse_knows(text: str, first: int | None) -> None:
    asked = parse_period(text)
    assert isinstance(asked, LastDays)
    period = asked.until(date(2026, 11, 23))
    assert (period.kind, period.end, f"last-{period.days}") == ("last", date(2026, 11, 23), text)
    if first:
        assert period.start == date(2026, 11, first)


def test_a_year_before_are_the_same_days() -> None:
    leap = parse_period("2024-02-29_2024-03-01")
    assert isinstance(leap, Period)
    assert (leap.previous_start, leap.previous_end) == (date(2023, 2, 28), date(2023, 3, 1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "2026-02-29",
        "2026-13",
        "2026-00",
        "1999-12-31",
        "2100",
        "0000",
        "2000-winter",
        "2026-fall",
        "last-8",
        "last-",
        "last-3650000000",
        "2026-03-02_2026-03-01",
        "2000-01-01_2010-01-08",
        "0001-01-01_9999-12-31",
        "2026-01-01_2026-01-02_2026-01-03",
        "2026-01_2026-02",
        "2026-1-1",
        "+2026",
        "2026\n",
        "２０２６",
        "٢٠٢٦-01-01",
        "2026-01-01T00:00",
        "2026-01-01' OR '1'='1",
        "2026; DROP TABLE energy.answers",
        "<script>alert(1)</script>",
        "../../etc/passwd",
        "2026%00",
        "9" * 100_000,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadPeriod):
        parse_period(text)


@given(st.text(alphabet="0123456789-_ wintersumlaT", max_size=24))
def test_a_text_is_a_period_of_bounded_length_or_refused(text: str) -> None:
    try:
        period = parse_period(text)
    except BadPeriod:
        return
    assert period.name == text
    if isinstance(period, LastDays):
        period = period.until(date(2026, 11, 23))
    assert 1 <= period.days <= LONGEST
    assert period.start <= period.end
    assert date(1999, 1, 1) <= period.previous_start <= period.previous_end < period.end


@given(st.dates(date(2000, 1, 1), date(2099, 12, 31)), st.integers(0, LONGEST - 1))
def test_any_two_days_in_order_are_a_period(first: date, more: int) -> None:
    last = min(first + timedelta(days=more), date(2099, 12, 31))
    assert parse_period(f"{first}_{last}") == Period(f"{first}_{last}", "range", first, last)
