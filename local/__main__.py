"""``python -m local <command>``: the commands of the Makefile. What they take comes in environment variables."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final

from local import cloud, environments, lists
from local.basics import (
    LOCAL,
    ROOT,
    LocalError,
    Stopped,
    clean_environment,
    elapsed,
    ignored_settings,
    say,
    since_start,
    step,
)
from local.compose import SAMPLE, Compose
from local.http import HttpError
from local.looker import report_url
from local.processes import Processes, end_recorded
from local.release import make_release
from local.report import Memory, disk, show_marts, write_csv, write_table
from local.runs import Follower, adopt_or_trigger
from local.stack import DAGS, DBT_PLACES, DBT_PROJECT, USER, VARIABLES, Ports, Source, Stack, check_live
from local.warehouse import Warehouse
from odre.settings import Settings

#: What ``make test-faults``, ``make test-browser`` and ``make test-compose`` run, and ``make test`` does not.
FAULTS: Final = ("tests/faults", "tests/watch")
BROWSER: Final = ("tests/browser",)
COMPOSE: Final = ("tests/compose",)


def demo() -> int:
    """Run everything on generated data, or on the files of ``DATA``."""
    folder = os.environ.get("DATA")
    return _run(Source.of_folder(folder) if folder else Source.generated())


def run() -> int:
    """Run everything on the live source."""
    source = Source.live()
    check_live(source)
    return _run(source)


def _run(source: Source) -> int:
    stay = os.environ.get("EXIT", "") in ("", "0")
    _say_what_is_ignored({"AIRFLOW_CONN_ODRE_DEFAULT"} if source.connection else set())
    with Memory().watched() as memory, Stack(source, Ports.from_environment()) as stack:
        stack.ports.check([name for name in VARIABLES if name != "odre" or not source.connection])
        environments.ensure_emulators()
        environments.ensure_airflow()
        with step("Starting Cloud Storage, BigQuery and the source"):
            stack.start_warehouse()
            stack.start_source()
        stack.build_manifest()
        begun = datetime.now(UTC)
        with step("Starting Airflow"):
            stack.start_airflow()
        runs = adopt_or_trigger(stack.airflow, DAGS, stack.processes.check)
        say(f"Running {', '.join(runs)}: {stack.airflow_url} (user {USER}, password {stack.password})")
        logs = stack.airflow_home / "logs"
        servers = stack.processes.logs
        succeeded = Follower(stack.airflow, runs, logs, stack.processes.check, since=begun, servers=servers).follow()
        if succeeded:
            show_marts(stack.warehouse)
        print(
            f"\nTime {elapsed(since_start())}, disk {disk(LOCAL) / 1e9:.1f} GB in .local, "
            f"peak memory {memory.peak / 1e9:.1f} GB",
            flush=True,
        )
        if stay:
            print(
                f"Web UI: {stack.airflow_url}  user: {USER}  password: {stack.password}  (Ctrl-C ends everything)\n"
                f"Dashboard: {stack.airflow_url}/plugin/energie",
                flush=True,
            )
            _wait(stack)
    return 0 if succeeded else 1


def _say_what_is_ignored(counted: set[str]) -> None:
    """Name the settings of the user's own Airflow that do not hold here; ``counted`` do."""
    if ignored := ignored_settings(counted):
        say(f"Ignored: {', '.join(ignored)}. Airflow has settings of its own here: local/airflow.env")


def _wait(stack: Stack) -> None:
    """Until the user has seen enough."""
    with contextlib.suppress(Stopped):
        while True:
            stack.processes.check()
            threading.Event().wait(1)


def sql() -> int:
    """Ask the local warehouse one query."""
    text = os.environ.get("SQL_TEXT", "").strip()
    if not text:
        raise LocalError('No query: make sql SQL="SELECT …"')
    source = _chosen_source()
    if not _has_warehouse(source):
        folder, live = source.folder, source.connection
        command = f"make demo DATA={folder}" if folder else "make run" if live else "make demo"
        raise LocalError(f"There is no warehouse yet: fill it with '{command}'")
    with _warehouse_of(source) as warehouse:
        return _answer(warehouse, text)


