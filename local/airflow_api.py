"""The few calls of Airflow's REST API that the local stack makes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

from local.basics import LocalError, import_failure, say
from local.http import HttpError, request

UNFINISHED: Final = ("queued", "running")
TRIES: Final = 5
DATABASE_ERROR: Final = "Database error"
#: What a gateway says while the server behind it is away.
BEGINS_ANEW: Final = (502, 503, 504)
LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)

#: Seconds after which a wait says again what it waits for.
SAY_EVERY: Final = 60.0

#: The servers whose sign of life Airflow keeps, by its own names.
SERVERS: Final = ("scheduler", "dag_processor", "triggerer")


def is_timeout(reason: str) -> bool:
    """Whether the exception of an import failure (``Type: message``) is a time-out: reading again may succeed."""
    return "Timeout" in reason.partition(":")[0]


def _is_later(time: str | None, since: datetime) -> bool:
    """Whether one of Airflow's times is after ``since``; it is null for what never was."""
    return time is not None and datetime.fromisoformat(time) > since


@dataclass
class AirflowApi:
    """Airflow's API at ``url``, as the user of the generated password; ``proxies`` where it is not on this machine."""

    url: str
    user: str
    password: str
    _token: str = field(default="", repr=False)
    proxies: bool = False

    def log_in(self) -> str:
        """A token for calls."""
        login = {"username": self.user, "password": self.password}
        return str(request("POST", f"{self.url}/auth/token", login, proxies=self.proxies)["access_token"])

    def call(self, method: str, path: str, body: object | None = None, **query: object) -> Any:
        """One call under ``/api/v2``; query values that are lists are repeated.

        What ends as an error of Airflow's database is called again: SQLite lets a transaction that read and then
        writes fail at once when another has written meanwhile, whatever its time-out. So is what a slow machine does
        not answer in time. Each call must be idempotent.

        Raises:
            HttpError: Airflow refused.
            OSError: it does not answer.
        """
        for left in reversed(range(TRIES)):
            try:
                return self._call_once(method, path, body, query)
            except HttpError as error:
                if error.status != 500 or DATABASE_ERROR not in error.body or not left:
                    raise
            except TimeoutError:
                if not left:
                    raise
            time.sleep(1)
        raise AssertionError("unreachable")

    def _call_once(self, method: str, path: str, body: object | None, query: dict[str, object]) -> Any:
        url = f"{self.url}/api/v2/{path}" + (f"?{urlencode(query, doseq=True)}" if query else "")
        for fresh in (False, True):
            if fresh or not self._token:
                self._token = self.log_in()
            try:
                headers = {"Authorization": f"Bearer {self._token}"}
                return request(method, url, body, headers, proxies=self.proxies)
            except HttpError as error:
                if error.status != 401 or fresh:
                    raise
        raise AssertionError("unreachable")

    def set_pool(self, name: str, slots: int, description: str) -> None:
        """Create the pool, or give it this many slots; deferred tasks do not hold one."""
        body = {"name": name, "slots": slots, "description": description, "include_deferred": False}
        try:
            self.call("POST", "pools", body)
        except HttpError as error:
            if error.status != 409:
                raise
            self.call("PATCH", f"pools/{name}", body)

    def wait_for_dags(
        self, dag_ids: list[str], since: datetime, patience: float = 180, check: Callable[[], None] = lambda: None
    ) -> None:
        """Wait until Airflow has read the DAGs after ``since``; ``patience`` in seconds; ``check`` raises to end it.

        A web server that does not answer is asked again: Composer's starts again where plugins changed. A reading
        that took too long is waited out: Airflow reads the file again.

        Raises:
            LocalError: one cannot be imported, or does not appear.
        """
        begun = said = time.monotonic()
        slow: set[str] = set()
        while True:
            check()
            late: dict[str, str] = {}
            try:
                unread, why = self._unread(dag_ids, since, late), ""
            except (HttpError, OSError) as error:
                if isinstance(error, HttpError) and error.status not in BEGINS_ANEW:
                    raise
                unread, why = sorted(dag_ids), f": {error}"
            if not unread:
                return
            for file in sorted(late.keys() - slow):
                say(f"{file} was not read in time, and Airflow reads it again: {late[file]}")
            slow |= late.keys()
            now = time.monotonic()
            if now - begun > patience:
                reasons = "".join(f"; {file}: {reason}" for file, reason in late.items())
                raise LocalError(f"Airflow has not read {unread} after {patience:.0f} s{why}{reasons}")
            if now - said > SAY_EVERY:
                said = now
                say(f"Airflow has not read {', '.join(unread)} yet{why}")
            time.sleep(1)

    def _unread(self, dag_ids: list[str], since: datetime, late: dict[str, str]) -> list[str]:
        """The DAGs that were not read after ``since``; ``late`` gets the files whose reading took too long, and why."""
        dags = self.call("GET", "dags", limit=100)["dags"]
        unread = sorted(set(dag_ids) - {dag["dag_id"] for dag in dags if _is_later(dag["last_parsed_time"], since)})
        for error in self.import_errors() if unread else []:
            if _is_later(error["timestamp"], since):
                reason = import_failure(error["stack_trace"])
                if not is_timeout(reason):
                    raise LocalError(f"{error['filename']} cannot be imported: {reason}")
                late[error["filename"]] = reason
        return unread

    def import_errors(self) -> list[dict[str, Any]]:
        """The files that Airflow could not import at its last reading."""
        found: list[dict[str, Any]] = self.call("GET", "importErrors", limit=100)["import_errors"]
        return found

    def dag(self, dag_id: str) -> dict[str, Any]:
        """What Airflow knows of a DAG."""
        found: dict[str, Any] = self.call("GET", f"dags/{dag_id}")
        return found

    def read_again(self, dag: dict[str, Any]) -> None:
        """Have a DAG's file read before its turn."""
        try:
            self.call("PUT", f"parseDagFile/{dag['file_token']}")
        except HttpError as error:
            if error.status != 409:  # that was asked before, and waits for its turn
                raise

    def heartbeats(self) -> dict[str, datetime | None]:
        """When scheduler, DAG processor and triggerer last gave a sign of life; ``None``: never."""
        health = self.call("GET", "monitor/health")
        times = {name: health[name].get(f"latest_{name}_heartbeat") for name in SERVERS}
        return {name: time and datetime.fromisoformat(time) for name, time in times.items()}

    def runs(self, dag_id: str, states: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        """The DAG's runs of these states, newest first."""
        query = {"state": list(states)} if states else {}
        found: list[dict[str, Any]] = self.call("GET", f"dags/{dag_id}/dagRuns", order_by="-run_after", **query)[
            "dag_runs"
        ]
        return found

    def next_run(self, dag_id: str) -> datetime:
        """When the scheduler is to start the DAG's next run; the distant past where it has not settled that yet."""
        after = self.dag(dag_id)["next_dagrun_run_after"]
        return datetime.fromisoformat(after) if after else LONG_AGO

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Start a run, with the parameters of ``conf``, and return its id."""
        run_id = f"manual__{datetime.now(UTC).isoformat()}"
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf or {}}
        try:
            self.call("POST", f"dags/{dag_id}/dagRuns", body)
        except HttpError as error:
            if error.status != 409:  # an earlier try of this call has started it
                raise
        return run_id

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """One run."""
        found: dict[str, Any] = self.call("GET", f"dags/{dag_id}/dagRuns/{quote(run_id, safe='')}")
        return found

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The task instances of a run."""
        path = f"dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances"
        found: list[dict[str, Any]] = []
        while True:
            page = self.call("GET", path, limit=100, offset=len(found))
            found += page["task_instances"]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                return found

    def clear(self, dag_id: str, run_id: str, task_ids: list[str]) -> None:
        """Clear these tasks of a run, so that they run again."""
        body = {"dry_run": False, "dag_run_id": run_id, "task_ids": task_ids, "only_failed": False}
        self.call("POST", f"dags/{dag_id}/clearTaskInstances", body)

    def give_up(self, dag_id: str, run_id: str) -> None:
        """End a run as failed, whatever runs in it."""
        self.call("PATCH", f"dags/{dag_id}/dagRuns/{quote(run_id, safe='')}", {"state": "failed"})
