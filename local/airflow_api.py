"""The few calls of Airflow's REST API that the local stack makes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

from local.basics import LocalError
from local.http import HttpError, request

UNFINISHED: Final = ("queued", "running")
TRIES: Final = 5
DATABASE_ERROR: Final = "Database error"
#: What a gateway says while the server behind it is away.
BEGINS_ANEW: Final = (502, 503, 504)
LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


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
        writes fail at once when another has written meanwhile, whatever its time-out. So each call must bear it.

        Raises:
            HttpError: Airflow refused.
        """
        for left in reversed(range(TRIES)):
            try:
                return self._call_once(method, path, body, query)
            except HttpError as error:
                if error.status != 500 or DATABASE_ERROR not in error.body or not left:
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

    def wait_for_dags(self, dag_ids: list[str], since: datetime, patience: float = 180) -> None:
        """Wait until Airflow has read the DAGs anew, after ``since``; ``patience`` in seconds.

        A web server that does not answer is asked again: Composer's begins anew where plugins changed.

        Raises:
            LocalError: one cannot be imported, or does not appear.
        """
        deadline = time.monotonic() + patience
        while True:
            try:
                unread, why = self._unread(dag_ids, since), ""
            except (HttpError, OSError) as error:
                if isinstance(error, HttpError) and error.status not in BEGINS_ANEW:
                    raise
                unread, why = sorted(dag_ids), f": {error}"
            if not unread:
                return
            if time.monotonic() > deadline:
                raise LocalError(f"Airflow has not read {unread} after {patience:.0f} s{why}")
            time.sleep(1)

    def _unread(self, dag_ids: list[str], since: datetime) -> list[str]:
        """The DAGs that were not read after ``since``; a time is null where none was read yet."""

        def is_new(time: str | None) -> bool:
            return time is not None and datetime.fromisoformat(time) > since

        dags = self.call("GET", "dags", limit=100)["dags"]
        unread = sorted(set(dag_ids) - {dag["dag_id"] for dag in dags if is_new(dag["last_parsed_time"])})
        errors = self.call("GET", "importErrors")["import_errors"] if unread else []
        for error in errors:
            if is_new(error["timestamp"]):
                last = error["stack_trace"].strip().splitlines()[-1]
                raise LocalError(f"{error['filename']} cannot be imported: {last}")
        return unread

    def runs(self, dag_id: str, states: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        """The DAG's runs of these states, newest first."""
        query = {"state": list(states)} if states else {}
        found: list[dict[str, Any]] = self.call("GET", f"dags/{dag_id}/dagRuns", order_by="-run_after", **query)[
            "dag_runs"
        ]
        return found

    def next_run(self, dag_id: str) -> datetime:
        """When the scheduler is to start the DAG's next run; the distant past where it has not settled that yet."""
        after = self.call("GET", f"dags/{dag_id}")["next_dagrun_run_after"]
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
