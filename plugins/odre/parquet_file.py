"""Parquet files whose bytes depend on their rows only, hashed as they are written.

Pure: no Airflow import.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from odre.contracts import Contract

ROW_GROUP_ROWS: Final = 1 << 15
#: What goes to the file at once.
WRITE_BYTES: Final = 1 << 20


class HashedFile:
    """A file that is hashed as it is written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self._hash = hashlib.sha256()
        self._file = path.open("wb")

    @property
    def sha256(self) -> str:
        """Of what was written so far, in hexadecimal digits."""
        return self._hash.hexdigest()

    # What Arrow asks of a file.

    @property
    def closed(self) -> bool:
        return self._file.closed

    def write(self, data: Any) -> int:
        self._hash.update(data)
        self.size_bytes += self._file.write(data)
        return len(data)

    def tell(self) -> int:
        return self.size_bytes

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> HashedFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RowGroupWriter:
    """Writes a contract's rows, as they come, in row groups of a fixed size: the same rows give the same bytes.

    A group is encoded and written in a thread, beside the parsing of what follows. There is one at a time, so that
    memory does not grow; what fails there is raised by the next call.
    """

    def __init__(self, file: HashedFile, contract: Contract) -> None:
        strings = [column.name for column in contract.columns if column.type == "STRING"]
        # Parquet comes in hundreds of small pieces, and each would wait for Python's lock.
        self._buffered = pa.BufferedOutputStream(pa.PythonFile(file, mode="w"), WRITE_BYTES)
        self._writer = pq.ParquetWriter(
            self._buffered,
            contract.arrow_schema,
            compression="zstd",
            # Figures hardly repeat: a dictionary of them costs time and bytes.
            use_dictionary=strings or False,
        )
        self._waiting: list[pa.Table] = []
        self._waiting_rows = 0
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._writing: Future[None] | None = None

    def write(self, table: pa.Table) -> None:
        """Take rows with the contract's schema, and write the groups that are full."""
        if table.num_rows == 0:
            return
        self._waiting.append(table)
        self._waiting_rows += table.num_rows
        if self._waiting_rows < ROW_GROUP_ROWS:
            return
        rows = pa.concat_tables(self._waiting)
        while rows.num_rows >= ROW_GROUP_ROWS:
            self._write_group(rows.slice(0, ROW_GROUP_ROWS))
            rows = rows.slice(ROW_GROUP_ROWS)
        self._waiting, self._waiting_rows = [rows], rows.num_rows

    def _write_group(self, rows: pa.Table) -> None:
        self._wait()
        self._writing = self._thread.submit(self._encode, rows)

    def _encode(self, rows: pa.Table) -> None:
        self._writer.write_table(rows.combine_chunks(), row_group_size=ROW_GROUP_ROWS)

    def _wait(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def __enter__(self) -> RowGroupWriter:
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        try:
            if failure is None:
                if self._waiting_rows:
                    self._write_group(pa.concat_tables(self._waiting))
                self._wait()
        finally:
            self._thread.shutdown()
            self._writer.close()
            self._buffered.flush()
