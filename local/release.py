"""A release: what the tag of a version sets off. It is made of the commit alone: the same one gives the same bytes.

The version is in ``pyproject.toml`` and nowhere else. The archive holds what a deployment needs, and is unpacked and
deployed without Git (:func:`local.cloud.checked_out`).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import tomllib
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from local.basics import LOCAL, ROOT, LocalError, say, step
from local.cloud import RELEASE, git
from local.processes import run_in_foreground

#: Where a release is made.
FOLDER: Final = LOCAL / "release"

#: What a deployment needs: code and its packages, what Composer stands on, the commands, and how it is operated.
DEPLOYABLE: Final = (
    *("dags", "plugins", "include", "requirements", "terraform", "local", "docs"),
    *("Makefile", "pyproject.toml", "README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE"),
)

#: Build arguments that are handed on from the environment.
BUILD_ARGUMENTS: Final = ("AIRFLOW_IMAGE", "PYTHON_IMAGE", "PIP_INDEX_URL")


def version() -> str:
    """The project's version, as ``1.0.0``."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def make_release(ref: str = "") -> None:
    """Check that the commit can be released, and make archive, SBOM, sums, notes and image; ``ref``: as which tag.

    Raises:
        LocalError: why it cannot be released, and what to do.
    """
    number = version()
    commit = check(number, ref)
    notes = changes(number)
    at = datetime.fromtimestamp(int(_git("log", "-1", "--format=%ct", commit)), UTC)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    files = {
        f"odre-{number}.tar.gz": gzip.compress(archive(number, commit, at), mtime=0),
        f"odre-{number}.cdx.json": json.dumps(sbom(number, commit, at), indent=1).encode(),
    }
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    files["SHA256SUMS"] = "".join(f"{digest}  {name}\n" for name, digest in sums.items()).encode()
    files["notes.md"] = notes.encode()
    for name, content in files.items():
        (FOLDER / name).write_bytes(content)
        say(f"{FOLDER / name}{f': SHA-256 {sums[name]}' if name in sums else ''}")
    build_image(number, commit, at)


def check(number: str, ref: str) -> str:
    """The commit, if it is one that can be released as ``number``.

    Raises:
        LocalError: something is not committed, or the tag is another's.
    """
    if changed := _git("status", "--porcelain"):
        first = changed.splitlines()[0].split(maxsplit=1)[1]
        raise LocalError(f"{first} is not as committed, and a release is made of a commit: commit or remove it")
    commit, tag = _git("rev-parse", "HEAD"), f"v{number}"
    for other in {ref, *_git("tag", "--points-at", commit, "--list", "v*").split()} - {"", tag}:
        raise LocalError(f"{other} is not the tag of version {number}, which pyproject.toml has: that is {tag}")
    tagged = git("rev-parse", "--verify", "--quiet", f"refs/tags/{tag}^{{commit}}").stdout.decode().strip()
    if tagged and tagged != commit:
        raise LocalError(
            f"{tag} is another commit, {tagged[:10]}: check it out, or raise the version in pyproject.toml"
        )
    if ref and not tagged:
        raise LocalError(f"There is no tag {tag} here: git fetch --tags")
    return commit


def changes(number: str) -> str:
    """What the changelog says of a version.

    Raises:
        LocalError: the changelog is not cut for it.
    """
    sections = {}
    for section in f"\n{(ROOT / 'CHANGELOG.md').read_text()}".split("\n## ")[1:]:
        heading, _, body = section.partition("\n")
        sections[heading] = body.strip()
    cut = [heading for heading in sections if re.fullmatch(rf"{re.escape(number)} - \d{{4}}-\d\d-\d\d", heading)]
    if not cut or not sections[cut[0]]:
        raise LocalError(f"CHANGELOG.md has nothing under '## {number} - <date>': move there what is under Unreleased")
    if sections.get("Unreleased"):
        raise LocalError(f"CHANGELOG.md has changes under Unreleased: move them to {number}, or raise the version")
    return sections[cut[0]] + "\n"


def archive(number: str, commit: str, at: datetime) -> bytes:
    """A commit's :data:`DEPLOYABLE` files as a tar, with what they are a release of."""
    # A user's own settings would change modes and ends of lines.
    settings = ["-c", "tar.umask=0022", "-c", "core.autocrlf=false"]
    made = io.BytesIO(_output(*settings, "archive", f"--prefix=odre-{number}/", commit, *DEPLOYABLE))
    with tarfile.open(fileobj=made, mode="a") as tar:
        content = f"v{number} {commit}\n".encode()
        entry = tarfile.TarInfo(f"odre-{number}/{RELEASE}")
        entry.size, entry.mtime = len(content), int(at.timestamp())
        tar.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def sbom(number: str, commit: str, at: datetime) -> dict[str, Any]:
    """The packages of the image, which has all that a Composer environment installs, as CycloneDX 1.6 writes them."""
    components = []
    for name, pinned in packages(ROOT / "requirements" / "image.txt"):
        purl = f"pkg:pypi/{name}@{quote(pinned)}"
        components.append({"type": "library", "bom-ref": purl, "name": name, "version": pinned, "purl": purl})
    project = {"type": "application", "bom-ref": "odre", "name": "odre", "version": number}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, commit)}",
        "version": 1,
        "metadata": {
            "timestamp": at.isoformat(),
            "component": {**project, "licenses": [{"license": {"id": "Apache-2.0"}}]},
        },
        "components": components,
    }


def packages(requirements: Path) -> list[tuple[str, str]]:
    """Name and version of each pin that holds for Python 3.11, which Composer and the image have."""
    pins = re.findall(r"^([a-z0-9._-]+)==([^ ;]+)(.*)", requirements.read_text(), re.MULTILINE)
    return [(name, pinned) for name, pinned, marker in pins if not re.search(r"== '3[.]12|< '3[.]11", marker)]


def build_image(number: str, commit: str, at: datetime) -> None:
    """Build the image for production as ``odre:<version>``, where a Docker engine answers.

    Raises:
        LocalError: Docker could not build it; its own words are on the screen.
    """
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True, check=False).returncode:
        say("No Docker engine answers here: the image is not built")
        return
    labels = {"title": "odre", "version": number, "revision": commit, "created": at.isoformat()}
    command = [docker, "build", "--target=production", f"--tag=odre:{number}"]
    command += [f"--label=org.opencontainers.image.{name}={value}" for name, value in labels.items()]
    command += [f"--build-arg={name}" for name in BUILD_ARGUMENTS if name in os.environ]
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(_output("archive", commit))) as tar:
            tar.extractall(folder, filter="data")
        with step(f"Building the image odre:{number}"):
            if run_in_foreground([*command, folder], os.environ):
                raise LocalError("Docker could not build the image: its reason is above")


def _output(*arguments: str) -> bytes:
    done = git(*arguments)
    if done.returncode:
        raise LocalError(f"Git cannot make the release: {' '.join(done.stderr.decode().split())}")
    return done.stdout


def _git(*arguments: str) -> str:
    return _output(*arguments).decode().strip()
