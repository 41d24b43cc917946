"""The local stack's own decisions, without its servers."""

import io
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import pytest
import yaml

from local import __main__ as commands
from local import environments, lists
from local.basics import ROOT, LocalError, clean_environment, exception_line, ignored_settings, import_failure
from local.environments import stamp_of, uv_settings
from local.http import request
from local.report import disk, language, show_answers, write_csv, write_table
from local.stack import Ports, Source, Stack, check_live, shared_settings
from local.warehouse import Result, Warehouse, _value
from odre.address import ODRE
from odre.settings import Settings
from tests.waiting import PATIENCE


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """``make`` in the project, with a program in place of Python that prints what reaches it."""
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@pytest.fixture
def shows_query(tmp_path: Path) -> str:
    """A Python that only prints the query it was handed."""
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\nprintf %s "$SQL_TEXT"\n')
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 'it''s', \"quoted\" FROM `a.b.c`",
        "SELECT '$HOME $(shell date) ${PATH} $$ $x'",
        "SELECT 1; -- # a comment\nSELECT 2",
        "SELECT r'\\d+' = @x AND 1 < 2 | 3",
        "SELECT '$(', '${'",
    ],
)
def test_a_query_reaches_the_command_as_it_was_typed(sql: str, shows_query: str) -> None:
    assert make("sql", f"SQL={sql}", f"PYTHON={shows_query}").stdout == sql
    assert make("sql", f"PYTHON={shows_query}", SQL=sql).stdout == sql


def test_each_folder_of_tests_is_run_by_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    run: list[str] = list(commands.COMPOSE)
    monkeypatch.setattr(commands, "_pytest", lambda _, every: run.extend(every))
    for command in (commands.test, commands.test_faults, commands.test_browser):
        command()
    there = {file.parent for file in (ROOT / "tests").rglob("test_*.py")}
    assert sorted(run) == sorted(str(folder.relative_to(ROOT)) for folder in there)


def test_make_alone_lists_the_commands() -> None:
    listed = make().stdout
    for command in ("demo", "run", "sql", "check-source", "test", "bench", "lint", "lock", "clean"):
        assert f"make {command}" in listed


@pytest.mark.parametrize(
    ("python", "named"), [("", "Nothing on the path"), ("/nowhere", "/nowhere"), ("false", "false")]
)
def test_without_python_one_line_says_which_is_needed(python: str, named: str) -> None:
    done = make("demo", f"PYTHON={python}")
    assert done.returncode
    assert done.stderr.startswith(f"error: {named} is no Python 3.11 or 3.12: install one")
    assert [line for line in done.stderr.splitlines() if not line.startswith("make")] == done.stderr.splitlines()[:1]


def test_no_query_is_one_line() -> None:
    done = make("sql", "SQL=", f"PYTHON={sys.executable}")
    assert done.returncode
    assert done.stderr.splitlines()[0] == 'error: No query: make sql SQL="SELECT …"'


#: A command that prints until nobody reads it.
ENDLESS = """
import sys
from local import __main__ as command
from local.basics import say
from local.warehouse import Result

class Warehouse:
    def query(self, text):
        return Result(["a"], [[1]] * 1_000_000)

def talk():
    while True:
        say("still here")

command.COMMANDS.update(talk=talk, answer=lambda: command._answer(Warehouse(), ""))
sys.exit(command.main())
"""


@pytest.mark.parametrize(("command", "code"), [("talk", 141), ("answer", 0)])
def test_output_that_nobody_reads_any_more_is_no_error(command: str, code: int) -> None:
    talking = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "plugins")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert talking.stdout is not None
    assert talking.stderr is not None
    talking.stdout.readline()
    talking.stdout.close()
    assert (talking.stderr.read(), talking.wait(PATIENCE)) == (b"", code)
    talking.stderr.close()


def test_containers_that_do_not_start_show_why(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\necho "$@"\ncase "$*" in *" up "*) exit 17;; esac\n')
    docker.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = make("up", "SOURCE=sample", f"PYTHON={sys.executable}", PATH=path, AIRFLOW__CORE__PARALLELISM="no number")
    ignored, *called = done.stdout.splitlines()
    assert "Ignored: " in ignored
    assert "AIRFLOW__CORE__PARALLELISM" in ignored
    assert "no number" not in ignored
    assert called == [
        "compose --profile sample up --build --detach --wait",
        "compose --profile sample logs --tail=20 secrets migrate",
    ]
    assert done.stderr.startswith("error: The containers did not start: ")
    assert "make up" in done.stderr


