"""The dashboard's routes: what they refuse, what they remember, what they say when the warehouse does not answer."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest
from fastapi import HTTPException
from fastapi.testclient import TestClient
from google.api_core.exceptions import NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from hypothesis import given, settings
from hypothesis import strategies as st

from energy_dashboard import __main__ as command
from energy_dashboard import dashboard as module
from energy_dashboard import routes
from energy_dashboard.dashboard import Dashboard
from energy_dashboard.marts import Marts, MartsAbsent, WarehouseSilent
from energy_dashboard.payload import NOTHING_DUE
from energy_dashboard.periods import BadPeriod, parse_period
from energy_dashboard.queries import Query
from energy_dashboard.routes import create_app
from odre.settings import Settings
from tests.unit.test_dashboard_payload import day_row, days, warehouse
from tests.waiting import PATIENCE

SETTINGS: Final = Settings.from_environment({})


@dataclass
class Rows(Marts):
    """A warehouse that has these rows whatever it is asked, and counts."""

    days: pa.Table = field(default_factory=lambda: days(day_row(date(2026, 11, 23))))
    asked: list[str] = field(default_factory=list)
    built_at: datetime = datetime(2026, 11, 24, tzinfo=UTC)
    fails: Exception | None = None

    def read(self, queries: Mapping[str, Query]) -> dict[str, pa.Table]:
        """The rows, or what is to be raised."""
        self.asked += queries
        if self.fails:
            raise self.fails
        known = warehouse(last_complete_day=date(2026, 11, 23))
        state = known.state.set_column(4, "built_at", pa.array([self.built_at], known.state["built_at"].type))
        hours = pa.table(
            {"instant": pa.array([], pa.timestamp("us", "UTC")), "measured_minutes": pa.array([], "int64")}
        )
        tables = {"state": state, "due": NOTHING_DUE, **known.lasting, "days": self.days, "hours": hours}
        return {name: tables[name] for name in queries}


def rows(**options: Any) -> Rows:
    return Rows(lambda: pytest.fail("nobody is to connect"), max_bytes=1, dataset="energy", **options)


def served(marts: Marts) -> TestClient:
    dashboard = Dashboard(SETTINGS, marts, {"power": 6}, is_sample=lambda: True)
    return TestClient(create_app(dashboard, lambda: None), raise_server_exceptions=False)


@pytest.fixture
def marts() -> Rows:
    return rows()


@pytest.fixture
def client(marts: Rows) -> TestClient:
    return served(marts)


def test_data_are_json_of_the_period_and_of_the_last_30_days_without_one(client: TestClient) -> None:
    answer = client.get("/data", params={"period": "2026-11-23"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json()["daily"]["consumption_mwh"] == [240.0]
    assert answer.json()["sample"] is True
    assert answer.headers["x-content-type-options"] == "nosniff"
    period = client.get("/data").json()["period"]
    assert (period["name"], period["start"], period["end"]) == ("last-30", "2026-10-25", "2026-11-23")


def test_a_browser_that_has_the_answer_is_not_sent_it_again(client: TestClient) -> None:
    first = client.get("/data", params={"period": "2026"})
    second = client.get("/data", params={"period": "2026"}, headers={"If-None-Match": first.headers["etag"]})
    assert (second.status_code, second.content) == (304, b"")


def test_what_was_read_is_kept_until_something_is_built(
    client: TestClient, marts: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.0)
    first = client.get("/data", params={"period": "2026"}).content
    assert {"state", "statistics", "days"} <= set(marts.asked)
    assert len(marts.asked) <= 5, "the emulator takes tens of milliseconds for each query, BigQuery half a second"
    marts.asked.clear()
    assert client.get("/data", params={"period": "2026"}).content == first
    assert marts.asked == ["state", "due"]
    marts.days = days(day_row(date(2026, 11, 23), consumption_mwh=1.0))
    marts.built_at = datetime(2026, 11, 25, tzinfo=UTC)
    newer = client.get("/data", params={"period": "2026"}).json()
    assert newer["header"]["consumption_mwh"]["value"] == 1.0
    assert newer["built_at"] == "2026-11-25T00:00:00Z"
    assert "statistics" in marts.asked


def test_whether_something_was_built_is_not_asked_all_the_time(client: TestClient, marts: Rows) -> None:
    client.get("/data", params={"period": "2026"})
    marts.asked.clear()
    client.get("/data", params={"period": "2026"})
    assert marts.asked == []


def test_only_so_many_periods_are_kept(client: TestClient, marts: Rows) -> None:
    for day in range(1, 31):
        client.get("/data", params={"period": f"2026-04-{day:02}"})
    for text in ("2026-04-01", "2026", "2025", "2024"):
        client.get("/data", params={"period": text})
    marts.asked.clear()
    # The oldest that nobody asked for again went.
    client.get("/data", params={"period": "2026-04-01"})
    assert marts.asked == []
    client.get("/data", params={"period": "2026-04-02"})
    assert "days" in marts.asked


@pytest.mark.parametrize(
    "query",
    [
        "period=",
        "period=2026-02-30",
        "period=2026&period=2026",
        "period=2026&sql=1",
        "start=2026-01-01",
        "period=0001-01-01_9999-12-31",
        "period=2026'%20OR%201=1--",
        "period=%3Cscript%3Ealert(1)%3C/script%3E",
        "period=..%2F..%2Fetc%2Fpasswd",
        "period=%00",
        "period=%FF%FE",
        "period[]=2026",
        "lang=fr",
    ],
)
def test_what_is_no_period_is_refused_before_anybody_is_asked(client: TestClient, marts: Rows, query: str) -> None:
    answer = client.get(f"/data?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "period")
    assert set(answer.json()["error"]) == {"code", "message_en", "message_fr"}
    assert marts.asked == []


FUZZED: Final = served(rows())


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=60))
def test_any_text_gives_an_answer_or_is_refused(text: str) -> None:
    try:
        parse_period(text)
        expected = 200
    except BadPeriod:
        expected = 400
    answer = FUZZED.get("/data", params={"period": text})
    assert answer.status_code == expected
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "path", ["/docs", "/redoc", "/openapi.json", "/data/", "/assets", "/assets/", "/assets/%2e%2e%2froutes.py"]
)
def test_there_is_nothing_elsewhere(client: TestClient, path: str) -> None:
    answer = client.get(path, follow_redirects=False)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


def documented_headers() -> dict[str, str]:
    """What all answers have, as docs/dashboard.md says."""
    text = " ".join((Path(__file__).parents[2] / "docs" / "dashboard.md").read_text().split())
    said = text[text.index("All answers, refusals and failures too, have") :]
    found = dict(re.findall(r"`([A-Z][A-Za-z-]+): ([^`]+)`", said[: said.index("`ETag`")]))
    assert len(found) == 4
    return {name.lower(): value for name, value in found.items()}


def refuse() -> None:
    raise HTTPException(401, "Not authenticated")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/data", 200),
        ("GET", "/data?period=x", 400),
        ("GET", "/nothing", 404),
        ("GET", "/assets/nothing", 404),
        ("POST", "/data", 404),
        ("TRACE", "/data", 405),
    ],
)
def test_every_answer_has_the_documented_headers(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert documented_headers().items() <= dict(answer.headers).items()


@pytest.mark.parametrize("path", ["/", "/data", "/assets/app.js", "/nothing", "/docs"])
def test_who_is_not_logged_in_gets_the_documented_headers(marts: Rows, path: str) -> None:
    dashboard = Dashboard(SETTINGS, marts, {"power": 6}, is_sample=lambda: True)
    answer = TestClient(create_app(dashboard, refuse)).get(path)
    assert answer.status_code == 401
    assert documented_headers().items() <= dict(answer.headers).items()


def test_a_failure_has_the_documented_headers(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dashboard, "answer", lambda *_: 1 / 0)
    answer = client.get("/data")
    assert answer.status_code == 500
    assert documented_headers().items() <= dict(answer.headers).items()


def test_what_is_not_modified_has_the_documented_headers(client: TestClient) -> None:
    etag = client.get("/data").headers["etag"]
    answer = client.get("/data", headers={"If-None-Match": etag})
    assert answer.status_code == 304
    assert documented_headers().items() <= dict(answer.headers).items()


def test_an_asset_is_kept_for_a_year(client: TestClient) -> None:
    (link, *_) = re.findall(r'(?:src|href)="\.(/assets/[^"]+)"', client.get("/").text)
    headers = dict(client.get(link).headers)
    assert "max-age=31536000" in headers.pop("cache-control")
    expected = documented_headers()
    del expected["cache-control"]
    assert expected.items() <= headers.items()


@pytest.mark.parametrize("path", ["/", "/data", "/data?period=2026-11-23", "/data?period=x", "/nothing", "<asset>"])
def test_head_is_answered_as_get(client: TestClient, path: str) -> None:
    if path == "<asset>":
        (path, *_) = re.findall(r'(?:src|href)="\.(/assets/[^"]+)"', client.get("/").text)
    got, head = client.get(path), client.head(path)
    assert (head.status_code, dict(head.headers)) == (got.status_code, dict(got.headers))


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_can_be_changed(client: TestClient, method: str) -> None:
    assert client.request(method, "/data").status_code == 404


def test_a_warehouse_without_marts_says_so(client: TestClient, marts: Rows) -> None:
    marts.fails = MartsAbsent("no table")
    answer = client.get("/data")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_marts")
    assert "no table" not in answer.text


# A warehouse that is not there, or does not answer: real connections.


def connecting_to(url: str, timeout_s: float = 1.0) -> Marts:
    return Marts(
        lambda: bigquery.Client(project="p", credentials=AnonymousCredentials(), client_options={"api_endpoint": url}),
        max_bytes=1,
        dataset="energy",
        timeout_s=timeout_s,
    )


@pytest.fixture
def mute() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def absent() -> str:
    """Where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Marts]:
    """Each time that a warehouse was asked; one that was silent is left alone for as long as the test takes."""
    monkeypatch.setattr(module, "LEAVE_ALONE_S", 3600.0)
    asked: list[Marts] = []
    read = Marts.read

    def noted(self: Marts, queries: Mapping[str, Query]) -> dict[str, pa.Table]:
        asked.append(self)
        return read(self, queries)

    monkeypatch.setattr(Marts, "read", noted)
    return asked


@pytest.mark.parametrize("warehouse_is", ["mute", "absent"])
def test_a_silent_warehouse_gives_a_message_and_no_hang(
    request: pytest.FixtureRequest, reads: list[Marts], warehouse_is: str
) -> None:
    client = served(connecting_to(request.getfixturevalue(warehouse_is)))
    # The server never answers.
    answer = client.get("/data")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "warehouse")
    assert answer.headers["retry-after"] == "10"
    # It is left alone for a moment: the next reader does not wait.
    assert client.get("/data").status_code == 503
    assert len(reads) == 1


def test_a_file_of_a_silent_warehouse_is_not_made_and_says_what_to_look_at(
    absent: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", absent)
    assert command.main(["2025", str(tmp_path / "energy.html")]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: The warehouse of ")
    assert told.endswith("its address is right and that these credentials may read it: docs/dashboard.md\n")
    assert list(tmp_path.iterdir()) == []


def test_a_query_that_nobody_waits_for_any_more_ends(mute: str) -> None:
    pool = ThreadPoolExecutor(1)
    marts = connecting_to(mute, timeout_s=0.5)
    marts._pool = pool
    with pytest.raises(WarehouseSilent):
        marts.read({"n": Query("SELECT 1")})
    ended = threading.Thread(target=pool.shutdown, daemon=True)
    ended.start()
    ended.join(PATIENCE)
    assert not ended.is_alive()


def test_a_connection_that_cannot_be_made_is_a_silent_warehouse() -> None:
    def connect() -> bigquery.Client:
        raise LookupError("The conn_id google_cloud_default isn't defined")

    answer = served(Marts(connect, max_bytes=1, dataset="energy")).get("/data")
    assert answer.status_code == 503
    assert "conn_id" not in answer.text


def test_a_warehouse_is_asked_again_after_a_moment(marts: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAVE_ALONE_S", 0.0)
    client = served(marts)
    marts.fails = WarehouseSilent("gone")
    assert client.get("/data").status_code == 503
    marts.fails = None
    assert client.get("/data").status_code == 200


def test_many_who_wait_all_get_a_message_and_do_not_ask_one_after_the_other(mute: str, reads: list[Marts]) -> None:
    client = served(connecting_to(mute))
    codes: list[int] = []
    waiting = [threading.Thread(target=lambda: codes.append(client.get("/data").status_code)) for _ in range(12)]
    for thread in waiting:
        thread.start()
    for thread in waiting:
        thread.join()
    assert codes == [503] * 12
    assert len(reads) <= routes._READERS


def test_a_table_that_is_not_there_is_told_from_a_silent_warehouse() -> None:
    class Client:
        def query_and_wait(self, *_: Any, **__: Any) -> None:
            raise NotFound("Table energy.answers")

    with pytest.raises(MartsAbsent):
        Marts(Client, max_bytes=1, dataset="energy").read({"answers": Query("SELECT 1")})


@pytest.mark.parametrize("asked_by", [None, "eco2mix_hourly"])
def test_a_query_names_its_bounds_and_its_values_as_parameters(asked_by: str | None) -> None:
    asked: dict[str, Any] = {}

    class Found:
        def to_arrow(self, **_: Any) -> pa.Table:
            return pa.table({"n": [1]})

    class Client:
        def query_and_wait(self, sql: str, **options: Any) -> Found:
            asked.update(options, sql=sql)
            return Found()

    marts = Marts(Client, max_bytes=1234, dataset="me_energy", asked_by=asked_by, timeout_s=5)
    marts.read({"n": Query("SELECT @day", {"day": date(2026, 1, 2)})})
    job = asked["job_config"].to_api_repr()
    assert job["query"]["maximumBytesBilled"] == "1234"
    assert job["jobTimeoutMs"] == "5000"
    assert job["labels"] == {"dag": asked_by or "dashboard", "task": "n", "dataset": "me_energy"}
    (parameter,) = job["query"]["queryParameters"]
    assert parameter["parameterType"] == {"type": "DATE"}
    assert parameter["parameterValue"] == {"value": "2026-01-02"}
