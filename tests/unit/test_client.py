from __future__ import annotations

import gzip
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from odre import client as client_module
from odre.client import (
    DatasetAbsent,
    OdreClient,
    OdreError,
    QuotaExhausted,
    RequestRefused,
    SourceUnreachable,
    StreamBroken,
    UnexpectedAnswer,
)
from odre.contracts import read_contract
from odre.extract import MAX_EXPORTS, CountMismatch, extract_chunk
from odre.quarantine import ContractBroken
from odre.windows import Window
from tests.waiting import PATIENCE

GAS = read_contract("stock-quotidien-stockages-gaz")
DATASET = GAS.dataset
COLUMNS = list(GAS.by_name)
KEY = "an-api-key-nobody-should-see"
WHERE = "date >= date'2022-01-01'"

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Gives the next scripted answer; the last one again and again."""

    protocol_version = "HTTP/1.1"
    server: Portal

    def do_GET(self) -> None:
        self.server.requests.append(self)
        answers = self.server.answers
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    @property
    def parameters(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: the tests read the log of the client."""


class Portal(ThreadingHTTPServer):
    """A portal with a script."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[Answer] = []
        self.requests: list[Handler] = []
        self.slept: list[float] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def client(self, **options: object) -> OdreClient:
        return OdreClient(self.url, KEY, **({"timeout": (PATIENCE, PATIENCE), "sleep": self.slept.append} | options))  # type: ignore[arg-type]


@pytest.fixture
def portal() -> Iterator[Portal]:
    with Portal() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def answer(status: int = 200, body: object = "", kind: str = "application/json", **headers: str) -> Answer:
    content = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()

    def send(handler: Handler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return send


def count(rows: int) -> Answer:
    return answer(body={"total_count": rows, "results": []})


def rows_csv(rows: int, ending: str = "\r\n") -> bytes:
    lines = ["date;stock_fin_de_journee;source;pits", *(f"2022-11-01;{n};Storengy;P{n:06}" for n in range(rows))]
    return ("\r\n".join(lines) + ending).encode()


def export(content: bytes) -> Answer:
    return answer(body=content, kind="application/csv; charset=utf-8")


def hang_up(handler: Handler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def cut(content: bytes, announced: int | None) -> Answer:
    """An export that ends early: against its announced length, or (none announced) clean as far as HTTP can tell."""

    def send(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/csv")
        if announced is not None:
            handler.send_header("Content-Length", str(announced))
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(content)
        handler.close_connection = True

    return send


def chunked_and_reset(content: bytes) -> Answer:
    def send(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/csv")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
        handler.wfile.flush()
        hang_up(handler)

    return send


def read_export(client: OdreClient, where: str = WHERE) -> bytes:
    with client.export_csv(DATASET, COLUMNS, where, GAS.key) as stream:
        return b"".join(stream)


# What is asked and what is read.


def test_metadata_give_the_freshness_mark_and_the_types(portal: Portal) -> None:
    fields = [{"name": "date", "type": "date", "label": "Date"}, {"name": "pits", "type": "text", "label": "PITS"}]
    metas = {"default": {"data_processed": "2026-09-15T10:20:30+02:00", "modified": "2020-01-01T00:00:00+00:00"}}
    portal.answers = [answer(body={"dataset_id": DATASET, "metas": metas, "fields": fields})]
    metadata = portal.client().metadata(DATASET)
    assert metadata.data_processed == datetime(2026, 9, 15, 8, 20, 30, tzinfo=UTC)
    assert metadata.fields == {"date": "date", "pits": "text"}
    assert portal.requests[0].path == f"/api/explore/v2.1/catalog/datasets/{DATASET}"


@pytest.mark.parametrize("body", [{}, {"metas": {"default": {"data_processed": None}}, "fields": []}, {"metas": 1}])
def test_metadata_without_a_mark_are_an_error_and_never_a_skip(portal: Portal, body: object) -> None:
    portal.answers = [answer(body=body)]
    with pytest.raises(UnexpectedAnswer, match="no readable freshness mark"):
        portal.client().metadata(DATASET)


@pytest.mark.parametrize(
    ("processed", "expected"),
    [
        ("2026-09-15T10:20:30", datetime(2026, 9, 15, 10, 20, 30, tzinfo=UTC)),
        (" 2099-01-01T00:00:00Z ", datetime(2099, 1, 1, tzinfo=UTC)),
        ("Tue, 15 Sep 2026 10:20:30 GMT", datetime(2026, 9, 15, 10, 20, 30, tzinfo=UTC)),
    ],
)
def test_a_mark_is_read_in_the_ways_that_it_is_written(portal: Portal, processed: str, expected: datetime) -> None:
    portal.answers = [answer(body={"metas": {"default": {"data_processed": processed}}, "fields": []})]
    assert portal.client().metadata(DATASET).data_processed == expected


@pytest.mark.parametrize("processed", ["", "yesterday", 1694770830, "0001-01-01T00:00:00+02:00", "2022-13-45"])
def test_a_mark_that_is_no_instant_is_an_error(portal: Portal, processed: object) -> None:
    portal.answers = [answer(body={"metas": {"default": {"data_processed": processed}}, "fields": []})]
    with pytest.raises(UnexpectedAnswer, match="no readable freshness mark"):
        portal.client().metadata(DATASET)


@pytest.mark.parametrize(
    "fields",
    [None, {}, 3, [None], ["date"], [{"name": "date"}], [{"name": "date", "type": {}}], [{"name": 1, "type": "int"}]],
)
def test_fields_that_are_none_are_an_error(portal: Portal, fields: object) -> None:
    metas = {"default": {"data_processed": "2026-09-15T10:20:30Z"}}
    portal.answers = [answer(body={"metas": metas, "fields": fields})]
    if fields == {}:
        assert portal.client().metadata(DATASET).fields == {}, "as good as none: the contract refuses it"
        return
    with pytest.raises(UnexpectedAnswer, match="no readable freshness mark or fields"):
        portal.client().metadata(DATASET)


def test_the_count_is_asked_under_the_same_condition(portal: Portal) -> None:
    portal.answers = [count(7)]
    assert portal.client().count(DATASET, WHERE) == 7
    assert portal.client().count(DATASET, "") == 7
    assert [request.parameters for request in portal.requests] == [{"limit": "0", "where": WHERE}, {"limit": "0"}]


def test_the_first_time_is_the_least_one(portal: Portal) -> None:
    portal.answers = [
        answer(body={"total_count": 9, "results": [{"date": "2010-11-01"}]}),
        answer(body={"total_count": 9, "results": [{"date": "2010-11-01T01:00:00+02:00"}]}),
        answer(body={"total_count": 0, "results": []}),
    ]
    assert portal.client().first_time(DATASET, "date") == datetime(2010, 11, 1, tzinfo=UTC)
    assert portal.client().first_time(DATASET, "date") == datetime(2010, 10, 31, 23, tzinfo=UTC)
    assert portal.client().first_time(DATASET, "date") is None
    assert portal.requests[0].parameters == {"select": "date", "order_by": "date", "limit": "1", "timezone": "UTC"}


def test_an_export_asks_for_utc_technical_names_the_keys_order_and_no_byte_order_mark(portal: Portal) -> None:
    portal.answers = [export(rows_csv(3))]
    assert read_export(portal.client()) == rows_csv(3)
    assert portal.requests[0].path.startswith(f"/api/explore/v2.1/catalog/datasets/{DATASET}/exports/csv?")
    assert portal.requests[0].parameters == {
        "select": "date,stock_fin_de_journee,source,pits",
        "where": WHERE,
        "order_by": "date,pits",
        "delimiter": ";",
        "with_bom": "false",
        "timezone": "UTC",
        "use_labels": "false",
    }


def test_a_compressed_export_is_decoded(portal: Portal) -> None:
    portal.answers = [answer(body=gzip.compress(rows_csv(5000)), kind="text/csv", Content_Encoding="gzip")]
    assert read_export(portal.client()) == rows_csv(5000)


def test_the_base_path_may_be_part_of_the_address(portal: Portal) -> None:
    portal.answers = [count(1)]
    OdreClient(f"{portal.url}/api/explore/v2.1/").count(DATASET, "")
    assert portal.requests[0].path == f"/api/explore/v2.1/catalog/datasets/{DATASET}/records?limit=0"


def test_an_address_without_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="must begin with http"):
        OdreClient("odre.example")


# The key.


def test_the_key_is_sent_and_never_logged(
    portal: Portal, caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    portal.answers = [answer(503), count(1)]
    with caplog.at_level(logging.DEBUG):
        client = portal.client()
        client.count(DATASET, "")
    assert [request.headers["Authorization"] for request in portal.requests] == [f"Apikey {KEY}"] * 2
    assert KEY not in caplog.text
    assert KEY not in repr(vars(client))


def test_no_key_sends_no_header(portal: Portal) -> None:
    portal.answers = [count(1)]
    OdreClient(portal.url).count(DATASET, "")
    assert portal.requests[0].headers["Authorization"] is None


def test_a_redirect_is_not_followed_with_the_key(portal: Portal) -> None:
    portal.answers = [answer(301, Location="https://elsewhere.example/")]
    with pytest.raises(UnexpectedAnswer, match=r"redirects to https://elsewhere\.example/"):
        portal.client().count(DATASET, "")
    assert len(portal.requests) == 1


# What is tried again, and what is not.


@pytest.mark.parametrize("fault", [answer(500), answer(503), answer(408), hang_up, answer(body="{'cut")])
def test_passing_faults_are_absorbed(portal: Portal, fault: Answer) -> None:
    portal.answers = [fault, fault, count(7)]
    assert portal.client().count(DATASET, "") == 7
    assert len(portal.slept) == 2


@pytest.mark.parametrize(
    ("retry_after", "least", "most"),
    [("7", 7, 7), ("0", 1, 1), ("86400", 120, 120), ("soon", 1, 2), ("-5", 1, 2), ("\xb2", 1, 2), ("9" * 5000, 1, 2)],
)
def test_a_source_that_is_down_is_asked_again_when_it_says(
    portal: Portal, retry_after: str, least: float, most: float
) -> None:
    portal.answers = [answer(503, Retry_After=retry_after), count(7)]
    assert portal.client().count(DATASET, "") == 7
    assert least <= portal.slept[0] <= most


@pytest.mark.parametrize("status", [201, 202, 204, 206])
def test_half_an_answer_is_none(portal: Portal, status: int) -> None:
    portal.answers = [answer(status, rows_csv(3), "text/csv")]
    with pytest.raises(UnexpectedAnswer, match=f"answers {status} .*not the whole answer"):
        read_export(portal.client())
    assert len(portal.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 405, 410, 418, 451])
def test_what_the_source_refuses_is_not_tried_again(portal: Portal, status: int) -> None:
    portal.answers = [answer(status, "no")]
    with pytest.raises(RequestRefused, match=f"status {status}"):
        portal.client().count(DATASET, "")
    assert (len(portal.requests), portal.slept) == (1, [])


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_no_redirect_is_followed_not_even_to_itself(portal: Portal, status: int) -> None:
    portal.answers = [answer(status, Location=portal.url)]
    with pytest.raises(UnexpectedAnswer, match="redirects to"):
        portal.client().count(DATASET, "")
    assert len(portal.requests) == 1


def test_an_answer_without_end_is_given_up(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "LONGEST_JSON_BYTES", 1000)
    portal.answers = [answer(200, {"total_count": 7, "results": ["x" * 2000]})]
    with pytest.raises(UnexpectedAnswer, match="JSON is longer than 1000 bytes"):
        portal.client().count(DATASET, "")
    portal.answers = [answer(400, {"message": "x" * 2000})]
    with pytest.raises(RequestRefused, match="status 400: Bad Request"):
        portal.client().count(DATASET, "")


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"7", b"[" * 100_000])
def test_json_that_is_no_object_is_an_error(portal: Portal, content: bytes) -> None:
    portal.answers = [answer(200, content)]
    with pytest.raises(UnexpectedAnswer, match="JSON"):
        portal.client().count(DATASET, "")


def test_back_off_grows_and_is_not_the_same_for_all(portal: Portal) -> None:
    portal.answers = [answer(503)]
    for _ in range(5):
        with pytest.raises(SourceUnreachable):
            portal.client(max_tries=6).count(DATASET, "")
    waits = [portal.slept[try_::5] for try_ in range(5)]
    for try_, longest in enumerate((2, 4, 8, 16, 30)):
        assert all(longest / 2 <= wait <= longest for wait in waits[try_])
        assert len(set(waits[try_])) > 1


def test_tries_are_bounded_and_the_error_says_what_to_do(portal: Portal) -> None:
    portal.answers = [answer(503)]
    with pytest.raises(SourceUnreachable) as failure:
        portal.client().count(DATASET, WHERE)
    assert len(portal.requests) == 4
    assert str(failure.value).startswith(
        f"{DATASET}, {WHERE}: the source answers 503 Service Unavailable. Check that the portal answers"
    )
    assert str(failure.value).endswith("see docs/runbooks/source-down.md")
    assert failure.value.retryable


def test_no_server_is_an_unreachable_source() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    slept: list[float] = []
    with pytest.raises(SourceUnreachable, match=f"no answer from http://127.0.0.1:{port} .*refused"):
        OdreClient(f"http://127.0.0.1:{port}", sleep=slept.append).count(DATASET, "")
    assert len(slept) == 3


def test_silence_is_a_timeout(portal: Portal) -> None:
    released = threading.Event()

    def say_nothing(handler: Handler) -> None:
        released.wait()
        hang_up(handler)

    portal.answers = [say_nothing]
    # The server stays silent until the client has given up.
    with pytest.raises(SourceUnreachable, match="timed out"):
        portal.client(timeout=(PATIENCE, 0.2), max_tries=2).count(DATASET, "")
    released.set()


def test_a_refused_request_is_not_tried_again_and_its_message_is_shown(portal: Portal) -> None:
    portal.answers = [answer(400, {"error_code": "ODSQLError", "message": "Unknown field: datte"})]
    with pytest.raises(RequestRefused, match="ODSQLError: Unknown field: datte") as failure:
        read_export(portal.client())
    assert (len(portal.requests), portal.slept) == (1, [])
    assert not failure.value.retryable


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_is_named(portal: Portal, status: int) -> None:
    portal.answers = [answer(status, "no")]
    with pytest.raises(RequestRefused, match="Check the API key"):
        portal.client().count(DATASET, "")


def test_a_dataset_that_the_source_does_not_have(portal: Portal) -> None:
    portal.answers = [answer(404, "<html>")]
    with pytest.raises(DatasetAbsent, match=f"{DATASET}, all time: {portal.url} has no such dataset"):
        portal.client().metadata(DATASET)
    assert len(portal.requests) == 1


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/json"])
def test_another_content_than_csv_is_refused_before_a_byte_is_read(portal: Portal, kind: str) -> None:
    portal.answers = [answer(200, "<html>maintenance</html>", kind)]
    with pytest.raises(UnexpectedAnswer, match=f"{kind.split(';')[0]}.* came instead of CSV"):
        read_export(portal.client())
    assert len(portal.requests) == 1


def test_a_web_page_instead_of_json_is_not_tried_again(portal: Portal) -> None:
    portal.answers = [answer(200, "<html>maintenance</html>", "text/html")]
    with pytest.raises(UnexpectedAnswer, match="is not JSON: '<html>maintenance"):
        portal.client().count(DATASET, "")
    assert len(portal.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"total_count": "7"},
        {},
        {"total_count": None},
        {"total_count": True},
        {"total_count": -1},
        {"total_count": 7.0},
        {"error_code": "InternalError", "message": "no"},
    ],
)
def test_a_count_that_is_no_number_is_an_error(portal: Portal, body: object) -> None:
    portal.answers = [answer(body=body)]
    with pytest.raises(UnexpectedAnswer, match="gives the count"):
        portal.client().count(DATASET, "")


# Quota.


def quota_answer(reset_at: datetime | None, **headers: str) -> Answer:
    body = {"errorcode": 10002, "call_limit": 10, "limit_time_unit": "day", "error": "Too many requests"}
    return answer(429, body | ({"reset_time": reset_at.isoformat()} if reset_at else {}), **headers)


def test_a_short_quota_wait_is_waited_in_either_form(portal: Portal) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=60)
    portal.answers = [
        quota_answer(None, Retry_After="7"),
        quota_answer(None, Retry_After=format_datetime(soon, usegmt=True)),
        quota_answer(soon),
        count(7),
    ]
    assert portal.client().count(DATASET, "") == 7
    assert portal.slept[0] == 7
    assert all(50 < wait < 65 for wait in portal.slept[1:])
    assert len(portal.slept) == 3


@pytest.mark.parametrize("form", ["seconds", "date", "body"])
def test_a_long_quota_wait_fails_with_its_time(portal: Portal, form: str) -> None:
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=5)
    portal.answers = [
        {
            "seconds": quota_answer(None, Retry_After="18000"),
            "date": quota_answer(None, Retry_After=format_datetime(later, usegmt=True)),
            "body": quota_answer(later),
        }[form]
    ]
    with pytest.raises(QuotaExhausted, match=rf"frees at {later:%Y-%m-%dT%H:%M}") as failure:
        portal.client().count(DATASET, "")
    assert failure.value.reset_at is not None
    assert abs(failure.value.reset_at - later) < timedelta(seconds=3)
    assert (len(portal.requests), portal.slept) == (1, [])


@pytest.mark.parametrize("retry_after", ["soon", "-5", "\xb2", "1e3", "9" * 5000, "Tue, 99 Foo 2026 99:99:99 GMT"])
def test_a_quota_that_names_its_time_unreadably_names_none(portal: Portal, retry_after: str) -> None:
    portal.answers = [quota_answer(None, Retry_After=retry_after), count(7)]
    assert portal.client().count(DATASET, "") == 7
    assert 1 <= portal.slept[0] <= 2


def test_a_quota_that_frees_in_a_year_or_is_free_already(portal: Portal) -> None:
    portal.answers = [quota_answer(datetime.now(UTC) - timedelta(hours=1)), count(7)]
    assert portal.client().count(DATASET, "") == 7
    assert portal.slept == [1]
    portal.answers = [quota_answer(None, Retry_After=str(365 * 86400))]
    with pytest.raises(QuotaExhausted, match="frees at"):
        portal.client().count(DATASET, "")


def test_a_quota_that_names_no_time_is_tried_again_within_bounds(portal: Portal) -> None:
    portal.answers = [quota_answer(None)]
    with pytest.raises(QuotaExhausted, match="a time that the source does not name") as failure:
        portal.client().count(DATASET, "")
    assert failure.value.reset_at is None
    assert len(portal.requests) == 4


def test_quota_headers_are_logged_and_little_left_is_a_warning(
    portal: Portal, caplog: pytest.LogCaptureFixture
) -> None:
    def quota(remaining: str) -> Answer:
        return answer(
            body={"total_count": 1},
            X_RateLimit_Limit="10000000",
            X_RateLimit_Remaining="9999000",
            X_RateLimit_Reset="2026-09-16T00:00:00Z",
            x_ratelimit_dataset_limit="50000",
            x_ratelimit_dataset_remaining=remaining,
            x_ratelimit_dataset_reset="2026-10-01T00:00:00Z",
        )

    portal.answers = [quota("2500"), quota("2499")]
    with caplog.at_level(logging.INFO, logger="odre.client"):
        portal.client().count(DATASET, "")
        portal.client().count(DATASET, "")
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]
    assert "9999000 of 10000000 calls left until 2026-09-16T00:00:00Z" in caplog.messages[0]
    assert "2499 of 50000 calls of this dataset left until 2026-10-01T00:00:00Z" in caplog.messages[1]


# Streams.


@pytest.mark.parametrize(
    "broken", [cut(rows_csv(100)[:1000], announced=len(rows_csv(100))), chunked_and_reset(rows_csv(100)[:1000])]
)
def test_a_stream_that_breaks_off_is_an_error_on_reading(portal: Portal, broken: Answer) -> None:
    portal.answers = [broken]
    with pytest.raises(StreamBroken, match="broke off after 1000 bytes"):
        read_export(portal.client())


def drip(handler: Handler) -> None:
    """A body that never ends, a little at a time, until the client goes away."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/csv")
    handler.send_header("Content-Length", str(2**40))
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b"x" * 100)
            time.sleep(0.02)
    except OSError:
        return


