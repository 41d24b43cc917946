"""``make restore``: whose tables it makes again, and what it says where there is nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from local import __main__ as commands
from local import environments
from local.basics import LocalError


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """What is started, and its variables."""
    calls: list[dict[str, Any]] = []

    def run_in(python: Path, *command: str, environment: dict[str, str]) -> int:
        calls.append({"command": command, **environment})
        return 0

    monkeypatch.setattr(commands, "LOCAL", tmp_path)
    monkeypatch.setattr(environments, "ensure_airflow", lambda: Path(sys.executable))
    monkeypatch.setattr(environments, "run_in", run_in)
    for name in ("SOURCE", "DATA", "GOOGLE_CLOUD_PROJECT", "LAKE_BUCKET"):
        monkeypatch.delenv(name, raising=False)
    return calls


def test_there_is_nothing_to_restore(started: list[dict[str, Any]], tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=f"no warehouse and no lake in {tmp_path}/sample: nothing to restore"):
        commands.restore()
    assert started == []


def test_google_cloud_must_be_named(started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE", "google")
    with pytest.raises(LocalError, match="Set GOOGLE_CLOUD_PROJECT and LAKE_BUCKET"):
        commands.restore()
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "a-project")
    with pytest.raises(LocalError, match="Set LAKE_BUCKET"):
        commands.restore()
    assert started == []


def test_google_cloud_is_reached_although_emulators_are_set(
    started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE", "google")
    for name in ("GOOGLE_CLOUD_PROJECT", "LAKE_BUCKET", "BIGQUERY_EMULATOR_HOST", "STORAGE_EMULATOR_HOST"):
        monkeypatch.setenv(name, "given")
    assert commands.restore() == 0
    (call,) = started
    assert call["command"] == ("python", "-m", "odre.restore")
    assert call["LAKE_BUCKET"] == "given"
    assert not {"BIGQUERY_EMULATOR_HOST", "STORAGE_EMULATOR_HOST"} & set(call)
