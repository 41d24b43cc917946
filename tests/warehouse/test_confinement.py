"""What another account of the machine, or a web page, gets from the emulators' ports: no file, and no answer."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest
from google.cloud.bigquery_storage_v1 import types

from emulators.odre.source import MemorySource
from local import environments
from local.http import HttpError, request
from local.stack import Ports, Source, Stack
from tests.conftest import ServeSource
from tests.environment import emulators_installed
from tests.warehouse.support import ROOT

HIDDEN = "hidden-from-other-accounts"
PROJECT = "odre-local"


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory, emulators: Stack) -> Iterator[Path]:
    """A folder outside of the emulators', with a file; nothing in it changes."""
    folder = tmp_path_factory.mktemp("outside")
    for name in ("password", "password.csv", "password.json"):
        (folder / name).write_text(f'{{"password": "{HIDDEN}"}}\n')
    request("POST", f"{bucket(emulators)}?project={PROJECT}", {"name": "confined"})
    before = sorted(folder.rglob("*"))
    yield folder
    assert sorted(folder.rglob("*")) == before
    assert {path.read_text() for path in before} == {f'{{"password": "{HIDDEN}"}}\n'}
    assert not list(Path.cwd().glob("confined*"))


def bucket(emulators: Stack) -> str:
    return f"{emulators.warehouse.storage}/storage/v1/b"


def answer_of(url: str, body: object) -> str:
    """What is sent back, of whatever status."""
    try:
        return json.dumps(request("POST", url, body))
    except HttpError as error:
        return error.body


def run_job(emulators: Stack, configuration: dict[str, Any]) -> str:
    """A job's end, with its rows where it has some."""
    api = f"{emulators.warehouse.bigquery}/bigquery/v2/projects/{PROJECT}"
    try:
        job = request("POST", f"{api}/jobs", {"configuration": configuration})
        done = {"status": {"state": ""}}
        while done["status"]["state"] != "DONE":
            done = request("GET", f"{api}/jobs/{job['jobReference']['jobId']}")
        return json.dumps(done)
    except HttpError as error:
        return error.body


def query(emulators: Stack, sql: str) -> str:
    url = f"{emulators.warehouse.bigquery}/bigquery/v2/projects/{PROJECT}/queries"
    return answer_of(url, {"query": sql, "useLegacySql": False, "timeoutMs": 60_000})


def is_refused(answer: str) -> bool:
    """Whether an answer is an error, and gives nothing away."""
    assert HIDDEN not in answer
    found = json.loads(answer)
    return bool("error" in found or found.get("errors") or found.get("status", {}).get("errorResult"))


def places(emulators: Stack, outside: Path) -> dict[str, str]:
    """How a statement can name the folder outside."""
    data = emulators.state / "bigquery"
    return {
        "absolute": str(outside),
        "file": f"file://{outside}",
        "file_short": f"file:{outside}",
        "file_localhost": f"file://localhost{outside}",
        "climbing": f"{data}/{os.path.relpath(outside, data)}",
        "climbing_storage": f"file://{emulators.state}/storage/.cloudstorage/../../../{outside.name}",
        "relative": os.path.relpath(outside),
    }


PLACES = ["absolute", "file", "file_short", "file_localhost", "climbing", "climbing_storage", "relative"]

READS = [
    "select content from read_text('{place}/password')",
    "select content from read_text('{place}/*')",
    "select content from read_text(['{place}/password'])",
    "select * from read_blob('{place}/password')",
    "select * from read_csv('{place}/password')",
    "select * from read_json('{place}/password')",
    "select * from read_parquet('{place}/password')",
    "select * from glob('{place}/*')",
    "select * from sniff_csv('{place}/password')",
    "select (select content from read_text('{place}/password'))",
    "create temp table got as select content from read_text('{place}/password')",
    "create view energy.got as select content from read_text('{place}/password')",
    "load data into energy.got from files (format = 'CSV', uris = ['{place}/password'])",
]


@pytest.mark.parametrize("place", PLACES)
def test_no_query_reads_a_file_outside(emulators: Stack, outside: Path, place: str) -> None:
    where = places(emulators, outside)[place]
    answered = [sql for sql in READS if not is_refused(query(emulators, sql.format(place=where)))]
    assert answered == []


