"""Laws of the ingest, for whatever the source shows and however its runs end: nothing lost, nothing doubled.

A source of four days of one storage point is changed and read, at random, through the operators into the emulators.
Each example has days of its own, so that no table has to be emptied between them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulators.odre.source import MemorySource
from odre.contracts import read_contract
from tests.warehouse.ingest import Pipeline, gas
from tests.warehouse.support import GAS

DAYS: Final = 4
TABLE: Final = read_contract(GAS).table

#: An example is up to eight commands, each a merge on the emulator.
EXAMPLES: Final = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

values = st.integers(1, 3).map(float)
windows = st.tuples(st.integers(0, DAYS - 1), st.integers(1, DAYS)).map(
    lambda ends: (min(ends[0], ends[1] - 1), max(ends[1], ends[0] + 1))
)


@dataclass
class World:
    """A source, the runs that read it, and what they must have left, worked out without SQL."""

    pipeline: Pipeline
    source: MemorySource
    first_day: date
    shown: dict[int, float] = field(default_factory=dict)
    #: What each committed extraction showed, in the order of extraction: {day: value}.
    committed: dict[int, dict[int, float]] = field(default_factory=dict)
    numbers: Any = field(default_factory=count)

    def day(self, number: int) -> date:
        return self.first_day + timedelta(days=number)

    def show(self, changes: dict[int, float | None]) -> None:
        """Publish new, changed and vanished (``None``) rows."""
        self.shown |= {day: value for day, value in changes.items() if value is not None}
        self.shown = {day: value for day, value in self.shown.items() if changes.get(day, value) is not None}
        rows = {self.day(day): value for day, value in sorted(self.shown.items())}
        nothing = gas({self.first_day: 0.0}, ("Centre",)).slice(0, 0)
        self.source.publish(GAS, gas(rows, ("Centre",)) if rows else nothing)

    def extract(self, window: tuple[int, int]) -> Extraction:
        """Plan a run of a window and land its one chunk in the lake."""
        start, end = window
        number = next(self.numbers)
        form = {"window_start": self.day(start).isoformat(), "window_end": self.day(end).isoformat()}
        (chunk,) = self.pipeline.gate(GAS, **form)
        extracted = self.pipeline.extract(chunk, f"{self.first_day}-{number}")
        seen = {day: value for day, value in self.shown.items() if start <= day < end}
        return Extraction(number, extracted, seen)

    def commit(self, extraction: Extraction) -> None:
        """Load and merge what was landed."""
        self.pipeline.load(GAS, extraction.extracted)
        self.pipeline.merge(GAS, extraction.extracted)
        self.committed[extraction.number] = extraction.seen

    def rows(self, table: str, columns: str) -> list[tuple[Any, ...]]:
        """Rows of this example's days."""
        until = self.first_day + timedelta(days=DAYS)
        return self.pipeline.house.query(
            f"select date_diff(date, date '{self.first_day}', day), {columns} from {{raw}}.{table}"
            f" where date >= '{self.first_day}' and date < '{until}' order by date, 2"
        )

    def raw(self) -> list[tuple[int, float]]:
        """Day and value of each raw row: a list, so that a doubled row is one too many."""
        return [(day, value) for day, value in self.rows(TABLE, "stock_fin_de_journee")]

    def last_shown(self) -> list[tuple[int, float]]:
        """The last value of each day that a committed extraction showed, by the order of extraction."""
        last: dict[int, float] = {}
        for number in sorted(self.committed):
            last |= self.committed[number]
        return sorted(last.items())

    def replaced(self) -> Counter[tuple[int, float]]:
        """Day and value of each replaced row."""
        return Counter((day, value) for day, value in self.rows(f"{TABLE}_replaced", "stock_fin_de_journee"))

    def check_ledger(self) -> None:
        """One row for each committed run, none for another."""
        runs = self.pipeline.house.query(
            f"select run_id, rows_source from {{ops}}.loads where starts_with(run_id, '{self.first_day}-') order by 1"
        )
        expected = {f"{self.first_day}-{number}": len(seen) for number, seen in self.committed.items()}
        assert sorted(runs) == sorted(expected.items())


@dataclass(frozen=True)
class Extraction:
    """What one run landed in the lake, and what the source showed it."""

    number: int
    extracted: dict[str, Any]
    seen: dict[int, float]


@pytest.fixture
def new_world(pipeline: Pipeline, serving: Callable[..., Any]) -> Callable[[], World]:
    """Worlds on the same tables, each with days of its own."""
    source = MemorySource()
    source.publish(GAS, gas({date(2000, 1, 1): 1.0}, ("Centre",)))
    serving(source)
    first_days = (date(2011, 1, 1) + timedelta(days=10 * number) for number in count())
    return lambda: World(pipeline, source, next(first_days))


changes = st.dictionaries(st.integers(0, DAYS - 1), st.none() | values, max_size=DAYS)
fates = st.sampled_from(["whole", "merged twice", "loaded twice", "dies after extract", "dies after load"])


@EXAMPLES
@given(commands=st.lists(changes | st.tuples(windows, fates), min_size=2, max_size=8))
def test_the_raw_table_is_the_last_state_shown_and_replaced_every_earlier_one(
    new_world: Callable[[], World], commands: list[Any]
) -> None:
    world = new_world()
    earlier: Counter[tuple[int, float]] = Counter()
    known: dict[int, float] = {}
    for command in commands:
        if isinstance(command, dict):
            world.show(command)
            continue
        window, fate = command
        extraction = world.extract(window)
        if fate == "dies after load":
            world.pipeline.load(GAS, extraction.extracted)
        elif fate != "dies after extract":
            world.commit(extraction)
            if fate == "loaded twice":
                world.commit(extraction)
            if fate == "merged twice":
                world.pipeline.merge(GAS, extraction.extracted)
            earlier.update(
                (day, known[day]) for day, value in extraction.seen.items() if known.get(day, value) != value
            )
            known |= extraction.seen
    assert world.raw() == world.last_shown()
    assert world.replaced() == earlier
    world.check_ledger()


@EXAMPLES
@given(
    states=st.lists(
        st.tuples(st.fixed_dictionaries({}, optional=dict.fromkeys(range(DAYS), values)), windows),
        min_size=2,
        max_size=5,
    ),
    data=st.data(),
)
def test_what_was_extracted_last_wins_in_whatever_order_runs_commit(
    new_world: Callable[[], World], states: list[tuple[dict[int, float], tuple[int, int]]], data: st.DataObject
) -> None:
    world = new_world()
    extractions = []
    for changed, window in states:
        world.show(dict(changed))
        extractions.append(world.extract(window))
    for extraction in data.draw(st.permutations(extractions)):
        world.commit(extraction)
    assert world.raw() == world.last_shown()
    world.check_ledger()
    shown = {item for extraction in extractions for item in extraction.seen.items()}
    assert set(world.replaced()) | set(world.raw()) == shown
    again = data.draw(st.sampled_from(extractions))
    before = world.replaced()
    world.commit(again)
    assert world.raw() == world.last_shown()
    assert world.replaced() == before
