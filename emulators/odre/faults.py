"""A source that misbehaves by a script: a list of faults, set by a test or read from a file.

A fault of the wire (:data:`WIRE`) spoils answers; a fault of the data (:data:`DATA`) changes what the source has. Each
says to which dataset and at which endpoint it strikes, from which request on, and how often or for how long::

    script = Script(source, [Fault("server_error", endpoint="exports/csv", first=2, times=3)])
    with serve(source, behaviour=script) as url: ...

For a stand-in with a process of its own, the same as YAML or JSON (``python -m emulators.odre … --faults FILE``)::

    - {kind: server_error, endpoint: exports/csv, first: 2, times: 3}
    - {kind: text_in_number, dataset: eco2mix-national-tr, rows: 5, times: null}

The file is read again when it changes; a fault that is still in it goes on counting. Write it with
:func:`write_script`, which replaces it at once.
"""

from __future__ import annotations

import csv
import io
import json
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from emulators.files import write_whole
from emulators.odre.encode import BOM
from emulators.odre.server import Answer, ConnectionReset, Request, answer
from emulators.odre.source import Dataset, MemorySource, Source
from odre.contracts import Contract, read_contract

CSV: Final = "exports/csv"
#: The request for a count: ``records`` with ``limit=0``.
COUNT: Final = "count"

DRIP_BYTES_PER_S: Final = 1024
#: A stream is reset once this much of it was sent.
RESET_AFTER_BYTES: Final = 512
SHORT_WAIT: Final = timedelta(seconds=1)
LONG_WAIT: Final = timedelta(hours=5)
LONGEST_SILENCE_S: Final = 3600


@dataclass(frozen=True)
class Fault:
    """One fault of a script.

    Args:
        kind: which one: of :data:`WIRE` or :data:`DATA`.
        dataset: the one that it strikes; empty = each.
        endpoint: ``metadata``, ``records``, ``count``, ``exports/csv`` …; empty = wherever the kind makes sense.
        first: the first request of that kind that it strikes, counted since the fault was set, from 1. A fault of the
            data is a state of the source: it begins there, and every endpoint shows it then.
        times: how many requests it strikes; ``None`` = as long as it is set.
        seconds: it ends this long after it struck first; ``None`` = it does not.
        rows: how many rows a fault of the data or of a count concerns: the dataset's last ones.
        column: the column that it concerns; empty = the measured one, or the one that the kind is about.

    Raises:
        ValueError: there is no such kind.
    """

    kind: str
    dataset: str = ""
    endpoint: str = ""
    first: int = 1
    times: int | None = 1
    seconds: float | None = None
    rows: int = 1
    column: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"There is no fault {self.kind!r}; there are: {', '.join(KINDS)}")

    def strikes_at(self, request: Request) -> bool:
        """Whether a request is one of those that the fault is about."""
        if self.dataset not in ("", request.dataset):
            return False
        wanted = self.endpoint or ENDPOINTS.get(self.kind, "")
        if wanted == COUNT:
            return request.endpoint == "records" and request.parameters.get("limit") == "0"
        return wanted in ("", request.endpoint)


class _Progress:
    """How far a fault is."""

    def __init__(self) -> None:
        self.seen = 0
        self.struck = 0
        self.since: float | None = None

    def strikes(self, fault: Fault, request: Request) -> bool:
        """Count a request; whether the fault strikes it."""
        has_begun = self.since is not None and fault.kind in DATA
        if not (fault.dataset in ("", request.dataset) if has_begun else fault.strikes_at(request)):
            return False
        self.seen += 1
        now = time.monotonic()
        if self.since is None:
            if self.seen < fault.first:
                return False
            self.since = now
        if fault.times is not None and self.struck >= fault.times:
            return False
        if fault.seconds is not None and now - self.since > fault.seconds:
            return False
        self.struck += 1
        return True


