"""Rows of a table as the source writes them: CSV, JSON, JSON lines, Parquet.

Everything is written batch by batch, so that memory does not grow with the rows, and by columns where size matters
(CSV).
"""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from emulators.odre.odsql import Indices, QueryError, Selected, kind, rows_of

BATCH_ROWS: Final = 16_384
BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Rows:
    """What a query selects: a table, which of its rows in which order, which columns under which names."""

    table: pa.Table
    indices: Indices
    items: list[Selected]

    def batches(self) -> Iterator[pa.Table]:
        """The rows, some thousands at a time."""
        columns = self.table.select(list(dict.fromkeys(item.column for item in self.items)))
        for start in range(0, len(self.indices), BATCH_ROWS):
            batch = rows_of(columns, self.indices[start : start + BATCH_ROWS]).combine_chunks()
            yield pa.table([batch[item.column] for item in self.items], names=[item.name for item in self.items])


def check_timezone(timezone: str) -> str:
    """The name of a time zone.

    Raises:
        QueryError: no such zone.
    """
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise QueryError(
            f"Invalid value for timezone API parameter: {timezone!r} is not a time zone", "InvalidRESTParameterError"
        ) from error
    return timezone


def _offset(minutes: int) -> str:
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def datetimes_as_text(column: pa.Array, timezone: str) -> pa.Array:
    """Instants as ``2022-08-02T10:15:00+00:00``, in a time zone."""
    utc = column.cast(pa.timestamp("s", tz="UTC"), safe=False)
    local = pc.local_timestamp(utc.cast(pa.timestamp("s", tz=timezone)))
    text = pc.utf8_replace_slice(local.cast(pa.string()), 10, 11, "T")
    if timezone == "UTC":
        return pc.binary_join_element_wise(text, "+00:00", "")
    minutes = pc.divide(pc.subtract(local.cast(pa.int64()), utc.cast(pa.int64())), 60)
    offsets = minutes.dictionary_encode()
    written = pa.array([_offset(offset) for offset in offsets.dictionary.to_pylist()], pa.string())
    return pc.binary_join_element_wise(text, written.take(offsets.indices), "")


def _as_text(column: pa.Array, timezone: str) -> pa.Array:
    if kind(column.type) == "datetime":
        return datetimes_as_text(column, timezone)
    text = column if pa.types.is_string(column.type) else column.cast(pa.string())
    if kind(column.type) == "double":
        # A double that is whole is written with its point, as 26222.0.
        return pc.if_else(pc.match_substring_regex(text, r"^-?\d+$"), pc.binary_join_element_wise(text, ".0", ""), text)
    return text


def _quoted(column: pa.Array, delimiter: str) -> pa.Array:
    """Texts in quotes where they hold a delimiter, a quote or a line break."""
    special = pc.match_substring_regex(column, f'["\\r\\n{re.escape(delimiter)}]')
    if not pc.any(special).as_py():
        return column
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(column, '"', '""'), '"', "")
    return pc.if_else(special, quoted, column)


def csv(rows: Rows, header: list[str], *, delimiter: str, with_bom: bool, timezone: str) -> Iterator[bytes]:
    """``exports/csv``: a header, then the rows; nulls are empty, lines end in CR LF."""
    first = _quoted(pa.array(header, pa.string()), delimiter).to_pylist()
    yield (BOM if with_bom else b"") + (delimiter.join(first) + "\r\n").encode()
    for batch in rows.batches():
        columns = []
        for column in batch.itercolumns():
            chunk = column.chunk(0)
            text = _as_text(chunk, timezone)
            columns.append(_quoted(text, delimiter) if kind(chunk.type) == "text" else text)
        columns[-1] = _joined([columns[-1], "\r\n"], "")
        lines = _joined(columns, delimiter)
        # The lines of a string array lie one after the other in its buffer: that is the body.
        _, offsets, body = lines.buffers()
        ends = np.frombuffer(offsets, np.int32)
        yield bytes(memoryview(body)[ends[lines.offset] : ends[lines.offset + len(lines)]])


def _joined(columns: list[Any], separator: str) -> pa.Array:
    return pc.binary_join_element_wise(*columns, separator, null_handling="replace", null_replacement="")


def _records(batch: pa.Table, timezone: str) -> list[dict[str, Any]]:
    columns = [
        _as_text(column.chunk(0), timezone) if kind(column.type) in ("date", "datetime") else column
        for column in batch.itercolumns()
    ]
    rows: list[dict[str, Any]] = pa.table(columns, names=batch.column_names).to_pylist()
    return rows


def records(rows: Rows, timezone: str) -> list[dict[str, Any]]:
    """The rows as ``records`` gives them; for few rows."""
    return [record for batch in rows.batches() for record in _records(batch, timezone)]


def jsonl(rows: Rows, timezone: str) -> Iterator[bytes]:
    """``exports/jsonl``: one object a line."""
    for batch in rows.batches():
        lines = (json.dumps(record, ensure_ascii=False) for record in _records(batch, timezone))
        yield ("\n".join(lines) + "\n").encode()


def json_list(rows: Rows, timezone: str) -> Iterator[bytes]:
    """``exports/json``: a bare list."""
    separator = "["
    for batch in rows.batches():
        objects = (json.dumps(record, ensure_ascii=False) for record in _records(batch, timezone))
        yield (separator + ",".join(objects)).encode()
        separator = ","
    yield b"[]" if separator == "[" else b"]"


class _Pipe(io.RawIOBase):
    """Takes what a writer writes and hands it on in pieces."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        data = bytes(piece)
        self.pieces.append(data)
        return len(data)

    def drain(self) -> bytes:
        """What was written since the last time."""
        data = b"".join(self.pieces)
        self.pieces.clear()
        return data


def parquet(rows: Rows, compression: str) -> Iterator[bytes]:
    """``exports/parquet``: every column optional, texts as strings."""
    schema = pa.schema([pa.field(item.name, rows.table.schema.field(item.column).type) for item in rows.items])
    pipe = _Pipe()
    with pq.ParquetWriter(pipe, schema, compression=compression) as writer:
        for batch in rows.batches():
            writer.write_table(batch.cast(schema))
            yield pipe.drain()
    yield pipe.drain()


def gzipped(body: Iterator[bytes]) -> Iterator[bytes]:
    """A body as a gzip file."""
    pipe = _Pipe()
    with gzip.GzipFile(fileobj=pipe, mode="wb", compresslevel=1) as file:
        for piece in body:
            file.write(piece)
            yield pipe.drain()
    yield pipe.drain()
