"""A real Airflow that tells somebody: Slack's webhook and a collector of lineage, both a receiver on this machine."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from local.airflow_api import AirflowApi
from local.stack import Ports, Source, Stack
from tests.environment import emulators_installed
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]

#: A DAG for the tests, which says of its runs what the project's say.
TINY = """
from datetime import timedelta
from airflow.sdk import DAG, Param, task
from airflow.sdk.exceptions import AirflowFailException
from odre.alerts import ALERTS

with DAG(
    dag_id="told_of", params={"end": Param("well", type="string")}, is_paused_upon_creation=False,
    default_args={"retries": 1, "retry_delay": timedelta(seconds=1)}, **ALERTS,
):
    @task
    def end(how):
        if how == "at once":
            raise AirflowFailException("no try can mend it")
        if how == "badly":
            raise RuntimeError("another try might mend it")

    end("{{ params.end }}") >> end.override(task_id="after")("well")
"""


@dataclass
class Receiver:
    """What was posted to a server on this machine: path and body, oldest first."""

    url: str = ""
    posted: list[tuple[str, Any]] = field(default_factory=list)

    def at(self, path: str) -> list[Any]:
        """The bodies that were posted to a path."""
        return [body for at, body in self.posted if at.startswith(path)]


@pytest.fixture(scope="package")
def receiver() -> Iterator[Receiver]:
    """Takes whatever comes, as Slack and a collector do."""
    taken = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.posted.append((self.path, json.loads(body)))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        taken.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield taken
        server.shutdown()


class ToldStack(Stack):
    """A stack whose Airflow tells a receiver."""

    told: Receiver

    def environment(self) -> dict[str, str]:
        """The stack's, with the two variables that a deployment sets."""
        slack = {"conn_type": "slackwebhook", "host": f"{self.told.url}/slack", "password": "T/B/x"}
        return {
            **super().environment(),
            "AIRFLOW_CONN_SLACK_DEFAULT": json.dumps(slack),
            "OPENLINEAGE_URL": self.told.url,
            "RUNBOOKS_URL": "https://runbooks.example",
        }


@pytest.fixture(scope="package")
def stack(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToldStack]:
    """Airflow with one of the project's DAGs, and the tiny one."""
    dags = tmp_path_factory.mktemp("dags")
    shutil.copy(ROOT / "dags" / "gas_storage_daily.py", dags)
    (dags / "told_of.py").write_text(TINY)
    running = ToldStack(Source.generated(), Ports.free(), tmp_path_factory.mktemp("stack"), dags_folder=dags)
    running.told = receiver
    with emulators_installed(), running:
        running.start_warehouse()
        running.start_source()
        running.build_manifest()
        running.start_airflow()
        yield running


def run(api: AirflowApi, dag_id: str, **conf: str) -> tuple[str, str]:
    """A run of a DAG with a logical date, as the web UI starts it: its id, and its state at its end."""
    run_id = f"manual__{datetime.now(UTC).isoformat()}"
    body = {"dag_run_id": run_id, "logical_date": datetime.now(UTC).isoformat(), "conf": conf}
    api.call("POST", f"dags/{dag_id}/dagRuns", body)
    ended = ("success", "failed")
    wait_until(lambda: api.run(dag_id, run_id)["state"] in ended, f"{run_id} of {dag_id} ends")
    return run_id, api.run(dag_id, run_id)["state"]
