"""``python -m tests.bench.conversion <way> <csv> <parquet>``: one conversion in a process of its own.

Prints, as JSON, seconds without start and imports, the process's peak memory in MB, and rows. ``checked`` is the
pipeline's way; ``pyarrow`` streams from a CSV reader to a Parquet writer; ``pandas`` reads and writes the whole file.
All three read the same null markers and write zstd; pandas finds the types itself.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from odre.contracts import read_contract

DATASET: Final = "eco2mix-national-tr"
#: A body comes in pieces of about this many bytes.
PIECE: Final = 1 << 16


def _pieces(csv: Path) -> Iterator[bytes]:
    with csv.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def checked() -> Callable[[Path, Path], int]:
    """The pipeline's conversion, all checks on."""
    from odre.convert import convert_csv

    contract = read_contract(DATASET)
    names = [column.name for column in contract.columns]

    def convert(csv: Path, parquet: Path) -> int:
        return convert_csv(_pieces(csv), contract, names, parquet).rows_source

    return convert


def bare_pyarrow() -> Callable[[Path, Path], int]:
    """What pyarrow gives: its streaming reader, with threads as by default, into its writer."""
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    contract = read_contract(DATASET)
    options = pa_csv.ConvertOptions(
        column_types={column.name: column.arrow_type for column in contract.columns},
        null_values=list(contract.null_markers),
        strings_can_be_null=True,
    )

    def convert(csv: Path, parquet: Path) -> int:
        rows = 0
        # Blocks of the reader's own size make row groups of 4,000 rows, which costs it a quarter more time.
        with (
            pa_csv.open_csv(
                csv,
                read_options=pa_csv.ReadOptions(block_size=4 << 20),
                parse_options=pa_csv.ParseOptions(delimiter=";"),
                convert_options=options,
            ) as reader,
            pq.ParquetWriter(parquet, reader.schema, compression="zstd") as writer,
        ):
            for batch in reader:
                writer.write_batch(batch)
                rows += batch.num_rows
        return rows

    return convert


def pandas() -> Callable[[Path, Path], int]:
    """``read_csv → to_parquet``."""
    import pandas as pd

    markers = [marker for marker in read_contract(DATASET).null_markers if marker]

    def convert(csv: Path, parquet: Path) -> int:
        frame = pd.read_csv(csv, sep=";", na_values=markers)
        frame.to_parquet(parquet, compression="zstd")
        return len(frame)

    return convert


WAYS: Final = {"checked": checked, "pyarrow": bare_pyarrow, "pandas": pandas}


def peak_mb() -> float:
    """The most memory that this process held, interpreter and libraries included."""
    try:
        # The kernel's ru_maxrss of a process begins with that of the one that started it; this is its own.
        status = Path("/proc/self/status").read_text()
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def main(way: str, csv: str, parquet: str) -> None:
    """Convert once and print the measures."""
    convert = WAYS[way]()
    begun = time.perf_counter()
    rows = convert(Path(csv), Path(parquet))
    print(json.dumps({"seconds": time.perf_counter() - begun, "peak_mb": peak_mb(), "rows": rows}))


if __name__ == "__main__":
    main(*sys.argv[1:])
