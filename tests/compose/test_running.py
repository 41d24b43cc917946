"""The running stack: what a user meets after ``docker compose up``, and that it keeps what it promises."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from local.basics import LocalError
from local.compose import SAMPLE
from local.stack import DAGS, SHARED_SETTINGS
from odre.settings import POOLS
from tests.compose.support import SERVICES, TASKS, Containers
from tests.e2e.support import Snapshot
from tests.waiting import wait_until
from tests.warehouse.support import MARTS

pytestmark = pytest.mark.timeout(1800)

#: Seconds from the command to three DAGs that can run, images built, on 2 cores.
TIME_TO_START: Final = 120
#: Of all containers together, once the first runs are over.
IDLE_MEMORY: Final = 2.5 * 2**30
#: Seconds from an edit to its sight in the web UI.
TIME_TO_SEE: Final = 30

UNITS: Final = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def make(containers: Containers, *arguments: str) -> str:
    """What a command of the Makefile prints, in the checkout of the stack."""
    done = subprocess.run(
        ["make", f"PYTHON={sys.executable}", *arguments],
        cwd=containers.compose.folder,
        env=dict(containers.compose.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_three_dags_work_soon_after_the_start(containers: Containers) -> None:
    begun = time.monotonic()
    wait_until(lambda: set(DAGS) <= {dag["dag_id"] for dag in dags(containers)}, "the DAGs are there", TIME_TO_START)
    assert containers.seconds_to_start + time.monotonic() - begun < TIME_TO_START
    assert {dag["dag_id"]: dag["is_paused"] for dag in dags(containers)} == dict.fromkeys(DAGS, False)
    assert containers.api.call("GET", "importErrors")["import_errors"] == []
    assert {service: containers.health(service) for service in SERVICES} == dict.fromkeys(SERVICES, "healthy")


def dags(containers: Containers) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = containers.api.call("GET", "dags", limit=100)["dags"]
    return found


def test_the_first_runs_begin_by_themselves_and_succeed(
    containers: Containers, first_runs: dict[str, str], first_states: dict[str, str]
) -> None:
    assert first_states == dict.fromkeys(DAGS, "success")
    assert {containers.api.run(*run)["run_type"] for run in first_runs.items()} == {"scheduled"}


def test_every_mart_has_rows(containers: Containers, clean: Snapshot) -> None:
    query = containers.compose.warehouse.query
    rows = {mart: query(f"SELECT COUNT(*) FROM energy.{mart}").rows[0][0] for mart in MARTS}
    # What was restated since it was first read: nothing yet.
    assert [mart for mart, count in rows.items() if not count] == ["power_revisions"]


def test_the_stack_is_small_when_it_has_nothing_to_do(containers: Containers, clean: Snapshot) -> None:
    ids = [containers.container(service) for service in SERVICES]
    used = containers.docker("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", *ids).splitlines()
    total = 0.0
    for line in used:
        number, unit = re.fullmatch(r"\S+ ([\d.]+)([A-Za-z]+) / .*", line).groups()  # type: ignore[union-attr]
        total += float(number) * UNITS[unit]
    assert len(used) == len(SERVICES)
    assert total < IDLE_MEMORY, "\n".join(used)


def test_the_pools_are_those_of_the_settings(containers: Containers) -> None:
    found = {pool["name"]: pool["slots"] for pool in containers.api.call("GET", "pools")["pools"]}
    assert {pool.name: found.get(pool.name) for pool in POOLS} == {pool.name: pool.slots for pool in POOLS}


def test_runs_can_be_started_through_the_api(containers: Containers, clean: Snapshot) -> None:
    said = make(containers, "trigger", "DAG=temperature_monthly")
    runs = {"temperature_monthly": re.search(r"runs/(\S+)$", said)[1]}  # type: ignore[index]
    runs |= {dag_id: containers.api.trigger(dag_id) for dag_id in DAGS if dag_id not in runs}
    assert containers.follow(runs) == dict.fromkeys(DAGS, "success")
    # Nothing is new at the source, and nothing changed.
    assert containers.snapshot() == clean


def test_the_password_is_told_by_one_command(containers: Containers) -> None:
    assert make(containers, "password").splitlines()[-1] == containers.compose.password
    assert len(containers.compose.password) >= 16


def test_what_the_containers_print_is_shown_as_it_comes(containers: Containers, clean: Snapshot) -> None:
    follow = ["make", f"PYTHON={sys.executable}", "logs"]
    environment = dict(containers.compose.environment)
    with subprocess.Popen(
        follow, cwd=containers.compose.folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        awaited = {"scheduler-1", "migrate-1", "odre-1"}
        while awaited:
            line = process.stdout.readline()
            assert line, "it ended"
            awaited -= {name for name in awaited if name in line.partition("|")[0]}
        process.terminate()


def test_nothing_runs_as_root(containers: Containers) -> None:
    users = {service: containers.execute(service, "id", "-u").strip() for service in SERVICES}
    assert [service for service, user in users.items() if user == "0"] == []


def test_the_engine_publishes_ports_on_127_0_0_1_alone(containers: Containers) -> None:
    addresses = [
        binding["HostIp"]
        for service in SERVICES
        for bindings in (containers.inspect(service)["NetworkSettings"]["Ports"] or {}).values()
        for binding in bindings or []
    ]
    assert len(addresses) == 5
    assert set(addresses) == {"127.0.0.1"}


def test_no_secret_is_seen_from_outside(containers: Containers, clean: Snapshot) -> None:
    every = 'for file in /opt/odre/secrets/*; do cat "$file"; echo; done'
    secrets = set(containers.execute("api-server", "sh", "-c", every).split())
    secrets |= {containers.execute("postgres", "cat", "/opt/odre/database/database-password").strip()}
    secrets = {part for part in secrets if len(part) >= 16 and "://" not in part}
    assert len(secrets) >= 5
    for service in SERVICES | TASKS:
        for text in (containers.logs(service), json.dumps(containers.inspect(service))):
            assert [secret for secret in secrets if secret in text] == [], service


def test_the_emulators_and_the_database_see_no_secret_of_airflow(containers: Containers) -> None:
    for service in ("postgres", "storage", "bigquery", "odre"):
        with pytest.raises(LocalError):
            containers.execute(service, "cat", "/opt/odre/secrets/password")


def test_an_edit_of_a_dag_is_seen(containers: Containers, clean: Snapshot) -> None:
    file = containers.compose.folder / "dags" / "gas_storage_daily.py"
    file.write_text(file.read_text().replace('tags=["odre", ', 'tags=["edited", "odre", '))

    def tags() -> set[str]:
        return {tag["name"] for tag in containers.api.call("GET", "dags/gas_storage_daily")["tags"]}

    wait_until(lambda: "edited" in tags(), "the edit is seen", TIME_TO_SEE)


def test_an_edit_of_the_dbt_project_is_seen(containers: Containers, clean: Snapshot) -> None:
    models = containers.compose.folder / "include" / "dbt" / "models" / "marts"
    (models / "gas_extra.sql").write_text("SELECT day FROM {{ ref('gas_stock_daily') }}\n")

    def tasks() -> set[str]:
        return {task["task_id"] for task in containers.api.call("GET", "dags/gas_storage_daily/tasks")["tasks"]}

    try:
        wait_until(lambda: any("gas_extra" in task for task in tasks()), "the model is seen", TIME_TO_SEE)
    finally:
        (models / "gas_extra.sql").unlink()
    wait_until(lambda: not any("gas_extra" in task for task in tasks()), "the model is gone", TIME_TO_SEE)


def test_generated_and_live_data_do_not_mix(containers: Containers, clean: Snapshot) -> None:
    containers.compose.output("--profile", SAMPLE, "stop", "odre")
    try:
        with pytest.raises(LocalError, match="This stack holds generated data"):
            containers.compose.output("run", "--rm", "--no-deps", "migrate")
    finally:
        containers.up()


def test_data_and_password_outlive_the_containers(containers: Containers, clean: Snapshot) -> None:
    password = containers.compose.password
    make(containers, "down")
    assert containers.compose.output("--profile", SAMPLE, "ps", "--all", "--quiet") == ""
    assert "Web UI: http://127.0.0.1:" in make(containers, "up", f"SOURCE={SAMPLE}")
    assert containers.compose.password == password
    assert containers.snapshot() == clean


def test_the_image_for_production_holds_the_code_and_the_manifest(containers: Containers, tmp_path: Path) -> None:
    image = "odre-test-production"
    target = {"services": {"secrets": {"image": image, "build": {"target": "production"}}}}
    (tmp_path / "production.yaml").write_text(yaml.safe_dump(target))
    files = ["--file", "docker-compose.yaml", "--file", str(tmp_path / "production.yaml")]
    containers.compose.output(*files, "build", "--quiet", "secrets")
    code = (
        "from airflow.dag_processing.dagbag import DagBag;"
        "bag = DagBag('/opt/airflow/dags');"
        "print('FOUND', sorted(bag.dags), bag.import_errors)"
    )
    run = ["run", "--rm", "--network=none", f"--env-file={SHARED_SETTINGS}", image, "python", "-c"]
    try:
        said = containers.docker(*run, code)
        user = containers.docker(*run, "import os; print(os.getuid())")
    finally:
        containers.docker("rmi", image)
    assert f"FOUND {sorted(DAGS)} {{}}" in said
    assert user.strip().endswith("50000")
