"""``hourly.*``, ``first_load.*`` and ``gate.*``: the ingest tasks one after the other, without a scheduler.

Gate and extraction are the DAG's operators; load and merge are the jobs that the provider's operators submit.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from airflow.sdk.exceptions import AirflowSkipException

from emulators.odre.generate import CONSOLIDATED, REAL_TIME, generate
from emulators.odre.server import Answer, Request, serve
from emulators.odre.source import Dataset, MemorySource
from local.basics import ROOT, clean_environment
from local.stack import Ports, Source, Stack
from odre.contracts import read_contracts
from tests.bench.figures import Figure, against, in_turn, number, ratios
from tests.bench.places import configured, wait_until
from tests.bench.sizes import STEPS_A_DAY, Size
from tests.warehouse.ingest import Pipeline
from tests.warehouse.support import TestWarehouse


@dataclass(frozen=True)
class Place:
    """A stack with empty tables, its ingest, and the requests that its source has seen."""

    stack: Stack
    pipeline: Pipeline
    source: MemorySource
    seen: list[Request]

    @contextmanager
    def configured(self) -> Iterator[None]:
        """Have this process work here while the block runs."""
        with configured(self.stack):
            yield


@contextmanager
def warehouse(folder: Path, url: str, ports: Ports | None = None) -> Iterator[tuple[Stack, Pipeline]]:
    """Both emulators with empty tables, a source at ``url``, and the folder gone afterwards."""
    try:
        with Stack(Source("bench", connection=url), ports or Ports.free(), folder) as stack:
            stack.start_warehouse()
            with configured(stack):
                house = TestWarehouse("", stack.warehouse.bigquery, folder).create()
                yield stack, Pipeline(house)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    """The same with a source in this process, empty at first."""
    source = MemorySource()
    seen: list[Request] = []

    def watch(request: Request, answer: Answer) -> Answer:
        seen.append(request)
        return answer

    with serve(source, behaviour=watch) as url, warehouse(folder, url) as (stack, pipeline):
        yield Place(stack, pipeline, source, seen)


def is_unchanged(pipeline: Pipeline, dataset: str) -> bool:
    """Whether the gate finds that there is nothing to fetch."""
    try:
        pipeline.gate(dataset)
    except AirflowSkipException:
        return True
    return False


# An hourly run.


@dataclass(frozen=True)
class Hour:
    """What one hourly run took."""

    rows: int
    requests: int
    merge_seconds: float
    seconds: float


def _recent(dataset: Dataset, months: int) -> Dataset:
    """The last months of a dataset."""
    times = dataset.table["date_heure"]
    first = pc.max(times).as_py() - timedelta(days=months * 365.25 / 12)
    return replace(dataset, table=dataset.table.filter(pc.greater_equal(times, first)).combine_chunks())


def _run_hour(at: Place, run_id: str) -> Hour:
    """One run of the hourly DAG's ingest: new rows in real time, and an unchanged consolidation."""
    with at.configured():
        before, begun, merging, rows = len(at.seen), time.perf_counter(), 0.0, 0
        for chunk in at.pipeline.gate(REAL_TIME):
            extracted = at.pipeline.extract(chunk, run_id)
            rows += json.loads(extracted["manifest"])["rows_source"]
            at.pipeline.load(REAL_TIME, extracted)
            staged = time.perf_counter()
            at.pipeline.merge(REAL_TIME, extracted)
            merging += time.perf_counter() - staged
        assert is_unchanged(at.pipeline, CONSOLIDATED)
        return Hour(rows, len(at.seen) - before, merging, time.perf_counter() - begun)


