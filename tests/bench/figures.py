"""What is measured, what it must be, and how it is printed and written.

Pure: nothing here measures.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

#: Key → the bounds within which it must be, whatever the machine; CI holds counts and memory to them.
COUNTS: Final = {
    "extract.peak_mb": (20.0, 300.0),
    "hourly.rows_ratio": (0.9, 1.05),
    "hourly.requests_ratio": (0.9, 1.05),
    "gate.requests": (1.0, 1.0),
}

#: Key → what it must be at most at full size, ``None`` where it is only reported. ``parse.*`` is every DAG's.
MUST: Final[dict[str, float | None]] = {
    "extract.wall_ratio_to_pyarrow": 1.5,
    "extract.wall_ratio_to_pandas": 1.0,
    "extract.peak_mb": 300.0,
    "extract.peak_mb_5m": None,
    "extract.peak_ratio_5m": 1.1,
    "stream.ratio_to_copy": 2.0,
    "parse.*": 1.0,
    "read.task_seconds": None,
    "read.task_seconds_fresh": None,
    "read.ratio_to_fresh": 0.3,
    "dbt_group.ratio_to_build": 6.0,
    "hourly.rows_ratio": 1.05,
    "hourly.requests_ratio": 1.05,
    "hourly.merge_seconds_ratio": 1.3,
    "hourly.ingest_seconds_ratio": None,
    "first_load.seconds_per_million_rows": None,
    "first_load.ratio_14_to_3": 1.2,
    "gate.requests": 1.0,
    "dbt_build.ratio_14_to_1": 3.0,
}

#: Rows of the extraction that a file's figures were measured with: those of another size are not mixed with them.
ROWS_KEY: Final = "bench.rows"


@dataclass(frozen=True)
class Figure:
    """One key's samples, in the order in which they were taken; ``about`` says what they are of, rows included."""

    key: str
    unit: str
    samples: tuple[float, ...]
    about: str

    @property
    def value(self) -> float:
        """The median."""
        return statistics.median(self.samples)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the greatest sample."""
        return min(self.samples), max(self.samples)

    @property
    def must(self) -> float | None:
        """What the figure must be at most."""
        return MUST[self.key] if self.key in MUST else MUST[f"{self.key.partition('.')[0]}.*"]


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, ...]:
    """The ratio of each pair of samples: those taken one after the other met the same load of the machine."""
    return tuple(one / other for one, other in zip(ours, theirs, strict=True))


def in_turn(count: int, *sides: Callable[[], T]) -> list[list[T]]:
    """Call the sides one after the other, ``count`` times: the results of each side."""
    rounds = [[side() for side in sides] for _ in range(count)]
    return [list(results) for results in zip(*rounds, strict=True)]


def complaints(figures: Iterable[Figure], expected: Iterable[str]) -> list[str]:
    """Why figures cannot be right: a key without one, or one that no working code gives. Never a time."""
    found = {figure.key: figure for figure in figures}
    wrong = [f"{key} is missing" for key in expected if key not in found]
    for figure in found.values():
        low, high = COUNTS.get(figure.key, (0.0, math.inf))
        if not all(math.isfinite(sample) and sample > 0 for sample in figure.samples):
            wrong.append(f"{figure.key} has samples that are no measurement: {figure.samples}")
        elif not low <= figure.value <= high:
            wrong.append(f"{figure.key} is {number(figure.value)}, which is not within {low} and {high}")
    return wrong


def write(file: Path, figures: Iterable[Figure], rows: int) -> None:
    """Add the figures to a flat JSON file, key → median; those of a run with another number of rows go."""
    try:
        before = json.loads(file.read_text())
    except FileNotFoundError:
        before = {}
    if before.get(ROWS_KEY) != rows:
        before = {}
    after = {**before, **{figure.key: float(number(figure.value)) for figure in figures}, ROWS_KEY: rows}
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(dict(sorted(after.items())), indent=1) + "\n")
    partial.replace(file)


def number(value: float) -> str:
    """Three significant digits, whole numbers as they are.

    >>> number(0.91234), number(214.6), number(1.0)
    ('0.912', '215', '1')
    """
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def against(ours: Sequence[float], theirs: Sequence[float], unit: str) -> str:
    """What the two sides of a ratio were: their medians.

    >>> against([1.0, 2.0, 9.0], [4.0, 4.0, 5.0], "s")
    '2 against 4 s'
    """
    return f"{number(statistics.median(ours))} against {number(statistics.median(theirs))} {unit}"


def line(figure: Figure) -> str:
    """One line of the printed table."""
    low, high = figure.spread
    must = "" if figure.must is None else f"≤ {number(figure.must)}"
    if figure.must is not None and figure.value > figure.must:
        must += " ✗"
    median = f"{number(figure.value)} {figure.unit}"
    spread = f"{number(low)}–{number(high)} of {len(figure.samples)}"
    return f"{figure.key:<36} {median:>14}  {spread:<20} {must:<9} {figure.about}"
