"""The stand-in answers the query that it is asked, over HTTP, as ODRÉ would."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests

from emulators.files import write_whole
from emulators.odre.__main__ import _kept_present
from emulators.odre.server import Answer, Request
from emulators.odre.source import MemorySource
from tests.waiting import PATIENCE

REAL_TIME = "eco2mix-national-tr"
GAS = "stock-quotidien-stockages-gaz"
ROOT = Path(__file__).resolve().parents[2]


def instants(*texts: str) -> pa.Array:
    return pa.array([datetime.fromisoformat(text) for text in texts], pa.timestamp("us", tz="UTC"))


POWER = pa.table(
    {
        "nature": ["a", "a;b", 'say "c"', None],
        "date": ["2022-06-01", "2022-06-01", "2022-06-02", "2022-06-02"],
        "date_heure": instants("2022-06-01T00:15Z", "2022-06-01T00:30Z", "2022-06-02T10:00Z", "2022-12-02T10:15Z"),
        "consommation": pa.array([43_000, None, 41_000, 52_000]),
        "eolien_offshore": ["ND", "12", None, "14"],
    }
)
STOCK = pa.table(
    {
        "date": pa.array(["2022-11-01", "2022-11-02", "2022-11-03"]).cast(pa.date32()),
        "stock_fin_de_journee": [26_222.0, 26_300.25, None],
        "pits": ["Centre", "Centre", "Teréga"],
    }
)


class Api:
    """Short requests to a served source."""

    def __init__(self, base_url: str) -> None:
        self.datasets = base_url + "/api/explore/v2.1/catalog/datasets"

    def get(self, path: str, **parameters: object) -> requests.Response:
        return requests.get(
            f"{self.datasets}/{path}", params={k: str(v) for k, v in parameters.items()}, timeout=PATIENCE
        )

    def records(self, dataset: str = REAL_TIME, **parameters: object) -> dict[str, Any]:
        answer = self.get(f"{dataset}/records", **parameters)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def csv(self, dataset: str = REAL_TIME, **parameters: object) -> str:
        answer = self.get(f"{dataset}/exports/csv", **parameters)
        assert answer.status_code == 200, answer.text
        return answer.content.decode()


@pytest.fixture
def source() -> MemorySource:
    source = MemorySource()
    source.publish(REAL_TIME, POWER, datetime(2022, 12, 2, 10, 20, tzinfo=UTC))
    source.publish(GAS, STOCK)
    return source


@pytest.fixture
def api(source: MemorySource, standin: Callable[..., str]) -> Api:
    return Api(standin(source))


def days(body: dict[str, Any]) -> list[str]:
    return sorted(record["date_heure"][5:16] for record in body["results"])


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("", ["06-01T00:15", "06-01T00:30", "06-02T10:00", "12-02T10:15"]),
        ("date_heure >= date'2022-06-01T00:30:00Z'", ["06-01T00:30", "06-02T10:00", "12-02T10:15"]),
        ("date_heure > date'2022-06-01T00:30:00Z'", ["06-02T10:00", "12-02T10:15"]),
        (
            "date_heure >= date'2022-06-01T02:30:00+02:00' AND date_heure < date'2022-06-03'",
            ["06-01T00:30", "06-02T10:00"],
        ),
        ("date_heure <= date'2022/06'", []),
        ("date'2022-12' < date_heure", ["12-02T10:15"]),
        ("consommation is null", ["06-01T00:30"]),
        ("consommation IS NOT NULL and consommation != 41000", ["06-01T00:15", "12-02T10:15"]),
        ("consommation in (41000, 52000)", ["06-02T10:00", "12-02T10:15"]),
        ("consommation not in (41000, 52000)", ["06-01T00:15"]),
        ("consommation >= 41000.5", ["06-01T00:15", "12-02T10:15"]),
        ("date = '2022-06-01' or consommation = 52000", ["06-01T00:15", "06-01T00:30", "12-02T10:15"]),
        ("date = '2022-06-01' and (nature = \"a\" or eolien_offshore = '12')", ["06-01T00:15", "06-01T00:30"]),
        ("not (date = '2022-06-01' or consommation > 50000)", ["06-02T10:00"]),
        ("nature = 'say \\\"c\\\"'", ["06-02T10:00"]),
    ],
)
def test_where_selects_the_rows_for_which_it_holds(api: Api, where: str, expected: list[str]) -> None:
    body = api.records(where=where)
    assert days(body) == expected
    assert body["total_count"] == len(expected)


def test_days_are_compared_with_instants(api: Api) -> None:
    body = api.records(GAS, where="date >= date'2022-11-02' and date < date'2022-11-03T00:00:00Z'")
    assert body["results"] == [{"date": "2022-11-02", "stock_fin_de_journee": 26_300.25, "pits": "Centre"}]


@pytest.mark.parametrize(
    ("path", "parameters", "error_code"),
    [
        ("records", {"where": "date >= '2022-06-01'"}, "IncompatibleTypesInComparisonFilter"),
        ("records", {"where": "date >= date'2022-06-01'"}, "IncompatibleTypesInComparisonFilter"),
        ("records", {"where": "date_heure > '2022-06-01'"}, "IncompatibleTypesInComparisonFilter"),
        ("records", {"where": "consommation = 'many'"}, "IncompatibleTypesInComparisonFilter"),
        ("exports/csv", {"where": "consumption > 3"}, "ODSQLError"),
        ("exports/csv", {"where": "consommation >"}, "ODSQLError"),
        ("exports/csv", {"where": "consommation > 3 consommation < 5"}, "ODSQLError"),
        ("exports/csv", {"where": "(consommation > 3"}, "ODSQLError"),
        ("exports/csv", {"where": "consommation ~ 3"}, "ODSQLError"),
        ("exports/csv", {"where": "1 = 1"}, "ODSQLError"),
        ("exports/csv", {"where": "date_heure > date'yesterday'"}, "ODSQLError"),
        ("exports/csv", {"select": "date_heure, nothing"}, "ODSQLError"),
        ("exports/csv", {"select": "date_heure, count(*)"}, "ODSQLError"),
        ("exports/csv", {"order_by": "date_heure up"}, "ODSQLError"),
        ("records", {"limit": 101}, "InvalidRESTParameterError"),
        ("records", {"limit": "all"}, "InvalidRESTParameterError"),
        ("records", {"limit": 100, "offset": 9901}, "InvalidRESTParameterError"),
        ("records", {"timezone": "Mars/Olympus"}, "InvalidRESTParameterError"),
        ("records", {"group_by": "date"}, "InvalidRESTParameterError"),
        ("exports/csv", {"offset": 10}, "InvalidRESTParameterError"),
        ("exports/csv", {"limit": -2}, "InvalidRESTParameterError"),
        ("exports/csv", {"with_bom": "no"}, "InvalidRESTParameterError"),
        ("exports/csv", {"delimiter": "#"}, "InvalidRESTParameterError"),
        ("exports/parquet", {"parquet_compression": "brotli"}, "InvalidRESTParameterError"),
    ],
)
def test_what_odre_refuses_is_a_400_with_its_body(
    api: Api, path: str, parameters: dict[str, Any], error_code: str
) -> None:
    answer = api.get(f"{REAL_TIME}/{path}", **parameters)
    assert answer.status_code == 400
    assert answer.json()["error_code"] == error_code
    assert answer.json()["message"]


def test_a_parameter_given_twice_is_refused(api: Api) -> None:
    answer = requests.get(
        f"{api.datasets}/{REAL_TIME}/records?where=consommation=1&where=consommation=2", timeout=PATIENCE
    )
    assert (answer.status_code, answer.json()["error_code"]) == (400, "InvalidRESTParameterError")


@pytest.mark.parametrize("path", ["nothing", "nothing/records", "nothing/exports/csv", f"{REAL_TIME}/exports/xlsx"])
def test_what_is_not_there_is_a_404(api: Api, path: str) -> None:
    assert api.get(path).status_code == 404


def test_quota_headers_come_on_every_answer_and_count_down(api: Api) -> None:
    first = api.get(REAL_TIME)
    refused = api.get(f"{REAL_TIME}/records", limit=101)
    assert first.headers["x-ratelimit-limit"] == "10000000"
    assert first.headers["x-ratelimit-dataset-limit"] == "50000"
    for name in ("x-ratelimit-remaining", "x-ratelimit-dataset-remaining"):
        assert int(refused.headers[name]) == int(first.headers[name]) - 1
    for name in ("x-ratelimit-reset", "x-ratelimit-dataset-reset"):
        assert datetime.fromisoformat(refused.headers[name]) > datetime.now(UTC)


def test_metadata_carry_the_mark_and_the_types(api: Api) -> None:
    body = api.get(REAL_TIME).json()
    assert body["metas"]["default"]["data_processed"] == "2022-12-02T10:20:00+00:00"
    assert body["metas"]["default"]["modified"] != body["metas"]["default"]["data_processed"]
    assert body["metas"]["default"]["records_count"] == 4
    fields = {field["name"]: (field["label"], field["type"]) for field in body["fields"]}
    assert fields["date"] == ("Date", "text")
    assert fields["date_heure"] == ("Date et Heure", "datetime")
    assert fields["consommation"] == ("Consommation (MW)", "int")
    assert fields["eolien_offshore"] == ("Eolien offshore (MW)", "text")
    types = {field["name"]: field["type"] for field in api.get(GAS).json()["fields"]}
    assert types == {"date": "date", "stock_fin_de_journee": "double", "pits": "text"}


def test_the_catalogue_lists_the_datasets(api: Api) -> None:
    body = requests.get(api.datasets, timeout=PATIENCE).json()
    assert [entry["dataset_id"] for entry in body["results"]] == [REAL_TIME, GAS]
    assert {link["rel"] for link in api.get(f"{REAL_TIME}/exports").json()["links"]} > {
        "csv",
        "json",
        "jsonl",
        "parquet",
    }


def test_records_are_paged(api: Api) -> None:
    parameters = {"select": "date_heure", "order_by": "date_heure desc"}
    page = api.records(limit=2, offset=1, **parameters)
    assert page["total_count"] == 4
    assert [record["date_heure"] for record in page["results"]] == [
        "2022-06-02T10:00:00+00:00",
        "2022-06-01T00:30:00+00:00",
    ]
    assert api.records(limit=0) == {"total_count": 4, "results": []}


def test_records_give_ten_rows_unless_asked_otherwise(api: Api, source: MemorySource) -> None:
    source.publish(REAL_TIME, pa.concat_tables([POWER] * 5))
    assert len(api.records()["results"]) == 10
    assert len(api.records(limit=100)["results"]) == 20


def test_select_names_computes_and_renames(api: Api) -> None:
    body = api.records(select="count(*) as n, min(date_heure), max(consommation) as peak, avg(consommation)")
    assert body["results"] == [
        {"n": 4, "min(date_heure)": "2022-06-01T00:15:00+00:00", "peak": 52_000, "avg(consommation)": 136_000 / 3}
    ]
    assert api.records(select="count(consommation)", where="date = '2022-06-01'")["results"] == [
        {"count(consommation)": 1}
    ]
    rows = api.records(select="consommation as load, date", where="consommation < 42000")["results"]
    assert rows == [{"load": 41_000, "date": "2022-06-02"}]


def test_order_takes_several_columns_and_puts_nulls_last(api: Api) -> None:
    rows = list(csv.reader(io.StringIO(api.csv(order_by="date desc, consommation", with_bom="false")), delimiter=";"))
    assert [row[3] for row in rows[1:]] == ["41000", "52000", "43000", ""]


def test_an_export_without_order_comes_in_another_order(api: Api, source: MemorySource) -> None:
    hundred = pa.table({"date_heure": pa.array(range(100), pa.timestamp("s", tz="UTC")), "consommation": range(100)})
    source.publish(REAL_TIME, hundred)
    rows = api.csv(select="consommation", with_bom="false").split()[1:]
    assert rows != sorted(rows, key=int)
    assert sorted(rows, key=int) == [str(number) for number in range(100)]


def test_csv_is_written_as_odre_writes_it(api: Api) -> None:
    assert api.csv(order_by="date_heure") == (
        "\ufeffnature;date;date_heure;consommation;eolien_offshore\r\n"
        "a;2022-06-01;2022-06-01T00:15:00+00:00;43000;ND\r\n"
        '"a;b";2022-06-01;2022-06-01T00:30:00+00:00;;12\r\n'
        '"say ""c""";2022-06-02;2022-06-02T10:00:00+00:00;41000;\r\n'
        ";2022-06-02;2022-12-02T10:15:00+00:00;52000;14\r\n"
    )


