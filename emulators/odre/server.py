"""The HTTP side of the stand-in: the endpoints of the Explore API v2.1, their limits, errors and headers.

:func:`answer` is a function from a request to an answer and knows no socket. Between it and the socket lies one
function, a :data:`Behaviour`: it sees each request with its number and the honest answer, and gives what is sent. Tests
count requests there, and :mod:`emulators.odre.faults` misbehaves there.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from emulators.access import GuardedHandler
from emulators.odre import encode, odsql
from emulators.odre.odsql import QueryError
from emulators.odre.source import Dataset, Source, UnreadableFile

BASE_PATH: Final = "/api/explore/v2.1"

MAX_LIMIT: Final = 100
MAX_WINDOW: Final = 10_000
FORMATS: Final = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json; charset=utf-8",
    "jsonl": "application/jsonl; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}

#: ODRÉ's quota: calls a day of everybody, calls a month of one client on one dataset.
DAY_LIMIT: Final = 10_000_000
DATASET_LIMIT: Final = 50_000

#: ``metas.default.modified`` never changes at the source, which is why it is no freshness mark.
MODIFIED: Final = "2020-12-15T10:04:39+00:00"

_COMMON: Final = frozenset({"select", "where", "order_by", "limit", "timezone", "lang", "apikey"})
_PARAMETERS: Final = {
    "metadata": frozenset({"lang", "timezone", "apikey", "limit", "offset"}),
    "records": _COMMON | {"offset"},
    "csv": _COMMON | {"use_labels", "compressed", "delimiter", "with_bom"},
    "json": _COMMON | {"compressed"},
    "jsonl": _COMMON | {"compressed"},
    "parquet": _COMMON | {"parquet_compression"},
}


@dataclass(frozen=True)
class Request:
    """One GET. ``number`` counts the requests for this dataset since the start, from 1."""

    path: str
    parameters: Mapping[str, str]
    dataset: str = ""
    endpoint: str = ""
    number: int = 0


@dataclass(frozen=True)
class Answer:
    """What is sent back: a body of known size, or one that is made while it is sent.

    ``raw``, if it is there, is sent instead of all else, status line and headers included, and the connection is closed
    after it. What is made while it is sent may take its time, and may end in a :class:`ConnectionReset`.
    """

    status: int
    body: bytes | Iterator[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: Iterator[bytes] | None = None


class ConnectionReset(Exception):
    """Raised where an answer is made: the connection is reset there (TCP RST) instead of being ended."""


#: From a request and its honest answer to the answer that is sent.
Behaviour = Callable[[Request, Answer], Answer]


def honest(request: Request, given: Answer) -> Answer:
    """The behaviour of a source that works."""
    return given


def _json(status: int, content: Any) -> Answer:
    body = json.dumps(content, ensure_ascii=False).encode()
    return Answer(status, body, {"Content-Type": "application/json; charset=utf-8"})


def _error(status: int, error_code: str, message: str) -> Answer:
    return _json(status, {"message": message, "error_code": error_code})


def _invalid(parameter: str, value: object, expected: str) -> QueryError:
    return QueryError(
        f"Invalid value for {parameter} API parameter: {value} was found but {expected} is expected.",
        "InvalidRESTParameterError",
    )


def _integer(parameters: Mapping[str, str], name: str, default: int, least: int, most: int | None) -> int:
    written = parameters.get(name, str(default))
    expected = f"{least} <= {name}" + ("" if most is None else f" <= {most}")
    try:
        value = int(written)
    except ValueError as error:
        raise _invalid(name, written, expected) from error
    if value < least or (most is not None and value > most):
        raise _invalid(name, written, expected)
    return value


def _boolean(parameters: Mapping[str, str], name: str, default: bool) -> bool:
    written = parameters.get(name, str(default)).lower()
    if written not in ("true", "false"):
        raise _invalid(name, written, "true or false")
    return written == "true"


def _metadata(dataset: Dataset) -> dict[str, Any]:
    mark = dataset.data_processed.astimezone(UTC).isoformat(timespec="seconds")
    return {
        "dataset_id": dataset.identifier,
        "has_records": True,
        "data_visible": True,
        "features": ["analyze", "timeserie"],
        "metas": {
            "default": {
                "title": dataset.title,
                "modified": MODIFIED,
                "data_processed": mark,
                "metadata_processed": mark,
                "records_count": dataset.table.num_rows,
                "timezone": "UTC",
            }
        },
        "fields": [
            {
                "name": column.name,
                "label": dataset.label(column.name),
                "type": odsql.kind(column.type),
                "description": None,
                "annotations": {},
            }
            for column in dataset.table.schema
        ],
    }


def _check_parameters(endpoint: str, parameters: Mapping[str, str]) -> None:
    known = _PARAMETERS[endpoint]
    for name in parameters:
        if name not in known:
            raise QueryError(
                f"Invalid API parameter: {name} is not one that this stand-in speaks here ({', '.join(sorted(known))})",
                "InvalidRESTParameterError",
            )


def _rows(dataset: Dataset, parameters: Mapping[str, str]) -> tuple[encode.Rows, int]:
    """The rows that a query selects, in its order, and how many they are before any limit."""
    table = dataset.table
    items = odsql.parse_select(table, parameters.get("select", ""))
    indices = odsql.filtered(table, parameters.get("where", ""))
    order_by = parameters.get("order_by", "")
    if items[0].function is not None:
        result = odsql.aggregated(table, indices, items)
        one_row = odsql.filtered(result, "")
        return encode.Rows(result, one_row, odsql.parse_select(result, "")), 1
    return encode.Rows(table, odsql.ordered(table, indices, order_by), items), len(indices)


def _records(dataset: Dataset, parameters: Mapping[str, str]) -> Answer:
    limit = _integer(parameters, "limit", 10, 0, MAX_LIMIT)
    offset = _integer(parameters, "offset", 0, 0, None)
    if limit + offset > MAX_WINDOW:
        raise _invalid("offset", offset, f"offset + limit <= {MAX_WINDOW}")
    timezone = encode.check_timezone(parameters.get("timezone", "UTC"))
    rows, total = _rows(dataset, parameters)
    page = replace(rows, indices=rows.indices[offset : offset + limit])
    return _json(200, {"total_count": total, "results": encode.records(page, timezone)})


def _export(dataset: Dataset, format_: str, parameters: Mapping[str, str]) -> Answer:
    limit = _integer(parameters, "limit", -1, -1, None)
    timezone = encode.check_timezone(parameters.get("timezone", "UTC"))
    rows, total = _rows(dataset, parameters)
    if 0 <= limit < total:
        rows = replace(rows, indices=rows.indices[:limit])
    headers = {"Content-Type": FORMATS[format_]}
    if format_ == "csv":
        delimiter = parameters.get("delimiter", ";")
        if delimiter not in (";", ",", "\t", "|"):
            raise _invalid("delimiter", repr(delimiter), "one of ; , | and tab")
        labelled = _boolean(parameters, "use_labels", False)
        header = [dataset.label(item.name) if labelled else item.name for item in rows.items]
        with_bom = _boolean(parameters, "with_bom", True)
        body = encode.csv(rows, header, delimiter=delimiter, with_bom=with_bom, timezone=timezone)
    elif format_ == "parquet":
        compression = parameters.get("parquet_compression", "snappy")
        if compression not in ("snappy", "zstd"):
            raise _invalid("parquet_compression", compression, "snappy or zstd")
        body = encode.parquet(rows, compression)
    elif format_ == "jsonl":
        body = encode.jsonl(rows, timezone)
    else:
        body = encode.json_list(rows, timezone)
    if format_ != "parquet" and _boolean(parameters, "compressed", False):
        return Answer(200, encode.gzipped(body), {"Content-Type": "application/gzip"})
    return Answer(200, body, headers)


def answer(source: Source, request: Request) -> Answer:
    """The honest answer to a request.

    Never raises for what a client can ask: a query that ODRÉ refuses is a 400, an unknown dataset or path a 404, a file
    of the served folder that cannot be read a 500.
    """
    try:
        return _answer(source, request)
    except QueryError as error:
        return _error(400, error.error_code, error.message)
    except UnreadableFile as error:
        return _error(500, "InternalServerError", str(error))


def _answer(source: Source, request: Request) -> Answer:
    if request.path == BASE_PATH + "/catalog/datasets":
        _check_parameters("metadata", request.parameters)
        found = [source.dataset(identifier, refresh=True) for identifier in source.identifiers()]
        results = [_metadata(dataset) for dataset in found if dataset is not None]
        offset = _integer(request.parameters, "offset", 0, 0, None)
        limit = _integer(request.parameters, "limit", 10, 0, MAX_LIMIT)
        return _json(200, {"total_count": len(results), "results": results[offset : offset + limit]})
    if not request.dataset:
        return _error(404, "NotFound", f"There is nothing at {request.path}")
    dataset = source.dataset(request.dataset, refresh=request.endpoint == "metadata")
    if dataset is None:
        return _error(404, "UnknownDataset", f"Unknown dataset: {request.dataset}")
    if request.endpoint == "metadata":
        _check_parameters("metadata", request.parameters)
        return _json(200, _metadata(dataset))
    if request.endpoint == "exports":
        base = f"{BASE_PATH}/catalog/datasets/{dataset.identifier}/exports"
        links = [{"rel": format_, "href": f"{base}/{format_}"} for format_ in FORMATS]
        return _json(200, {"links": [{"rel": "self", "href": base}, *links]})
    if request.endpoint == "records":
        _check_parameters("records", request.parameters)
        return _records(dataset, request.parameters)
    format_ = request.endpoint.removeprefix("exports/")
    if format_ not in FORMATS:
        return _error(404, "NotFound", f"There is nothing at {request.path}")
    _check_parameters(format_, request.parameters)
    return _export(dataset, format_, request.parameters)


class StandIn(ThreadingHTTPServer):
    """The server: a thread a connection, so that a slow reader holds up nobody."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, source: Source, host: str, port: int, behaviour: Behaviour = honest) -> None:
        self.source = source
        self.behaviour = behaviour
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()
        super().__init__((host, port), _Handler)

    @property
    def base_url(self) -> str:
        """Where the API is, as the connection ``odre_default`` names it."""
        host, port = self.server_address[:2]
        return f"http://{host if isinstance(host, str) else host.decode()}:{port}"

    def request(self, target: str) -> Request:
        """A request line's target, read and counted.

        Raises:
            QueryError: a parameter is given twice.
        """
        split = urlsplit(target)
        path = unquote(split.path).rstrip("/")
        prefix = BASE_PATH + "/catalog/datasets/"
        dataset, _, endpoint = path.removeprefix(prefix).partition("/") if path.startswith(prefix) else ("", "", "")
        with self._lock:
            self._calls[""] += 1
            self._calls[dataset] += bool(dataset)
            number = self._calls[dataset]
        pairs = parse_qsl(split.query, keep_blank_values=True)
        twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
        if twice:
            raise _invalid(twice[0], "several values", "one")
        return Request(path, dict(pairs), dataset, endpoint or ("metadata" if dataset else ""), number)

    def quota_headers(self, dataset: str) -> dict[str, str]:
        """What is left of the quota, as every answer of ODRÉ carries it."""
        now = datetime.now(UTC)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        next_month = (now.replace(day=1) + timedelta(days=32)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        headers = {
            "X-RateLimit-Limit": str(DAY_LIMIT),
            "X-RateLimit-Remaining": str(max(0, DAY_LIMIT - self._calls[""])),
            "X-RateLimit-Reset": str(midnight),
        }
        if dataset:
            headers |= {
                "X-RateLimit-dataset-Limit": str(DATASET_LIMIT),
                "X-RateLimit-dataset-Remaining": str(max(0, DATASET_LIMIT - self._calls[dataset])),
                "X-RateLimit-dataset-Reset": str(next_month),
            }
        return headers

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error; anything else is one, and is shown."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(GuardedHandler):
    protocol_version = "HTTP/1.1"
    server_version = "odre-stand-in"
    sys_version = ""
    disable_nagle_algorithm = True
    server: StandIn

    def do_GET(self) -> None:
        """Answer one request."""
        request = Request(self.path, {})
        try:
            request = self.server.request(self.path)
            given = answer(self.server.source, request)
        except QueryError as error:
            given = _error(400, error.error_code, error.message)
        quota = self.server.quota_headers(request.dataset)
        given = self.server.behaviour(request, replace(given, headers={**given.headers, **quota}))
        try:
            if given.raw is None:
                self._send(given)
            else:
                self._send_raw(given.raw)
        except ConnectionReset:
            self._reset()

    def _send_raw(self, pieces: Iterator[bytes]) -> None:
        self.close_connection = True
        for piece in pieces:
            # Who waits without sending would not notice otherwise that the client has given up.
            if select.select([self.connection], [], [], 0)[0] and not self.connection.recv(1, socket.MSG_PEEK):
                return
            self.wfile.write(piece)

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The socket is closed with the last file on it, and before the server says a clean good-bye.
        self.rfile.close()
        self.connection.close()

    def _send(self, given: Answer) -> None:
        self.send_response(given.status, HTTPStatus(given.status).phrase)
        for name, value in given.headers.items():
            self.send_header(name, value)
        if isinstance(given.body, bytes):
            self.send_header("Content-Length", str(len(given.body)))
            self.end_headers()
            self.wfile.write(given.body)
            return
        chunked = self.request_version != "HTTP/1.0"
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.close_connection = True
        self.end_headers()
        for piece in given.body:
            # An empty chunk would end the body.
            if piece:
                self.wfile.write(b"%x\r\n" % len(piece) if chunked else b"")
                self.wfile.write(piece)
                self.wfile.write(b"\r\n" if chunked else b"")
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:
        """No access log: a run makes many requests, and the client logs its own."""


@contextmanager
def serve(source: Source, port: int = 0, *, behaviour: Behaviour = honest) -> Iterator[str]:
    """Serve a source from this process on 127.0.0.1 while the block runs; gives the base URL (port 0: a free one)."""
    server = StandIn(source, "127.0.0.1", port, behaviour)
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield server.base_url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
