"""The stack of ``docker-compose.yaml``, as the Makefile's commands and the tests call it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.airflow_api import AirflowApi
from local.basics import ROOT, LocalError
from local.processes import run_in_foreground
from local.stack import USER
from local.warehouse import Warehouse
from odre.settings import Settings

#: The profile of the source's stand-in.
SAMPLE = "sample"


@dataclass(frozen=True)
class Compose:
    """The stack of a checkout: ``folder`` has the file, ``environment`` is that of Docker's client."""

    folder: Path = ROOT
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def run(self, *arguments: str) -> int:
        """One command of ``docker compose`` in the foreground; its exit code.

        Raises:
            LocalError: Docker is absent, or has no Compose.
        """
        code = run_in_foreground(self._command(*arguments), self.environment, self.folder)
        if code:
            self._check_version()
        return code

    def output(self, *arguments: str) -> str:
        """What one command of ``docker compose`` prints.

        Raises:
            LocalError: it failed; holds what Docker says.
        """
        done = subprocess.run(
            self._command(*arguments),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            self._check_version()
            said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
            if said.endswith("is not running"):
                said += ": 'docker compose up -d --wait' starts the containers"
            raise LocalError(f"docker compose {' '.join(arguments)}: {said}")
        return done.stdout

    def _command(self, *arguments: str) -> list[str]:
        docker = shutil.which("docker", path=self.environment.get("PATH"))
        if docker is None:
            raise LocalError(
                "Docker is not on the path: install it with Compose v2, or use 'make demo', which needs none"
            )
        return [docker, "compose", *arguments]

    def _check_version(self) -> None:
        """After a failure: Docker without Compose takes its command for one of its own, and complains of an option.

        Raises:
            LocalError: Docker has no Compose.
        """
        command = self._command("version")
        if subprocess.run(command, env=self.environment, capture_output=True, check=False).returncode:
            raise LocalError(
                "Docker has no Compose: install its plugin (v2.24 or later), or use 'make demo', which needs no Docker"
            )

    def address(self, service: str, port: int) -> str:
        """Where a port of a running service is on this machine.

        Raises:
            LocalError: it does not run.
        """
        return f"http://{self.output('port', service, str(port)).strip()}"

    @property
    def password(self) -> str:
        """The web UI's password, as the first start made it.

        Raises:
            LocalError: the stack does not run.
        """
        return self.output("exec", "-T", "api-server", "cat", "/opt/odre/secrets/password").strip()

    @property
    def airflow(self) -> AirflowApi:
        """Airflow's API."""
        return AirflowApi(self.address("api-server", 8080), USER, self.password)

    @property
    def warehouse(self) -> Warehouse:
        """The emulators' lake and warehouse."""
        settings = Settings.from_environment({"BIGQUERY_LOCATION": "US"})
        return Warehouse(self.address("bigquery", 9050), self.address("storage", 9023), settings)
