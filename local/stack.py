"""The servers of one machine: source stand-in, Cloud Storage, BigQuery and a real Airflow, all on 127.0.0.1."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import shutil
import socket
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from local import environments
from local.airflow_api import SAY_EVERY, AirflowApi
from local.basics import LOCAL, ROOT, LocalError, clean_environment, exception_line, say, step
from local.http import HttpError, answers, request
from local.processes import Processes, is_free, run_logged
from local.secret_files import secret, write_private
from local.warehouse import Warehouse
from odre.address import API_PATH, ODRE, Address
from odre.settings import DBT_PROFILE, POOLS, Settings, dbt_target

DAGS: Final = ["eco2mix_hourly", "gas_storage_daily", "temperature_monthly"]
DBT_PROJECT: Final = ROOT / "include" / "dbt"
#: What tells dbt where its project is.
DBT_PLACES: Final = (f"--project-dir={DBT_PROJECT}", f"--profiles-dir={DBT_PROJECT}")
#: What dbt writes there.
MADE_BY_DBT: Final = frozenset(DBT_PROJECT / name for name in ("target", "logs", "dbt_packages"))

#: The one user of the web UI, as the settings below have it.
USER: Final = "admin"

#: What Airflow is told here and in Compose alike.
SHARED_SETTINGS: Final = ROOT / "local" / "airflow.env"

#: Seconds that a server has to answer before the start counts as failed: on a busy machine each takes minutes, and one
#: that has ended is noticed at once.
PATIENCE: Final = 1800


def shared_settings() -> dict[str, str]:
    """Airflow's settings that hold here and in Compose alike."""
    lines = [line for line in SHARED_SETTINGS.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


@dataclass(frozen=True)
class Ports:
    """Where each server listens; each has a variable of its own (``variables``)."""

    airflow: int = 8080
    storage: int = 9023
    bigquery: int = 9050
    bigquery_grpc: int = 9060
    odre: int = 8090

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Ports:
        """The ports that the environment names, with the defaults of the README.

        Raises:
            LocalError: a variable is not a port, or two are the same.
        """
        given = {}
        for name, variable in VARIABLES.items():
            if text := environment.get(variable):
                if not text.isdigit() or not 0 < int(text) < 65536:
                    raise LocalError(f"{variable}={text} is not a port: give a number from 1 to 65535")
                given[name] = int(text)
        ports = cls(**given)
        users = {getattr(ports, name): variable for name, variable in VARIABLES.items()}
        for name, variable in VARIABLES.items():
            port = getattr(ports, name)
            if users[port] != variable:
                raise LocalError(f"{variable} and {users[port]} are both {port}: give each a port of its own")
        return ports

    @classmethod
    def free(cls) -> Ports:
        """Ports that nobody listens on, for a stack that nobody needs to find."""
        with contextlib.ExitStack() as held:
            probes = [held.enter_context(socket.socket()) for _ in VARIABLES]
            for probe in probes:
                probe.bind(("127.0.0.1", 0))
            return cls(*(probe.getsockname()[1] for probe in probes))

    def check(self, names: list[str]) -> None:
        """Refuse to start where somebody listens already.

        Raises:
            LocalError: names the port and the variable that moves it.
        """
        for name in names:
            port = getattr(self, name)
            if not is_free(port):
                raise LocalError(
                    f"Port {port} is taken by another program: end it, or choose another with {VARIABLES[name]}=…"
                )


#: Field of :class:`Ports` → environment variable.
VARIABLES: Final = {
    "airflow": "AIRFLOW_PORT",
    "storage": "STORAGE_PORT",
    "bigquery": "BIGQUERY_PORT",
    "bigquery_grpc": "BIGQUERY_GRPC_PORT",
    "odre": "ODRE_PORT",
}


@dataclass(frozen=True)
class Source:
    """What the DAGs read: generated data, the files of a ``folder``, or a live portal at ``connection``."""

    state: str
    folder: Path | None = None
    connection: str | None = None

    @classmethod
    def generated(cls) -> Source:
        """The stand-in's generated data."""
        return cls("sample")

    @classmethod
    def of_folder(cls, folder: str) -> Source:
        """The files of a folder, with a state of its own.

        Raises:
            LocalError: there is no such folder.
        """
        path = Path(folder).expanduser().resolve()
        if not path.is_dir():
            raise LocalError(f"DATA={folder} is not a folder")
        return cls(f"data-{hashlib.sha256(str(path).encode()).hexdigest()[:12]}", folder=path)

    @classmethod
    def live(cls, environment: Mapping[str, str] = os.environ) -> Source:
        """The portal that ``AIRFLOW_CONN_ODRE_DEFAULT`` names, ODRÉ itself without it."""
        return cls("live", connection=environment.get("AIRFLOW_CONN_ODRE_DEFAULT") or ODRE)

    @property
    def address(self) -> Address:
        """Where the live source is.

        Raises:
            LocalError: the connection does not say it.
        """
        try:
            return Address.parse(self.connection or ODRE)
        except ValueError as error:
            raise LocalError(f"AIRFLOW_CONN_ODRE_DEFAULT is no address and no connection as JSON: {error}") from None

    def airflow_connection(self, standin: str) -> str:
        """The source as a connection of Airflow's, ``standin`` where there is no live one.

        As JSON: in an address Airflow takes the path for something else.

        Raises:
            LocalError: the live one does not say where it is.
        """
        if not self.connection:
            # The dashboard says so where the data are not measured.
            generated = {} if self.folder else {"generated": True}
            return json.dumps({"conn_type": "http", "host": standin, "extra": generated})
        address = self.address
        if self.connection.lstrip().startswith("{"):
            extra = json.loads(self.connection).get("extra")
        else:
            extra = dict(parse_qsl(urlsplit(self.connection).query))
        live = {"conn_type": "http", "host": address.base_url, "password": address.api_key, "extra": extra or {}}
        return json.dumps(live)


@dataclass
class Stack:
    """The servers of one state folder. ``start_*`` once each, ``end`` always; a context manager does the latter."""

    source: Source
    ports: Ports
    state: Path = field(default=Path())
    settings: Settings = field(default_factory=lambda: Settings.from_environment({"BIGQUERY_LOCATION": "US"}))
    dags_folder: Path = ROOT / "dags"

    def __post_init__(self) -> None:
        """Take the state folder, and end what a command that was killed left in it."""
        if self.state == Path():
            self.state = LOCAL / self.source.state
        self.processes = Processes(self.state)

    def __enter__(self) -> Stack:
        """The stack."""
        return self

    def __exit__(self, *_: object) -> None:
        """End every server."""
        self.end()

    def end(self) -> None:
        """End every server, children included."""
        (self.state / "endpoints.json").unlink(missing_ok=True)
        self.processes.end()

    # What the servers are called by.

    @property
    def warehouse(self) -> Warehouse:
        """The lake and the warehouse."""
        return Warehouse(_url(self.ports.bigquery), _url(self.ports.storage), self.settings)

    @property
    def airflow_url(self) -> str:
        """The web UI."""
        return _url(self.ports.airflow)

    @property
    def airflow(self) -> AirflowApi:
        """Airflow's API, with the generated password."""
        return AirflowApi(self.airflow_url, USER, self.password)

    @property
    def password(self) -> str:
        """The web UI's password, generated once for a state folder."""
        return secret(self.state / "secrets", "password")

    @property
    def airflow_home(self) -> Path:
        """Airflow's folder: database and task logs."""
        return self.state / "airflow"

    def environment(self) -> dict[str, str]:
        """The environment of Airflow, dbt and their tasks: the whole configuration of the pipeline."""
        google = {
            "conn_type": "google_cloud_platform",
            "extra": {"is_anonymous": True, "project": self.settings.project},
        }
        return {
            **environments.with_path(clean_environment(), environments.interpreter("airflow")),
            **shared_settings(),
            "PYTHONPATH": os.pathsep.join([str(ROOT / "plugins"), str(ROOT)]),
            "GOOGLE_CLOUD_PROJECT": self.settings.project,
            "BIGQUERY_LOCATION": self.settings.location,
            "LAKE_BUCKET": self.settings.bucket,
            "STORAGE_EMULATOR_HOST": _url(self.ports.storage),
            "BIGQUERY_EMULATOR_HOST": _url(self.ports.bigquery),
            "AIRFLOW_CONN_ODRE_DEFAULT": self.source.airflow_connection(_url(self.ports.odre)),
            "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": json.dumps(google),
            "AIRFLOW_HOME": str(self.airflow_home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags_folder),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__CORE__AUTH_MANAGER": "local.auth_manager.OneChangeAuthManager",
            "AIRFLOW__CORE__FERNET_KEY": secret(self.state / "secrets", "fernet-key"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.airflow_url}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.airflow_home / "passwords.json"),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.ports.airflow),
            "AIRFLOW__API__BASE_URL": self.airflow_url,
            "AIRFLOW__API__SECRET_KEY": secret(self.state / "secrets", "secret-key"),
            "AIRFLOW__API_AUTH__JWT_SECRET": secret(self.state / "secrets", "jwt-secret"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.airflow_home / 'airflow.db'}?timeout=60",
            "AIRFLOW__COSMOS__CACHE_DIR": str(self.state / "tmp" / "cosmos"),
            "TMPDIR": str(self.state / "tmp"),
        }

    def environment_of(self, component: str) -> dict[str, str]:
        """The environment of one of Airflow's components: here all have the same, on Cloud Composer they do not."""
        return self.environment()

    # Starting.

    def start_warehouse(self) -> None:
        """Start Cloud Storage and BigQuery, and create bucket and datasets."""
        self.ports.check(["storage", "bigquery", "bigquery_grpc"])
        # Side by side: each has seconds to itself before it answers.
        self._launch_storage()
        self._launch_bigquery()
        self._wait_for_storage()
        self._wait_for_bigquery()
        warehouse = self.warehouse
        warehouse.create()
        endpoints = {"bigquery": warehouse.bigquery, "storage": warehouse.storage}
        (self.state / "endpoints.json").write_text(json.dumps(endpoints))

    def restart_storage(self) -> None:
        """Start the Cloud Storage emulator again after it ended."""
        self._launch_storage()
        self._wait_for_storage()

    def restart_bigquery(self) -> None:
        """Start the BigQuery emulator again after it ended."""
        self._launch_bigquery()
        self._wait_for_bigquery()

    def _launch_storage(self) -> None:
        python = environments.ensure_emulators()
        storage = self.state / "storage"
        storage.mkdir(exist_ok=True)
        self.processes.start(
            "Cloud Storage emulator",
            [
                *(str(python), "-m", "emulators.storage"),
                f"--data-dir={storage}",
                "start",
                "--host=127.0.0.1",
                f"--port={self.ports.storage}",
                "--quiet",
            ],
            {**clean_environment(), "PYTHONUNBUFFERED": "1"},
        )

    def _launch_bigquery(self) -> None:
        python = environments.ensure_emulators()
        self.processes.start(
            "BigQuery emulator",
            [
                *(str(python), "-m", "emulators.bigquery"),
                f"--data-dir={self.state / 'bigquery'}",
                f"--storage-dir={self.state / 'storage'}",
                f"--project={self.settings.project}",
                f"--port={self.ports.bigquery}",
                f"--grpc-port={self.ports.bigquery_grpc}",
            ],
            {**clean_environment(), "PYTHONUNBUFFERED": "1"},
        )

    def _wait_for_storage(self) -> None:
        url = f"{self.warehouse.storage}/storage/v1/b?project={self.settings.project}"
        self._wait_for("Cloud Storage emulator", url)

    def _wait_for_bigquery(self) -> None:
        url = f"{self.warehouse.bigquery}/bigquery/v2/projects/{self.settings.project}/datasets"
        self._wait_for("BigQuery emulator", url)

    def start_source(self) -> None:
        """Start the source's stand-in; with a live source there is none to start."""
        if self.source.connection:
            return
        self.ports.check(["odre"])
        python = environments.ensure_emulators()
        if self.source.folder:
            served = [f"--data={self.source.folder}", f"--state={self.state / 'source.json'}"]
        else:
            served = ["--generated", f"--state={self.state / 'anchor'}"]
        self.processes.start(
            "source",
            [str(python), "-m", "emulators.odre", "--host=127.0.0.1", f"--port={self.ports.odre}", *served],
            {**clean_environment(), "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT / "plugins")},
        )
        self._wait_for("source", f"{_url(self.ports.odre)}{API_PATH}/catalog/datasets")

    def start_airflow(self) -> None:
        """Start api-server, dag-processor, triggerer and, with the pools there, the scheduler; wait for the DAGs."""
        self.ports.check(["airflow"])
        python = environments.ensure_airflow()
        begun = datetime.datetime.now(datetime.UTC)
        self.airflow_home.mkdir(exist_ok=True)
        shutil.rmtree(self.state / "tmp", ignore_errors=True)
        (self.state / "tmp").mkdir()
        write_private(self.airflow_home / "passwords.json", json.dumps({USER: self.password}))
        environment = self.environment()
        self._run("Airflow's database", [str(python.parent / "airflow"), "db", "migrate"], environment)
        self._end_jobs()
        airflow = str(python.parent / "airflow")
        self.processes.start("api-server", [airflow, "api-server"], self.environment_of("api-server"))
        reader = [str(python), "-m", "local.dag_processor"]
        self.processes.start("dag-processor", reader, self.environment_of("dag-processor"))
        # Logs are read from the folder: no log server, which would listen on every address.
        self.processes.start("triggerer", [airflow, "triggerer", "--skip-serve-logs"], self.environment_of("triggerer"))
        self._wait_for("api-server", f"{self.airflow_url}/api/v2/version")
        for pool in POOLS:
            self.airflow.set_pool(pool.name, pool.slots, pool.purpose)
        self.processes.start("scheduler", [airflow, "scheduler", "--skip-serve-logs"], self.environment_of("scheduler"))
        dag_ids = [file.stem for file in self.dags_folder.glob("*.py")]
        self.airflow.wait_for_dags(dag_ids, begun, PATIENCE, self.processes.check)

    def _end_jobs(self) -> None:
        """Note that the servers of earlier commands have ended: the scheduler takes their tasks up at once."""
        with contextlib.closing(sqlite3.connect(self.airflow_home / "airflow.db", timeout=60)) as database, database:
            database.execute("UPDATE job SET state = 'failed' WHERE state = 'running'")

    def build_manifest(self) -> None:
        """Parse the dbt project where it changed: Cosmos reads its manifest."""
        target = DBT_PROJECT / "target"
        stamp = target / "made-from"
        made_from = _project_hash()
        if (target / "manifest.json").is_file() and stamp.is_file() and stamp.read_text() == made_from:
            return
        python = environments.ensure_airflow()
        # Named as Cosmos names them: where they differ, each dbt command of a run parses the whole project again.
        environment = self.environment()
        chosen = (f"--profile={DBT_PROFILE}", f"--target={dbt_target(environment)}")
        dbt = [str(python.parent / "dbt"), "--quiet", "parse", *DBT_PLACES, *chosen]
        with step("Reading the dbt project"):
            self._run("dbt project", dbt, environment)
            stamp.write_text(made_from)

    def _run(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        """Run a command to its end; its output goes to the log of this name.

        Raises:
            LocalError: it failed; holds its exception or its last line, and names the log.
        """
        log = self.processes.log(name)
        with log.open("a") as output:
            before = output.tell()
            failed = run_logged(command, environment, output)
        if failed:
            said = log.read_bytes()[before:].decode(errors="replace")
            lines = [line.strip() for line in said.splitlines() if line.strip()]
            reason = exception_line(said) or (lines[-1] if lines else "failed")
            raise LocalError(f"{name}: {reason} (see {log})")

    def _wait_for(self, name: str, url: str) -> None:
        begun = said = time.monotonic()
        while not answers(url):
            self.processes.check()
            now = time.monotonic()
            if now - begun > PATIENCE:
                raise LocalError(f"The {name} does not answer after {PATIENCE} s (see {self.processes.log(name)})")
            if now - said > SAY_EVERY:
                said = now
                say(f"The {name} does not answer yet (log {self.processes.log(name)})")
            time.sleep(0.2)


def check_live(source: Source, tries: int = 3) -> None:
    """Ask the live source one question before anything heavy starts; a moment's fault is borne.

    Raises:
        LocalError: it does not answer, or not as a portal does; names the address and ``make demo``.
    """
    address = source.address
    url = f"{address.base_url}{API_PATH}/catalog/datasets/eco2mix-national-tr"
    headers = {"Authorization": f"Apikey {address.api_key}"} if address.api_key else {}
    problem = ""
    for attempt in range(tries):
        time.sleep(attempt)
        try:
            answer = request("GET", url, headers=headers, timeout=20, proxies=True)
        except HttpError as error:
            problem = f"answers HTTP {error.status}"
            if error.status < 500:
                break
        except OSError as error:
            problem = f"cannot be reached ({getattr(error, 'reason', error)})"
        else:
            if isinstance(answer, dict) and "fields" in answer:
                return
            problem = "does not answer as ODRÉ does"
            break
    raise LocalError(
        f"The source {address.base_url} {problem}: check the network and AIRFLOW_CONN_ODRE_DEFAULT, "
        "or see the same on generated data with 'make demo'"
    )


def _project_hash() -> str:
    """What the manifest depends on: every file of the dbt project."""
    digest = hashlib.sha256()
    for path in sorted(DBT_PROJECT.rglob("*")):
        if path.is_file() and not MADE_BY_DBT & set(path.parents):
            digest.update(f"{path.relative_to(DBT_PROJECT)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"
