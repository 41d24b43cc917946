"""Terraform without an account: its form, what it grants, and what the checks leave out."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.terraform import provider
from tests.terraform.hcl import ROOT, TERRAFORM, parsed, resources, sources

#: A role on the whole project, where no less can be granted, and why.
PROJECT_ROLES = {
    "roles/bigquery.jobUser": "jobs belong to a project",
    "roles/bigquery.resourceViewer": "so does the list of jobs",
    "roles/composer.worker": "Composer asks for it",
    "roles/composer.user": "environments have no policy of their own",
}
BOUND_ROLES = {
    "roles/storage.objectUser",
    "roles/bigquery.dataEditor",
    "roles/bigquery.dataViewer",
    "roles/secretmanager.secretAccessor",
    "roles/iam.workloadIdentityUser",
    "roles/iam.serviceAccountTokenCreator",
}
#: What must not be found in infrastructure, workflows or the programs that deploy.
FORBIDDEN = re.compile(
    r"roles/(editor|owner)\b|allUsers|allAuthenticatedUsers|google_service_account_key|credentials_json|private_key"
    r"|BEGIN [A-Z ]*PRIVATE KEY|AIza[0-9A-Za-z_-]{20}|(password|secret_data|api_key)\s*[=:]\s*[\"'][^\"'$<{]",
    re.IGNORECASE,
)


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", sources(), ids=ids)
def test_each_file_can_be_parsed_and_is_tidy(path: Path) -> None:
    assert parsed(path)
    text = path.read_text()
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert [line for line in text.splitlines() if line != line.rstrip() or "\t" in line] == []


def test_nothing_is_open_to_everybody_and_no_key_is_written_down() -> None:
    places = [
        *sources(),
        *(ROOT / ".github").rglob("*.y*ml"),
        *(ROOT / "local").glob("*.py"),
    ]
    found = [(ids(path), match[0]) for path in places for match in FORBIDDEN.finditer(path.read_text())]
    assert found == []


@pytest.mark.parametrize(
    "text",
    ['role = "roles/editor"', "member: allUsers", 'password = "hunter2"', "-----BEGIN RSA PRIVATE KEY-----"],
)
def test_what_is_forbidden_would_be_found(text: str) -> None:
    assert FORBIDDEN.search(text)


def test_each_role_is_one_that_was_weighed() -> None:
    granted = {role for path in sources() for role in re.findall(r'"(roles/[\w.]+)"', path.read_text())}
    assert granted == set(PROJECT_ROLES) | BOUND_ROLES
    on_project = {name: settings for kind, name, settings in resources() if kind == "google_project_iam_member"}
    assert {name: settings["role"] for name, settings in on_project.items()} == {
        "this": "${each.value.role}",
        "connections": "roles/secretmanager.secretAccessor",
    }
    (condition,) = on_project["connections"]["condition"]
    assert condition["expression"].startswith("resource.name.startsWith("), "of the project's secrets it reads these"
    named = (TERRAFORM / "modules" / "iam" / "main.tf").read_text()
    listed = named[named.index("project_roles") : named.index("# Airflow's connections")]
    assert set(re.findall(r'"(roles/[\w.]+)"', listed)) == set(PROJECT_ROLES)


def test_whatever_can_carry_labels_does() -> None:
    declared = json.loads(provider.SCHEMA.read_text())["resources"]
    bare = []
    for kind, name, settings in resources():
        able = {"labels", "user_labels"} & set(declared[kind]["attributes"])
        # A channel's `labels` are its address.
        wanted = "user_labels" if "user_labels" in able else "labels"
        if able and settings.get(wanted) not in ("${var.labels}", "${local.labels}"):
            bare.append(f"{kind}.{name}")
    assert bare == []


def test_every_variable_and_output_is_described_and_checked() -> None:
    for path in sources():
        for kind in ("variable", "output"):
            for block in parsed(path).get(kind, []):
                for name, settings in block.items():
                    assert settings.get("description"), f"{ids(path)}: {name}"
                    if path.parent == TERRAFORM and kind == "variable" and settings["type"] != "bool":
                        assert settings["validation"], name
                        for validation in settings["validation"]:
                            assert validation["error_message"].startswith(name), "a message names the variable"


def test_every_skip_of_a_check_has_its_reason() -> None:
    places = [*sources(), *(ROOT / ".github").rglob("*.yaml")]
    skips = [line for path in places for line in path.read_text().splitlines() if "checkov:skip" in line]
    assert skips
    assert [line for line in skips if not re.search(r"checkov:skip=CKV2?_[A-Z]+_\d+:\w.{15,}", line)] == []


def test_the_provider_is_pinned_and_is_the_one_whose_schema_we_hold() -> None:
    (settings,) = parsed(TERRAFORM / "versions.tf")["terraform"]
    (providers,) = settings["required_providers"]
    assert providers["google"]["version"] == provider.VERSION


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_each_environment_has_a_file_that_asks_for_what_only_its_owner_knows(environment: str) -> None:
    settings = parsed(TERRAFORM / "environments" / f"{environment}.tfvars")
    variables = {
        name: block for entry in parsed(TERRAFORM / "variables.tf")["variable"] for name, block in entry.items()
    }
    assert {name for name, block in variables.items() if "default" not in block} <= set(settings) <= set(variables)
    assert settings["environment"] == environment
    assert settings["deletion_protection"] is (environment == "prod")
    assert (settings["project_id"], settings["github_repository"], settings["alert_emails"]) == ("", "", [])


# With the program itself.


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """The variables with which ``terraform`` runs with the stand-in of Google's provider."""
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not on the path: what only it can check is left out")
    folder = tmp_path_factory.mktemp("terraform")
    (folder / "config").write_text("")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TF_")},
        "TF_DATA_DIR": str(folder / "data"),
        "TF_CLI_CONFIG_FILE": str(folder / "config"),
        "TF_CLI_ARGS": "-no-color",
        "CHECKPOINT_DISABLE": "1",
    }
    with provider.serve() as leading_there:
        environment |= leading_there
        done = run(environment, "init", "-backend=false", "-input=false")
        assert done.returncode == 0, done.stderr
        yield environment


