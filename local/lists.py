"""The pinned and hashed lists of ``requirements/``: how each is made, whether it follows from its ``.in``, and what is
known to be weak in it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from local.basics import ROOT, LocalError, clean_environment
from local.environments import REQUIREMENTS, ensure_checks, ensure_uv, installer_environment

#: The day on which Google released the Composer image that Terraform names.
COMPOSER_IMAGE_DAY: Final = "2026-08-26"

#: The packages of dbt, less the prefix.
DBT: Final = ("adapters", "bigquery", "common", "core", "extractor", "protos", "semantic-interfaces")

#: List → options of ``uv pip compile``, in the order in which they are made (one is a constraint of the next).
LISTS: Final = {
    "tools": ["--python-version=3.11"],
    # Nothing is installed from it: lists that run the DAGs keep to its versions, and Terraform leaves its names out. It
    # is without dbt, of which the environment gets ours.
    "composer-image": [
        "--no-universal",
        "--python-version=3.11",
        "--python-platform=x86_64-manylinux_2_28",
        f"--exclude-newer={COMPOSER_IMAGE_DAY}",
        "--no-generate-hashes",
        *(f"--no-emit-package=dbt-{part}" for part in DBT),
    ],
    "airflow": ["--python-version=3.11", "--constraints=composer-image.txt"],
    "image": ["--python-version=3.11", "--constraints=composer-image.txt"],
    "dev": ["--python-version=3.11", "--constraints=composer-image.txt"],
    "checks": ["--python-version=3.11"],
    # The BigQuery emulator asks for a newer Python than it needs (emulators/bigquery).
    "emulators": ["--no-config", "--python-version=3.13", "--overrides=emulators.overrides.in"],
}


def lock(folder: Path = REQUIREMENTS) -> None:
    """Make every list of ``folder`` from its ``.in``; pins that still hold are kept.

    Raises:
        LocalError: a list cannot be made; holds uv's reason.
    """
    uv = ensure_uv()
    for name, options in LISTS.items():
        command = [str(uv), "pip", "compile", "--quiet", "--universal", "--generate-hashes", *options]
        command += ["--custom-compile-command=make lock", f"--output-file={name}.txt", f"{name}.in"]
        done = subprocess.run(
            command, cwd=folder, env=installer_environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise LocalError(f"requirements/{name}.in cannot be resolved: {' '.join(done.stderr.split())[:1000]}")


def disagreements() -> list[str]:
    """The pins in which a list differs from what its ``.in`` gives, as ``<list>: <pin>``; none if all agree.

    Hashes are left out: a release can gain files after it was pinned.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "requirements"
        shutil.copytree(REQUIREMENTS, folder)
        # uv looks for its settings from the folder upwards.
        shutil.copy(REQUIREMENTS.parent / "pyproject.toml", folder.parent)
        lock(folder)
        return [
            f"requirements/{list_}.txt: {pin}"
            for list_ in LISTS
            for pin in sorted(_pins(REQUIREMENTS / f"{list_}.txt") ^ _pins(folder / f"{list_}.txt"))
        ]


def weaknesses(name: str) -> str:
    """Known weaknesses of a list's packages, as pip-audit's table; empty if there are none.

    Raises:
        LocalError: a package could not be looked up, so that nothing is known of it; holds the reason.
    """
    # The list is complete and hashed: nothing is resolved, and nothing installed.
    command = [str(ensure_checks().with_name("pip-audit")), "--disable-pip", "--require-hashes", "--strict"]
    command += ["--progress-spinner=off", "--format=columns", "--output=stdout"]
    command += [f"--requirement=requirements/{name}.txt"]
    done = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=False)
    # Its exit code is the same where it found something and where it could not look; only the first prints a table.
    if done.returncode and not done.stdout.strip():
        raise LocalError(
            f"The packages of requirements/{name}.txt could not be looked up: {_refusal(done.stderr)}. Run it where "
            "the service can be reached: https://pypi.org/pypi, or the one that PIP_AUDIT_VULNERABILITY_SERVICE names"
        )
    return done.stdout.strip() if done.returncode else ""


def _refusal(said: str) -> str:
    """Why pip-audit gave up, in its own words or, where it broke off, in those of the last exception that has some."""
    errors: list[str] = re.findall(r"^(?:ERROR:[\w.]+:(?!Tip: )|[\w.-]+: )(.+)", said, re.MULTILINE)
    return (errors or said.split("\n"))[-1].rstrip(".")


def composer_packages(folder: Path = REQUIREMENTS) -> dict[str, str]:
    """What a Composer environment installs besides its image's own, version by name: for Python 3.11, as it has it.

    Terraform reads the two lists in the same way (``terraform/modules/composer``).
    """
    pin = re.compile(r"^([a-z0-9._-]+)==([^ ;]+) ; python_full_version < '3[.]1[23]'", re.MULTILINE)
    brought = set(re.findall(r"^([a-z0-9._-]+)==", (folder / "composer-image.txt").read_text(), re.MULTILINE))
    pinned: list[tuple[str, str]] = pin.findall((folder / "airflow.txt").read_text())
    return {name: version for name, version in pinned if name not in brought}


def _pins(requirements: Path) -> set[str]:
    lines = requirements.read_text().splitlines()
    return {line.removesuffix("\\").strip() for line in lines if line[:1].isalnum()}