def test_a_drip_does_not_run_for_ever(portal: Portal) -> None:
    portal.answers = [drip]
    with pytest.raises(StreamBroken, match="too slow"):
        read_export(portal.client(deadline_s=0.3))
    with pytest.raises(StreamBroken, match="too slow"):
        read_export(portal.client(grace_s=0.2))


def test_leaving_an_export_early_closes_its_connection(portal: Portal) -> None:
    closed = threading.Event()

    def much(handler: Handler) -> None:
        drip(handler)
        closed.set()

    portal.answers = [much]
    with portal.client().export_csv(DATASET, COLUMNS, "", GAS.key) as stream:
        next(stream)
    assert closed.wait(PATIENCE)
    with pytest.raises(StreamBroken):
        next(stream)


# A chunk: counted, exported, converted, compared.


@contextmanager
def refused(portal: Portal, error: type[OdreError], match: str, tmp_path: Path) -> Iterator[None]:
    with pytest.raises(error, match=match):
        yield
    assert list(tmp_path.iterdir()) == []


def extract(portal: Portal, tmp_path: Path) -> int:
    window = Window(datetime(2022, 1, 1, tzinfo=UTC))
    conversion = extract_chunk(portal.client(), GAS, COLUMNS, window, tmp_path)
    assert conversion.path.parent == tmp_path
    return conversion.rows_landed