def run(environment: Mapping[str, str], *arguments: str, folder: Path = TERRAFORM) -> subprocess.CompletedProcess[str]:
    command = ["terraform", f"-chdir={folder}", *arguments]
    return subprocess.run(command, env=dict(environment), capture_output=True, text=True, timeout=300, check=False)


def test_each_file_is_formatted(terraform: Mapping[str, str]) -> None:
    done = run(terraform, "fmt", "-check", "-recursive", "-diff")
    assert done.returncode == 0, done.stdout


def test_the_configuration_is_valid(terraform: Mapping[str, str]) -> None:
    done = run(terraform, "validate")
    assert done.returncode == 0, done.stderr


@pytest.fixture
def elsewhere(terraform: Mapping[str, str], tmp_path: Path) -> Mapping[str, str]:
    """The variables for a folder that has nothing yet but the provider."""
    before_backend = (TERRAFORM / "versions.tf").read_text().partition("\n\n  # Bucket")[0]
    (tmp_path / "versions.tf").write_text(before_backend + "\n}\n")
    environment = {**terraform, "TF_DATA_DIR": str(tmp_path / "data")}
    assert run(environment, "init", folder=tmp_path).returncode == 0
    return environment


def test_the_stand_in_declares_what_its_file_says(elsewhere: Mapping[str, str], tmp_path: Path) -> None:
    held = json.loads(provider.SCHEMA.read_text())
    done = run(elsewhere, "providers", "schema", "-json", folder=tmp_path)
    assert provider.reduced(json.loads(done.stdout), held["resources"], held["data"]) == held
    used = {kind for kind, _, _ in resources()}
    assert set(held["resources"]) == used, "what is not used is not held"


def test_what_the_provider_does_not_know_is_refused(elsewhere: Mapping[str, str], tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(
        'resource "google_storage_bucket" "lake" {\n  name = "lake"\n  locaton = "EU"\n}\n'
    )
    done = run(elsewhere, "validate", folder=tmp_path)
    assert "locaton" in done.stderr
    assert "location" in done.stderr


def test_its_own_tests_pass(terraform: Mapping[str, str]) -> None:
    done = run(terraform, "test")
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed, 0 failed", done.stdout)
    written = (TERRAFORM / "tests" / "platform.tftest.hcl").read_text().count("\nrun ")
    assert passed
    assert int(passed[1]) == written


def test_a_file_that_is_not_filled_in_is_told_line_by_line(terraform: Mapping[str, str], tmp_path: Path) -> None:
    copy = tmp_path / "terraform"
    shutil.copytree(TERRAFORM, copy)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    (copy / "versions.tf").write_text((TERRAFORM / "versions.tf").read_text().replace('backend "gcs" {}', ""))
    environment = {**terraform, "TF_DATA_DIR": str(tmp_path / "data")}
    assert run(environment, "init", folder=copy).returncode == 0
    done = run(environment, "plan", "-json", "-var-file=environments/dev.tfvars", folder=copy)
    assert done.returncode == 1
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    told = {message["diagnostic"]["detail"].partition("\n")[0] for message in messages if message["@level"] == "error"}
    written = {
        name: block["validation"][0]["error_message"]
        for entry in parsed(TERRAFORM / "variables.tf")["variable"]
        for name, block in entry.items()
        if "validation" in block
    }
    assert told == {written[name] for name in ("project_id", "github_repository", "alert_emails")}