STATEMENTS = [
    "select * from ST_ReadOSM('{outside}/password')",
    "select * from external_query('us.default', 'select 1')",
    "create schema `../../confined`.x",
    "create schema `{outside}/confined`.x",
    "create schema `x' as y; copy (select 1) to 'confined.csv'; --`.x",
    "copy (select 1) to '{outside}/confined.csv'",
    "attach '{outside}/confined.duckdb' as confined",
    "export database '{outside}/confined'",
    "load '{outside}/password'",
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_no_statement_leaves_the_folders(emulators: Stack, outside: Path, statement: str) -> None:
    assert is_refused(query(emulators, statement.format(outside=outside)))


#: What the emulator's SQL may not let through, but DuckDB understands.
DUCKDB = [
    "from '{outside}/password.csv'",
    "select * from '{outside}/password.json'",
    "select content from read_text('{inside}/link')",
    "select content from read_text('{inside}/folder/password')",
    "select content from read_text('{inside}-too/password')",
    "copy (select 1) to '{inside}/folder/confined.csv'",
    "copy (select 1) to '{inside}/folder/password'",
    "copy (select 1) to '{outside}/confined.csv'",
    "copy (select 1) to 'confined.csv'",
    "create table copied (line varchar); copy copied from '{outside}/password.csv'",
    "attach '{outside}/confined.duckdb' as confined",
    "attach 'ducklake:{outside}/confined.ducklake' as confined_lake (data_path '{inside}/')",
    (
        "attach 'ducklake:{inside}/far.ducklake' as far (data_path '{outside}/', data_inlining_row_limit 0); "
        "create table far.confined as select 1 as one"
    ),
    "export database '{outside}/confined'",
    "set lock_configuration = false",
    "set enable_external_access = true",
    "set allowed_directories = ['/']",
    "set allowed_paths = ['{outside}/password']",
    "reset allowed_directories",
    "set global temp_directory = '{outside}/confined'",
    "set home_directory = '{outside}'",
    "set secret_directory = '{outside}'",
    "set extension_directory = '{outside}'",
    "set profiling_output = '{outside}/confined.json'",
    "pragma profiling_output = '{outside}/confined.json'",
    "set log_query_path = '{outside}/confined.log'",
    "create persistent secret confined (type http, bearer_token 'x')",
    "select * from sniff_csv('{outside}/password.csv')",
]

#: Runs statements in a database that is confined to a folder; says which were carried out.
RUN = """
import json, sys
from pathlib import Path
from emulators.bigquery import confinement
given = json.load(sys.stdin)
carried_out = []
database = confinement.connect(Path(given["folder"]))
for statement in given["statements"]:
    try:
        database.cursor().execute(statement).fetchall()
        carried_out.append(statement)
    except Exception as error:
        assert given["hidden"] not in str(error)
print(json.dumps(carried_out))
"""


def carried_out(folder: Path, statements: list[str]) -> list[str]:
    """Those of some statements that DuckDB carries out where it is confined to a folder; none if one kills it."""
    with emulators_installed():
        python = environments.ensure_emulators()
    given = {"folder": str(folder), "hidden": HIDDEN, "statements": statements}
    environment = {**os.environ, "HOME": str(folder.parent), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [python, "-c", RUN], input=json.dumps(given), env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode <= 0, done.stderr
    found: list[str] = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else []
    return found


def test_duckdb_itself_stays_in_its_folder(outside: Path, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(outside / "password")
    (inside / "folder").symlink_to(outside)
    Path(f"{inside}-too").mkdir()
    Path(f"{inside}-too/password").write_text(HIDDEN)
    statements = [statement.format(outside=outside, inside=inside) for statement in DUCKDB]
    assert carried_out(inside, ["select 1", *statements]) == ["select 1"]
    assert not list(tmp_path.glob(".duckdb"))


def test_duckdb_logs_nothing_outside(outside: Path, tmp_path: Path) -> None:
    """It ends itself where it may not write, which the folder shows."""
    place = f"storage = 'file', storage_config = {{'path': '{outside}/confined'}}"
    carried_out(tmp_path, [f"call enable_logging('QueryLog', {place}); select 1"])


def test_duckdb_works_in_its_folder(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    statements = [
        f"copy (select 1 as one) to '{inside}/a.csv'",
        f"select one from read_csv('{inside}/*.csv')",
        (
            f"attach 'ducklake:{inside}/lake.ducklake' as lake (data_path '{inside}/', data_inlining_row_limit 0); "
            "create table lake.numbers as select range as number from range(100000); select count(*) from lake.numbers"
        ),
        "select error(current_setting('TimeZone')) where current_setting('TimeZone') != 'UTC'",
        "select error('unset') where current_setting('ducklake_max_retry_count') != 100",
    ]
    assert carried_out(inside, statements) == statements


ADDRESSES = [
    "file://{outside}/confined",
    "file:///{outside}/confined",
    "{outside}/confined",
    "gs://{outside}/confined",
    "gs:///{outside}/confined",
    "gs://../../../{name}/confined",
    "gs://confined/../../../../{name}/confined",
    "gs://./../../../{name}/confined",
    "gs://confined/a/../../../../../{name}/confined",
    "gs://confined/../..",
    "gs://*/../../../../{name}/confined",
    "gs://confined/../.meta",
    "http://127.0.0.1:1/confined",
    "s3://confined/confined",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_loads_and_exports_are_of_objects(emulators: Stack, outside: Path, address: str) -> None:
    uri = address.format(outside=outside, name=outside.name)
    exported = query(emulators, f"export data options (uri = '{uri}*.csv', format = 'CSV') as select 1 as one")
    assert is_refused(exported)
    assert "give gs://<bucket>/<object>" in json.loads(exported)["error"]["message"]
    query(emulators, "create table if not exists energy.of_one as select 1 as one")
    table = {"projectId": PROJECT, "datasetId": "energy", "tableId": "of_one"}
    extract = {"sourceTable": table, "destinationUris": [uri], "destinationFormat": "AVRO", "compression": "SNAPPY"}
    assert is_refused(run_job(emulators, {"extract": extract}))
    for source in (uri, uri.replace("confined", "password")):
        for kind in ("CSV", "AVRO", "PARQUET"):
            load = {"destinationTable": {**table, "tableId": "got"}, "sourceUris": [source], "sourceFormat": kind}
            assert is_refused(run_job(emulators, {"load": load}))


def test_an_encoded_name_is_that_of_an_object(emulators: Stack, outside: Path) -> None:
    """Nothing decodes it on the way to a file."""
    uri = f"gs://confined/%2e%2e/%2e%2e/%2e%2e/%2e%2e/{outside.name}/confined.csv"
    assert not is_refused(query(emulators, f"export data options (uri = '{uri}', format = 'CSV') as select 1 as one"))
    assert (emulators.state / "storage" / ".cloudstorage" / uri.removeprefix("gs://")).is_file()


def test_what_is_exported_can_be_loaded(emulators: Stack, outside: Path) -> None:
    uri = "gs://confined/a/b.csv"
    assert not is_refused(query(emulators, f"export data options (uri = '{uri}', format = 'CSV') as select 7 as seven"))
    table = {"projectId": PROJECT, "datasetId": "energy", "tableId": "loaded"}
    load = {"destinationTable": table, "sourceUris": ["gs://confined/a/*"], "sourceFormat": "CSV", "autodetect": True}
    assert not is_refused(run_job(emulators, {"load": load}))
    assert '"v": "7"' in query(emulators, "select seven from energy.loaded")


def test_a_catalogue_of_an_odd_name_is_left_alone(tmp_path: Path) -> None:
    """Its name, which a query can choose, becomes part of a statement when the emulator starts again."""
    data = tmp_path / "state" / "bigquery"
    data.mkdir(parents=True)
    odd = data / "x' as y; copy (select 1) to 'confined.csv'; --.ducklake"
    odd.touch()
    with emulators_installed(), Stack(Source.generated(), Ports.free(), tmp_path / "state") as stack:
        stack.start_warehouse()
        assert '"1"' in query(stack, "select 1 as one")
    assert odd.read_bytes() == b""
    assert not (Path.cwd() / "confined.csv").exists()


# The Storage API of the BigQuery emulator.


def read_session(emulators: Stack, restriction: str = "", **channel: Any) -> types.ReadSession:
    table = f"projects/{PROJECT}/datasets/energy/tables/of_two"
    query(emulators, "create table if not exists energy.of_two as select 2 as two")
    target = f"127.0.0.1:{emulators.ports.bigquery_grpc}"
    with grpc.insecure_channel(target, options=channel.get("options", ())) as opened:
        call = opened.unary_unary(
            "/google.cloud.bigquery.storage.v1.BigQueryRead/CreateReadSession",
            request_serializer=types.CreateReadSessionRequest.serialize,
            response_deserializer=types.ReadSession.deserialize,
        )
        asked = types.ReadSession(
            table=table, data_format=types.DataFormat.ARROW, read_options={"row_restriction": restriction}
        )
        return call(
            types.CreateReadSessionRequest(parent=f"projects/{PROJECT}", read_session=asked),
            metadata=channel.get("metadata", ()),
            timeout=60,
        )


def test_the_storage_api_reads_tables_alone(emulators: Stack, outside: Path) -> None:
    assert read_session(emulators, "two = 2").streams
    hidden = f"(select content from read_text('{outside}/password')) is not null"
    with pytest.raises(grpc.RpcError) as refused:
        read_session(emulators, hidden)
    assert HIDDEN not in str(refused.value)


@pytest.mark.parametrize(
    "channel",
    [
        {"options": [("grpc.default_authority", "evil.example:9060")]},
        {"metadata": [("origin", "https://evil.example")]},
    ],
)
def test_the_storage_api_refuses_what_the_rest_api_refuses(emulators: Stack, channel: dict[str, Any]) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        read_session(emulators, **channel)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert "evil.example" in refused.value.details()


# The Cloud Storage emulator.


def send(
    url: str, method: str, target: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    """A request as it stands: nothing is encoded or made shorter."""
    address = urlsplit(url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=30)
    try:
        connection.request(method, target, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


CLIMBS = [
    "../../../../{name}/{file}",
    "..%2f..%2f..%2f..%2f{name}/{file}",
    "%2e%2e/%2e%2e/%2e%2e/%2e%2e/{name}/{file}",
    "a/../../../../../{name}/{file}",
    "..\\..\\..\\..\\{name}\\{file}",
    "%5c..%5c..%5c..%5c..%5c{name}%5c{file}",
]


def _targets(object_: str) -> list[tuple[str, str, bytes | None]]:
    name = object_.replace("%2f", "/").replace("%2e", ".").replace("%5c", "\\")
    multipart = (
        b"--x\r\nContent-Type: application/json\r\n\r\n"
        + json.dumps({"name": name}).encode()
        + b"\r\n--x\r\nContent-Type: text/plain\r\n\r\nconfined\r\n--x--\r\n"
    )
    return [
        ("GET", f"/storage/v1/b/confined/o/{object_}?alt=media", None),
        ("GET", f"/storage/v1/b/../o/{object_}?alt=media", None),
        ("GET", f"/download/storage/v1/b/confined/o/{object_}", None),
        ("GET", f"/b/confined/o/{object_}?alt=media", None),
        ("GET", f"/confined/{object_}", None),
        ("GET", f"/../../{object_}", None),
        ("DELETE", f"/storage/v1/b/confined/o/{object_}", None),
        ("PUT", f"/confined/{object_}", b"confined"),
        ("PUT", f"/../{object_}", b"confined"),
        ("POST", f"/upload/storage/v1/b/confined/o?uploadType=media&name={object_}", b"confined"),
        ("POST", "/upload/storage/v1/b/confined/o?uploadType=multipart", multipart),
        ("POST", f"/storage/v1/b/confined/o/there/copyTo/b/confined/o/{object_}", None),
        ("POST", f"/storage/v1/b/confined/o/there/rewriteTo/b/confined/o/{object_}", None),
        ("POST", f"/storage/v1/b/confined/o/there/rewriteTo/b/../o/{object_}", None),
        (
            "POST",
            f"/storage/v1/b/confined/o/{object_}/compose",
            json.dumps({"sourceObjects": [{"name": "there"}], "destination": {}}).encode(),
        ),
        (
            "POST",
            "/storage/v1/b/confined/o/composed/compose",
            json.dumps({"sourceObjects": [{"name": name}], "destination": {}}).encode(),
        ),
    ]


@pytest.mark.parametrize("climb", CLIMBS)
@pytest.mark.parametrize("file", ["password", "confined"])
def test_no_object_is_a_file_outside(emulators: Stack, outside: Path, climb: str, file: str) -> None:
    url = emulators.warehouse.storage
    send(url, "POST", "/upload/storage/v1/b/confined/o?uploadType=media&name=there", b"there")
    for method, target, body in _targets(climb.format(name=outside.name, file=file)):
        multipart = "multipart/related; boundary=x" if body and body.startswith(b"--x") else "application/octet-stream"
        kind = "application/json" if target.endswith("/compose") else multipart
        status, content = send(url, method, target, body, {"Content-Type": kind})
        assert status >= 400, (method, target)
        assert HIDDEN.encode() not in content
        assert b"Traceback" not in content
    assert send(url, "GET", "/storage/v1/b/confined/o/there?alt=media") == (200, b"there")


def test_no_resumable_upload_ends_in_a_file_outside(emulators: Stack, outside: Path) -> None:
    api = urlsplit(bucket(emulators))
    connection = HTTPConnection(api.hostname or "", api.port, timeout=30)
    begin = "/upload/storage/v1/b/confined/o?uploadType=resumable"
    body = json.dumps({"name": f"../../../../{outside.name}/confined"})
    connection.request("POST", begin, body, {"Content-Type": "application/json"})
    begun = connection.getresponse()
    begun.read()
    connection.close()
    location = begun.headers["Location"]
    if location is not None:
        place = urlsplit(location)
        status, _ = send(emulators.warehouse.storage, "PUT", f"{place.path}?{place.query}", b"confined")
        assert status == 400


def test_no_batch_reaches_a_file_outside(emulators: Stack, outside: Path) -> None:
    object_ = f"..%2f..%2f..%2f..%2f{outside.name}%2fpassword"
    for line in (
        f"DELETE /storage/v1/b/confined/o/{object_}",
        f"GET /storage/v1/b/..%2f..%2f{outside.name}/o/password",
    ):
        body = f"--x\r\nContent-Type: application/http\r\n\r\n{line} HTTP/1.1\r\n\r\n\r\n--x--\r\n".encode()
        headers = {"Content-Type": "multipart/mixed; boundary=x"}
        _, content = send(emulators.warehouse.storage, "POST", "/batch/storage/v1", body, headers)
        assert HIDDEN.encode() not in content


@pytest.mark.parametrize("name", ["..", ".", "../confined", "/tmp/confined", "a/../../b", "_resumable", ".meta", "A b"])
def test_a_bucket_has_the_name_of_a_bucket(emulators: Stack, outside: Path, name: str) -> None:
    assert is_refused(answer_of(f"{bucket(emulators)}?project={PROJECT}", {"name": name}))
    assert name not in [item["name"] for item in request("GET", f"{bucket(emulators)}?project={PROJECT}")["items"]]


def test_no_get_deletes_what_is_stored(emulators: Stack, outside: Path) -> None:
    status, _ = send(emulators.warehouse.storage, "GET", "/wipe")
    assert status == 501
    assert "confined" in [item["name"] for item in request("GET", f"{bucket(emulators)}?project={PROJECT}")["items"]]


# Web pages: all three servers.


@pytest.fixture(params=["bigquery", "storage", "odre"])
def server(request: pytest.FixtureRequest, emulators: Stack, standin: ServeSource) -> tuple[str, str]:
    """A server's address, and something to get there."""
    if request.param == "bigquery":
        return emulators.warehouse.bigquery, f"/bigquery/v2/projects/{PROJECT}/datasets"
    if request.param == "storage":
        return emulators.warehouse.storage, f"/storage/v1/b?project={PROJECT}"
    return standin(MemorySource([])), "/api/explore/v2.1/catalog/datasets"


FOREIGN: list[dict[str, str]] = [
    {"Host": "evil.example"},
    {"Host": "evil.example:9050", "Origin": "http://evil.example:9050"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_web_page_is_answered_by_no_server(server: tuple[str, str], headers: dict[str, str], method: str) -> None:
    url, target = server
    sent = {"Access-Control-Request-Method": "POST"} if method == "OPTIONS" else {"Content-Type": "text/plain"}
    body = b'{"name": "from-a-page"}' if method in ("POST", "PUT", "PATCH") else None
    status, content = send(url, method, target, body, {**sent, **headers})
    assert status == 403
    assert (method == "HEAD") == (content == b"")
    if content:
        message = json.loads(content)["error"]["message"]
        assert re.fullmatch(r"[^\n]+\.", message)


def test_a_large_upload_is_refused_with_an_answer(server: tuple[str, str]) -> None:
    """And not by a connection that is reset."""
    url, target = server
    assert send(url, "POST", target, b"x" * 1_000_000, {"Origin": "https://evil.example"})[0] == 403


def test_a_program_is_answered_by_every_server(server: tuple[str, str]) -> None:
    url, target = server
    port = urlsplit(url).port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", "localhost", "[::1]:1"):
        assert send(url, "GET", target, None, {"Host": host})[0] == 200
    assert send(url, "GET", target, None, {"Origin": f"http://127.0.0.1:{port}"})[0] == 200


def test_a_page_writes_nothing_into_the_lake(emulators: Stack, outside: Path) -> None:
    upload = "/upload/storage/v1/b/confined/o?uploadType=media&name=from-a-page"
    page = {"Content-Type": "text/plain", "Origin": "https://evil.example"}
    assert send(emulators.warehouse.storage, "POST", upload, b"x", page)[0] == 403
    assert send(emulators.warehouse.storage, "GET", "/storage/v1/b/confined/o/from-a-page")[0] == 404