def _chosen_source() -> Source:
    """The source that ``DATA`` or ``SOURCE`` names, or the generated one."""
    folder = os.environ.get("DATA")
    live = os.environ.get("SOURCE") == "live"
    return Source.of_folder(folder) if folder else Source.live() if live else Source.generated()


def _has_warehouse(source: Source) -> bool:
    return (LOCAL / source.state / "bigquery").is_dir()


@contextlib.contextmanager
def _warehouse_of(source: Source) -> Iterator[Warehouse]:
    """A source's warehouse: that of a command that runs now, or started for the time being."""
    endpoints = LOCAL / source.state / "endpoints.json"
    try:
        stack = Stack(source, Ports.from_environment())
    except LocalError:
        if not endpoints.is_file():
            raise
        found = json.loads(endpoints.read_text())
        yield Warehouse(found["bigquery"], found["storage"], Settings.from_environment({}))
        return
    with stack:
        stack.start_warehouse()
        yield stack.warehouse


def _answer(warehouse: Warehouse, text: str) -> int:
    result = warehouse.query(text)
    write = write_csv if os.environ.get("FORMAT", "").lower() == "csv" else write_table
    try:
        write(result, sys.stdout)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
    return 0


def docs() -> int:
    """Write dbt's documentation into one file that needs no server; types and sizes where there is a warehouse."""
    python = environments.ensure_airflow()
    source = _chosen_source()
    folder = LOCAL / source.state / "docs"
    places = [*DBT_PLACES, f"--target-path={folder}", f"--log-path={LOCAL / source.state / 'logs'}"]

    def dbt(*arguments: str, bigquery: str) -> bool:
        environment = {
            **clean_environment(),
            "BIGQUERY_EMULATOR_HOST": bigquery,
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "False",
        }
        return environments.run_in(python, "dbt", "--quiet", *arguments, *places, environment=environment) == 0

    if _has_warehouse(source):
        with _warehouse_of(source) as warehouse, step("Writing the documentation, with the tables of the warehouse"):
            done = dbt("docs", "generate", "--static", bigquery=warehouse.bigquery)
    else:
        with step("Writing the documentation, without a warehouse"):
            # Names an output that needs no account; nobody is asked there.
            nowhere = "http://127.0.0.1:9"
            done = dbt("parse", bigquery=nowhere) and dbt(
                "docs", "generate", "--static", "--no-compile", "--empty-catalog", bigquery=nowhere
            )
    if not done:
        raise LocalError("dbt could not write the documentation: its message is above")
    print(folder / "static_index.html", flush=True)
    return 0


def dashboard() -> int:
    """Write the dashboard with a period's data into one file: of the local warehouse, or of BigQuery at Google."""
    python = environments.ensure_airflow()
    at_google = os.environ.get("SOURCE") == "google"
    source = Source("google") if at_google else _chosen_source()
    file = LOCAL / source.state / "dashboard.html"
    command = ["python", "-m", "energy_dashboard", _period(), str(file)]
    if at_google:
        if not os.environ.get("GOOGLE_CLOUD_PROJECT"):
            raise LocalError("Which warehouse? Set GOOGLE_CLOUD_PROJECT: docs/dashboard.md")
        file.parent.mkdir(parents=True, exist_ok=True)
        failed = environments.run_in(python, *command, environment=_at_google())
    else:
        if not _has_warehouse(source):
            raise LocalError("There is no warehouse yet: fill it with 'make demo' or 'make run'")
        if source == Source.generated():
            command.append("generated")
        with _warehouse_of(source) as warehouse:
            environment = {
                **clean_environment(),
                "PYTHONPATH": str(ROOT / "plugins"),
                "GOOGLE_CLOUD_PROJECT": warehouse.settings.project,
                "BIGQUERY_LOCATION": warehouse.settings.location,
                "BIGQUERY_EMULATOR_HOST": warehouse.bigquery,
            }
            failed = environments.run_in(python, *command, environment=environment)
    if not failed:
        print(file, flush=True)
    return failed


