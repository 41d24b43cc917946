"""``python -m local.container <part>``: what the services of ``docker-compose.yaml`` run besides Airflow itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from local.airflow_api import AirflowApi
from local.basics import ROOT, LocalError
from local.http import HttpError, answers
from local.secret_files import secret, write_private
from local.stack import DBT_PLACES, DBT_PROJECT, MADE_BY_DBT, USER, Source
from local.warehouse import Warehouse
from odre.address import API_PATH
from odre.settings import POOLS, Settings

#: Volumes: what only Airflow reads, the database's password, and the manifest of the dbt project.
SECRETS: Final = Path("/opt/odre/secrets")
DATABASE: Final = Path("/opt/odre/database")
MANIFEST: Final = Path("/opt/odre/dbt/manifest.json")

#: Airflow's connection to the source (odre.hooks, whose import would cost seconds).
SOURCE_CONNECTION: Final = "odre_default"

#: Airflow's connection to who is told (odre.alerts, the same).
SLACK_CONNECTION: Final = "slack_default"

DAGS_FOLDER: Final = ROOT / "dags"

STAND_IN: Final = "http://odre:8090"
API_SERVER: Final = "http://api-server:8080"

#: Seconds between two looks at the mounted code.
LOOK_EVERY: Final = 2.0


def make_secrets() -> None:
    """Make every secret that is absent, at the first start of a stack; a later one finds them.

    Readable for group 0, with which any user may run the containers; the database's for its own user as well.
    """
    for name in ("fernet-key", "secret-key", "jwt-secret"):
        secret(SECRETS, name, 0o640)
    # Airflow's api-server opens this one for writing.
    write_private(SECRETS / "passwords.json", json.dumps({USER: secret(SECRETS, "password", 0o640)}), 0o660)
    password = secret(DATABASE, "database-password", 0o644)
    write_private(SECRETS / "database-url", f"postgresql+psycopg2://airflow:{password}@postgres/airflow", 0o640)


def migrate() -> None:
    """Airflow's database and pools, the connection to the source and, on the emulators, bucket and datasets."""
    _airflow("db", "migrate")
    for pool in POOLS:
        _airflow("pools", "set", pool.name, str(pool.slots), pool.purpose)
    set_source()
    set_slack()
    bigquery, storage = os.environ.get("BIGQUERY_EMULATOR_HOST"), os.environ.get("STORAGE_EMULATOR_HOST")
    if bigquery and storage:
        Warehouse(bigquery, storage, Settings.from_environment()).create()


def set_source() -> None:
    """The connection to the stand-in where it runs, else to what ``AIRFLOW_CONN_ODRE_DEFAULT`` names, else to ODRÉ.

    Raises:
        LocalError: the warehouse holds generated data and the source is to be a live one, or the other way round.
    """
    from airflow.models import Connection
    from airflow.utils.session import create_session

    sample = answers(f"{STAND_IN}{API_PATH}/catalog/datasets")
    source = Source.generated() if sample else Source.live()
    wanted = Connection.from_json(source.airflow_connection(STAND_IN), conn_id=SOURCE_CONNECTION)
    with create_session() as session:
        there = session.query(Connection).filter_by(conn_id=SOURCE_CONNECTION).one_or_none()
        if there is not None and (there.host == STAND_IN) != sample:
            held, other = ("generated", "a live source") if not sample else ("a live source's", "the stand-in")
            raise LocalError(
                f"This stack holds {held} data, and is started with {other}: the two must not mix. Remove its data "
                "with 'docker compose --profile sample down --volumes', or start it as before"
            )
        if there is not None:
            session.delete(there)
            session.flush()
        session.add(wanted)
    print(f"The source is {wanted.host}", flush=True)


def set_slack() -> None:
    """The connection of who is told of runs to what ``AIRFLOW_CONN_SLACK_DEFAULT`` names; none without it."""
    from airflow.models import Connection
    from airflow.utils.session import create_session

    given = os.environ.get("AIRFLOW_CONN_SLACK_DEFAULT", "")
    with create_session() as session:
        for there in session.query(Connection).filter_by(conn_id=SLACK_CONNECTION):
            session.delete(there)
        session.flush()
        if given:
            session.add(Connection.from_json(given, conn_id=SLACK_CONNECTION))


def _airflow(*arguments: str) -> None:
    """One of Airflow's commands, in this process: each process of its own takes seconds to begin."""
    from airflow.cli.cli_parser import get_parser

    parsed = get_parser().parse_args(arguments)
    parsed.func(parsed)


def follow_project() -> None:
    """Keep the manifest up with the mounted dbt project, and have Airflow read the DAGs again when code changes.

    Never returns. An edit that dbt cannot read is printed, and the manifest before it stays.

    Raises:
        LocalError: the project cannot be read at the start, and no manifest is there.
    """
    code = _code()
    if failure := parse_project():
        if not MANIFEST.is_file():
            raise LocalError(failure)
        print(failure, flush=True)
    unheard: set[Path] = set()
    while True:
        time.sleep(LOOK_EVERY)
        now = _code()
        changed = {path for path, _ in now.items() ^ code.items()}
        code = now
        if any(path.is_relative_to(DBT_PROJECT) for path in changed):
            failure = parse_project()
            print(failure or "The dbt project was read again", flush=True)
        unheard |= changed
        if unheard and ask_for_dags(unheard):
            unheard = set()


def _code() -> dict[Path, tuple[int, int]]:
    """Each file that DAGs come from, with its time of change and size."""
    found = {}
    for folder in ("dags", "plugins", "include"):
        for parent, folders, names in os.walk(ROOT / folder):
            folders[:] = [name for name in folders if name != "__pycache__" and Path(parent, name) not in MADE_BY_DBT]
            for name in names:
                path = Path(parent, name)
                try:
                    state = path.stat()
                except OSError:
                    continue  # an editor's file that has gone
                found[path] = (state.st_mtime_ns, state.st_size)
    return found


def parse_project() -> str:
    """Make the manifest of the dbt project; what went wrong, or empty."""
    target = MANIFEST.parent / "target"
    command = ["dbt", "--quiet", "--log-path=/tmp/dbt", "parse", *DBT_PLACES, f"--target-path={target}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"The dbt project cannot be read: {(done.stdout + done.stderr).strip()}"
    (target / "manifest.json").replace(MANIFEST)
    return ""


def ask_for_dags(changed: set[Path]) -> bool:
    """Ask Airflow to read DAG files again: those that changed or, where other code did, all; whether it heard."""
    files = {str(path.relative_to(DAGS_FOLDER)) for path in changed if path.is_relative_to(DAGS_FOLDER)}
    every = len(files) < len(changed)
    try:
        api = AirflowApi(API_SERVER, USER, secret(SECRETS, "password"))
        dags = api.call("GET", "dags", limit=100)["dags"]
        for token in {dag["file_token"] for dag in dags if every or dag["relative_fileloc"] in files}:
            api.call("PUT", f"parseDagFile/{token}")
    except (HttpError, OSError) as error:
        print(f"Airflow cannot be asked to read the DAGs again: {error}", flush=True)
        return False
    return True


PARTS: Final[dict[str, Callable[[], None]]] = {
    "secrets": make_secrets,
    "migrate": migrate,
    "project": follow_project,
}


def main() -> int:
    """Run one part; an error that the user can mend is one line."""
    try:
        PARTS[sys.argv[1]]()
    except LocalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
