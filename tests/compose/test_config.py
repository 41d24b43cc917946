"""What ``docker compose config`` makes of the repository's files. Needs Docker's client and no engine."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import Any, Final

import pytest

from local.basics import ROOT
from local.stack import VARIABLES, Ports
from tests.compose.support import SERVICES, TASKS

pytestmark = pytest.mark.usefixtures("client")

#: What the limits of all services may be together: a laptop of 8 GB has a system to run, too.
MEMORY: Final = 7 * 2**30


def config(*files: str, **variables: str) -> dict[str, Any]:
    """The files as Compose understands them, with no variable of the project's but these, and no ``.env``."""
    ours = set(VARIABLES.values()) | {"AIRFLOW_CONN_ODRE_DEFAULT", "PIP_INDEX_URL", "AIRFLOW_UID"}
    cloud = ("GOOGLE_", "COMPOSE_", "LAKE_", "BIGQUERY_", "DATASET_")
    environment = {n: v for n, v in os.environ.items() if n not in ours and not n.startswith(cloud)}
    named = [option for file in files for option in ("--file", file)]
    command = ["docker", "compose", "--env-file", os.devnull, *named, "--profile", "*", "config", "--format", "json"]
    done = subprocess.run(command, cwd=ROOT, env=environment | variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def services(client: None) -> dict[str, dict[str, Any]]:
    """The services of the main file."""
    found: dict[str, dict[str, Any]] = config("docker-compose.yaml")["services"]
    return found


def in_google_cloud() -> dict[str, dict[str, Any]]:
    """The services with Google Cloud in place of the emulators."""
    given = {"GOOGLE_CLOUD_PROJECT": "a-project", "LAKE_BUCKET": "a-bucket"}
    files = ("docker-compose.yaml", "docker-compose.gcp.yaml")
    found: dict[str, dict[str, Any]] = config(*files, **given)["services"]
    return found


def test_the_services_are_those_of_the_documentation(services: dict[str, dict[str, Any]]) -> None:
    assert set(services) == SERVICES | TASKS
    section = (ROOT / "README.md").read_text().partition("\n## Containers\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[a-z].*?) \|", section, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`([a-z-]+)`", row)} - {"sample"} == set(services)


def test_no_container_reaches_beyond_itself(services: dict[str, dict[str, Any]]) -> None:
    for name, service in [*services.items(), *in_google_cloud().items()]:
        assert "network_mode" not in service, name
        assert not {"privileged", "cap_add", "devices", "pid", "ipc", "userns_mode"} & set(service), name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        sources = [str(volume.get("source", "")) for volume in service.get("volumes", [])]
        assert not [source for source in sources if "sock" in source], name


def test_what_is_mounted_from_the_machine_is_read_only(services: dict[str, dict[str, Any]]) -> None:
    mounts = [
        (name, volume)
        for name, service in [*services.items(), *in_google_cloud().items()]
        for volume in service.get("volumes", [])
        if volume["type"] == "bind"
    ]
    assert mounts
    assert [(name, volume["source"]) for name, volume in mounts if not volume.get("read_only")] == []


def test_every_port_is_on_127_0_0_1(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for service in [*services.values(), *in_google_cloud().values()] for port in service.get("ports", [])]
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}
    published = {int(port["published"]) for service in services.values() for port in service.get("ports", [])}
    assert published == set(vars(Ports()).values())


def test_no_secret_stands_in_the_files(services: dict[str, dict[str, Any]]) -> None:
    suspect = re.compile(r"PASSWORD|SECRET|KEY|TOKEN|SQL_ALCHEMY", re.IGNORECASE)
    named = {
        (variable, value)
        for service in [*services.values(), *in_google_cloud().values()]
        for variable, value in (service.get("environment") or {}).items()
        if suspect.search(variable)
    }
    assert {variable for variable, _ in named} >= {"POSTGRES_PASSWORD_FILE", "AIRFLOW__API_AUTH__JWT_SECRET_CMD"}
    # Where a secret is, never what it is.
    assert [pair for pair in named if not re.fullmatch(r"(cat )?/opt/odre/(secrets|database)/[a-z.-]+", pair[1])] == []


def test_every_service_says_when_it_works_and_is_started_again(services: dict[str, dict[str, Any]]) -> None:
    for name in SERVICES:
        assert services[name]["healthcheck"]["test"], name
        assert services[name]["restart"] == "unless-stopped", name
        assert services[name]["init"] is True, name
    for name in TASKS:
        assert services[name]["restart"] == "no", name


def test_services_wait_for_those_that_they_need(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        for other, condition in (service.get("depends_on") or {}).items():
            wanted = "service_completed_successfully" if other in TASKS else "service_healthy"
            assert condition["condition"] == wanted, (name, other)
    # Without an end to wait for, `up --wait` would take a task that ended for one that failed.
    awaited = {other for service in services.values() for other in service.get("depends_on") or {}}
    assert awaited >= TASKS


def test_memory_and_logs_are_bounded(services: dict[str, dict[str, Any]]) -> None:
    limits = {name: int(service["mem_limit"]) for name, service in services.items()}
    assert sum(limits[name] for name in SERVICES) <= MEMORY
    for name, service in services.items():
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}, name


def test_in_google_cloud_no_emulator_is_used() -> None:
    services = {
        name: service for name, service in in_google_cloud().items() if "emulators" not in service.get("profiles", [])
    }
    assert not {"storage", "bigquery"} & set(services)
    for name in ("migrate", "project", "api-server", "scheduler", "dag-processor", "triggerer"):
        environment = services[name]["environment"]
        assert not [variable for variable in environment if variable.endswith("EMULATOR_HOST")], name
        assert environment["GOOGLE_CLOUD_PROJECT"] == "a-project"
        assert environment["LAKE_BUCKET"] == "a-bucket"
        credentials = environment["GOOGLE_APPLICATION_CREDENTIALS"]
        assert [v["read_only"] for v in services[name]["volumes"] if v["target"] == credentials] == [True], name
        assert not {"storage", "bigquery"} & set(services[name].get("depends_on") or {}), name


def test_in_google_cloud_a_project_and_a_bucket_must_be_named() -> None:
    with pytest.raises(AssertionError, match="name the project of lake and warehouse"):
        config("docker-compose.yaml", "docker-compose.gcp.yaml", LAKE_BUCKET="a-bucket")