def test_csv_in_labels_local_time_and_commas(api: Api) -> None:
    text = api.csv(
        select="nature,date_heure", order_by="date_heure desc", limit=3, with_bom="false", use_labels="true",
        timezone="Europe/Paris", delimiter=",",
    )  # fmt: skip
    assert text == (
        "Nature,Date et Heure\r\n"
        ",2022-12-02T11:15:00+01:00\r\n"
        '"say ""c""",2022-06-02T12:00:00+02:00\r\n'
        "a;b,2022-06-01T02:30:00+02:00\r\n"
    )


def test_whole_doubles_keep_their_point(api: Api) -> None:
    assert "2022-11-01;26222.0;Centre\r\n2022-11-02;26300.25;Centre\r\n2022-11-03;;Teréga" in api.csv(
        GAS, order_by="date"
    )


def test_an_empty_export_has_its_header_alone(api: Api) -> None:
    nothing = {"where": "consommation > 99999", "select": "date"}
    assert api.csv(with_bom="false", **nothing) == "date\r\n"
    assert api.get(f"{REAL_TIME}/exports/json", **nothing).json() == []
    assert api.get(f"{REAL_TIME}/exports/jsonl", **nothing).content == b""


def test_the_other_forms_hold_the_same_rows(api: Api) -> None:
    expected = api.records(order_by="date_heure")["results"]
    assert api.get(f"{REAL_TIME}/exports/json", order_by="date_heure").json() == expected
    lines = api.get(f"{REAL_TIME}/exports/jsonl", order_by="date_heure", limit=2)
    assert [json.loads(line) for line in lines.text.splitlines()] == expected[:2]
    table = pq.read_table(pa.BufferReader(api.get(f"{REAL_TIME}/exports/parquet", order_by="date_heure").content))
    assert table.equals(POWER)
    assert all(field.nullable for field in table.schema)
    zipped = api.get(f"{REAL_TIME}/exports/csv", order_by="date_heure", compressed="true")
    assert gzip.decompress(zipped.content).decode() == api.csv(order_by="date_heure")


