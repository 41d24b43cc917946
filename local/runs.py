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

from local.airflow_api import LONG_AGO, SAY_EVERY, UNFINISHED, AirflowApi
from local.basics import ROOT, LocalError, elapsed, import_failure, say
from local.http import HttpError

#: States of a task that will not change by themselves.
ENDED: Final = {"success", "skipped", "failed", "upstream_failed", "removed"}

#: Seconds that the scheduler has to start what is due.
DUE: Final = 600.0

#: Seconds without news after which a line tells that work goes on.
SILENCE: Final = 15.0

#: Seconds between two looks at the runs.
RUNS_EVERY: Final = 2.0

#: Seconds between two looks at a run's tasks: they are a hundred, and Airflow works at the runs with the same cores.
TASKS_EVERY: Final = 4.0

#: Seconds between two looks at what may stand still: servers, stale DAGs, runs.
TROUBLE_EVERY: Final = 15.0

#: Seconds without a sign of life after which a server is reported: more than it takes one on a busy machine.
LIFELESS: Final = 150.0

#: Seconds without progress after which a run is reported.
STANDSTILL: Final = 300.0

#: Seconds after which trouble that lasts is reported again.
REPORT_AGAIN: Final = 300.0

#: Seconds without progress of any run after which none is expected any more.
GIVE_UP: Final = 1800.0


def adopt_or_trigger(api: AirflowApi, dag_ids: list[str], check: Callable[[], None] = lambda: None) -> dict[str, str]:
    """The run of each DAG to follow: one that is under way or due by its schedule, else a new one.

    A DAG's next run lies in the future only once the scheduler has started the one that was due. ``check`` raises if a
    server has ended.
    """
    adopted: dict[str, str] = {}
    begun = said = time.monotonic()
    for dag_id in dag_ids:
        while dag_id not in adopted:
            check()
            active, now = api.runs(dag_id, UNFINISHED), time.monotonic()
            if active:
                adopted[dag_id] = active[0]["dag_run_id"]
            elif api.next_run(dag_id) > datetime.now(UTC) or now - begun > DUE:
                # Between the two questions a run may have begun.
                active = api.runs(dag_id, UNFINISHED)
                adopted[dag_id] = active[0]["dag_run_id"] if active else api.trigger(dag_id)
            else:
                if now - said > SAY_EVERY:
                    said = now
                    say(f"{dag_id} is due, and the scheduler has not started its run yet")
                time.sleep(0.5)
    return adopted


