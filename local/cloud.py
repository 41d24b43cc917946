"""An environment at Google Cloud, as its file in ``terraform/environments`` names it: Terraform for it, code for it."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local.basics import LOCAL, ROOT, LocalError
from local.processes import run_in_foreground

TERRAFORM: Final = ROOT / "terraform"
ENVIRONMENTS: Final = ("dev", "prod")

#: In an unpacked archive of a release, and nowhere else: its tag and commit.
RELEASE: Final = "RELEASE"


@dataclass(frozen=True)
class Environment:
    """Name of the environment, its project, and the region of Composer."""

    name: str
    project: str
    region: str

    @classmethod
    def chosen(cls, environment: Mapping[str, str] = os.environ, folder: Path = TERRAFORM) -> Environment:
        """The environment that ``ENV`` names.

        Raises:
            LocalError: it names none, or its file is not filled in.
        """
        name = environment.get("ENV", "")
        if name not in ENVIRONMENTS:
            raise LocalError(f"Which environment? Give ENV={' or ENV='.join(ENVIRONMENTS)}")
        file = folder / "environments" / f"{name}.tfvars"
        project = _setting(file, "project_id")
        if not project:
            raise LocalError(f"terraform/environments/{name}.tfvars is not filled in: write your project's id there")
        region = _setting(file, "region") or _setting(folder / "variables.tf", "default", after='variable "region"')
        return cls(name, project, region)

    @property
    def composer(self) -> str:
        """The Composer environment's name, as an API has it."""
        return f"projects/{self.project}/locations/{self.region}/environments/odre-{self.name}"

    @property
    def state_bucket(self) -> str:
        """Bucket of Terraform's state; made by hand, once."""
        return f"{self.project}-terraform"


def _setting(file: Path, name: str, after: str = "") -> str:
    """The first text that is given to ``name`` in a file of Terraform's, or empty."""
    _, _, text = file.read_text().partition(after) if after else ("", "", file.read_text())
    found = re.search(rf'^\s*{name}\s*=\s*"([^"]*)"', text, re.MULTILINE)
    return found[1] if found else ""


def terraform(command: str, environment: Environment) -> int:
    """Run ``plan``, ``apply`` or ``destroy`` for an environment; Terraform's exit code.

    Raises:
        LocalError: there is no Terraform, or its state cannot be reached.
    """
    program = shutil.which("terraform")
    if program is None:
        raise LocalError("terraform is not on the path: install it, version 1.9 or later")
    # What Terraform notes of the state's place must not be shared by two environments.
    variables = {**os.environ, "TF_DATA_DIR": str(LOCAL / "terraform" / environment.name), "TF_IN_AUTOMATION": "1"}

    def run(*arguments: str) -> int:
        return run_in_foreground([program, f"-chdir={TERRAFORM}", *arguments], variables)

    bucket = environment.state_bucket
    if run("init", "-input=false", f"-backend-config=bucket={bucket}", "-backend-config=prefix=odre"):
        raise LocalError(
            f"Terraform could not begin: its reason is above. The bucket of its state, {bucket}, is made by hand once: "
            "docs/production.md"
        )
    return run(command, f"-var-file=environments/{environment.name}.tfvars")


def confirm_destruction(environment: Environment) -> None:
    """Have production's destruction typed out by somebody who sits there.

    Raises:
        LocalError: nobody does, or what was typed is something else.
    """
    if environment.name != "prod":
        return  # Terraform itself asks
    words = f"destroy {environment.project}"
    if not sys.stdin.isatty():
        raise LocalError(f'Production is removed from a terminal only, where "{words}" is typed')
    if input(f'This removes production. Type "{words}" to go on: ').strip() != words:
        raise LocalError("Nothing was removed")


@contextmanager
def checked_out(ref: str, environment: Environment) -> Iterator[tuple[Path, str]]:
    """The code of a tag, as a folder for the time being, and its commit. Any commit will do outside of production.

    In an unpacked archive of a release (:mod:`local.release`), its tag is this folder.

    Raises:
        LocalError: there is no such tag.
    """
    if not ref:
        raise LocalError(f"What is to be deployed? make deploy ENV={environment.name} REF=<tag>")
    if (release := ROOT / RELEASE).is_file():
        tag, commit = release.read_text().split()
        if ref != tag:
            raise LocalError(f"This is the archive of {tag} and has no other code: give REF={tag}, or use a clone")
        yield ROOT, commit
        return
    wanted = f"refs/tags/{ref}" if environment.name == "prod" else ref
    found = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{wanted}^{{commit}}")
    if found.returncode:
        if why := " ".join(found.stderr.decode().split()):
            raise LocalError(f"Git cannot look for REF={ref}: {why}")
        kind = "tag" if environment.name == "prod" else "tag or commit"
        raise LocalError(f"REF={ref} is no {kind} here: git fetch --tags, or give another")
    commit = found.stdout.decode().strip()
    with tempfile.TemporaryDirectory() as name:
        archive = git("archive", "--format=tar", commit, "dags", "plugins", "include", "requirements")
        if archive.returncode:
            raise LocalError(f"{ref} cannot be read: {archive.stderr.decode().strip()}")
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            tar.extractall(name, filter="data")
        yield Path(name), commit


def git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """A command of Git's, in this checkout.

    Raises:
        LocalError: there is no Git.
    """
    if shutil.which("git") is None:
        raise LocalError("git is not on the path: install it, or use the archive of a release, which needs none")
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