def test_rows_of_many_batches_come_whole(api: Api, source: MemorySource) -> None:
    count = 50_001
    table = pa.table({"date_heure": pa.array(range(count), pa.timestamp("s", tz="UTC")), "consommation": range(count)})
    source.publish(REAL_TIME, table)
    rows = api.csv(order_by="consommation", with_bom="false").splitlines()
    assert rows[1:] == [f"{datetime.fromtimestamp(n, UTC).isoformat()};{n}" for n in range(count)]
    assert len(api.get(f"{REAL_TIME}/exports/json").json()) == count


def test_a_table_and_its_mark_change_while_it_is_served(api: Api, source: MemorySource) -> None:
    before = api.get(REAL_TIME).json()["metas"]["default"]["data_processed"]
    source.publish(REAL_TIME, POWER.slice(0, 1))
    assert api.get(REAL_TIME).json()["metas"]["default"]["data_processed"] > before
    assert api.records(limit=0)["total_count"] == 1
    source.withdraw(REAL_TIME)
    assert api.get(REAL_TIME).status_code == 404


def test_a_slow_reader_holds_up_nobody(api: Api, source: MemorySource, standin: Callable[..., str]) -> None:
    source.publish(REAL_TIME, pa.concat_tables([POWER] * 100_000))
    host, port = api.datasets.split("/")[2].split(":")
    with socket.create_connection((host, int(port))) as slow:
        path = f"/api/explore/v2.1/catalog/datasets/{REAL_TIME}/exports/csv"
        slow.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert slow.recv(16).startswith(b"HTTP/1.1 200")
        assert api.get(GAS).status_code == 200