@dataclass
class Follower:
    """Follows runs and says what happens in them. ``check`` raises if a server has ended.

    A run that had begun before ``since`` is an earlier command's, which may have been interrupted in the middle of it:
    if something in it has failed, it is given up, and a new run counts in its place. ``logs`` has the tasks' logs,
    ``servers`` those of Airflow's servers.
    """

    api: AirflowApi
    runs: dict[str, str]
    logs: Path
    check: Callable[[], None]
    since: datetime = LONG_AGO
    servers: Path | None = None
    states: dict[str, str] = field(default_factory=dict)
    _said: set[tuple[str, ...]] = field(default_factory=set)
    _progress: dict[str, str] = field(default_factory=dict)
    _looked: dict[str, float] = field(default_factory=dict)
    _last_line: float = 0.0
    _begun: datetime = field(default_factory=lambda: datetime.now(UTC))
    _moved: dict[str, float] = field(default_factory=dict)
    _signs: dict[str, object] = field(default_factory=dict)
    _reported: dict[str, float] = field(default_factory=dict)
    _looked_for_trouble: float = 0.0

    def follow(self) -> bool:
        """Wait for the end of every run; whether all succeeded.

        Raises:
            LocalError: none of them made progress for half an hour.
        """
        self._last_line = self._looked_for_trouble = time.monotonic()
        self._moved = dict.fromkeys(self.runs, self._last_line)
        while len(self.states) < len(self.runs):
            self.check()
            try:
                for dag_id in self.runs:
                    if dag_id not in self.states:
                        self._look(dag_id)
                trouble = self._trouble() if time.monotonic() - self._looked_for_trouble > TROUBLE_EVERY else None
            except (HttpError, OSError) as error:
                if isinstance(error, HttpError) and error.status < 500:
                    raise
                trouble = {"api": f"Airflow's API does not answer: {error}{self._log('api-server')}"}
                trouble |= self._standstill()
            if trouble is not None:
                self._looked_for_trouble = time.monotonic()
                self._report(trouble)
            if time.monotonic() - self._last_line > SILENCE and self._progress:
                self._say("; ".join(f"{dag_id} {text}" for dag_id, text in self._progress.items()))
            time.sleep(RUNS_EVERY)
        return set(self.states.values()) == {"success"}

    def _trouble(self) -> dict[str, str]:
        """What keeps runs from going on, or may: what it is of → one line."""
        found = {}
        for server, seen in self.api.heartbeats().items():
            silence = (datetime.now(UTC) - max(seen or self._begun, self._begun)).total_seconds()
            if silence > LIFELESS:
                name = server.replace("_", "-")
                found[server] = f"The {name} has given no sign of life for {elapsed(silence)} min{self._log(name)}"
        for dag_id in self.runs:
            if dag_id in self.states:
                continue
            dag = self.api.dag(dag_id)
            if dag["is_paused"]:
                found[f"{dag_id} paused"] = (
                    f"{dag_id} is paused, so its run does not go on: turn it on in {self.api.url}"
                )
            if dag["is_stale"]:
                if f"{dag_id} stale" not in self._reported:
                    self.api.read_again(dag)
                found[f"{dag_id} stale"] = self._stale(dag)
        return found | self._standstill()

    def _stale(self, dag: dict[str, Any]) -> str:
        file = dag["relative_fileloc"]
        errors = [error for error in self.api.import_errors() if error["filename"].endswith(file)]
        reason = f"it cannot be imported: {import_failure(errors[-1]['stack_trace'])}" if errors else "not in time"
        return (
            f"{dag['dag_id']} is stale, so none of its tasks is started: the DAG processor has not read {file}, "
            f"{reason}. It is asked to read it again{self._log('dag-processor')}"
        )

    def _standstill(self) -> dict[str, str]:
        """The runs without progress: no task changed its state or wrote to its log.

        Raises:
            LocalError: no run has made any for so long that none is expected.
        """
        still = {
            dag_id: seconds
            for dag_id in self.runs
            if dag_id not in self.states and (seconds := self._seconds_still(dag_id)) > STANDSTILL
        }
        lines = {
            dag_id: f"{dag_id}: no task began, ended or wrote to its log for {elapsed(seconds)} min "
            f"({self._progress.get(dag_id, 'not begun')}){self._log('scheduler')}"
            for dag_id, seconds in still.items()
        }
        if still and len(still) == len(self.runs) - len(self.states) and min(still.values()) > GIVE_UP:
            raise LocalError("; ".join(lines.values()) + ". The machine is too slow, or something hangs")
        return lines

    def _seconds_still(self, dag_id: str) -> float:
        seconds = time.monotonic() - self._moved[dag_id]
        if seconds > STANDSTILL:
            written = (self.logs / f"dag_id={dag_id}" / f"run_id={self.runs[dag_id]}").rglob("*.log")
            last = max((file.stat().st_mtime for file in written), default=-inf)
            seconds = min(seconds, time.time() - last)
        return seconds

    def _report(self, trouble: dict[str, str]) -> None:
        """Say what is new, and now and then again what lasts."""
        now = time.monotonic()
        self._reported = {what: when for what, when in self._reported.items() if what in trouble}
        for what, line in trouble.items():
            if now - self._reported.get(what, -inf) > REPORT_AGAIN:
                self._reported[what] = now
                self._say(line)

    def _log(self, server: str) -> str:
        """Where a server's log is, in parentheses."""
        return f" (log {_shown(self.servers / f'{server}.log')})" if self.servers else f" (log of the {server})"

    def _look(self, dag_id: str) -> None:
        run_id = self.runs[dag_id]
        run = self.api.run(dag_id, run_id)  # before its tasks: once it has ended, they have
        has_ended = run["state"] in ("success", "failed")
        if not has_ended and time.monotonic() - self._looked.get(dag_id, -inf) < TASKS_EVERY:
            return
        self._looked[dag_id] = time.monotonic()
        tasks = self.api.tasks(dag_id, run_id)
        signs = [(run_id, run["state"]), *((t["task_id"], t["map_index"], t["state"]) for t in tasks)]
        if signs != self._signs.get(dag_id):
            self._signs[dag_id], self._moved[dag_id] = signs, time.monotonic()
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
            where = f"run {task['dag_run_id']}, log {_shown(log)}"
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


def _shown(log: Path) -> Path:
    """A log's path as the user may type it."""
    return log.relative_to(ROOT) if log.is_relative_to(ROOT) else log


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
