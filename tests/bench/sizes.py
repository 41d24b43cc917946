"""How much is measured: the real sizes, and those with which CI sees that the bench works.

Pure: numbers only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

STEPS_A_DAY: Final = 96


@dataclass(frozen=True)
class Size:
    """Counts of one size of the bench; ``days`` of quarter-hours are one block of the extraction's file."""

    days: int
    blocks: int
    repeats: int
    #: The long and the short history of an hourly run: years, months.
    long_years: int
    short_months: int
    #: Years of history of a first load, the long one and the short one.
    load_years: tuple[int, int]
    load_repeats: int
    #: Years of history of a build of all marts, the long one and the short one.
    build_years: tuple[int, int]
    build_repeats: int
    #: Runs of the dbt group (0: the first run alone, which builds everything), and years of history that they find.
    group_repeats: int
    group_years: int

    @property
    def rows(self) -> int:
        """Rows of the extraction's file."""
        return self.days * STEPS_A_DAY

    @property
    def rows_large(self) -> int:
        """Rows of the large one."""
        return self.rows * self.blocks


SIZES: Final = {
    "full": Size(
        days=5_209,
        blocks=10,
        repeats=5,
        long_years=14,
        short_months=3,
        load_years=(14, 3),
        load_repeats=3,
        build_years=(14, 1),
        build_repeats=3,
        group_repeats=5,
        group_years=3,
    ),
    "small": Size(
        days=105,
        blocks=3,
        repeats=2,
        long_years=1,
        short_months=3,
        load_years=(1, 0),
        load_repeats=1,
        build_years=(1, 0),
        build_repeats=1,
        group_repeats=0,
        group_years=0,
    ),
}