def test_a_folder_that_is_not_there_is_one_line() -> None:
    done = make("demo", "DATA=/nowhere", f"PYTHON={sys.executable}")
    assert done.returncode
    assert done.stderr.splitlines()[0] == "error: DATA=/nowhere is not a folder"


def test_pip_configuration_is_told_to_uv_and_the_environment_wins() -> None:
    listed = ":env:.index-url='https://b.example/simple'\nglobal.index-url='https://a.example/simple'\n"
    listed += "global.cert='/ca.pem'\nglobal.timeout='60'\ninstall.trusted-host='a.example\\nb.example'\n"
    assert uv_settings(listed) == {
        "UV_DEFAULT_INDEX": "https://b.example/simple",
        "SSL_CERT_FILE": "/ca.pem",
        "UV_INSECURE_HOST": "a.example b.example",
    }


def test_an_environment_is_known_by_its_list(tmp_path: Path) -> None:
    requirements = tmp_path / "airflow.txt"
    requirements.write_text("a==1\n")
    before = stamp_of(requirements)
    requirements.write_text("a==2\n")
    assert stamp_of(requirements) != before


def test_too_little_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "LOCAL", tmp_path)
    monkeypatch.setattr(environments, "DISK_NEEDED", 10**18)
    with pytest.raises(LocalError, match=rf"are free in {tmp_path}, where 1000000000.0 GB are needed: make room"):
        environments._check_machine()


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_python_without_venv_is_one_line(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(LocalError, match=r"no venv module.*apt install python3\.1\d-venv"):
        environments._check_machine()


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (
            "x\nerror: Failed to fetch: `https://pypi.org/simple/a/`\n  dns error\n",
            "the package index cannot be reached",
        ),
        ("OSError: [Errno 28] No space left on device\n", "no space is left on the disk"),
        ("fine\nERROR: Hashes do not match\nmore\n", "ERROR: Hashes do not match"),
        ("", "no reason was given"),
    ],
)
def test_the_reason_of_a_failed_installation(tmp_path: Path, log: str, reason: str) -> None:
    file = tmp_path / "install.log"
    file.write_text(log)
    assert environments._reason(file) == reason


def test_variables_that_would_lead_elsewhere_are_left_out() -> None:
    given = {"AIRFLOW_HOME": "/x", "DBT_TARGET": "p", "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/h", "no_proxy": "corp"}
    assert clean_environment(given) == {
        "HOME": "/h",
        "no_proxy": "corp,127.0.0.1,localhost",
        "NO_PROXY": "corp,127.0.0.1,localhost",
    }


def test_settings_of_the_users_own_airflow_are_named_without_what_they_hold() -> None:
    given = {"AIRFLOW__CORE__PARALLELISM": "1", "AIRFLOW_CONN_ODRE_DEFAULT": "https://k:secret@x", "HOME": "/h"}
    given |= {"AIRFLOW_VAR_X": "y", "AIRFLOW_PORT": "8081"}
    every = ["AIRFLOW_CONN_ODRE_DEFAULT", "AIRFLOW_VAR_X", "AIRFLOW__CORE__PARALLELISM"]
    assert ignored_settings(environment=given) == every
    assert ignored_settings({"AIRFLOW_CONN_ODRE_DEFAULT"}, given) == every[1:]
    assert not set(clean_environment(given)) & set(every)


ANOTHER = (
    "During handling of the above exception, another exception occurred:\n\n"
    "Traceback (most recent call last):\n  File b\n"
)
GROUP = """  + Exception Group Traceback (most recent call last):
  |   File a
  | ExceptionGroup: all (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File b
    | ValueError: x
    +------------------------------------
"""
CAUSE = "Traceback (most recent call last):\n  File a\nKeyError: 'x'\n\n"


@pytest.mark.parametrize(
    ("trace", "line"),
    [
        (
            "Traceback (most recent call last):\n  File a\n    code\n    ^^^^\nValueError: one\ntwo\n  three",
            "ValueError: one",
        ),
        (f"{CAUSE}The above exception was the direct cause of the following exception:\n\n{CAUSE}", "KeyError: 'x'"),
        (f"{CAUSE}{ANOTHER}my.Error: dbt says:\n{CAUSE}", "my.Error: dbt says:"),
        (GROUP, "ExceptionGroup: all (1 sub-exception)"),
        ("2026 INFO begins\n2026 ERROR failed\n" + CAUSE + "(Background on this error at: https://…)", "KeyError: 'x'"),
        ("No module named 'x'\nsee the manual", ""),
        ("", ""),
    ],
)
def test_the_message_of_a_traceback_is_the_first_line_of_its_exception(trace: str, line: str) -> None:
    assert exception_line(trace) == line