def _period() -> str:
    """The dashboard's period, as docs/dashboard.md has them, out of ``PERIOD``, or ``START`` and ``END``."""
    period, start, end = os.environ.get("PERIOD"), os.environ.get("START"), os.environ.get("END")
    if start and end and not period:
        return f"{start}_{end}"
    if start or end:
        raise LocalError("Give PERIOD=<period>, or START=<day> and END=<day>: docs/dashboard.md")
    return period or "last-365"


def _at_google() -> dict[str, str]:
    """The variables of what works in Google Cloud: the caller's own, credentials among them, less the emulators'."""
    emulators = ("BIGQUERY_EMULATOR_HOST", "STORAGE_EMULATOR_HOST")
    return {
        **{name: value for name, value in os.environ.items() if name not in emulators},
        "PYTHONPATH": str(ROOT / "plugins"),
    }


def looker_url() -> int:
    """Print the link that opens a new report of Looker Studio on the marts in BigQuery."""
    if not os.environ.get("GOOGLE_CLOUD_PROJECT"):
        raise LocalError("Which project? Set GOOGLE_CLOUD_PROJECT: docs/looker-studio.md")
    print(report_url(Settings.from_environment()), flush=True)
    return 0


def check_source() -> int:
    """Hold our assumptions against the live source."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "plugins")}
    return environments.run_in(
        environments.ensure_airflow(), "python", "-m", "odre.check_source", environment=environment
    )


def restore() -> int:
    """Make the raw tables again from the lake: of the local warehouse, or, with ``SOURCE=google``, in Google Cloud."""
    python = environments.ensure_airflow()
    command = ["python", "-m", "odre.restore"]
    if os.environ.get("SOURCE") == "google":
        # Only the two that say where are asked for.
        missing = [name for name in ("GOOGLE_CLOUD_PROJECT", "LAKE_BUCKET") if not os.environ.get(name)]
        if missing:
            raise LocalError(f"Which lake? Set {' and '.join(missing)}: docs/runbooks/restore.md")
        return environments.run_in(python, *command, environment=_at_google())
    source = _chosen_source()
    if not _has_warehouse(source):
        raise LocalError(f"There is no warehouse and no lake in {LOCAL / source.state}: nothing to restore")
    with Stack(source, Ports.from_environment()) as stack:
        stack.start_warehouse()
        return environments.run_in(python, *command, environment=stack.environment())


def test() -> int:
    """Run the tests that no other command runs; ``TESTS`` names some of them."""
    folders = {"/".join(file.relative_to(ROOT).parts[:2]) for file in (ROOT / "tests").rglob("test_*.py")}
    folders -= {*FAULTS, *BROWSER, *COMPOSE}
    return _pytest("test", sorted(folders))


def test_faults() -> int:
    """Run the tests of crashes, bad input, what goes on at the same time and alerts; ``TESTS`` names some of them."""
    return _pytest("test-faults", FAULTS)


def test_browser() -> int:
    """Run the tests of the dashboard's page in Chromium; ``TESTS`` names some of them."""
    return _pytest("test-browser", BROWSER)


def _pytest(state: str, every: Sequence[str]) -> int:
    python = environments.ensure_airflow(tools=True)
    environments.ensure_emulators()
    with Stack(Source.generated(), Ports.free(), LOCAL / state) as stack:
        stack.build_manifest()
    # Tests with a whole stack wait for Airflow half of their time: the other files go beside them.
    chosen = os.environ.get("TESTS", "").split() or [
        "--numprocesses=2",
        "--dist=loadfile",
        "--no-loadscope-reorder",
        *every,
    ]
    folder = LOCAL / state / "pytest"
    try:
        return environments.run_in(python, "pytest", f"--basetemp={folder}", *chosen)
    finally:
        # An interrupted worker does not take its fixtures down.
        end_recorded(folder)


