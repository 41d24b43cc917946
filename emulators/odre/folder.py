"""A folder of files as a source: extracts in whatever form ODRÉ gives them, served as one dataset each.

A file belongs to the dataset whose identifier its name begins with (the longest that fits); folders inside are not
looked at. Columns are recognised by name or label; a key that several files have is served once, from the file whose
name sorts last, while the rows of one file are served as they are. The freshness mark follows the content: the same
rows, in whatever order or files, keep their mark, and other rows get a newer one.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from emulators.files import write_whole
from emulators.odre.encode import BOM
from emulators.odre.odsql import INSTANT
from emulators.odre.source import TEXT_AT_SOURCE, Dataset, UnreadableFile
from odre.contracts import Contract, normalise_label, read_contracts

_OFFSET: Final = r"(?:[Zz]|[+-]\d{2}(?::?\d{2})?)$"
_INTEGER: Final = r"^[+-]?\d+(?:\.0*)?$"
_CANONICAL_INTEGER: Final = r"^(?:0|-?[1-9]\d{0,17})$"
_NUMBER: Final = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$"

#: Files that changed so recently may change again without their time telling, ns.
CLOCK_TICK_NS: Final = 2_000_000_000

#: What identifies the state of a folder's files without reading them.
Signature = tuple[tuple[str, int, int], ...]


def _strings(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column's values as text, empty text as null."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", tz=column.type.tz), safe=False)
    text = column.cast(pa.string())
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)


def _read_csv(path: Path) -> pa.Table:
    with path.open("rb") as file:
        first = file.readline().removeprefix(BOM).decode("utf-8").strip("\r\n")
        has_rows = bool(file.read(1))
    if not first:
        raise ValueError("it is empty")
    if first.lstrip().startswith("<"):
        raise ValueError("it holds a web page, not CSV")
    delimiter = max(";,\t", key=first.count)
    names = next(csv.reader([first], delimiter=delimiter))
    if not has_rows:
        return pa.table({name: pa.array([], pa.string()) for name in names})
    return pacsv.read_csv(
        path,
        read_options=pacsv.ReadOptions(column_names=[f"{index}" for index in range(len(names))], skip_rows=1),
        parse_options=pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=pacsv.ConvertOptions(
            column_types={f"{index}": pa.string() for index in range(len(names))}, strings_can_be_null=False
        ),
    ).rename_columns(names)


def _read_json(path: Path) -> pa.Table:
    content = json.loads(path.read_text(encoding="utf-8-sig"))
    if isinstance(content, dict):
        content = content.get("results")
    if not isinstance(content, list) or not all(isinstance(record, dict) for record in content):
        raise ValueError("it is not a list of records")
    names = list(dict.fromkeys(name for record in content for name in record))
    return pa.table(
        {name: pa.array([_json_text(record.get(name)) for record in content], pa.string()) for name in names}
    )


def _json_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _read_parquet(path: Path) -> pa.Table:
    return pq.read_table(path)


READERS: Final[dict[str, Callable[[Path], pa.Table]]] = {
    ".csv": _read_csv,
    ".json": _read_json,
    ".parquet": _read_parquet,
}


def _instants(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Times in UTC; one that names no offset is in UTC."""
    has_offset = pc.match_substring_regex(column, _OFFSET)
    return pc.if_else(has_offset, column, pc.binary_join_element_wise(column, "Z", "")).cast(INSTANT)