class Script:
    """A :data:`~emulators.odre.server.Behaviour` that follows a list of faults; it can be replaced while it serves."""

    def __init__(self, source: Source, faults: Iterable[Fault] = ()) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._progress: dict[Fault, _Progress] = {}
        self.set(faults)

    def set(self, faults: Iterable[Fault]) -> None:
        """Follow these faults from now on; one that was set before goes on counting."""
        with self._lock:
            self._progress = {fault: self._progress.get(fault, _Progress()) for fault in faults}

    def __call__(self, request: Request, given: Answer) -> Answer:
        """What is sent instead of the honest answer."""
        with self._lock:
            striking = [fault for fault, progress in self._progress.items() if progress.strikes(fault, request)]
        changes = [fault for fault in striking if fault.kind in DATA]
        dataset = self._source.dataset(request.dataset, refresh=False) if changes and request.dataset else None
        if dataset is not None:
            for fault in changes:
                dataset = DATA[fault.kind](dataset, fault)
            changed = answer(MemorySource([dataset]), request)
            given = replace(changed, headers={**given.headers, **changed.headers})
        for fault in striking:
            if fault.kind in WIRE:
                given = WIRE[fault.kind](given, fault)
        return given


class ScriptFile(Script):
    """The script in a file, read again whenever the file changed.

    Raises:
        ValueError: the file cannot be read as a script when it is first read. Later, that is printed, and the script
            read before goes on.
    """

    def __init__(self, source: Source, path: Path) -> None:
        super().__init__(source, read_script(path))
        self._path = path
        self._state = self._look()

    def __call__(self, request: Request, given: Answer) -> Answer:
        """What is sent instead of the honest answer."""
        state = self._look()
        if state != self._state:
            self._state = state
            try:
                self.set(read_script(self._path))
            except ValueError as error:
                print(f"ODRÉ stand-in: the faults stay as they were: {error}", file=sys.stderr, flush=True)
        return super().__call__(request, given)

    def _look(self) -> tuple[int, int, int] | None:
        try:
            state = self._path.stat()
        except OSError:
            return None
        return state.st_mtime_ns, state.st_size, state.st_ino