def bench() -> int:
    """Measure; ``SIZE=small`` to see that it works, ``KEYS`` for some parts."""
    python = environments.ensure_airflow(tools=True)
    environments.ensure_emulators()
    folder = LOCAL / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    # Operators and hooks run in the bench's own process, which takes its stacks' variables one after the other.
    environment = {
        **clean_environment(),
        "PYTHONPATH": os.pathsep.join([str(ROOT / "plugins"), str(ROOT)]),
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
    }
    try:
        return environments.run_in(python, "python", "-m", "tests.bench", environment=environment)
    finally:
        end_recorded(folder)


def up() -> int:
    """Build and start the containers, and wait until they work; ``SOURCE=sample``: with the stand-in."""
    source = os.environ.get("SOURCE", "")
    if source not in ("", "live", SAMPLE):
        raise LocalError(f"SOURCE={source}: give {SAMPLE}, or live, which it is without")
    _say_what_is_ignored({"AIRFLOW_CONN_ODRE_DEFAULT", "AIRFLOW_CONN_SLACK_DEFAULT"})
    compose = Compose()
    profile = ["--profile", SAMPLE] if source == SAMPLE else []
    if compose.run(*profile, "up", "--build", "--detach", "--wait"):
        # Docker says that one of these failed, and not why.
        compose.run(*profile, "logs", "--tail=20", "secrets", "migrate")
        raise LocalError("The containers did not start: the cause is above, or in 'make logs'. Then 'make up' again")
    say(f"Web UI: {compose.address('api-server', 8080)}  user: {USER}  password: make password")
    return 0


def down() -> int:
    """Stop the containers and remove them; the data stay, in volumes."""
    return Compose().run("--profile", SAMPLE, "down")


def logs() -> int:
    """What the containers print, as it comes."""
    return Compose().run("--profile", SAMPLE, "logs", "--follow", "--tail=100")


def password() -> int:
    """Print the password that the containers made at their first start."""
    print(Compose().password)
    return 0


def trigger() -> int:
    """Start a run of ``DAG`` in the containers."""
    dag_id = os.environ.get("DAG", "")
    if dag_id not in DAGS:
        raise LocalError(f"Which DAG? make trigger DAG=<{' | '.join(DAGS)}>")
    api = Compose().airflow
    try:
        run_id = api.trigger(dag_id)
    except (HttpError, OSError) as error:
        raise LocalError(f"Airflow did not start a run of {dag_id}: {error}") from None
    say(f"{run_id}: {api.url}/dags/{dag_id}/runs/{run_id}")
    return 0


def test_compose() -> int:
    """Run the tests of the containers and of the web UI; ``TESTS`` names some of them."""
    python = environments.ensure_airflow(tools=True)
    chosen = os.environ.get("TESTS", "").split() or COMPOSE
    return environments.run_in(
        python, "pytest", f"--basetemp={LOCAL / 'test-compose'}", *chosen, environment=dict(os.environ)
    )


def lint() -> int:
    """Every check of form; all are run, and the failed ones named."""
    python = environments.ensure_airflow(tools=True)
    checks = {
        "ruff check": ["ruff", "check", "."],
        "ruff format": ["ruff", "format", "--check", "."],
        "mypy": ["mypy", "--strict", "plugins", "dags", "emulators", "local", "tests"],
        "sqlfluff": ["sqlfluff", "lint", "include/dbt"],
        "Google's SQL analyzer": ["python", "-m", "tests.analyzer"],
    }
    if (python.parent / "hadolint").exists():  # not on every kind of machine
        images = [ROOT / "Dockerfile", *sorted((ROOT / ".ci" / "engine").glob("*.Dockerfile"))]
        checks["hadolint"] = ["hadolint", *map(str, images)]
    failed = []
    # dbt compiles a model only with a warehouse to ask: an empty one.
    with Stack(Source.generated(), Ports.free(), LOCAL / "lint") as stack:
        stack.start_warehouse()
        for name, command in checks.items():
            with step(name):
                if environments.run_in(python, *command, environment=stack.environment()):
                    failed.append(name)
    with step("checkov"):
        scan = ["--directory=.", "--compact", "--quiet", "--skip-download", "--skip-path=^[.](local|git)/"]
        scan += ["--framework", "terraform", "github_actions", "secrets"]
        if environments.run_in(environments.ensure_checks(), "checkov", *scan):
            failed.append("checkov")
    with step("requirements"):
        for pin in (differing := lists.disagreements()):
            print(f"{pin} does not follow from its .in: run make lock")
        if differing:
            failed.append("requirements")
    if failed:
        raise LocalError(f"Failed: {', '.join(failed)}")
    return 0