def _days(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Days, of texts that are days or midnights."""
    return pc.utf8_slice_codeunits(column, 0, 10).cast(pa.date32())


def _read(path: Path, contract: Contract) -> pa.Table:
    """One file: columns under the contract's names, all text but the time column and days.

    Raises:
        ValueError, pa.ArrowInvalid, OSError: it is not what its name says.
    """
    table = READERS[path.suffix.lower()](path)
    names = []
    for name in table.column_names:
        column = contract.by_label.get(normalise_label(name))
        names.append(column.name if column else name.strip())
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"it has the column {', '.join(twice)} more than once")
    absent = [name for name in contract.key if name not in names]
    if absent:
        raise ValueError(f"it lacks the column {', '.join(absent)}; its columns are {', '.join(names)[:200]}")
    columns = []
    for name, column in zip(names, table.itercolumns(), strict=True):
        text = _strings(column)
        type_ = contract.by_name[name].type if name in contract.by_name else "STRING"
        if type_ == "TIMESTAMP":
            text = _instants(text)
        elif type_ == "DATE" and name != contract.local_date_column:
            text = _days(text)
        columns.append(text)
    return pa.table(columns, names=names)


def _typed(name: str, column: pa.ChunkedArray, contract: Contract) -> pa.ChunkedArray:
    """A column of texts under the type that the source gives what it holds: text stays text where a number is none."""
    declared = contract.by_name.get(name)
    type_ = declared.type if declared else ""
    local = (contract.local_date_column, contract.local_time_column)
    if type_ in ("TIMESTAMP", "DATE") or name in TEXT_AT_SOURCE or name in local:
        return column
    if column.null_count == len(column):
        return column.cast(declared.arrow_type) if declared else column
    if type_ != "FLOAT64" and _all_match(column, _CANONICAL_INTEGER):
        return column.cast(pa.int64())
    if type_ == "INT64" and _all_match(column, _INTEGER):
        return column.cast(pa.float64()).cast(pa.int64())
    if type_ != "STRING" and _all_match(column, _NUMBER):
        return column.cast(pa.float64())
    return column


def _all_match(column: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(column, pattern)).as_py())


def _key(table: pa.Table, contract: Contract) -> pa.ChunkedArray:
    parts = [pc.fill_null(table[name].cast(pa.string()), "") for name in contract.key]
    return pc.binary_join_element_wise(*parts, "\x1f")


def content_hash(table: pa.Table) -> str:
    """SHA-256 of columns, types and rows, whatever their order."""
    names = sorted(table.column_names)
    digest = hashlib.sha256(repr([(name, str(table.schema.field(name).type)) for name in names]).encode())
    texts = [table[name].cast(pa.string()) for name in names]
    rows = pc.binary_join_element_wise(*texts, "\x1f", null_handling="replace", null_replacement="\x00")
    for row in rows.take(pc.sort_indices(rows)).cast(pa.large_string()).to_pylist():
        digest.update(row.encode() + b"\x1e")
    return digest.hexdigest()


@dataclass
class _Loaded:
    signature: Signature
    content: str
    dataset: Dataset


class FolderSource:
    """The files of a folder. ``state_file`` keeps the marks, so that a restart on the same content gives the same ones.

    Raises:
        UnreadableFile: there is no such folder, or the state file is none of ours.
    """

    def __init__(self, folder: Path, state_file: Path | None = None) -> None:
        if not folder.is_dir():
            raise UnreadableFile(f"{folder} is not a folder")
        self._folder = folder
        self._state_file = state_file
        self._contracts = read_contracts()
        self._loaded: dict[str, _Loaded] = {}
        self._lock = threading.Lock()
        self._marks: dict[str, dict[str, str]] = {}
        if state_file is not None and state_file.exists():
            try:
                self._marks = json.loads(state_file.read_text(encoding="utf-8"))
                for state in self._marks.values():
                    datetime.fromisoformat(state["data_processed"] if state["content"] else "")
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise UnreadableFile(f"{state_file} does not hold the marks of a folder: {error!r}") from error

    def files(self) -> dict[str, list[Path]]:
        """The files of each dataset, by name; files whose name or suffix says nothing are left out."""
        by_dataset: dict[str, list[Path]] = {}
        for path in sorted(self._folder.iterdir(), key=lambda path: path.name):
            fitting = [identifier for identifier in self._contracts if path.name.startswith(identifier)]
            if fitting and path.is_file() and path.suffix.lower() in READERS:
                by_dataset.setdefault(max(fitting, key=len), []).append(path)
        return by_dataset

    def identifiers(self) -> list[str]:
        """The datasets that have a file."""
        return sorted(self.files())

    def dataset(self, identifier: str, *, refresh: bool) -> Dataset | None:
        """A dataset's present state; ``refresh`` reads its files again if they changed.

        Raises:
            UnreadableFile: naming the file and what is wrong with it.
        """
        with self._lock:
            loaded = self._loaded.get(identifier)
            if loaded is not None and not refresh:
                return loaded.dataset
            files = self.files().get(identifier)
            if not files:
                self._loaded.pop(identifier, None)
                return None
            stats = [(path.name, path.stat()) for path in files]
            signature = tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)
            if max(stat.st_mtime_ns for _, stat in stats) > time.time_ns() - CLOCK_TICK_NS:
                # A file that changes again within a tick of the clock keeps its time: look into it once more.
                signature = ()
            if loaded is None or not signature or loaded.signature != signature:
                loaded = self._load(identifier, files, signature)
                self._loaded[identifier] = loaded
            return loaded.dataset

    def _load(self, identifier: str, files: list[Path], signature: Signature) -> _Loaded:
        contract = self._contracts[identifier]
        merged: pa.Table | None = None
        for path in files:
            try:
                table = _read(path, contract)
            except (ValueError, pa.ArrowException, OSError) as error:
                raise UnreadableFile(f"{path} cannot be served as {identifier}: {_first_line(error)}") from error
            if merged is not None:
                superseded = pc.is_in(_key(merged, contract), value_set=_key(table, contract).combine_chunks())
                table = pa.concat_tables([merged.filter(pc.invert(superseded)), table], promote_options="default")
            merged = table
        assert merged is not None
        order = [column.name for column in contract.columns if column.name in merged.column_names]
        order += [name for name in merged.column_names if name not in order]
        typed = pa.table({name: _typed(name, merged[name], contract) for name in order})
        content = content_hash(typed)
        mark = self._mark(identifier, content, typed, contract)
        return _Loaded(signature, content, Dataset.of(identifier, typed, mark))

    def _mark(self, identifier: str, content: str, table: pa.Table, contract: Contract) -> datetime:
        """The mark of a content: the one that it has, or a newer one than that of the content before."""
        before = self._marks.get(identifier)
        if before is not None and before["content"] == content:
            return datetime.fromisoformat(before["data_processed"])
        if self._state_file is None:
            # Nothing remembers marks over a restart: the content itself must give the same one again.
            last = pc.max(table[contract.time_column]).as_py() or date(2000, 1, 1)
            mark = datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(
                seconds=int(content[:8], 16) % 86_400
            )
        else:
            mark = datetime.now(UTC).replace(microsecond=0)
        if before is not None:
            mark = max(mark, datetime.fromisoformat(before["data_processed"]) + timedelta(seconds=1))
        self._marks[identifier] = {"content": content, "data_processed": mark.isoformat()}
        if self._state_file is not None:
            write_whole(self._state_file, json.dumps(self._marks, indent=1))
        return mark


def _first_line(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8 (byte {error.start})"
    return re.sub(r"\s+", " ", str(error).strip())[:300]
