"""What the commands of the containers say where Docker cannot do what they need."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from local.basics import LocalError
from local.compose import Compose

ROOT = Path(__file__).resolve().parents[2]


class Tagged(yaml.SafeLoader):
    """YAML with Compose's own tags, which say how two files are merged."""


Tagged.add_multi_constructor("!", lambda loader, tag, node: None)


def compose(folder: Path, script: str) -> Compose:
    """With a Docker of this script."""
    docker = folder / "docker"
    docker.write_text(f"#!/bin/sh\n{script}\n")
    docker.chmod(0o755)
    return Compose(folder, {"PATH": f"{folder}:/usr/bin:/bin"})


def test_docker_that_is_absent_is_told_of() -> None:
    with pytest.raises(LocalError, match=r"Docker is not on the path: .* 'make demo'"):
        Compose(environment={"PATH": "/nowhere"}).output("ps")


def test_compose_that_is_absent_is_told_of(tmp_path: Path) -> None:
    without = compose(tmp_path, "echo unknown shorthand flag: \\'T\\' in -T >&2; exit 125")
    for call in (lambda: without.password, lambda: without.run("down")):
        with pytest.raises(LocalError, match="has no Compose: install its plugin"):
            call()


def test_containers_that_do_not_run_are_told_of_with_what_starts_them(tmp_path: Path) -> None:
    script = 'test "$2" = version || { echo "service \\"api-server\\" is not running" >&2; exit 1; }'
    with pytest.raises(LocalError, match=r"is not running: 'docker compose up -d --wait' starts the containers"):
        _ = compose(tmp_path, script).password


def test_a_failure_that_docker_explains_stays_its_own(tmp_path: Path) -> None:
    failing = compose(tmp_path, 'test "$2" = version || { echo "Cannot connect to the Docker daemon" >&2; exit 1; }')
    with pytest.raises(LocalError, match=r"docker compose ps: Cannot connect to the Docker daemon$"):
        failing.output("ps")
    assert failing.run("down") == 1


@pytest.mark.parametrize("name", ["docker-compose.yaml", "docker-compose.gcp.yaml"])
def test_docker_makes_no_folder_where_a_file_of_the_machine_is_absent(name: str) -> None:
    file: dict[str, Any] = yaml.load((ROOT / name).read_text(), Tagged)
    for service, settings in file["services"].items():
        for volume in settings.get("volumes", []):
            if isinstance(volume, dict):
                assert volume["type"] == "bind", service
                assert volume["bind"] == {"create_host_path": False}, service
            else:
                # The short form has Docker make what is absent: it is for folders of the checkout, and for volumes.
                source = volume.partition(":")[0]
                assert source in file.get("volumes", {}) or (ROOT / source).is_dir(), f"{service}: {volume}"
