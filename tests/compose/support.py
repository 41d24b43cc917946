"""The stack of containers as tests see it: started, asked, disturbed and removed through Docker's own client."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from local.airflow_api import AirflowApi
from local.basics import ROOT
from local.compose import SAMPLE, Compose
from local.http import HttpError
from local.runs import Follower
from local.stack import VARIABLES, Ports
from tests.e2e.support import Snapshot, snapshot
from tests.waiting import wait_until

#: Each service that keeps running.
SERVICES: Final = {
    "postgres",
    "project",
    "api-server",
    "scheduler",
    "dag-processor",
    "triggerer",
    "storage",
    "bigquery",
    "odre",
}
#: Each service that runs once at a start.
TASKS: Final = {"secrets", "migrate"}

#: Where a script of faults for the stand-in is, in its container.
FAULTS: Final = "/data/odre/faults.yaml"


def answers(*arguments: str) -> bool:
    """Whether Docker has an answer."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", *arguments], capture_output=True, check=False).returncode == 0


def environment() -> dict[str, str]:
    """The environment of Docker's client: ports that nobody uses, and nothing of the project's own variables."""
    ports = Ports.free()
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "COMPOSE_"))}
    return ours | {variable: str(getattr(ports, name)) for name, variable in VARIABLES.items()}


def copy_of_the_checkout(folder: Path) -> None:
    """What git has or would have of this checkout, as it is now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


@dataclass
class Containers:
    """The stack of a copy of the checkout."""

    compose: Compose
    seconds_to_start: float = 0.0
    _api: AirflowApi | None = field(default=None, repr=False)

    def docker(self, *arguments: str) -> str:
        """What a command of Docker's prints."""
        done = subprocess.run(
            ["docker", *arguments], env=dict(self.compose.environment), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self) -> None:
        """Build, then start and wait as the README says; the latter is what is timed."""
        self.compose.output("--profile", SAMPLE, "build", "--quiet")
        begun = time.monotonic()
        self.up()
        self.seconds_to_start = time.monotonic() - begun

    def up(self) -> None:
        """Start what does not run, and wait until all of it works."""
        self.compose.output("--profile", SAMPLE, "up", "--detach", "--wait")

    def remove(self) -> None:
        """Remove containers and volumes."""
        self.compose.output("--profile", SAMPLE, "down", "--volumes", "--timeout", "5")

    def remains(self) -> list[str]:
        """Containers, volumes and networks that the engine still has of this stack."""
        mine = f"label=com.docker.compose.project={self.compose.folder.name}"
        listings = (("ps", "--all"), ("volume", "ls"), ("network", "ls"))
        return [line for command in listings for line in self.docker(*command, "--quiet", "--filter", mine).split()]

    def keep_logs(self, folder: Path) -> None:
        """What each container printed, one file each."""
        folder.mkdir(parents=True, exist_ok=True)
        for service in SERVICES | TASKS:
            (folder / f"{service}.log").write_text(self.logs(service))

    def logs(self, service: str) -> str:
        """What a service printed."""
        return self.compose.output("--profile", SAMPLE, "logs", "--no-color", "--no-log-prefix", service)

    def container(self, service: str) -> str:
        """Id of a service's container."""
        return self.compose.output("--profile", SAMPLE, "ps", "--all", "--quiet", service).strip()

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine knows of a service's container."""
        found: dict[str, Any] = json.loads(self.docker("inspect", self.container(service)))[0]
        return found

    def execute(self, service: str, *command: str) -> str:
        """What a command prints that runs in a service's container."""
        return self.compose.output("exec", "-T", service, *command)

    def health(self, service: str) -> str:
        """``healthy``, or what else the engine says of a service."""
        return str(self.inspect(service)["State"].get("Health", {}).get("Status"))

    def kill(self, service: str) -> None:
        """Kill what runs in a container, as the kernel does when memory is short: nothing in it can end in order."""
        began = self.inspect(service)["State"]["StartedAt"]
        subprocess.run(
            ["docker", "exec", self.container(service), "sh", "-c", "kill -9 -1"],
            env=dict(self.compose.environment),
            capture_output=True,
            check=False,  # the engine may report the end of this command, too
        )
        wait_until(lambda: self.inspect(service)["State"]["StartedAt"] != began, f"{service} starts again", 60)

    @property
    def api(self) -> AirflowApi:
        """Airflow's API, with the generated password."""
        if self._api is None:
            self._api = self.compose.airflow
        return self._api

    def follow(self, runs: dict[str, str]) -> dict[str, str]:
        """Wait for the end of the runs; their states by DAG. A server that is away for a moment is waited for."""
        follower = Follower(self.api, runs, self.compose.folder, lambda: None)
        away = 0
        while True:
            try:
                follower.follow()
                return follower.states
            except (OSError, HttpError):
                away += 1
                assert away < 120, "Airflow does not answer"
                time.sleep(1)

    def is_running(self, dag_id: str, run_id: str) -> bool:
        """Whether a run has not ended; a server that is away for a moment is waited for."""
        for _ in range(120):
            try:
                return self.api.run(dag_id, run_id)["state"] in ("queued", "running")
            except (OSError, HttpError):
                time.sleep(1)
        raise AssertionError("Airflow does not answer")

    def goes_on(self, dag_id: str, run_id: str) -> str:
        """Wait until a run that was cleared has ended again; its state."""
        # Until the scheduler takes it up, the run shows the end that it had.
        wait_until(lambda: self.is_running(dag_id, run_id), f"{run_id} goes on", 60)
        return self.follow({dag_id: run_id})[dag_id]

    def run(self, dag_id: str, **form: Any) -> str:
        """Trigger a DAG with a form; the id of the run."""
        return self.api.trigger(dag_id, form)

    def snapshot(self) -> Snapshot:
        """Rows and hash of each raw table and mart."""
        return snapshot(self.compose.warehouse)

    def set_faults(self, script: str) -> None:
        """Have the stand-in misbehave by a script (emulators/odre/faults.py); empty: honest again."""
        # Whole or not at all, since the stand-in reads it whenever it changed.
        write = 'printf %s "$1" > "$2.new" && mv "$2.new" "$2"'
        self.execute("odre", "sh", "-c", write, "sh", script, FAULTS)