def test_a_chunk_is_two_requests_under_one_condition(portal: Portal, tmp_path: Path) -> None:
    portal.answers = [count(5), export(rows_csv(5))]
    assert extract(portal, tmp_path) == 5
    assert [request.parameters["where"] for request in portal.requests] == [WHERE, WHERE]
    assert [path.name for path in tmp_path.iterdir()] == ["stock_quotidien_stockages_gaz.parquet"]


def test_valid_csv_with_too_few_rows_is_asked_again(portal: Portal, tmp_path: Path) -> None:
    whole, short = rows_csv(5), rows_csv(3)
    portal.answers = [count(5), cut(short, announced=None), count(5), count(5), export(whole)]
    assert extract(portal, tmp_path) == 5


def test_a_count_that_never_agrees_fails_with_both_counts(portal: Portal, tmp_path: Path) -> None:
    portal.answers = [answer_ for _ in range(MAX_EXPORTS) for answer_ in (count(5), export(rows_csv(3)), count(6))]
    cause = "from 2022-01-01T00:00:00Z on: the source counted 5 rows before the export and 6 after it, and sent 3"
    with refused(portal, CountMismatch, cause, tmp_path):
        extract(portal, tmp_path)
    assert len(portal.requests) == 3 * MAX_EXPORTS