def audit() -> int:
    """Look for known weaknesses of the packages of every list; refuses where one cannot be looked up."""
    weak = []
    for name in lists.LISTS:
        if name == "composer-image":  # nothing is installed from it
            continue
        with step(f"requirements/{name}.txt"):
            if table := lists.weaknesses(name):
                print(table, flush=True)
                weak.append(name)
    if weak:
        raise LocalError(f"Known weaknesses: {', '.join(f'requirements/{name}.txt' for name in weak)}")
    return 0


def _terraform(command: str) -> int:
    environment = cloud.Environment.chosen()
    if command == "destroy":
        cloud.confirm_destruction(environment)
    return cloud.terraform(command, environment)


def deploy() -> int:
    """Put the code of ``REF`` into the Composer environment of ``ENV``; ``DRY_RUN=1`` shows what would change."""
    environment, ref = cloud.Environment.chosen(), os.environ.get("REF", "")
    with cloud.checked_out(ref, environment) as (tree, commit):
        python = environments.ensure_pinned(tree / "requirements" / "airflow.txt")
        command = ["python", "-m", "local.deploy", str(tree), ref, commit]
        return environments.run_in(python, *command, environment=_at_google())


def release() -> int:
    """Make what a release of this commit publishes; ``REF`` names the tag that it is to be of."""
    make_release(os.environ.get("REF", ""))
    return 0


def lock() -> int:
    """Make the pinned lists again."""
    lists.lock()
    return 0


def clean() -> int:
    """Remove ``.local``, once nothing runs there."""
    end_recorded(LOCAL)
    for held in LOCAL.glob("*/lock"):
        Processes(held.parent).end()
    for folder in (LOCAL, DBT_PROJECT / "target"):
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise LocalError(f"{folder} could not be removed: {error}") from None
    return 0


COMMANDS: Final[dict[str, Callable[[], int]]] = {
    "demo": demo,
    "run": run,
    "sql": sql,
    "docs": docs,
    "dashboard": dashboard,
    "looker-url": looker_url,
    "check-source": check_source,
    "restore": restore,
    "test": test,
    "test-faults": test_faults,
    "test-browser": test_browser,
    "bench": bench,
    "up": up,
    "down": down,
    "logs": logs,
    "password": password,
    "trigger": trigger,
    "test-compose": test_compose,
    "audit": audit,
    "plan": partial(_terraform, "plan"),
    "apply": partial(_terraform, "apply"),
    "destroy": partial(_terraform, "destroy"),
    "deploy": deploy,
    "release": release,
    "lint": lint,
    "lock": lock,
    "clean": clean,
}


def _stop(number: int, _: FrameType | None) -> None:
    # What is being ended is ended: a second Ctrl-C must not leave half of it behind.
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    print("\nEnding …", flush=True)
    raise Stopped(number)


def _drop_output() -> None:
    """Whoever read the output has seen enough, as ``head`` does: what is still to be written goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> int:
    """Run one command; an error that the user can mend is one line."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, _stop)
    try:
        return COMMANDS[sys.argv[1]]()
    except LocalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        _drop_output()
        return 128 + signal.SIGPIPE
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print(f"error: No space is left on the disk ({error.filename or Path.cwd()}): make room", file=sys.stderr)
        return 1
    except Stopped as stopped:
        return 128 + stopped.number


if __name__ == "__main__":
    sys.exit(main())
