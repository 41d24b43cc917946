"""A release, on a clone with a tag: what ``make release`` refuses, what it makes, and what the workflow publishes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker

from local import environments, release

ROOT = Path(__file__).parents[2]
VERSION = release.version()
TAG = f"v{VERSION}"


def run(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command in a clone, away from the user's own Git settings, and without a Docker engine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PYTHON", "MAKE"))}
    for name in ("AUTHOR_NAME", "AUTHOR_EMAIL", "COMMITTER_NAME", "COMMITTER_EMAIL"):
        kept[f"GIT_{name}"] = "someone@example.org"
    environment = {**kept, "GIT_CONFIG_GLOBAL": os.devnull, "DOCKER_HOST": "tcp://127.0.0.1:9", **variables}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def git(folder: Path, *arguments: str) -> str:
    done = run(folder, "git", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def make(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return run(folder, "make", *arguments, f"PYTHON={sys.executable}", **variables)


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message=another")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of the project as it is in the work tree, all of it committed and its changelog cut, without tags."""
    folder = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--no-tags", str(ROOT), str(folder))
    changed = git(ROOT, "ls-files", "-z", "--modified", "--others", "--exclude-standard", "--deduplicate").split("\0")
    for name in filter(None, changed):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).exists():
            (folder / name).write_bytes((ROOT / name).read_bytes())
        else:
            (folder / name).unlink()
    changelog = folder / "CHANGELOG.md"
    changelog.write_text(re.sub(r"(?s)(\n## Unreleased\n).*?(?=\n## )", r"\1", changelog.read_text()))
    commit(folder)
    return folder


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.fixture
def released(clone: Path) -> Path:
    """The folder of what a tag's release is made of."""
    git(clone, "tag", TAG)
    done = make(clone, "release", REF=TAG)
    assert done.returncode == 0, done.stderr
    assert "No Docker engine answers here: the image is not built" in done.stdout
    return clone / ".local" / "release"


def test_a_version_is_named_once_and_its_changes_are_cut() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)
    headings = re.findall(r"^## (.*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1].startswith(f"{VERSION} - ")
    assert "version" not in yaml.safe_load((ROOT / "include" / "dbt" / "dbt_project.yml").read_text())


def test_the_archive_holds_what_a_deployment_needs_and_no_state(released: Path, tmp_path: Path) -> None:
    clone = released.parents[1]
    with tarfile.open(released / f"odre-{VERSION}.tar.gz") as tar:
        tar.extractall(tmp_path, filter="data")
    folder = tmp_path / f"odre-{VERSION}"
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    tracked = set(git(clone, "ls-files").splitlines())
    assert found - {"RELEASE"} <= tracked, "nothing but what is committed"
    for place in ("dags", "plugins", "include", "requirements", "terraform", "local", "docs"):
        assert {name for name in tracked if name.startswith(f"{place}/")} <= found
    assert not any(name.startswith((".git", ".local", ".ci", "tests")) for name in found)
    assert (folder / "RELEASE").read_text() == f"{TAG} {git(clone, 'rev-parse', 'HEAD')}\n"


def test_an_unpacked_archive_is_deployed_as_its_tag_and_as_nothing_else(released: Path, tmp_path: Path) -> None:
    with tarfile.open(released / f"odre-{VERSION}.tar.gz") as tar:
        tar.extractall(tmp_path, filter="data")
    folder = tmp_path / f"odre-{VERSION}"
    head = git(released.parents[1], "rev-parse", "HEAD")
    edit(folder / "terraform" / "environments" / "prod.tfvars", '= ""', '= "odre-test"')
    # All that make deploy does before it goes to Google.
    code = (
        "from local.cloud import Environment, checked_out\n"
        "from local.deploy import lay_out, objects\n"
        "import os, pathlib, tempfile\n"
        "with checked_out(os.environ['REF'], Environment.chosen()) as (tree, commit):\n"
        "    target = pathlib.Path(tempfile.mkdtemp(dir='.'))\n"
        "    lay_out(tree, target)\n"
        "    print(commit, *objects(target))\n"
    )
    done = run(folder, sys.executable, "-c", code, ENV="prod", REF=TAG, PYTHONPATH="plugins")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == head
    assert {"dags/eco2mix_hourly.py", "dags/include/dbt/dbt_project.yml", "plugins/odre/settings.py"} <= set(
        done.stdout.split()
    )
    refused = make(folder, "deploy", ENV="prod", REF="v0.0.1")
    assert refused.returncode != 0
    assert f"error: This is the archive of {TAG} and has no other code: give REF={TAG}" in refused.stderr


def test_the_same_commit_gives_the_same_bytes(released: Path) -> None:
    def contents() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in released.iterdir()}

    first, clone = contents(), released.parents[1]
    git(clone, "config", "core.autocrlf", "true")
    git(clone, "config", "tar.umask", "0077")
    assert make(clone, "release").returncode == 0
    assert contents() == first
    packed = f"odre-{VERSION}.tar.gz"
    assert first[packed][4:8] == bytes(4), "the hour at which it was packed"
    lines = [line.split() for line in first["SHA256SUMS"].decode().splitlines()]
    assert {name for _, name in lines} == {packed, f"odre-{VERSION}.cdx.json"}
    assert all(digest == hashlib.sha256(first[name]).hexdigest() for digest, name in lines)


#: CycloneDX's own check, in the environment that has its library.
VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()):
    sys.exit(error.data.message)