def hourly(size: Size, folder: Path) -> Iterator[Figure]:
    """An hourly run on years of raw rows, in both tables of electricity, against one on months of them."""
    present = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    anchor = present - timedelta(hours=size.repeats + 2)
    steps = int(size.long_years * 365.25) * STEPS_A_DAY
    consolidated = next(d for d in generate(anchor, years=size.long_years) if d.identifier == CONSOLIDATED)
    # Two emulators: what lies in one costs every query there.
    with place(folder / "long") as long, place(folder / "short") as short:
        held = []
        for at, months in ((long, None), (short, size.short_months)):
            for dataset in (generate(anchor, rows=steps)[0], consolidated):
                at.source.put(dataset if months is None else _recent(dataset, months))
                with at.configured():
                    at.pipeline.run(dataset.identifier, "history")
            counts = [
                f"SELECT COUNT(*) FROM odre_raw.{read_contracts()[name].table} WHERE date_heure > '1990-01-01'"
                for name in (REAL_TIME, CONSOLIDATED)
            ]
            held.append(sum(at.stack.warehouse.query(sql).rows[0][0] for sql in counts))

        hours = iter(range(1, 10_000))
        published: list[Dataset] = []

        def publish() -> None:
            published.append(generate(anchor + timedelta(hours=next(hours)), rows=steps)[0])
            long.source.put(published[-1])
            short.source.put(_recent(published[-1], size.short_months))

        def on_long() -> Hour:
            publish()
            return _run_hour(long, f"hour-{len(published)}")

        def on_short() -> Hour:
            return _run_hour(short, f"hour-{len(published)}")

        on_long(), on_short()  # once for nothing: connections are made and caches filled
        ours, theirs = in_turn(size.repeats, on_long, on_short)
    about = f"{held[0]:,} raw rows against {held[1]:,}"

    def figure(key: str, name: str, unit: str) -> Figure:
        one, other = ([float(getattr(hour, name)) for hour in side] for side in (ours, theirs))
        return Figure(key, "×", ratios(one, other), f"{about}: {against(one, other, unit)}")

    yield figure("hourly.rows_ratio", "rows", "rows from the source")
    yield figure("hourly.requests_ratio", "requests", "requests")
    yield figure("hourly.merge_seconds_ratio", "merge_seconds", "s")
    yield figure("hourly.ingest_seconds_ratio", "seconds", "s from gate to merge")


# A first load.


def _first_load(folder: Path, years: int) -> tuple[float, int]:
    """Load all that the stand-in has, into empty tables: seconds, and rows landed."""
    ports = Ports.free()
    url = f"http://127.0.0.1:{ports.odre}"
    with warehouse(folder, url, ports) as (stack, pipeline):
        stack.processes.start(
            "source",
            [sys.executable, "-m", "emulators.odre", "--generated", f"--years={years}", f"--port={ports.odre}"],
            {**clean_environment(), "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT / "plugins")},
        )
        wait_until(f"{url}/api/explore/v2.1/catalog/datasets", stack)
        begun, rows = time.perf_counter(), 0
        for dataset in read_contracts():
            for extracted in pipeline.run(dataset, "first"):
                rows += json.loads(extracted["manifest"])["rows_landed"]
        return time.perf_counter() - begun, rows


def first_load(size: Size, folder: Path) -> Iterator[Figure]:
    """Seconds per million rows of a first load of all datasets, with a long history and with a short one."""
    loads = in_turn(
        size.load_repeats, *(partial(_first_load, folder / f"load-{years}", years) for years in size.load_years)
    )
    per_million = [tuple(1e6 * seconds / rows for seconds, rows in side) for side in loads]
    medians = [
        f"{years} years: {number(statistics.median(seconds for seconds, _ in side))} s, {side[0][1]:,} rows"
        for years, side in zip(size.load_years, loads, strict=True)
    ]
    yield Figure("first_load.seconds_per_million_rows", "s", per_million[0], f"all datasets, {medians[0]}")
    yield Figure("first_load.ratio_14_to_3", "×", ratios(*per_million), "of these figures; " + "; ".join(medians))


# A gate.


def gate(folder: Path) -> Iterator[Figure]:
    """Requests of a run that finds each dataset unchanged."""
    with place(folder / "gate") as at:
        datasets: list[Any] = generate(datetime.now(UTC) - timedelta(hours=1), years=1)
        for dataset in datasets:
            at.source.put(dataset)
            at.pipeline.run(dataset.identifier, "first")
        counts = []
        for dataset in datasets:
            before = len(at.seen)
            assert is_unchanged(at.pipeline, dataset.identifier)
            counts.append(float(len(at.seen) - before))
    yield Figure("gate.requests", "", tuple(counts), f"a dataset, of {len(datasets)} datasets that did not change")