def test_behaviour_sees_each_request_and_decides_the_answer(source: MemorySource, standin: Callable[..., str]) -> None:
    seen: list[tuple[str, str, int]] = []

    def second_fails(request: Request, given: Answer) -> Answer:
        seen.append((request.dataset, request.endpoint, request.number))
        return Answer(503, b"") if request.number == 2 else given

    api = Api(standin(source, behaviour=second_fails))
    statuses = [api.get(path).status_code for path in (REAL_TIME, f"{REAL_TIME}/records", f"{GAS}/exports/csv")]
    assert statuses == [200, 503, 200]
    assert seen == [(REAL_TIME, "metadata", 1), (REAL_TIME, "records", 2), (GAS, "exports/csv", 1)]


def test_many_clients_at_once_get_whole_answers(api: Api) -> None:
    bodies: list[str] = []
    threads = [threading.Thread(target=lambda: bodies.append(api.csv(order_by="date_heure"))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bodies) == 12
    assert len(set(bodies)) == 1


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "emulators.odre", "--port", "0", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "plugins"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_command_serves_until_it_is_ended() -> None:
    with start("--generated", "--anchor", "2026-03-01T12:00:00Z", "--years", "1") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        base_url = line.split()[3].rstrip(":")
        title = Api(base_url).get(GAS).json()["metas"]["default"]["title"]
        assert title.endswith("(generated sample data)")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def test_the_command_says_in_one_line_why_it_cannot_serve(tmp_path: Path) -> None:
    for arguments in (["--data", str(tmp_path)], ["--data", str(tmp_path / "nowhere")]):
        with start(*arguments) as process:
            _, errors = process.communicate()
            assert process.returncode == 1
            assert len(errors.splitlines()) == 1
            assert str(tmp_path) in errors


def test_a_file_is_as_it_was_until_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    write_whole(file, "before é")

    def die(*_: object) -> None:
        raise InterruptedError

    with monkeypatch.context() as killed:
        killed.setattr(Path, "replace", die)
        with pytest.raises(InterruptedError):
            write_whole(file, b"after")
    assert file.read_text(encoding="utf-8") == "before é"
    write_whole(file, b"after")
    assert (file.read_bytes(), list(tmp_path.iterdir())) == (b"after", [file])


def test_the_present_of_generated_data_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "state" / "anchor"
    first = _kept_present(file)
    assert timedelta(0) <= datetime.now(UTC) - first < timedelta(minutes=16)
    assert [path.name for path in file.parent.iterdir()] == ["anchor"]
    file.write_text("2026-03-01T12:00:00+00:00")
    assert _kept_present(file) == datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_present_that_cannot_be_read_is_one_line_that_says_how_to_go_on(tmp_path: Path) -> None:
    file = tmp_path / "anchor"
    file.touch()
    with start("--generated", "--state", str(file)) as process:
        _, errors = process.communicate()
        assert process.returncode == 1
        (line,) = errors.splitlines()
        assert f"{file} does not hold the present" in line
        assert "remove it" in line


def test_a_busy_port_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with start("--generated", "--years", "1", "--port", str(port)) as process:
            _, errors = process.communicate()
            assert process.returncode == 1
            assert f"cannot serve on 127.0.0.1:{port}" in errors
            assert len(errors.splitlines()) == 1
