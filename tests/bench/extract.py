"""``extract.*`` and ``stream.*``: CSV to a checked Parquet file, alone and on the way from the source to the lake."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import requests
from airflow.providers.google.cloud.hooks.gcs import GCSHook

from emulators.odre import encode, odsql
from emulators.odre.generate import generate
from emulators.odre.server import BASE_PATH
from local.basics import ROOT, clean_environment
from local.stack import Ports, Source, Stack
from odre.contracts import read_contract
from odre.operators import OdreToGCSOperator
from odre.plan import Chunk
from tests.bench.conversion import DATASET
from tests.bench.figures import Figure, against, in_turn, ratios
from tests.bench.places import configured, wait_until
from tests.bench.sizes import STEPS_A_DAY, Size

ANCHOR: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)


def write_csv(file: BinaryIO, days: int, blocks: int) -> int:
    """Write an export of the real-time dataset as the stand-in makes it, ``days`` long; gives the rows.

    With several blocks these rows come again and again, a minute apart instead of a quarter of an hour, so that ten
    times the history still lies in years whose clocks are known.
    """
    contract = read_contract(DATASET)
    names = [column.name for column in contract.columns]
    generated = generate(ANCHOR, rows=days * STEPS_A_DAY)[0].table
    for block in range(blocks):
        table = generated if blocks == 1 else _a_minute_apart(generated, block * generated.num_rows)
        order = odsql.ordered(table, np.arange(table.num_rows), ",".join(contract.key))
        selected = encode.Rows(table, order, odsql.parse_select(table, ",".join(names)))
        pieces = encode.csv(selected, names, delimiter=";", with_bom=False, timezone="UTC")
        header = next(pieces)
        if block == 0:
            file.write(header)
        for piece in pieces:
            file.write(piece)
    return days * STEPS_A_DAY * blocks


def _a_minute_apart(table: pa.Table, first: int) -> pa.Table:
    """The rows with other times: that many minutes after 2012 began, and on."""
    minutes = int(datetime(2012, 1, 1, tzinfo=UTC).timestamp()) // 60 + first + np.arange(table.num_rows)
    instants = pa.array(minutes * 60_000_000).cast(pa.timestamp("us", tz="UTC"))
    local = pc.local_timestamp(instants.cast(pa.timestamp("s", tz="Europe/Paris"), safe=False)).cast(pa.string())
    times = {
        "date": pc.utf8_slice_codeunits(local, 0, 10),
        "heure": pc.utf8_slice_codeunits(local, 11, 16),
        "date_heure": instants,
    }
    for name, values in times.items():
        table = table.set_column(table.column_names.index(name), name, values)
    return table.combine_chunks()


def export(folder: Path, days: int, blocks: int) -> Path:
    """The file of an export, made unless it is there."""
    csv = folder / f"export-{days}-{blocks}.csv"
    if not csv.is_file():
        partial = csv.with_suffix(".partial")
        with partial.open("wb") as file:
            write_csv(file, days, blocks)
        partial.rename(csv)
    return csv


def _convert(way: str, csv: Path) -> dict[str, Any]:
    """One conversion in a process of its own."""
    parquet = csv.with_suffix(f".{way}.parquet")
    command = [sys.executable, "-m", "tests.bench.conversion", way, str(csv), str(parquet)]
    environment = {**clean_environment(), "PYTHONPATH": str(ROOT / "plugins")}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    parquet.unlink()
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def extraction(size: Size, folder: Path) -> Iterator[Figure]:
    """The conversion beside those of pyarrow and pandas, and the memory that it takes."""
    csv = export(folder, size.days, 1)
    ways = [partial(_convert, way, csv) for way in ("checked", "pyarrow", "pandas")]
    in_turn(1, *ways)  # once for nothing: what they read is then in the disk's cache
    sides = in_turn(size.repeats, *ways)
    assert {measured["rows"] for side in sides for measured in side} == {size.rows}
    ours, pyarrow, pandas = ([measured["seconds"] for measured in side] for side in sides)
    peak = tuple(measured["peak_mb"] for measured in sides[0])
    about = f"{size.rows:,} rows of 41 columns, {csv.stat().st_size / 1e6:.0f} MB:"
    yield Figure("extract.wall_ratio_to_pyarrow", "×", ratios(ours, pyarrow), f"{about} {against(ours, pyarrow, 's')}")
    yield Figure("extract.wall_ratio_to_pandas", "×", ratios(ours, pandas), f"{about} {against(ours, pandas, 's')}")
    yield Figure("extract.peak_mb", "MB", peak, f"{size.rows:,} rows; the whole process, with Python and pyarrow")
    large = export(folder, size.days, size.blocks)
    try:
        converted = [_convert("checked", large) for _ in range(size.repeats)]
    finally:
        large.unlink()
    assert {measured["rows"] for measured in converted} == {size.rows_large}
    peak_large = tuple(measured["peak_mb"] for measured in converted)
    yield Figure("extract.peak_mb_5m", "MB", peak_large, f"{size.rows_large:,} rows; likewise")
    yield Figure("extract.peak_ratio_5m", "×", ratios(peak_large, peak), "the second of these to the first")


def streaming(size: Size, folder: Path) -> Iterator[Figure]:
    """The extract task from a server that only sends, against a copy of the same bytes from it to the same lake."""
    csv = export(folder, size.days, 1)
    ports = Ports.free()
    url = f"http://127.0.0.1:{ports.odre}"
    with Stack(Source("bench", connection=url), ports, folder / "stream") as stack:
        stack.start_warehouse()
        command = [sys.executable, "-m", "tests.bench.file_server", str(csv), str(size.rows), str(ports.odre)]
        stack.processes.start("source", command, {**clean_environment(), "PYTHONUNBUFFERED": "1"})
        wait_until(f"{url}{BASE_PATH}/catalog/datasets/{DATASET}/records?limit=0", stack)
        with configured(stack):
            lake = GCSHook("google_cloud_default")
            contract = read_contract(DATASET)
            chunk = Chunk(
                dataset=DATASET,
                chunk=0,
                chunks=1,
                ordinary=True,
                run_window_start=None,
                run_window_end=None,
                window_start=None,
                window_end=None,
                source_mark=ANCHOR.isoformat(),
                columns=tuple(column.name for column in contract.columns),
                unknown_columns=(),
                absent_columns=(),
            )

            def extract() -> float:
                operator = OdreToGCSOperator(task_id="extract", chunk=chunk.to_dict(), settings=stack.settings)
                begun = time.perf_counter()
                operator.execute({"run_id": f"bench-{begun}"})
                return time.perf_counter() - begun

            def copy() -> float:
                begun = time.perf_counter()
                address = f"{url}{BASE_PATH}/catalog/datasets/{DATASET}/exports/csv"
                with requests.get(address, stream=True, timeout=60) as body:
                    body.raise_for_status()
                    blob = lake.get_conn().bucket(stack.settings.bucket).blob(f"copy/{begun}.csv")
                    blob.upload_from_file(body.raw, size=csv.stat().st_size, timeout=60)
                return time.perf_counter() - begun

            copy(), extract()
            ours, theirs = in_turn(size.repeats, extract, copy)
    about = f"{size.rows:,} rows, {csv.stat().st_size / 1e6:.0f} MB: {against(ours, theirs, 's')}"
    yield Figure("stream.ratio_to_copy", "×", ratios(ours, theirs), about)


def remove_exports(folder: Path) -> None:
    """Delete the files that were made; they are as large as the figures are honest."""
    for csv in folder.glob("export-*"):
        with contextlib.suppress(FileNotFoundError):
            csv.unlink()