def read_script(path: Path) -> list[Fault]:
    """The faults in a YAML or JSON file: a list of mappings with the fields of :class:`Fault`; an empty file has none.

    Raises:
        ValueError: it is none; the message says why.
    """
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8")) or []
        return [Fault(**entry) for entry in entries]
    except (OSError, yaml.YAMLError, TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as a list of faults: {error}") from error


def write_script(path: Path, faults: Iterable[Fault]) -> None:
    """Write a script, or replace it, so that no one reads half of it."""
    write_whole(path, json.dumps([asdict(fault) for fault in faults], indent=1))


# Faults of the wire.


def _error(status: int, body: dict[str, Any], **headers: str) -> Callable[[Answer, Fault], Answer]:
    def act(given: Answer, fault: Fault) -> Answer:
        kept = {name: value for name, value in given.headers.items() if name.startswith("X-")}
        kind = {"Content-Type": "application/json; charset=utf-8"}
        return Answer(status, json.dumps(body).encode(), {**kept, **kind, **headers})

    return act


def _quota(in_body: bool, wait: timedelta) -> Callable[[Answer, Fault], Answer]:
    """429, which says in a header after how many seconds, or in its body at which time, calls are free again."""

    def act(given: Answer, fault: Fault) -> Answer:
        body: dict[str, Any] = {
            "errorcode": 10002,
            "limit_time_unit": "day",
            "call_limit": 10_000,
            "error": "Too many requests on the domain. Please contact the domain administrator.",
        }
        headers = {}
        if in_body:
            body["reset_time"] = (datetime.now(UTC) + wait).isoformat()
        else:
            headers["Retry-After"] = f"{wait.total_seconds():.0f}"
        return _error(429, body, **headers)(given, fault)

    return act


def _pieces(given: Answer, size: int) -> Iterator[bytes]:
    """The body in pieces of at most so many bytes."""
    for piece in [given.body] if isinstance(given.body, bytes) else given.body:
        for start in range(0, len(piece), size):
            yield piece[start : start + size]


def _body(given: Answer) -> bytes:
    return given.body if isinstance(given.body, bytes) else b"".join(given.body)


def _streamed(given: Answer, body: bytes) -> Answer:
    """The same answer with another body, which ends as cleanly as the honest one."""
    return replace(given, body=iter([body]))


def _silence(given: Answer, fault: Fault) -> Answer:
    def wait() -> Iterator[bytes]:
        for _ in range(20 * LONGEST_SILENCE_S):
            time.sleep(0.05)
            yield b""

    return replace(given, raw=wait())


def _drip(given: Answer, fault: Fault) -> Answer:
    def drip() -> Iterator[bytes]:
        for piece in _pieces(given, DRIP_BYTES_PER_S // 8):
            yield piece
            time.sleep(1 / 8)

    return replace(given, body=drip())


def _reset(given: Answer, fault: Fault) -> Answer:
    def broken() -> Iterator[bytes]:
        yield next(_pieces(given, RESET_AFTER_BYTES), b"")
        raise ConnectionReset

    return replace(given, body=broken())


def _cut_at_row_end(given: Answer, fault: Fault) -> Answer:
    lines = _body(given).splitlines(keepends=True)
    return _streamed(given, b"".join(lines[: max(1, len(lines) - fault.rows)]))


def _wrong_count(given: Answer, fault: Fault) -> Answer:
    body = json.loads(_body(given))
    body["total_count"] += fault.rows
    return replace(given, body=json.dumps(body).encode())


def _web_page(given: Answer, fault: Fault) -> Answer:
    page = "<!DOCTYPE html>\n<html><body><h1>Maintenance en cours</h1></body></html>\n"
    return Answer(200, page.encode(), {**given.headers, "Content-Type": "text/html; charset=utf-8"})


def _bom(given: Answer, fault: Fault) -> Answer:
    return _streamed(given, BOM + _body(given))


def _columns_reordered(given: Answer, fault: Fault) -> Answer:
    text = io.StringIO()
    rows = csv.reader(io.StringIO(_body(given).decode(), newline=""), delimiter=";")
    csv.writer(text, delimiter=";").writerows(row[::-1] for row in rows)
    return _streamed(given, text.getvalue().encode())


#: Faults of the wire: from the honest answer to the one that is sent.
WIRE: Final[dict[str, Callable[[Answer, Fault], Answer]]] = {
    "bad_request": _error(400, {"error_code": "ODSQLError", "message": "ODSQL query is malformed"}),
    "not_found": _error(404, {"error_code": "UnknownDataset", "message": "Unknown dataset"}),
    "quota_header_short": _quota(False, SHORT_WAIT),
    "quota_header_long": _quota(False, LONG_WAIT),
    "quota_body_short": _quota(True, SHORT_WAIT),
    "quota_body_long": _quota(True, LONG_WAIT),
    "server_error": _error(500, {"error_code": "InternalServerError", "message": "An error occurred"}),
    "unavailable": _error(503, {"message": "Service temporarily unavailable"}),
    "silence": _silence,
    "drip": _drip,
    "reset": _reset,
    "cut_at_row_end": _cut_at_row_end,
    "wrong_count": _wrong_count,
    "web_page": _web_page,
    "bom": _bom,
    "columns_reordered": _columns_reordered,
}


# Faults of the data.


def _of(dataset: Dataset, table: pa.Table, *, newer: bool = False) -> Dataset:
    """The dataset with other rows; ``newer``: under a later freshness mark."""
    mark = dataset.data_processed + timedelta(seconds=1) if newer else dataset.data_processed
    return replace(dataset, table=table.combine_chunks(), data_processed=mark)


def _contract(dataset: Dataset) -> Contract:
    return read_contract(dataset.identifier)


def _column(dataset: Dataset, fault: Fault) -> str:
    return fault.column or _contract(dataset).measured_column


def _last(table: pa.Table, fault: Fault) -> tuple[pa.Table, pa.Table]:
    """The table without, and only with, the rows that a fault concerns."""
    kept = max(0, table.num_rows - fault.rows)
    return table.slice(0, kept), table.slice(kept)


def _with_column(table: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, values)


def _with_cells(dataset: Dataset, fault: Fault, column: str, text: str) -> Dataset:
    """The same text in a column of the rows concerned; the whole column is one of texts then."""
    before, last = _last(dataset.table, fault)
    texts = before[column].cast(pa.string()).combine_chunks()
    values = pa.concat_arrays([pa.array(texts, pa.string()), pa.repeat(text, last.num_rows)])
    return _of(dataset, _with_column(dataset.table, column, values))


def _cells(text: str) -> Callable[[Dataset, Fault], Dataset]:
    return lambda dataset, fault: _with_cells(dataset, fault, _column(dataset, fault), text)


def _column_added(dataset: Dataset, fault: Fault) -> Dataset:
    return _of(dataset, dataset.table.append_column(fault.column or "maree", pa.repeat(1, dataset.table.num_rows)))


def _column_removed(dataset: Dataset, fault: Fault) -> Dataset:
    return _of(dataset, dataset.table.drop_columns([_column(dataset, fault)]))


def _optional_column_removed(dataset: Dataset, fault: Fault) -> Dataset:
    optional = [column.name for column in _contract(dataset).columns if not column.required]
    there = [name for name in optional if name in dataset.table.column_names]
    return _of(dataset, dataset.table.drop_columns([fault.column or there[-1]]))


def _column_retyped(dataset: Dataset, fault: Fault) -> Dataset:
    instants = pa.repeat(pa.scalar(dataset.data_processed, pa.timestamp("us", tz="UTC")), dataset.table.num_rows)
    return _of(dataset, _with_column(dataset.table, _column(dataset, fault), instants))


def _raised(rows: pa.Table, column: str) -> pa.Table:
    """The rows with a value that is one greater."""
    values = pc.add(pc.fill_null(rows[column], 0), pa.scalar(1, rows[column].type))
    return _with_column(rows, column, values)


def _repeated_rows(dataset: Dataset, fault: Fault) -> Dataset:
    return _of(dataset, pa.concat_tables([dataset.table, _last(dataset.table, fault)[1]]))


def _repeated_keys(dataset: Dataset, fault: Fault) -> Dataset:
    others = _raised(_last(dataset.table, fault)[1], _column(dataset, fault))
    return _of(dataset, pa.concat_tables([dataset.table, others]))


def _unknown_nature(dataset: Dataset, fault: Fault) -> Dataset:
    return _with_cells(dataset, fault, "nature", "Données provisoires")


def _unknown(**values: str) -> Callable[[Dataset, Fault], Dataset]:
    """The rows concerned once more, under names that nobody knows."""

    def act(dataset: Dataset, fault: Fault) -> Dataset:
        strangers = _last(dataset.table, fault)[1]
        for column, text in values.items():
            strangers = _with_column(strangers, column, pa.repeat(text, strangers.num_rows))
        return _of(dataset, pa.concat_tables([dataset.table, strangers]))

    return act


def _empty(dataset: Dataset, fault: Fault) -> Dataset:
    return _of(dataset, dataset.table.slice(0, 0))


def _announced(dataset: Dataset, fault: Fault) -> Dataset:
    return _of(dataset, dataset.table.slice(0, 0), newer=True)


def _restated(dataset: Dataset, fault: Fault) -> Dataset:
    before, last = _last(dataset.table, fault)
    return _of(dataset, pa.concat_tables([before, _raised(last, _column(dataset, fault))]), newer=True)


def _vanished(dataset: Dataset, fault: Fault) -> Dataset:
    return _of(dataset, _last(dataset.table, fault)[0], newer=True)


#: Faults of the data: from the dataset to the state that is served.
DATA: Final[dict[str, Callable[[Dataset, Fault], Dataset]]] = {
    "column_added": _column_added,
    "column_removed": _column_removed,
    "optional_column_removed": _optional_column_removed,
    "column_retyped": _column_retyped,
    "text_in_number": _cells("douze"),
    "no_data_marker": _cells("ND"),
    "decimal_comma": _cells("12,5"),
    "repeated_rows": _repeated_rows,
    "repeated_keys": _repeated_keys,
    "unknown_nature": _unknown_nature,
    "unknown_region": _unknown(code_insee_region="99", region="Atlantide"),
    "unknown_storage_point": _unknown(pits="Nulle part"),
    "empty_window": _empty,
    "republished": _vanished,
    "announced": _announced,
    "restated": _restated,
    "vanished": _vanished,
}

KINDS: Final = (*WIRE, *DATA)

#: Where a fault strikes unless it says so itself; the others strike anywhere.
ENDPOINTS: Final = {
    **dict.fromkeys(("drip", "reset", "cut_at_row_end", "web_page", "bom", "columns_reordered", "republished"), CSV),
    "wrong_count": COUNT,
}
