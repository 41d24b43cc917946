"""What the containers run besides Airflow, as far as it needs no container."""

from __future__ import annotations

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from local import container, health
from local.basics import LocalError
from local.lists import _pins
from local.secret_files import MAKERS, secret
from local.stack import SHARED_SETTINGS, USER, shared_settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def volumes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Folders in place of the volumes."""
    for name in ("SECRETS", "DATABASE"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(container, name, tmp_path / name)
    return tmp_path


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_secrets_are_made_once(volumes: Path) -> None:
    container.make_secrets()
    first = {path: path.read_text() for path in volumes.rglob("*") if path.is_file()}
    container.make_secrets()
    assert {path: path.read_text() for path in volumes.rglob("*") if path.is_file()} == first
    assert {path.name for path in first} == set(MAKERS) | {"passwords.json", "database-url"}
    assert min(map(len, first.values())) >= 16


def test_secrets_are_readable_for_whom_they_are_meant(volumes: Path) -> None:
    previous = os.umask(0)
    try:
        container.make_secrets()
    finally:
        os.umask(previous)
    files = list((volumes / "SECRETS").iterdir())
    assert {path.name: mode(path) for path in files if path.name != "passwords.json"} == {
        path.name: 0o640 for path in files if path.name != "passwords.json"
    }
    assert mode(volumes / "SECRETS" / "passwords.json") == 0o660
    assert [mode(path) for path in (volumes / "DATABASE").iterdir()] == [0o644]


def test_the_password_is_that_of_airflows_user(volumes: Path) -> None:
    container.make_secrets()
    secrets = volumes / "SECRETS"
    assert json.loads((secrets / "passwords.json").read_text()) == {USER: (secrets / "password").read_text()}


def test_every_secret_differs_from_stack_to_stack(tmp_path: Path) -> None:
    for name in MAKERS:
        assert secret(tmp_path / "one", name) != secret(tmp_path / "other", name)


def test_the_shared_settings_are_all_of_the_file_and_hold_no_secret() -> None:
    settings = shared_settings()
    assert len(settings) == sum("=" in line for line in SHARED_SETTINGS.read_text().splitlines() if line[:1] != "#")
    assert [name for name in settings if "SECRET" in name or "KEY" in name or "PASSWORD" in name] == []


def test_the_user_is_the_one_that_the_shared_settings_name() -> None:
    assert shared_settings()["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] == f"{USER}:admin"


def test_the_image_installs_what_runs_everywhere_else() -> None:
    pins = {name: _pins(ROOT / "requirements" / f"{name}.txt") for name in ("airflow", "image")}
    assert pins["airflow"] <= pins["image"]
    assert {pin.partition("==")[0] for pin in pins["image"] - pins["airflow"]} == {"asyncpg", "psycopg2-binary"}


@pytest.mark.parametrize(("status", "wrong"), [("healthy", False), ("unhealthy", True)])
def test_a_service_without_an_address_is_as_the_api_server_reports_it(
    monkeypatch: pytest.MonkeyPatch, status: str, wrong: bool
) -> None:
    class Report(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"triggerer": {"status": status}, "dag_processor": {"status": "?"}}).encode())

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Report)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(health, "API", f"http://127.0.0.1:{server.server_port}/api/v2")
    try:
        assert bool(health.problem("triggerer")) is wrong
        assert health.problem("dag-processor") == "dag-processor is ?"
    finally:
        server.shutdown()
        server.server_close()


def test_a_service_that_nobody_answers_for_is_no_healthy_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(health.ADDRESSES, "storage", "http://127.0.0.1:9/")
    assert health.problem("storage").startswith("storage: ")


class Stopped(Exception):
    """The loop that never ends is left."""


def test_a_dbt_project_that_cannot_be_read_is_told_at_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(_: float) -> None:
        raise Stopped

    monkeypatch.setattr(container, "MANIFEST", tmp_path / "manifest.json")
    monkeypatch.setattr(container, "parse_project", lambda: "The dbt project cannot be read: why")
    monkeypatch.setattr("local.container.time.sleep", stop)
    with pytest.raises(LocalError, match="cannot be read: why"):
        container.follow_project()
    container.MANIFEST.touch()
    with pytest.raises(Stopped):
        container.follow_project()
    assert capsys.readouterr().out == "The dbt project cannot be read: why\n"
