"""The local time that the source publishes beside the instant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.conversions import (
    NOW,
    PARIS,
    Row,
    convert,
    landed,
    power_row,
    power_rows,
    quarantined,
)


def spring_night(winter_offset: bool) -> list[Row]:
    """The source's rows of a night on which the clocks jump from 02:00 to 03:00, ordered by instant."""
    rows = [power_row(datetime(2022, 3, 27, tzinfo=UTC) + timedelta(minutes=15 * step)) for step in range(12)]
    for minute in (0, 15, 30, 45):
        hour = 1 if winter_offset else 0
        instant = datetime(2022, 3, 27, hour, minute, tzinfo=UTC)
        rows.append(power_row(instant, heure=f"02:{minute:02}", consommation="1"))
    return sorted(rows, key=lambda row: row["date_heure"])


@pytest.mark.parametrize("winter_offset", [True, False])
def test_the_hour_that_spring_skips_is_excluded_whichever_instant_it_was_given(
    tmp_path: Path, winter_offset: bool
) -> None:
    conversion = convert(spring_night(winter_offset), tmp_path)
    assert (conversion.rows_source, conversion.rows_landed) == (16, 12)
    assert (conversion.rows_excluded, conversion.rows_quarantined) == (4, 0)
    hour = "01" if winter_offset else "00"
    assert quarantined(conversion)[0] == (
        f"date_heure=2022-03-27T{hour}:00:00+00:00",
        "heure",
        "2022-03-27 02:00",
        "local time does not exist",
        True,
    )
    assert {row["consommation"] for row in landed(conversion)} == {50000}


@pytest.mark.parametrize("first_pass", [True, False])
def test_the_one_pass_published_of_the_hour_that_october_repeats_lands(tmp_path: Path, first_pass: bool) -> None:
    start = datetime(2022, 10, 30, 0 if first_pass else 1, tzinfo=UTC)
    rows = power_rows(4, start)
    assert [row["heure"] for row in rows] == ["02:00", "02:15", "02:30", "02:45"]
    conversion = convert(rows, tmp_path)
    assert (conversion.rows_landed, quarantined(conversion)) == (4, [])


@pytest.mark.parametrize(
    "wrong", [{"heure": "13:00"}, {"date": "2022-08-03"}, {"heure": "25:00"}, {"heure": "noon"}, {"heure": "12:15:30"}]
)
def test_a_local_time_that_is_not_the_instants_is_bad(tmp_path: Path, wrong: dict[str, str]) -> None:
    row = power_row(datetime(2022, 8, 2, 10, 15, tzinfo=UTC)) | wrong
    conversion = convert([row], tmp_path)
    assert quarantined(conversion) == [
        (
            "date_heure=2022-08-02T10:15:00+00:00",
            "heure",
            f"{row['date']} {row['heure']}",
            "local time disagrees with the instant",
            False,
        )
    ]


def test_a_missing_local_time_disagrees_with_nothing(tmp_path: Path) -> None:
    days = [NOW + timedelta(day) for day in range(3)]
    rows = [power_row(days[0], heure=""), power_row(days[1], date=""), power_row(days[2], heure="00:00")]
    assert [row["date_heure"] for row in landed(convert(rows, tmp_path))] == days[:2]


def test_local_times_of_a_century_are_those_of_python(tmp_path: Path) -> None:
    """Every change of offset that Paris had, wartime and summer times of the past included."""
    instants = [datetime(1900, 1, 1, tzinfo=UTC) + timedelta(hours=977 * step) for step in range(1300)]
    rows = [power_row(instant, heure=f"{instant.astimezone(PARIS):%H:%M:%S}") for instant in instants]
    around = [datetime(2022, month, day, 0, 59, 59, tzinfo=UTC) for month, day in ((3, 27), (10, 30))]
    for second in around:
        rows += [
            power_row(moment, heure=f"{moment.astimezone(PARIS):%H:%M:%S}")
            for moment in (second, second + timedelta(seconds=1))
        ]
    conversion = convert(sorted(rows, key=lambda row: row["date_heure"]), tmp_path)
    assert (conversion.rows_landed, quarantined(conversion)) == (1304, [])
