"""GitHub's workflows: what they may, what they run, and the one issue of a source that drifted."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.__main__ import COMMANDS

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))


def parsed(path: Path) -> dict[str, Any]:
    """A workflow; YAML takes its ``on`` for true."""
    loaded: dict[Any, Any] = yaml.safe_load(path.read_text())
    return {"on" if name is True else name: value for name, value in loaded.items()}


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    """Each workflow."""
    found: Path = request.param
    return found


def test_the_four_are_there() -> None:
    assert [path.stem for path in WORKFLOWS] == ["check-source", "ci", "deploy", "release"]


def test_a_workflow_may_no_more_than_it_needs(path: Path) -> None:
    workflow = parsed(path)
    assert workflow["permissions"] in ({}, {"contents": "read"})
    assert "pull_request_target" not in workflow["on"]
    written = {
        (path.stem, right)
        for job in workflow["jobs"].values()
        for right, kind in job.get("permissions", {}).items()
        if kind == "write"
    }
    of_a_release = {("release", right) for right in ("contents", "packages", "id-token", "attestations")}
    assert written <= {("deploy", "id-token"), ("check-source", "issues"), *of_a_release}
    assert "secrets." not in path.read_text(), "there is no secret to have"


def test_every_action_and_image_is_pinned_by_its_content(path: Path) -> None:
    for line in re.findall(r"\buses: (.*)", path.read_text()):
        assert re.search(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line
    for step in steps(parsed(path)):
        for image in re.findall(r"\b[\w./-]+/[\w.-]+:\d[\w.]*(?:@\S+)?", step.get("run", "")):
            assert re.search(r"@sha256:[0-9a-f]{64}$", image), image


def test_an_action_has_one_version_in_all_workflows() -> None:
    used = {line for path in WORKFLOWS for line in re.findall(r"\buses: (.*)", path.read_text())}
    assert len({line.partition("@")[0] for line in used}) == len(used)


def test_every_job_ends_and_keeps_no_credentials(path: Path) -> None:
    for job in parsed(path)["jobs"].values():
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout"):
                assert step["with"]["persist-credentials"] is False


def test_what_somebody_types_is_no_part_of_a_command(path: Path) -> None:
    for step in steps(parsed(path)):
        assert not re.search(r"\$\{\{\s*(inputs|github\.event|github\.head_ref)", step.get("run", ""))


def test_the_makefiles_commands_are_run() -> None:
    (ci,) = [parsed(path) for path in WORKFLOWS if path.stem == "ci"]
    targets = ci["jobs"]["make"]["strategy"]["matrix"]["target"]
    assert set(targets) <= set(COMMANDS)
    assert {"lint", "test", "test-faults", "test-browser", "test-compose", "audit"} == set(targets)
    named = {name for path in WORKFLOWS for name in re.findall(r"\bmake ([a-z][a-z-]+)", path.read_text())}
    assert named <= set(COMMANDS)


def test_deployments_queue_and_are_never_broken_off() -> None:
    (deploy,) = [parsed(path) for path in WORKFLOWS if path.stem == "deploy"]
    assert deploy["concurrency"] == {"group": "deploy-${{ inputs.environment }}", "cancel-in-progress": False}
    job = deploy["jobs"]["deploy"]
    assert job["environment"] == "${{ inputs.environment }}", "what Google's condition asks for"
    assert deploy["on"]["workflow_dispatch"]["inputs"]["environment"]["options"] == ["dev", "prod"]


@pytest.mark.parametrize(
    ("drifted", "open_issue", "told"),
    [
        (0, "", []),
        (0, "7", ["issue close 7"]),
        (1, "", ["label create source-drift", "issue create --title The source has drifted"]),
        (1, "7", ["issue edit 7 --body-file body.md"]),
    ],
)
def test_one_issue_is_open_while_the_source_has_drifted(
    tmp_path: Path, drifted: int, open_issue: str, told: list[str]
) -> None:
    (workflow,) = [parsed(path) for path in WORKFLOWS if path.stem == "check-source"]
    script = steps(workflow)[-1]["run"]
    programs = {
        "make": f"echo 'FAILED: a column is absent'; exit {drifted}",
        "gh": f'case "$*" in *list*) echo "{open_issue}";; *) echo "$*" >> {tmp_path}/told;; esac',
    }
    for name, body in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "RUN_URL": "https://example.org/1"}
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "told").read_text().splitlines() if (tmp_path / "told").exists() else []
    assert len(lines) == len(told)
    for line, beginning in zip(lines, told, strict=True):
        assert line.startswith(beginning)
    if drifted:
        assert "a column is absent" in (tmp_path / "body.md").read_text()


def test_what_is_bound_to_other_versions_is_not_moved_by_itself() -> None:
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    assert {update["package-ecosystem"] for update in updates} == {
        "pip",
        "docker",
        "docker-compose",
        "github-actions",
        "terraform",
    }
    (pip,) = [update for update in updates if update["package-ecosystem"] == "pip"]
    kept = {entry["dependency-name"] for entry in pip["ignore"]}
    assert {"apache-airflow", "apache-airflow-providers-google", "local-bigquery", "duckdb"} <= kept


#: What Dependabot makes of a line: it reads no argument, and proposes nothing for an image without a tag.
FROM = re.compile(r"^FROM (?P<image>[a-z\d]\S*?):(?P<tag>[\w.-]+)(?:@sha256:[0-9a-f]{64})? AS (?P<stage>[\w-]+)$")


def test_each_base_image_is_named_once_where_dependabot_renews_its_digest() -> None:
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("FROM ")]
    named = {found["image"]: found["stage"] for line in lines if (found := FROM.match(line))}
    assert set(named) == {"apache/airflow", "python"}
    # All others are built on a stage, or on one that a build argument can replace.
    stages = [line.split()[-1] for line in lines]
    for line in lines:
        if not FROM.match(line):
            replaceable = re.fullmatch(r"\$\{[A-Z]+_IMAGE:-([\w-]+)\}", line.split()[1])
            assert (replaceable[1] if replaceable else line.split()[1]) in stages
    compose = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"].values()
    pulled = {service["image"].partition(":")[0] for service in compose if not service["image"].startswith("$")}
    text = (ROOT / ".github" / "dependabot.yml").read_text()
    assert not any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)), "Dependabot refuses the whole file"
    rules = {update["package-ecosystem"]: update for update in yaml.safe_load(text)["updates"]}
    for ecosystem, images in (("docker", set(named)), ("docker-compose", pulled)):
        ignored = {entry["dependency-name"]: entry for entry in rules[ecosystem]["ignore"]}
        assert set(ignored) == images
        # Without these words all of an image would be ignored, new builds of the same tag too.
        kinds = {f"version-update:semver-{kind}" for kind in ("major", "minor", "patch")}
        assert all(set(entry["update-types"]) == kinds for entry in ignored.values())
