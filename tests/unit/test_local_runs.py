"""Runs as the local stack follows them, with a script in place of Airflow."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.airflow_api import AirflowApi
from local.runs import Follower, last_error, task_log

NOW = datetime(2026, 9, 15, 10, 20, tzinfo=UTC)


@dataclass
class Script(AirflowApi):
    """Airflow with one DAG, whose runs go through the states of a script, one a look."""

    url: str = ""
    user: str = ""
    password: str = ""
    #: Run → its start, the states it goes through, and those of its task.
    scripts: dict[str, tuple[datetime | None, list[str], list[str]]] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        start, states, _ = self.scripts[run_id]
        state = states.pop(0) if len(states) > 1 else states[0]
        return {
            "dag_run_id": run_id,
            "state": state,
            "start_date": start and start.isoformat(),
            "end_date": NOW.isoformat() if state in ("success", "failed") else None,
        }

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        states = self.scripts[run_id][2]
        state = states.pop(0) if len(states) > 1 else states[0]
        task = {"dag_id": dag_id, "dag_run_id": run_id, "task_id": "merge", "map_index": -1, "state": state}
        return [{**task, "start_date": None, "end_date": None}]

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        self.done.append(f"trigger {dag_id}")
        return "new"

    def give_up(self, dag_id: str, run_id: str) -> None:
        self.done.append(f"give up {run_id}")


def follow(script: Script, run_id: str, monkeypatch: pytest.MonkeyPatch) -> tuple[bool, dict[str, str]]:
    """Follow a run; whether it succeeded, and the run that counted."""
    monkeypatch.setattr("local.runs.time.sleep", lambda seconds: None)
    monkeypatch.setattr("local.runs.TASKS_EVERY", 0)
    runs = {"gas": run_id}
    return Follower(script, runs, Path("/nowhere"), lambda: None, since=NOW).follow(), runs


EARLIER, LATER = NOW - timedelta(hours=1), NOW + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("states", "tasks", "done"),
    [
        (["running", "running", "failed"], ["running", "failed"], ["give up old", "trigger gas"]),
        (["running", "failed"], ["running", "upstream_failed"], ["trigger gas"]),
    ],
)
def test_a_failed_run_of_an_earlier_command_gives_way_to_a_new_one(
    monkeypatch: pytest.MonkeyPatch, states: list[str], tasks: list[str], done: list[str]
) -> None:
    script = Script(scripts={"old": (EARLIER, states, tasks), "new": (LATER, ["success"], ["success"])})
    assert follow(script, "old", monkeypatch) == (True, {"gas": "new"})
    assert script.done == done


def test_the_new_run_is_not_replaced_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(scripts={"old": (EARLIER, ["failed"], ["failed"]), "new": (LATER, ["failed"], ["failed"])})
    assert follow(script, "old", monkeypatch) == (False, {"gas": "new"})
    assert script.done == ["trigger gas"]


@pytest.mark.parametrize("begun", [LATER, None])
def test_a_run_that_this_command_began_fails_it(monkeypatch: pytest.MonkeyPatch, begun: datetime | None) -> None:
    script = Script(scripts={"own": (begun, ["queued", "failed"], ["failed"])})
    assert follow(script, "own", monkeypatch) == (False, {"gas": "own"})
    assert script.done == []


def test_an_earlier_run_that_goes_well_is_followed_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(scripts={"old": (EARLIER, ["running", "success"], ["up_for_retry", "success"])})
    assert follow(script, "old", monkeypatch) == (True, {"gas": "old"})
    assert script.done == []


def test_the_last_error_of_a_log_is_one_line(tmp_path: Path) -> None:
    task = {"dag_id": "d", "dag_run_id": "r", "task_id": "g.extract", "map_index": 2}
    folder = tmp_path / "dag_id=d" / "run_id=r" / "task_id=g.extract" / "map_index=2"
    folder.mkdir(parents=True)
    assert last_error(task_log(tmp_path, task)) == "no error in its log"
    entries = [
        {"level": "error", "event": "first"},
        {"level": "error", "event": "Task failed", "error_detail": [{"exc_type": "OdreError", "exc_value": "a\n b"}]},
        {"level": "info", "event": "bye"},
    ]
    (folder / "attempt=1.log").write_text("no JSON\n" + "\n".join(map(json.dumps, entries)))
    assert last_error(task_log(tmp_path, task)) == "OdreError: a b"
