"""``dbt_build.*``: all marts built from a long history, against the same from a year's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from emulators.odre.generate import generate
from tests.bench.figures import Figure, against, in_turn, ratios
from tests.bench.ingests import warehouse
from tests.bench.sizes import Size
from tests.warehouse.support import TestWarehouse


def dbt_build(size: Size, folder: Path) -> Iterator[Figure]:
    """Each build is a full refresh with all data tests, as on the first day."""
    present = datetime.now(UTC)
    with ExitStack() as open_:

        def history(years: int) -> tuple[Callable[[], float], int]:
            """A warehouse of its own with so many years in its raw tables: its build, and the rows."""
            _, pipeline = open_.enter_context(warehouse(folder / f"build-{years}", "http://127.0.0.1:9"))
            house: TestWarehouse = pipeline.house
            rows = sum(house.land_all_of(dataset).rows_landed for dataset in generate(present, years=years))
            house.dbt("parse")

            def build() -> float:
                begun = time.perf_counter()
                house.dbt("build", "--full-refresh", "--exclude-resource-type", "unit_test")
                return time.perf_counter() - begun

            return build, rows

        (long, long_rows), (short, short_rows) = (history(years) for years in size.build_years)
        longs, shorts = in_turn(size.build_repeats, long, short)
    about = f"{long_rows:,} raw rows against {short_rows:,}: {against(longs, shorts, 's')}"
    yield Figure("dbt_build.ratio_14_to_1", "×", ratios(longs, shorts), about)
