"""The steps and their revisions are rebuilt by month, and always end as a full refresh would make them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.warehouse.support import CONSOLIDATED, PARIS, REAL_TIME, NewWarehouse, Row, TestWarehouse, every, power_row

TABLES = ("power_steps", "power_revisions")
STEPS = ("run", "--select", *TABLES)

Steps = dict[datetime, tuple[int, int]]


def month(number: int) -> datetime:
    """Midnight in Paris on the first of a month of 2024."""
    return datetime(2024, number, 1, tzinfo=PARIS).astimezone(UTC)


def power(instants: Iterable[datetime], mw: int | None, nature: str) -> list[Row]:
    return [power_row(instant, mw, nature) for instant in instants]


class History:
    """A warehouse and, beside it, what the rules say its steps must be, worked out from all rows without SQL."""

    def __init__(self, warehouse: TestWarehouse) -> None:
        self.warehouse = warehouse
        self.rows: dict[str, dict[str, int | None]] = {REAL_TIME: {}, CONSOLIDATED: {}}
        self.published: dict[str, dict[datetime, list[int]]] = {REAL_TIME: {}, CONSOLIDATED: {}}

    def land(self, dataset: str, rows: list[Row], window: tuple[Any, Any] = (None, None)) -> None:
        """Commit rows; the last state shown wins."""
        self.warehouse.land(dataset, rows, window)
        for row in rows:
            mw: Any = row["consommation"]
            self.rows[dataset][str(row["date_heure"])] = mw
            instant = datetime.fromisoformat(str(row["date_heure"]))
            if mw is not None and (dataset == REAL_TIME or instant.minute in (0, 30)):
                self.published[dataset].setdefault(instant, []).append(mw)

    def expected(self) -> Steps:
        """Every step that counts: its length, and its consumption in MW."""
        consolidated = {
            datetime.fromisoformat(instant): mw
            for instant, mw in self.rows[CONSOLIDATED].items()
            if mw is not None and datetime.fromisoformat(instant).minute in (0, 30)
        }
        steps: Steps = {instant: (30, mw) for instant, mw in consolidated.items()}
        for text, mw in self.rows[REAL_TIME].items():
            instant = datetime.fromisoformat(text)
            after = not consolidated or (instant - max(consolidated)).total_seconds() >= 1800
            if mw is not None and after:
                steps[instant] = (15, mw)
        return steps

    def expected_revisions(self) -> Steps:
        """Of each step that was shown with more than one consumption: the first, real time before consolidated; now."""
        revisions = {}
        for instant, (_, now) in self.expected().items():
            shown = self.published[REAL_TIME].get(instant, []) + self.published[CONSOLIDATED].get(instant, [])
            if len(set(shown)) > 1:
                revisions[instant] = (shown[0], now)
        return revisions

    def revisions(self) -> Steps:
        """What the mart has."""
        rows = self.warehouse.query(
            "select instant, consumption_first_mw, consumption_current_mw from {marts}.power_revisions"
        )
        assert len({instant for instant, _, _ in rows}) == len(rows)
        return {instant: (first, now) for instant, first, now in rows}

    def actual(self) -> Steps:
        """What the mart has."""
        rows = self.warehouse.query("select instant, step_minutes, consumption_mw from {marts}.power_steps")
        assert len({instant for instant, _, _ in rows}) == len(rows)
        return {instant: (minutes, mw) for instant, minutes, mw in rows}

    def build(self) -> list[tuple[str, str]]:
        """Build both tables, hold them against the rules, and give the ranges of days that were rebuilt."""
        self.warehouse.dbt(*STEPS)
        assert self.actual() == self.expected()
        assert self.revisions() == self.expected_revisions()
        ranges = [self.warehouse.plan(table)["ranges"] for table in TABLES]
        assert ranges[0] == ranges[1]
        return [(span["first_day"], span["end_day"]) for span in ranges[0]]


EVERYTHING = [("2000-01-01", "2100-01-01")]
JANUARY = [("2024-01-01", "2024-02-01")]
MAY = [("2024-05-01", "2024-06-01")]


@pytest.fixture(scope="module")
def history(new_warehouse: NewWarehouse) -> History:
    """Built on empty tables first; the tests go on from each other."""
    made = History(new_warehouse())
    made.warehouse.dbt("run", "--select", "staging")
    assert made.build() == EVERYTHING
    return made


def test_the_steps_through_the_life_of_the_source(history: History) -> None:
    """One story, because each state follows from the one before."""
    # Nothing loaded yet: nothing to do.
    assert history.build() == []

    # Real time of January to May, 2 MW, in the quarter-hours of every sixth hour, to be quick.
    steps = [each for each in every(15, month(1), month(6)) if each.hour % 6 == 0]
    history.land(REAL_TIME, power(steps, 2, "Données temps réel"), (month(1), None))
    assert history.build() == [("2024-01-01", "2024-06-01")]

    # An ordinary run touches its window alone; without one there is the month of the newest measure to make again.
    late = [each for each in steps if each >= datetime(2024, 5, 30, tzinfo=UTC)]
    history.land(REAL_TIME, power(late, 3, "Données temps réel"), (datetime(2024, 5, 29, tzinfo=UTC), None))
    assert history.build() == MAY

    # January is consolidated: its real time goes, and everything is looked at because there was no switch before.
    january = [each for each in every(30, month(1), month(2)) if each.hour % 6 == 0]
    history.land(CONSOLIDATED, power(january, 10, "Données consolidées"), (month(1), month(2)))
    assert history.build() == EVERYTHING

    # February is consolidated with a hole of half the month, in a load whose rows begin after the hole; rows without
    # a measure go on into March and do not move the switch.
    february = [each for each in every(30, datetime(2024, 2, 15, tzinfo=UTC), month(3)) if each.hour % 6 == 0]
    forecasts = power(every(30, month(3), datetime(2024, 3, 3, tzinfo=UTC)), None, "Données consolidées")
    history.land(CONSOLIDATED, power(february, 20, "Données consolidées") + forecasts)
    assert history.build() == [("2024-01-01", "2024-04-01"), *MAY]
    assert not any(datetime(2024, 2, 2, tzinfo=UTC) <= each < february[0] for each in history.actual())

    # March has no consolidated row at all, April has: real time of March must go though no load touched March.
    april = [each for each in every(30, datetime(2024, 4, 10, tzinfo=UTC), month(5)) if each.hour % 6 == 0]
    history.land(CONSOLIDATED, power(april, 40, "Données consolidées"))
    assert history.build() == [("2024-02-01", "2024-06-01")]
    assert not any(month(3) <= each < month(4) for each in history.actual())

    # April is taken back: real time of March and April is there again.
    history.land(CONSOLIDATED, power(april, None, "Données consolidées"))
    assert history.build() == [("2024-02-01", "2024-06-01")]
    assert history.actual()[datetime(2024, 3, 1, 6, tzinfo=UTC)] == (15, 2)

    # A backfill of January and an ordinary run before the next build: two ranges, and nothing between them.
    first_day = (month(1), datetime(2024, 1, 2, tzinfo=UTC))
    history.land(CONSOLIDATED, power(january[:5], 11, "Données définitives"), first_day)
    history.land(REAL_TIME, power(late[-3:], 4, "Données temps réel"), (late[-3], None))
    assert history.build() == [*JANUARY, *MAY]


def test_a_load_that_was_committed_late_is_not_missed(history: History) -> None:
    """Stamped before a load that the last build knew, seen after it."""
    history.land(CONSOLIDATED, power([month(1)], 12, "Données définitives"), (month(1), month(1)))
    history.warehouse.query(
        "update {ops}.loads set loaded_at = timestamp_sub(loaded_at, interval 5 minute)"
        " where loaded_at = (select max(loaded_at) from {ops}.loads)"
    )
    assert history.build() == [*JANUARY, *MAY]
    assert history.build() == MAY


def test_a_build_that_died_is_made_again(history: History) -> None:
    """After it replaced the months, before it noted that; or between the two tables, each with a memory of its own."""
    memory = {
        table: history.warehouse.query(f"select loads_until, loads from {{staging}}.{table}_last_build")[0]
        for table in TABLES
    }
    history.land(CONSOLIDATED, power([month(1)], 13, "Données définitives"), (month(1), month(1)))
    assert history.build() == [*JANUARY, *MAY]
    for table, (until, loads) in memory.items():
        history.warehouse.query(
            f"update {{staging}}.{table}_last_build set loads_until = '{until}', loads = '{loads}' where true"
        )
    assert history.build() == [*JANUARY, *MAY]
    history.land(CONSOLIDATED, power([month(1)], 14, "Données définitives"), (month(1), month(1)))
    history.warehouse.dbt("run", "--select", "power_steps")
    history.warehouse.dbt(*STEPS)
    assert history.warehouse.plan("power_steps")["ranges"][0]["first_day"] == MAY[0][0]
    assert history.warehouse.plan("power_revisions")["ranges"][0]["first_day"] == JANUARY[0][0]
    assert history.revisions() == history.expected_revisions()


@pytest.mark.parametrize(
    "loss",
    [
        "update {{staging}}.{table}_last_build set logic = 'another' where true",
        "drop table {{staging}}.{table}_last_build",
        "alter table {{staging}}.{table}_last_build drop column loads",
        "drop table {{marts}}.{table}",
        "delete from {{marts}}.{table} where day between '2024-01-01' and '2024-01-03'",
    ],
)
def test_everything_is_made_again_where_there_is_nothing_to_go_on_from(history: History, loss: str) -> None:
    for table in TABLES:
        history.warehouse.query(loss.format(table=table))
    assert history.build() == EVERYTHING


def test_a_full_refresh_changes_nothing(history: History) -> None:
    before = history.warehouse.state(TABLES)
    assert before["power_revisions"][0] > 100
    history.warehouse.dbt(*STEPS, "--full-refresh")
    assert history.warehouse.state(TABLES) == before
    assert history.actual() == history.expected()


def test_constant_bounds_reach_the_raw_tables(history: History) -> None:
    """Whatever history there is, the query of an ordinary run names the instants of its months."""
    first = month(5)
    history.land(REAL_TIME, power([first], 6, "Données temps réel"), (first, first))
    history.warehouse.dbt(*STEPS)
    sql = (history.warehouse.target / "compiled/energy/models/marts/power_steps.sql").read_text()
    bounds = [f"timestamp '{each:%F %T}+00'" for each in (month(5), month(6))]
    assert [sql.count(bound) for bound in bounds] == [2, 2]
    merge = (history.warehouse.target / "run/energy/models/marts/power_steps.sql").read_text()
    assert "day >= date '2024-05-01' and DBT_INTERNAL_DEST.day < date '2024-06-01'" in merge