def test_a_source_republished_between_count_and_export_is_whole(portal: Portal, tmp_path: Path) -> None:
    portal.answers = [count(5), export(rows_csv(6)), count(6)]
    assert extract(portal, tmp_path) == 6
    assert len(portal.requests) == 3


def test_a_broken_export_starts_again_as_a_whole(portal: Portal, tmp_path: Path) -> None:
    whole = rows_csv(500)
    portal.answers = [count(500), cut(whole[:9000], len(whole)), count(500), export(whole)]
    assert extract(portal, tmp_path) == 500


def test_an_export_that_always_breaks_fails(portal: Portal, tmp_path: Path) -> None:
    whole = rows_csv(500)
    portal.answers = [answer_ for _ in range(9) for answer_ in (count(500), cut(whole[:9000], len(whole)))]
    with refused(portal, StreamBroken, "broke off", tmp_path):
        extract(portal, tmp_path)
    assert len(portal.requests) == 2 * MAX_EXPORTS


def test_a_last_row_cut_within_its_last_field_is_not_taken_for_whole(portal: Portal, tmp_path: Path) -> None:
    whole = rows_csv(5)
    portal.answers = [count(5), cut(whole[:-4], announced=None), count(5), export(whole)]
    assert extract(portal, tmp_path) == 5
    assert len(portal.requests) == 4


