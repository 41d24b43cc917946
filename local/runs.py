"""Runs of the DAGs: taken up or started, and followed to their end with a line for each step."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any, Final

from local.airflow_api import LONG_AGO, UNFINISHED, AirflowApi
from local.basics import ROOT, say

#: States of a task that will not change by themselves.
ENDED: Final = {"success", "skipped", "failed", "upstream_failed", "removed"}

#: Seconds that the scheduler has to start what is due.
DUE: Final = 60.0

#: Seconds without news after which a line tells that work goes on.
SILENCE: Final = 15.0

#: Seconds between two looks at the runs.
RUNS_EVERY: Final = 2.0

#: Seconds between two looks at a run's tasks: they are a hundred, and Airflow works at the runs with the same cores.
TASKS_EVERY: Final = 4.0


def adopt_or_trigger(api: AirflowApi, dag_ids: list[str]) -> dict[str, str]:
    """The run of each DAG to follow: one that is under way or due by its schedule, else a new one.

    A DAG's next run lies in the future only once the scheduler has started the one that was due.
    """
    adopted: dict[str, str] = {}
    deadline = time.monotonic() + DUE
    for dag_id in dag_ids:
        while dag_id not in adopted:
            active = api.runs(dag_id, UNFINISHED)
            if active:
                adopted[dag_id] = active[0]["dag_run_id"]
            elif api.next_run(dag_id) > datetime.now(UTC) or time.monotonic() > deadline:
                # Between the two questions a run may have begun.
                active = api.runs(dag_id, UNFINISHED)
                adopted[dag_id] = active[0]["dag_run_id"] if active else api.trigger(dag_id)
            else:
                time.sleep(0.5)
    return adopted


@dataclass
class Follower:
    """Follows runs and says what happens in them. ``check`` raises if a server has ended.

    A run that had begun before ``since`` is an earlier command's, which may have been interrupted in the middle of it:
    if something in it has failed, it is given up, and a new run counts in its place.
    """

    api: AirflowApi
    runs: dict[str, str]
    logs: Path
    check: Callable[[], None]
    since: datetime = LONG_AGO
    states: dict[str, str] = field(default_factory=dict)
    _said: set[tuple[str, ...]] = field(default_factory=set)
    _progress: dict[str, str] = field(default_factory=dict)
    _looked: dict[str, float] = field(default_factory=dict)
    _last_line: float = field(default_factory=time.monotonic)

    def follow(self) -> bool:
        """Wait for the end of every run; whether all succeeded."""
        while len(self.states) < len(self.runs):
            self.check()
            for dag_id in self.runs:
                if dag_id not in self.states:
                    self._look(dag_id)
            if time.monotonic() - self._last_line > SILENCE and self._progress:
                self._say("; ".join(f"{dag_id} {text}" for dag_id, text in self._progress.items()))
            time.sleep(RUNS_EVERY)
        return set(self.states.values()) == {"success"}

    def _look(self, dag_id: str) -> None:
        run_id = self.runs[dag_id]
        run = self.api.run(dag_id, run_id)  # before its tasks: once it has ended, they have
        has_ended = run["state"] in ("success", "failed")
        if not has_ended and time.monotonic() - self._looked.get(dag_id, -inf) < TASKS_EVERY:
            return
        self._looked[dag_id] = time.monotonic()
        tasks = self.api.tasks(dag_id, run_id)
        if self._is_inherited(run) and "failed" in (run["state"], *(task["state"] for task in tasks)):
            self._replace(dag_id, run)
            return
        for task in tasks:
            if task["state"] in ("failed", "up_for_retry"):
                self._failure(dag_id, task)
        steps: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for task in tasks:
            steps[task["task_id"].partition(".")[0]].append(task)
        for step, members in steps.items():
            if all(task["state"] in ENDED for task in members):
                self._once((dag_id, step), f"{dag_id}: {step} {_summary(members)}")
        ended = sum(task["state"] in ENDED for task in tasks)
        under_way = [step for step, members in steps.items() if any(t["state"] not in (*ENDED, None) for t in members)]
        self._progress[dag_id] = f"{ended}/{len(tasks)} tasks" + (f" (now {', '.join(under_way)})" if under_way else "")
        if has_ended:
            self.states[dag_id] = run["state"]
            del self._progress[dag_id]
            self._say(f"{dag_id}: {run['state'].upper()}, {ended} tasks in {_seconds([run]):.0f} s")

    def _is_inherited(self, run: dict[str, Any]) -> bool:
        begun = run["start_date"]  # null while it is queued
        return begun is not None and datetime.fromisoformat(begun) < self.since

    def _replace(self, dag_id: str, run: dict[str, Any]) -> None:
        run_id = run["dag_run_id"]
        if run["state"] in UNFINISHED:
            self.api.give_up(dag_id, run_id)
        self.runs[dag_id] = self.api.trigger(dag_id)
        self._say(f"{dag_id}: the run that an earlier command began has failed: a new one takes its place ({run_id})")

    def _failure(self, dag_id: str, task: dict[str, Any]) -> None:
        log = task_log(self.logs, task)
        error = last_error(log)
        # Once for all chunks and tries that end in the same way.
        if task["state"] == "up_for_retry":
            self._once((dag_id, task["task_id"], error), f"{dag_id}: {task['task_id']} will be tried again: {error}")
        else:
            where = f"run {task['dag_run_id']}, log {log.relative_to(ROOT) if log.is_relative_to(ROOT) else log}"
            self._once(
                (dag_id, task["task_id"], error, "failed"), f"{dag_id}: {task['task_id']} FAILED: {error} ({where})"
            )

    def _once(self, key: tuple[str, ...], text: str) -> None:
        if key not in self._said:
            self._said.add(key)
            self._say(text)

    def _say(self, text: str) -> None:
        say(text)
        self._last_line = time.monotonic()


def _summary(tasks: list[dict[str, Any]]) -> str:
    """How a step that has ended went."""
    states = [task["state"] for task in tasks]
    if "failed" in states or "upstream_failed" in states:
        return f"failed ({states.count('failed')} of {len(states)} tasks, {states.count('upstream_failed')} not begun)"
    if set(states) == {"skipped"}:
        return "skipped"
    skipped = f", {states.count('skipped')} skipped" if "skipped" in states else ""
    many = f", {len(states)} tasks{skipped}" if len(states) > 1 else ""
    return f"done in {_seconds(tasks):.0f} s{many}"


def _seconds(items: list[dict[str, Any]]) -> float:
    """Seconds from the first start to the last end of runs or tasks."""
    starts = [datetime.fromisoformat(item["start_date"]) for item in items if item["start_date"]]
    ends = [datetime.fromisoformat(item["end_date"]) for item in items if item["end_date"]]
    return (max(ends) - min(starts)).total_seconds() if starts and ends else 0.0


def task_log(logs: Path, task: dict[str, Any]) -> Path:
    """Where the log of a task's last try is; the first that exists of the tries, from the last."""
    folder = logs / f"dag_id={task['dag_id']}" / f"run_id={task['dag_run_id']}" / f"task_id={task['task_id']}"
    if task["map_index"] >= 0:
        folder /= f"map_index={task['map_index']}"
    tries = sorted(folder.glob("attempt=*.log"), key=lambda path: path.stat().st_mtime)
    return tries[-1] if tries else folder


def last_error(log: Path) -> str:
    """The last error in a task's log, in one line."""
    found = "no error in its log"
    for entry in _entries(log):
        if entry.get("level") in ("error", "critical"):
            found = str(entry.get("event", ""))
            if detail := entry.get("error_detail"):
                found = f"{detail[0].get('exc_type')}: {detail[0].get('exc_value')}"
    return " ".join(found.split())[:600]


def _entries(log: Path) -> Iterator[dict[str, Any]]:
    if not log.is_file():
        return
    for line in log.read_text(errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry
