"""The whole stack as the end-to-end tests see it: runs to follow, and the state of every table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from local.airflow_api import AirflowApi
from local.runs import ENDED, Follower, last_error, task_log
from local.warehouse import Warehouse
from odre.contracts import read_contracts
from tests.e2e.composer import ComposerStack
from tests.waiting import wait_until
from tests.warehouse.support import MARTS

#: Table → rows and hash of all that they hold.
Snapshot = dict[str, tuple[int, str]]


@dataclass
class Pipeline:
    """A running stack and the first run of each DAG."""

    stack: ComposerStack
    first_runs: dict[str, str]
    first_states: dict[str, str]

    @property
    def api(self) -> AirflowApi:
        """Airflow's API."""
        return self.stack.airflow

    def query(self, sql: str) -> list[list[Any]]:
        """The rows of a query."""
        return self.stack.warehouse.query(sql).rows

    def follow(self, runs: dict[str, str]) -> dict[str, str]:
        """Wait for the end of the runs; their states by DAG."""
        logs = self.stack.airflow_home / "logs"
        follower = Follower(self.api, runs, logs, self.stack.processes.check)
        follower.follow()
        return follower.states

    def run(self, dag_id: str, **form: Any) -> tuple[str, str]:
        """Trigger a DAG with a form, wait for its end; id and state of the run."""
        run_id = self.api.trigger(dag_id, form)
        return run_id, self.follow({dag_id: run_id})[dag_id]

    def clear(self, dag_id: str, run_id: str, task_ids: list[str]) -> str:
        """Clear some tasks of a run, and wait until it has run again; its state."""
        self.api.clear(dag_id, run_id, task_ids)
        # Until the scheduler takes it up, the run shows the end that it had.
        begun = ("queued", "running")
        wait_until(lambda: self.api.run(dag_id, run_id)["state"] in begun, f"{run_id} goes on", pause=0.2)
        return self.follow({dag_id: run_id})[dag_id]

    def run_until_failure(self, dag_id: str, task_id: str, **form: Any) -> str:
        """Trigger a DAG with a form, wait until a task has failed, and give the run up without its retries; its id."""
        run_id = self.api.trigger(dag_id, form)
        wait_until(
            lambda: (
                (task_id, "failed") in {(task["task_id"], task["state"]) for task in self.api.tasks(dag_id, run_id)}
            ),
            f"{task_id} fails",
            900,
        )
        self.api.give_up(dag_id, run_id)
        return run_id

    def states(self, dag_id: str, run_id: str) -> dict[str, set[str]]:
        """Task → states of its instances in a run."""
        states: dict[str, set[str]] = {}
        for task in self.api.tasks(dag_id, run_id):
            states.setdefault(task["task_id"], set()).add(task["state"])
        assert set().union(*states.values()) <= ENDED
        return states

    def error(self, dag_id: str, run_id: str, task_id: str) -> str:
        """The last error in a task's log."""
        task = next(task for task in self.api.tasks(dag_id, run_id) if task["task_id"] == task_id)
        return last_error(task_log(self.stack.airflow_home / "logs", task))

    def snapshot(self) -> Snapshot:
        """Rows and hash of each raw table and mart."""
        return snapshot(self.stack.warehouse)


def tries(api: AirflowApi, dag_id: str, run_id: str) -> dict[str, int]:
    """Task → how often it was tried in a run, the sum over its instances."""
    found: dict[str, int] = {}
    for task in api.tasks(dag_id, run_id):
        found[task["task_id"]] = found.get(task["task_id"], 0) + task["try_number"]
    return found


def snapshot(warehouse: Warehouse) -> Snapshot:
    """Rows and hash of each raw table and mart."""
    settings = warehouse.settings
    tables = [f"{settings.marts_dataset}.{mart}" for mart in MARTS]
    where = {}
    for contract in read_contracts().values():
        table = f"{settings.raw_dataset}.{contract.table}"
        tables.append(table)
        where[table] = f"WHERE {contract.all_time}"
    found = {}
    for table in tables:
        # A sum of the rows' hashes does not depend on their order; 48 bits of each, so that it does not overflow.
        sql = f"""
            SELECT COUNT(*), CAST(SUM(CAST(CONCAT('0x', SUBSTR(TO_HEX(MD5(TO_JSON_STRING(t))), 1, 12)) AS INT64))
              AS STRING)
            FROM `{settings.project}.{table}` AS t {where.get(table, "")}"""
        rows, digest = warehouse.query(sql).rows[0]
        found[table] = (rows, digest)
    return found
