"""Runs as the local stack follows them, with a script in place of Airflow."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.airflow_api import AirflowApi
from local.basics import LocalError
from local.http import HttpError
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
    #: The scheduler's last sign of life, what is told of the DAG, and the files that cannot be imported.
    now: datetime | None = None
    told: dict[str, Any] = field(default_factory=dict)
    errors: list[dict[str, Any]] = field(default_factory=list)

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

    def heartbeats(self) -> dict[str, datetime | None]:
        return dict.fromkeys(("scheduler", "dag_processor", "triggerer"), self.now)

    def dag(self, dag_id: str) -> dict[str, Any]:
        told = {"dag_id": dag_id, "is_paused": False, "is_stale": False, "relative_fileloc": f"{dag_id}.py"}
        return told | self.told

    def import_errors(self) -> list[dict[str, Any]]:
        return self.errors

    def read_again(self, dag: dict[str, Any]) -> None:
        self.done.append(f"read {dag['relative_fileloc']}")


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


@dataclass
class Clock:
    """The time of a follower, which goes on where it sleeps."""

    seconds: float = 0.0

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def monotonic(self) -> float:
        return self.seconds

    def time(self) -> float:
        return self.seconds


def watch(script: Script, logs: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Follow a run whose script goes by the time, until it has ended or the follower gives it up."""
    clock = Clock()
    monkeypatch.setattr("local.runs.time", clock)
    Follower(script, {"gas": "own"}, logs, lambda: None, servers=Path("/state/logs")).follow()
    return clock


def lasting(seconds: float) -> Script:
    """A run with one task, which take this long."""
    looks = ["running"] * round(seconds / 2)
    return Script(scripts={"own": (LATER, [*looks, "success"], ["running"])}, now=datetime.now(UTC))


def test_a_stale_dag_is_reported_with_its_cause_and_read_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = lasting(60)
    script.told = {"is_stale": True}
    trace = "Traceback (most recent call last):\n  File …\nx.AirflowTaskTimeout: DagBag import timeout\n* https://…"
    script.errors = [{"filename": "gas.py", "stack_trace": trace}]
    watch(script, Path("/nowhere"), monkeypatch)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "stale" in line]
    assert "gas is stale" in line
    assert "x.AirflowTaskTimeout: DagBag import timeout." in line
    assert "/state/logs/dag-processor.log" in line
    assert script.done == ["read gas.py"]


def test_a_paused_dag_is_reported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    script = lasting(60)
    script.told = {"is_paused": True}
    watch(script, Path("/nowhere"), monkeypatch)
    assert capsys.readouterr().out.count("gas is paused") == 1


def test_a_scheduler_that_hangs_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("local.runs.LIFELESS", 0.0)
    monkeypatch.setattr("local.runs.REPORT_AGAIN", 60.0)
    script = lasting(100)
    script.now = None
    watch(script, Path("/nowhere"), monkeypatch)
    said = [line for line in capsys.readouterr().out.splitlines() if "The scheduler has given no sign of life" in line]
    assert len(said) == 2, "once, and once more a minute later"
    assert "/state/logs/scheduler.log" in said[0]


def test_a_run_that_stands_still_is_reported_by_name_and_given_up_in_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(LocalError, match=r"gas: no task began, .*/state/logs/scheduler\.log.*too slow"):
        watch(lasting(7200), Path("/nowhere"), monkeypatch)
    said = [line for line in capsys.readouterr().out.splitlines() if "no task began" in line]
    assert 1 < len(said) < 10
    assert "gas: no task began, ended or wrote to its log for 5:" in said[0]


def test_a_task_that_writes_to_its_log_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "dag_id=gas" / "run_id=own" / "task_id=merge" / "attempt=1.log"
    log.parent.mkdir(parents=True)
    log.touch()
    os.utime(log, (3000, 3000))
    assert watch(lasting(4000), tmp_path, monkeypatch).seconds >= 4000


def test_an_api_that_does_not_answer_for_a_while_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = lasting(20)
    away: list[Exception] = [TimeoutError("no answer within 60 s"), HttpError(500, "locked"), HttpError(503, "begins")]
    tasks = script.tasks

    def answer(dag_id: str, run_id: str) -> list[dict[str, Any]]:
        if away:
            raise away.pop()
        return tasks(dag_id, run_id)

    monkeypatch.setattr(script, "tasks", answer)
    watch(script, Path("/nowhere"), monkeypatch)
    assert away == []
    assert capsys.readouterr().out.count("Airflow's API does not answer") == 1


def test_an_api_that_never_answers_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    script = lasting(20)

    def silent(dag_id: str, run_id: str) -> list[dict[str, Any]]:
        raise TimeoutError("no answer within 60 s")

    monkeypatch.setattr(script, "tasks", silent)
    with pytest.raises(LocalError, match="gas: no task began"):
        watch(script, Path("/nowhere"), monkeypatch)


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