def test_a_source_that_never_ends_its_last_row_is_borne_where_a_cut_would_show(portal: Portal, tmp_path: Path) -> None:
    """The time is asked for as the last field of a row: half of it is no time."""
    rows = rows_csv(5, "").decode().splitlines()
    time_last = "\r\n".join(";".join([*row.split(";")[1:], row.split(";")[0]]) for row in rows).encode()
    portal.answers = [count(5), export(time_last)]
    assert extract(portal, tmp_path) == 5
    assert portal.requests[1].parameters["select"] == "stock_fin_de_journee,source,pits,date"
    for content in (time_last[:-1], time_last[:-12], rows_csv(5, ""), rows_csv(5, "")[:-1]):
        portal.answers = [answer_ for _ in range(MAX_EXPORTS) for answer_ in (count(5), export(content))]
        with pytest.raises(StreamBroken, match="from 2022-01-01T00:00:00Z on: the export ends within a row"):
            extract(portal, tmp_path)


def test_rows_that_were_not_asked_for_are_refused(portal: Portal, tmp_path: Path) -> None:
    early = rows_csv(5).replace(b"2022-11-01;0", b"2021-12-31;0")
    portal.answers = [count(5), export(early)]
    with refused(portal, ContractBroken, r"source ignored where, and sent rows of 2021-12-31T00:00:00Z", tmp_path):
        extract(portal, tmp_path)


def test_an_announced_consolidation_whose_export_is_still_empty_lands_nothing(portal: Portal, tmp_path: Path) -> None:
    portal.answers = [count(500), export(b""), count(500)] * MAX_EXPORTS
    with refused(portal, CountMismatch, "counted 500 rows .* sent 0", tmp_path):
        extract(portal, tmp_path)