def test_an_import_failure_without_a_traceback_is_its_first_line() -> None:
    assert import_failure("No module named 'x'\nsee the manual\n") == "No module named 'x'"
    assert import_failure("") == "no reason is given"


def airflow_settings() -> dict[tuple[str, str], str]:
    """Section and option → value of what Airflow itself is told locally."""
    names = [name for name in shared_settings() if name.startswith("AIRFLOW__")]
    given = {(name.split("__")[1].lower(), name.split("__")[2].lower()): shared_settings()[name] for name in names}
    return {key: value for key, value in given.items() if key[0] not in ("cosmos", "openlineage")}


def test_every_setting_is_one_of_airflows() -> None:
    # Airflow takes no notice of a name that it does not know.
    spec = find_spec("airflow")
    assert spec is not None
    assert spec.origin is not None
    options = yaml.safe_load((Path(spec.origin).parent / "config_templates" / "config.yml").read_text())
    known = {(section, option) for section, described in options.items() for option in described["options"]}
    assert airflow_settings().keys() - known == set()


def test_one_reading_that_is_broken_off_makes_no_dag_stale() -> None:
    seconds = {key: float(value) for key, value in airflow_settings().items() if value.isdigit()}
    broken_off = seconds["dag_processor", "dag_file_processor_timeout"]
    assert seconds["core", "dagbag_import_timeout"] < broken_off
    # From a reading that succeeded to the end of the next but one.
    lag = 2 * (seconds["dag_processor", "min_file_process_interval"] + broken_off)
    assert seconds["dag_processor", "stale_dag_threshold"] >= lag


def test_servers_of_earlier_commands_have_ended_for_airflow_too(tmp_path: Path) -> None:
    with Stack(Source.generated(), Ports.free(), tmp_path) as stack:
        stack.airflow_home.mkdir()
        with closing(sqlite3.connect(stack.airflow_home / "airflow.db")) as database, database:
            database.execute("CREATE TABLE job (id INTEGER, state TEXT)")
            database.execute("INSERT INTO job VALUES (1, 'running'), (2, 'success'), (3, 'running')")
        stack._end_jobs()
        with closing(sqlite3.connect(stack.airflow_home / "airflow.db")) as database:
            assert database.execute("SELECT state FROM job ORDER BY id").fetchall() == [
                ("failed",),
                ("success",),
                ("failed",),
            ]


def test_a_command_that_fails_shows_its_exception_and_not_that_of_an_earlier_one(tmp_path: Path) -> None:
    with Stack(Source.generated(), Ports.free(), tmp_path) as stack:
        for code, reason in (
            ("raise OSError('locked\\nsee the manual')", "OSError: locked"),
            ("print('first'); print('last'); exit(1)", "last"),
            ("exit(1)", "failed"),
        ):
            with pytest.raises(LocalError, match=rf"^Airflow's database: {reason} \(see "):
                stack._run("Airflow's database", [sys.executable, "-c", code], dict(os.environ))


def test_ports_come_from_their_variables() -> None:
    assert Ports.from_environment({"AIRFLOW_PORT": "18080", "ODRE_PORT": ""}) == Ports(airflow=18080)
    with pytest.raises(LocalError, match="STORAGE_PORT=http is not a port"):
        Ports.from_environment({"STORAGE_PORT": "http"})
    with pytest.raises(LocalError, match="AIRFLOW_PORT and STORAGE_PORT are both 9023"):
        Ports.from_environment({"AIRFLOW_PORT": "9023"})


def test_a_busy_port_names_itself_and_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.stack.is_free", lambda port: port != 9050)
    Ports().check(["airflow", "storage"])
    with pytest.raises(LocalError, match=r"Port 9050 is taken .* BIGQUERY_PORT="):
        Ports().check(["airflow", "bigquery"])


def test_each_folder_has_a_state_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, again, other = (Source.of_folder(str(tmp_path / name)).state for name in ("a", "b/../a", "b"))
    assert first == again != other


def test_the_live_source_is_what_the_connection_names() -> None:
    assert Source.live({}).connection == ODRE
    assert Source.live({"AIRFLOW_CONN_ODRE_DEFAULT": "http://127.0.0.1:8090"}).connection == "http://127.0.0.1:8090"