"""


def test_the_list_of_packages_is_cyclonedx_and_has_what_python_311_installs(released: Path) -> None:
    text = (released / f"odre-{VERSION}.cdx.json").read_text()
    python = environments.ensure_checks()
    done = subprocess.run([python, "-c", VALIDATE], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    listed = json.loads(text)
    assert listed["metadata"]["component"]["version"] == VERSION
    machine = {"python_version": "3.11", "python_full_version": "3.11.11", "sys_platform": "linux"}
    machine |= {"platform_machine": "x86_64", "platform_python_implementation": "CPython"}
    lines = re.findall(r"^(\S+)==(\S+)(?: ; (.*?))?(?: \\)?$", (ROOT / "requirements" / "image.txt").read_text(), re.M)
    installed = {(name, version) for name, version, marker in lines if not marker or Marker(marker).evaluate(machine)}
    assert {(part["name"], part["version"]) for part in listed["components"]} == installed
    assert {"apache-airflow", "dbt-bigquery", "psycopg2-binary"} <= {name for name, _ in installed}


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a refusal."""
    assert done.returncode != 0, done.stdout
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_what_is_not_committed_is_not_released(clone: Path) -> None:
    (clone / "dags" / "another.py").touch()
    assert "error: dags/another.py is not as committed" in refusal(make(clone, "release"))


def test_the_tag_is_the_versions(clone: Path) -> None:
    assert f"error: There is no tag {TAG} here: git fetch --tags" in refusal(make(clone, "release", REF=TAG))
    told = f"error: v9.9.9 is not the tag of version {VERSION}, which pyproject.toml has: that is {TAG}"
    assert told in refusal(make(clone, "release", REF="v9.9.9"))
    git(clone, "tag", "v9.9.9")
    assert told in refusal(make(clone, "release"))


def test_a_version_is_released_once(clone: Path) -> None:
    git(clone, "tag", "--annotate", "--message=the first", TAG)
    assert make(clone, "release", REF=TAG).returncode == 0
    (clone / "dags" / "another.py").touch()
    commit(clone)
    for variables in ({}, {"REF": TAG}):
        assert f"error: {TAG} is another commit" in refusal(make(clone, "release", **variables))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (f"## {VERSION} - ", "## 0.0.1 - ", f"CHANGELOG.md has nothing under '## {VERSION} - <date>'"),
        (f"## {VERSION} - ", f"## {VERSION} of ", f"CHANGELOG.md has nothing under '## {VERSION} - <date>'"),
        ("## Unreleased\n", "## Unreleased\n\n- More.\n", "CHANGELOG.md has changes under Unreleased: move them"),
    ],
)
def test_a_changelog_that_is_not_cut_is_refused(clone: Path, old: str, new: str, told: str) -> None:
    edit(clone / "CHANGELOG.md", old, new)
    commit(clone)
    assert f"error: {told}" in refusal(make(clone, "release"))


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Docker and GitHub's client that only note how they were called."""
    folder = tmp_path / "programs"
    folder.mkdir()
    digest = f"sha256:{'0' * 64}"
    for name, body in {"docker": f'case "$*" in *imagetools*) echo {digest};; esac', "gh": ":"}.items():
        (folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {folder}/calls\n{body}\n')
        (folder / name).chmod(0o755)
    return folder


def test_what_a_tag_sets_off(clone: Path, programs: Path) -> None:
    workflow = yaml.safe_load((clone / ".github" / "workflows" / "release.yaml").read_text())
    assert workflow[True] == {"push": {"tags": ["v*"]}}
    git(clone, "tag", TAG)
    variables = {"REF": TAG, "GH_REPO": "An-Owner/Odre", "GH_TOKEN": "a-token", "GITHUB_ACTOR": "someone"}
    variables["GITHUB_OUTPUT"] = str(programs / "output")
    variables["PATH"] = f"{programs}:{Path(sys.executable).parent}:/usr/bin:/bin"
    for step in workflow["jobs"]["release"]["steps"]:
        if "run" in step:
            done = run(clone, "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"], **variables)
            assert done.returncode == 0, done.stderr
    head = git(clone, "rev-parse", "HEAD")
    calls = (programs / "calls").read_text().splitlines()
    (built,) = [call for call in calls if call.startswith("docker build ")]
    assert f"--target=production --tag=odre:{VERSION}" in built
    assert f"--label=org.opencontainers.image.version={VERSION}" in built
    assert f"--label=org.opencontainers.image.revision={head}" in built
    image = f"ghcr.io/an-owner/odre:{VERSION}"
    assert calls.index(f"docker tag odre:{VERSION} {image}") < calls.index(f"docker push {image}")
    assert (programs / "output").read_text() == f"name=ghcr.io/an-owner/odre\ndigest=sha256:{'0' * 64}\n"
    assert calls[-1].startswith(f"gh release create {TAG} --verify-tag"), "the release is last"
    published = [word for word in calls[-1].split() if word.startswith(".local/")]
    assert {Path(name).name for name in published} == {
        "notes.md",
        "SHA256SUMS",
        f"odre-{VERSION}.tar.gz",
        f"odre-{VERSION}.cdx.json",
    }
    assert "a-token" not in "".join(calls)
    assert all((clone / name).stat().st_size for name in published)


def test_a_tag_that_is_not_the_versions_publishes_nothing(clone: Path, programs: Path) -> None:
    git(clone, "tag", "v9.9.9")
    done = make(clone, "release", REF="v9.9.9", PATH=f"{programs}:{os.environ['PATH']}")
    assert "v9.9.9 is not the tag of version" in refusal(done)
    assert not (programs / "calls").exists()
    assert not (clone / ".local" / "release").exists()