@pytest.mark.parametrize(
    ("connection", "host", "key", "extra"),
    [
        (f"{ODRE}/api/explore/v2.1?read=5", ODRE, None, {"read": "5"}),
        ("http://:secret-key@127.0.0.1:8090", "http://127.0.0.1:8090", "secret-key", {}),
        (' {"conn_type": "http", "host": "a", "port": 1, "extra": {"read": 5}}', "http://a:1", None, {"read": 5}),
        ('{"host": "https://user:secret-key@odre.example"}', "https://odre.example", "secret-key", {}),
    ],
)
def test_airflow_is_told_the_source_as_json(
    connection: str, host: str, key: str | None, extra: dict[str, object]
) -> None:
    told = json.loads(Source("live", connection=connection).airflow_connection(""))
    assert told == {"conn_type": "http", "host": host, "password": key, "extra": extra}


def test_a_connection_in_json_is_told_by_its_address() -> None:
    sample = json.loads(Source("sample").airflow_connection("http://127.0.0.1:1"))
    assert (sample["host"], sample["extra"]) == ("http://127.0.0.1:1", {"generated": True})
    extracts = json.loads(Source("data", folder=Path()).airflow_connection("http://127.0.0.1:1"))
    assert extracts["extra"] == {}


@pytest.mark.parametrize(
    "connection",
    ["odre.opendatasoft.com", "{not json", "ftp://odre.example", '{"port": 1}', '{"host": "a", "port": "b"}'],
)
def test_what_is_no_address_is_said_in_one_line(connection: str) -> None:
    with pytest.raises(LocalError, match="AIRFLOW_CONN_ODRE_DEFAULT is no address"):
        check_live(Source("live", connection=connection))
    with pytest.raises(LocalError, match="AIRFLOW_CONN_ODRE_DEFAULT is no address"):
        Source("live", connection=connection).airflow_connection("")


class Portal(BaseHTTPRequestHandler):
    """Answers with what the server's list of answers has, the last for ever."""

    answers: ClassVar[list[tuple[int, bytes]]] = []
    keys: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.keys.append(self.headers["Authorization"])
        self.send_response(status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on the screen."""


@pytest.fixture
def portal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    """A live source that answers with ``Portal.answers``."""
    monkeypatch.setattr("local.stack.time.sleep", lambda seconds: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), Portal) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Source("live", connection=f"http://:secret-key@127.0.0.1:{server.server_port}")
        server.shutdown()


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ([(500, b"{}")], "answers HTTP 500"),
        ([(401, b"")], "answers HTTP 401"),
        ([(200, b"<html>Maintenance</html>")], "does not answer as ODR"),
        ([(200, b"[]")], "does not answer as ODR"),
        ([(200, b"\xff")], "cannot be reached"),
    ],
)
def test_a_source_that_cannot_be_used_is_one_line_that_names_the_demo(
    portal: Source, monkeypatch: pytest.MonkeyPatch, answers: list[tuple[int, bytes]], problem: str
) -> None:
    monkeypatch.setattr(Portal, "answers", answers)
    with pytest.raises(LocalError, match=rf"http://127\.0\.0\.1:\d+ {problem}.*make demo") as refused:
        check_live(portal)
    assert "secret-key" not in str(refused.value)


def test_a_server_that_says_nothing_in_time_is_a_time_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(TimeoutError, match=r"no answer within \d"):
        request("GET", f"http://127.0.0.1:{server.getsockname()[1]}", timeout=0.1)


@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0\r\n",
        b"HTTP/1.1 200\r\nContent-Length: 9\r\n\r\n{",
        b"HTTP/1.1 500\r\nContent-Length: 9\r\n\r\n{",
        b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\n\xff",
    ],
)
def test_what_is_no_whole_http_is_the_same_error_as_no_answer(sent: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(sent)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(OSError, match="no HTTP as it should be"):
            request("GET", f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join()


def test_a_moments_fault_of_the_source_is_borne(portal: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Portal, "answers", [(503, b""), (502, b""), (200, b'{"fields": []}')])
    check_live(portal)


def test_the_key_is_sent_to_the_source_alone(portal: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Portal, "answers", [(302, b""), (200, b'{"fields": []}')])
    monkeypatch.setattr(Portal, "keys", [])
    check_live(portal)
    assert Portal.keys == ["Apikey secret-key", None]


def test_a_source_that_does_not_answer_is_one_line_that_names_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.stack.time.sleep", lambda seconds: None)
    with pytest.raises(LocalError, match=r"http://127\.0\.0\.1:9 cannot be reached .*make demo"):
        check_live(Source.live({"AIRFLOW_CONN_ODRE_DEFAULT": "http://127.0.0.1:9"}))


def test_a_table_aligns_numbers_to_the_right() -> None:
    out = io.StringIO()
    write_table(Result(["day", "gwh"], [["2024-01-01", 5.0], ["2024-01-02", None], ["2024-01-03", 1234.5]]), out)
    assert out.getvalue().splitlines() == [
        "  day            gwh",
        "  ----------  ------",
        "  2024-01-01     5.0",
        "  2024-01-02    null",
        "  2024-01-03  1234.5",
    ]


def test_a_tables_whole_and_precise_numbers_stay_as_they_are() -> None:
    out = io.StringIO()
    write_table(Result(["n", "twh", "x"], [[1, 20.0, 0.123456], [None, 5.0, 1.0]]), out)
    assert out.getvalue().splitlines()[2:] == ["     1   20  0.123456", "  null    5         1"]


class AnsweringWarehouse(Warehouse):
    """Two answers, the second without figures and without a period."""

    def query(self, sql: str) -> Result:
        """The language's columns of the mart."""
        assert "answer_fr" in sql
        assert ".energy.answers`" in sql
        assert "FORMAT_DATE('%d/%m/%Y', period_start), FORMAT_DATE('%d/%m/%Y', period_end)" in sql
        long = [
            "Le mix ?",
            "Nucléaire 1\u202f234 MW, " * 5 + "fin.",
            "3 jours.",
            "Attention.",
            "01/01/2024",
            "31/12/2024",
        ]
        return Result([], [[1, *long], [2, "Le gaz ?", "Pas assez de données.", None, "Peu.", None, None]])


def test_answers_are_wrapped_in_the_language_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    show_answers(AnsweringWarehouse("", "", Settings.from_environment({})), out, "fr")
    lines = out.getvalue().splitlines()
    assert lines[1:4] == ["Les six questions", "", "  1. Le mix ?"]
    assert lines[6:] == [
        "     3 jours.",
        "     Du 01/01/2024 au 31/12/2024. Attention.",
        "",
        "  2. Le gaz ?",
        "     Pas assez de données.",
        "     Peu.",
    ]
    assert max(map(len, lines)) <= 90
    for locale, tongue in ({"LANG": "fr_FR.UTF-8"}, "fr"), ({"LANG": "fr_FR", "LC_ALL": "C"}, "en"), ({}, "en"):
        monkeypatch.delenv("LANG", raising=False)
        monkeypatch.delenv("LC_ALL", raising=False)
        for name, value in locale.items():
            monkeypatch.setenv(name, value)
        assert language() == tongue


def test_csv_has_all_digits() -> None:
    out = io.StringIO()
    write_csv(Result(["gwh"], [[132986.26764], [0.1 + 0.2]]), out)
    assert out.getvalue() == "gwh\n132986.26764\n0.30000000000000004\n"


def test_csv_has_empty_nulls_and_quotes() -> None:
    out = io.StringIO()
    write_csv(Result(["a", "b"], [[None, 'x,"y"'], [True, 0.1], [[1, None], {"é": 2}]]), out)
    assert out.getvalue() == 'a,b\n,"x,""y"""\ntrue,0.1\n"[1, null]","{""é"": 2}"\n'


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ({"type": "TIMESTAMP"}, "1667257200000000", "2022-10-31T23:00:00+00:00"),
        ({"type": "INTEGER", "mode": "REPEATED"}, [{"v": "1"}, {"v": "2"}], "[1, 2]"),
        ({"type": "RECORD", "fields": [{"name": "a", "type": "FLOAT"}]}, {"f": [{"v": "1.5"}]}, "{'a': 1.5}"),
        ({"type": "BOOLEAN"}, "false", "False"),
        ({"type": "STRING"}, None, "None"),
    ],
)
def test_cells_of_the_rest_api(field: dict[str, object], value: object, text: str) -> None:
    found = _value(field, value)
    assert (found.isoformat() if field["type"] == "TIMESTAMP" else str(found)) == text


def test_disk_counts_a_file_with_two_names_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 1_000_000)
    before = disk(tmp_path)
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    assert disk(tmp_path) == before >= 1_000_000


def test_a_pin_that_its_in_does_not_give_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requirements = tmp_path / "requirements"
    requirements.mkdir()
    (tmp_path / "pyproject.toml").touch()
    for name in lists.LISTS:
        (requirements / f"{name}.txt").write_text("a==1 \\\n    --hash=sha256:00\n    # via b\n")
    monkeypatch.setattr(lists, "REQUIREMENTS", requirements)

    def locked(folder: Path) -> None:
        shutil.copy(requirements / "dev.txt", folder / "dev.txt")
        (folder / "airflow.txt").write_text("a==2 \\\n    --hash=sha256:11\n")

    monkeypatch.setattr(lists, "lock", locked)
    assert lists.disagreements() == ["requirements/airflow.txt: a==1", "requirements/airflow.txt: a==2"]
