"""What stands in Terraform and in the code alike: a side that moves alone is found here."""

from __future__ import annotations

import ast
import json
import re
from datetime import UTC, date, datetime
from importlib import import_module
from types import SimpleNamespace

import pytest
from airflow import configuration as airflow_configuration
from airflow.providers.google.cloud._internal_client.secret_manager_client import _SecretManagerClient
from airflow.providers.google.cloud.secrets import secret_manager
from google.api_core.exceptions import NotFound, PermissionDenied

from local.lists import COMPOSER_IMAGE_DAY, composer_packages
from local.stack import shared_settings
from local.warehouse import DAY_MS
from odre.alerts import late_text
from odre.settings import DBT_PROFILE, POOLS, Settings, dbt_target
from tests.terraform.hcl import ROOT, TERRAFORM, default, local, module, parsed, resources

README = (ROOT / "README.md").read_text()
#: Of dbt and Airflow themselves.
OF_THE_TOOLS = {"DBT_SEND_ANONYMOUS_USAGE_STATS", "DO_NOT_TRACK"}
#: A deployment to Google Cloud has no emulators.
OF_THE_EMULATORS = {"BIGQUERY_EMULATOR_HOST", "STORAGE_EMULATOR_HOST"}
#: Airflow's connections that are no secret; the dashboard's is named by DASHBOARD_CONN_ID.
CONNECTIONS = {"AIRFLOW_CONN_ODRE_DEFAULT", "AIRFLOW_CONN_DASHBOARD"}
#: Found, not set: components differ in what they have (plugins/odre/settings.py).
FOLDERS = {"CONTRACTS_DIR", "DBT_PROJECT_DIR", "DBT_MANIFEST"}
#: The DAGs set the one for each build.
OPTIONAL = {"DATA_TESTS", *FOLDERS}


def pins(name: str) -> dict[str, str]:
    """The versions of a list by package, read with Terraform's own expression; for Python 3.11, as Composer has it."""
    pin = local("composer", "pin")
    return dict(re.findall(pin, (ROOT / "requirements" / f"{name}.txt").read_text()))


def listed(name: str) -> dict[str, str]:
    """Every pin of a list by package, whatever Python and machine it is for."""
    text = (ROOT / "requirements" / name).read_text()
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ ;\n]+)", text, re.MULTILINE))


def variables_of_terraform() -> set[str]:
    root = parsed(TERRAFORM / "main.tf")["locals"][0]
    prefixes = set(re.findall(r"([A-Z_]+) = var\.", root["prefixes"]))
    assert prefixes
    return set(root["places"]) | prefixes | set(local("composer", "environment_variables"))


def test_the_datasets_are_the_codes() -> None:
    datasets = local("warehouse", "datasets")
    assert tuple(datasets) == Settings.from_environment({}).datasets
    settings = Settings.from_environment({})
    assert local("warehouse", "published") == [settings.ops_dataset, settings.marts_dataset], (
        "as docs/dashboard.md says"
    )


def test_tables_of_one_run_expire_as_they_do_on_one_machine() -> None:
    (expiring,) = local("warehouse", "table_expiration_ms").items()
    name, milliseconds = expiring
    assert name == Settings.from_environment({}).load_dataset
    assert eval(milliseconds.strip("${}")) == DAY_MS


def test_the_pools_are_the_codes() -> None:
    assert local("composer", "pools") == {pool.name: pool.slots for pool in POOLS}


def test_tasks_are_told_what_the_readme_says_that_a_deployment_sets() -> None:
    _, _, section = README.partition("These are read by the DAGs and by dbt.")
    table = section.partition("\n`docker compose` reads")[0]
    listed = set(re.findall(r"^\| `([A-Z_0-9]+)` \|", table, re.MULTILINE))
    assert listed
    told = variables_of_terraform() - OF_THE_TOOLS
    assert told - CONNECTIONS <= listed
    assert listed >= OPTIONAL | OF_THE_EMULATORS
    assert listed - OF_THE_EMULATORS - OPTIONAL <= told


def test_a_query_may_bill_as_much_as_the_code_says() -> None:
    assert default("maximum_bytes_billed") == Settings.from_environment({}).maximum_bytes_billed


def test_the_source_is_the_portal_where_no_secret_names_another() -> None:
    from odre.address import ODRE

    assert f'host = "{ODRE}"' in local("composer", "environment_variables")["AIRFLOW_CONN_ODRE_DEFAULT"]


def test_the_image_is_one_build_whose_packages_are_listed() -> None:
    airflow = pins("airflow")["apache-airflow"]
    image = default("composer_image")
    assert re.fullmatch(rf"composer-3-airflow-{re.escape(airflow)}-build[.]\d+", image)
    source = (ROOT / "requirements" / "composer-image.in").read_text()
    assert f"image {image}, of {date.fromisoformat(COMPOSER_IMAGE_DAY):%-d %B %Y};" in source.splitlines()[0]
    assert listed("composer-image.in").items() <= listed("composer-image.txt").items()
    page = (ROOT / "docs" / "production.md").read_text()
    assert re.findall(r"composer-3-airflow-[\w.-]+", page) == [image]
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.search(rf"^FROM apache/airflow:{re.escape(airflow)}-python3\.11[@ ]", dockerfile, re.MULTILINE)


@pytest.mark.parametrize("name", ["airflow", "image", "dev"])
def test_tests_and_containers_run_with_the_versions_of_composers_image(name: str) -> None:
    ours, images = listed(f"{name}.txt"), listed("composer-image.txt")
    shared = ours.keys() & images.keys()
    assert {"apache-airflow", "pyarrow", "numpy", "pandas", "protobuf", "google-cloud-bigquery"} <= shared
    assert {package: ours[package] for package in shared if ours[package] != images[package]} == {}


def test_the_image_parses_the_dbt_project_as_its_tasks_do() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert f"--profile {DBT_PROFILE} --target {dbt_target({})}" in dockerfile


def test_composer_installs_the_pinned_list_less_what_its_image_brings() -> None:
    every, brought = pins("airflow"), set(listed("composer-image.txt"))
    installed = {name: version for name, version in every.items() if name not in brought}
    assert local("composer", "brought").startswith('${[for pin in regexall("(?m)^([a-z0-9._-]+)=="')
    assert installed == composer_packages()
    direct = {
        re.split(r"[=\[ ]", line)[0]
        for line in (ROOT / "requirements" / "airflow.in").read_text().splitlines()
        if line and line[0] not in "#-"
    }
    assert direct <= set(installed) | brought
    # dbt is in the image too, in other versions.
    assert {"astronomer-cosmos", "dbt-core", "dbt-adapters", "dbt-bigquery"} <= set(installed)
    assert {"apache-airflow", "apache-airflow-providers-google"} <= brought


@pytest.mark.parametrize("name", ["image", "dev"])
def test_every_list_has_the_versions_of_the_list_that_composer_gets(name: str) -> None:
    ours, composers = pins(name), pins("airflow")
    assert {name: ours[name] for name in composers} == composers


def test_secrets_are_looked_up_by_the_names_of_the_connections_that_the_code_uses() -> None:
    used = set()
    for path in (ROOT / "plugins").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and re.fullmatch(r"(odre|slack\w*)_default", str(node.value)):
                used.add(node.value)
    assert set(local("iam", "connections")) == used
    kwargs = local("composer", "airflow_settings")["secrets-backend_kwargs"]
    (prefix,) = re.findall(r'connections_prefix = "([\w-]+)"', kwargs)
    assert local("iam", "connection_prefix") == f"{prefix}-"
    text = (TERRAFORM / "modules" / "iam" / "main.tf").read_text()
    assert re.findall(r"secret_id *= (.+)", text) == ['"${local.connection_prefix}${each.value}"']
    runbook = (ROOT / "docs" / "runbooks" / "rotate-api-key.md").read_text()
    assert f"{prefix}-odre_default" in runbook


class SecretManager:
    """Google's answers, as its client raises them: what is granted and absent is not found, the rest is refused."""

    def __init__(self, granted: str, secrets: dict[str, str]) -> None:
        self.granted, self.secrets = granted, secrets

    def secret_version_path(self, project: str, secret: str, version: str) -> str:
        return f"projects/{project}/secrets/{secret}/versions/{version}"

    def access_secret_version(self, request: dict[str, str]) -> SimpleNamespace:
        name = request["name"]
        if not name.startswith(self.granted):
            raise PermissionDenied(f"Permission 'secretmanager.versions.access' denied on resource {name}")
        if (value := self.secrets.get(name)) is None:
            raise NotFound(f"{name} is not found or has no versions")
        return SimpleNamespace(payload=SimpleNamespace(data=value.encode()))


def test_a_connection_that_is_no_secret_is_no_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Airflow's own backend, with Terraform's settings and Terraform's grant."""

    def logged_errors() -> int:
        printed = capsys.readouterr()
        return (caplog.text + printed.out + printed.err).lower().count("error (")

    (grant,) = [settings for _, name, settings in resources() if name == "connections"]
    (granted,) = re.findall(r'startsWith[(]"(.+)"[)]', grant["condition"][0]["expression"])
    granted = granted.replace("${var.project_number}", "odre-test")  # the stand-in has no other name of a project
    granted = granted.replace("${local.connection_prefix}", local("iam", "connection_prefix"))
    webhook = f"{granted}slack_default/versions/latest"
    google = SecretManager(granted, {webhook: "https://hooks.example.com"})
    monkeypatch.setattr(secret_manager, "get_credentials_and_project_id", lambda **_: (None, "odre-test"))
    monkeypatch.setattr(_SecretManagerClient, "client", google)
    settings = local("composer", "airflow_settings")
    kwargs = re.findall(r"(\w+) = (null|\"[^\"]*\")", settings["secrets-backend_kwargs"])
    module_name, _, class_name = settings["secrets-backend"].rpartition(".")
    backend_class = getattr(import_module(module_name), class_name)
    backend = backend_class(project_id="odre-test", **{name: json.loads(value) for name, value in kwargs})
    assert backend.get_conn_value("slack_default") == "https://hooks.example.com"
    for name in (*local("iam", "connections"), "google_cloud_default", "dashboard", "one_of_somebody"):
        if name != "slack_default":
            assert backend.get_conn_value(name) is None
    assert backend.get_variable("anything") is None
    assert backend.get_config("anything") is None
    assert logged_errors() == 0
    # What is outside of the grant would be one.
    google.granted = webhook
    backend.get_conn_value("dashboard")
    assert logged_errors() == 1


def settings_of_composer() -> dict[str, str]:
    """Airflow's settings there, by the names of their environment variables; references to sizes by their values."""
    settings = {}
    for name, value in local("composer", "airflow_settings").items():
        section, _, option = name.partition("-")
        size = re.fullmatch(r"\$\{tostring\(local\.(\w+)\)\}", value)
        settings[f"AIRFLOW__{section}__{option}".upper()] = str(local("composer", size[1])) if size else value
    return settings


def test_composer_sets_cosmos_as_this_machine_does() -> None:
    ours = {name: value for name, value in shared_settings().items() if name.startswith("AIRFLOW__COSMOS__")}
    composers = settings_of_composer()
    assert {name: value for name, value in composers.items() if name.startswith("AIRFLOW__COSMOS__")} == ours


def test_composer_waits_as_long_as_this_machine_does() -> None:
    ours = {name: int(value) for name, value in shared_settings().items() if name.endswith(("_TIMEOUT", "_THRESHOLD"))}
    composers = {name: int(value) for name, value in settings_of_composer().items() if name in ours}
    # Google takes no shorter time for a file's import than for the whole reading.
    ours["AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT"] = ours["AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT"]
    assert composers == ours
    size = sizes()
    starts = size["worker_concurrency"] * size["start_seconds"] / local("composer", "workloads")["worker"]["cpu"]
    assert min(composers.values()) > starts


@pytest.mark.parametrize("alert", local("monitoring", "alerts"))
def test_every_alert_has_a_runbook(alert: str) -> None:
    settings = local("monitoring", "alerts")[alert]
    assert (ROOT / "docs" / "runbooks" / f"{settings['runbook']}.md").is_file()
    assert settings["text"]
    page = (ROOT / "docs" / "production.md").read_text()
    assert re.search(rf"^\| {settings['title']} \| .* \| \[{settings['runbook']}\.md\]", page, re.MULTILINE)


def logged(text: str) -> str:
    """The format of the one line of the operators' log that holds this."""
    tree = ast.parse((ROOT / "plugins" / "odre" / "operators.py").read_text())
    (found,) = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and text in node.value and "%" in node.value
    ]
    return found


def test_logs_are_searched_for_what_the_tasks_write() -> None:
    searched = local("monitoring", "logs")
    quarantined = logged("break the contract and are in the quarantine")
    assert re.search(searched["quarantined"], quarantined % ("eco2mix-national-tr", "2026", 12, 300))
    assert not re.search(searched["quarantined"], quarantined % ("eco2mix-national-tr", "2026", 8, 300))
    assert re.search(searched["stale"], logged("the source is stale") % ("eco2mix-national-tr", 7, 6))
    now = datetime(2026, 1, 2, tzinfo=UTC)
    for succeeded_at in (None, now):
        assert re.search(searched["late"], late_text("gas_storage_daily", succeeded_at, now))


#: The labels of a resource, as Google's list of monitored resources has them. A filter by another one is refused.
RESOURCE_LABELS = {
    "bigquery_project": {"project_id", "location"},
    "cloud_composer_environment": {"project_id", "location", "environment_name"},
    "cloud_composer_workflow": {"project_id", "location", "workflow_name"},
}


@pytest.mark.parametrize("alert", local("monitoring", "alerts"))
def test_an_alert_looks_at_one_thing_by_labels_that_it_has(alert: str) -> None:
    settings = local("monitoring", "alerts")[alert]
    (kind,) = {"metric", "log", "query"} & set(settings)
    looked = settings[kind].replace("${local.environment}", local("monitoring", "environment"))
    if kind == "log":
        assert looked.removeprefix("${local.logs.").removesuffix("}") in local("monitoring", "logs")
        return
    looked = looked.replace("${local.successes}", local("monitoring", "successes"))
    (resource,) = re.findall(r'(?:resource[.]type|monitored_resource) ?= ?"(\w+)"', looked)
    labels = {*re.findall(r"resource[.]labels?[.](\w+)", looked), *re.findall(r"(\w+_name)=~", looked)}
    labels |= {name.removeprefix("resource.label.") for name in settings.get("by", []) if name.startswith("resource.")}
    assert labels <= RESOURCE_LABELS[resource]


def test_three_hours_without_a_success_are_told_of_even_if_there_never_was_one() -> None:
    alert, successes = local("monitoring", "alerts")["no-success"], local("monitoring", "successes")
    (hours,) = re.findall(r"\[(\d+)h\]", successes)
    assert int(hours) * 3600 + alert["lasts"] == 3 * 3600
    assert successes.endswith(" or vector(0)")
    assert alert["query"] == "(${local.successes}) < 0.5"
    # Google names a workflow after its environment and its DAG; a name without the first is found too.
    (pattern,) = re.findall(r'workflow_name=~"([^"]+)"', successes)
    for name in ("odre-prod.eco2mix_hourly", "eco2mix_hourly"):
        assert re.fullmatch(pattern, name)
    assert not re.fullmatch(pattern, "odre-prod.gas_storage_daily")
    assert (ROOT / "dags" / "eco2mix_hourly.py").is_file()


def test_no_alert_waits_for_a_metric_of_ours() -> None:
    text = (TERRAFORM / "modules" / "monitoring" / "main.tf").read_text()
    assert "logging.googleapis.com/user" not in text


def test_the_page_reads_by_the_dashboards_account() -> None:
    told = local("composer", "environment_variables")
    assert f"AIRFLOW_CONN_{told['DASHBOARD_CONN_ID'].upper()}" in told
    assert "impersonation_chain = var.dashboard" in told["AIRFLOW_CONN_DASHBOARD"]


def test_composer_is_told_of_no_folder() -> None:
    """Each component finds its own (tests/dags): the web server has plugins/ alone, and a worker dags/ too."""
    assert not variables_of_terraform() & FOLDERS
    assert "/home/airflow" not in (TERRAFORM / "modules" / "composer" / "main.tf").read_text()


def sizes() -> dict[str, float]:
    """What one start of a task costs, and the numbers that follow from it."""
    names = ("start_seconds", "start_gb", "task_gb", "worker_concurrency", "max_workers", "parsing_processes")
    return {name: local("composer", name) for name in (*names, "import_timeout", "processor_timeout", "stale_after")}


def test_processes_that_start_at_once_are_done_within_half_of_airflows_bound() -> None:
    size, machines = sizes(), local("composer", "workloads")
    for at_once, machine in (("worker_concurrency", "worker"), ("parsing_processes", "dag_processor")):
        seconds = size[at_once] * size["start_seconds"] / machines[machine]["cpu"]
        assert seconds <= size["import_timeout"] / 2, machine
    # Google's own bounds on the two; and a reading that was given up does not make a DAG stale.
    assert size["processor_timeout"] <= size["import_timeout"] <= 600
    assert size["stale_after"] >= 3 * size["processor_timeout"]


def test_processes_that_run_at_once_fill_half_of_the_memory_at_most() -> None:
    size, machines = sizes(), local("composer", "workloads")
    assert size["start_gb"] <= size["task_gb"]
    assert size["worker_concurrency"] * size["task_gb"] <= machines["worker"]["memory_gb"] / 2
    assert size["parsing_processes"] * size["start_gb"] <= machines["dag_processor"]["memory_gb"] / 2


def test_machines_are_of_a_size_that_google_has() -> None:
    machines = local("composer", "workloads")
    for name, machine in machines.items():
        assert machine["cpu"] in ((0.5, 1) if name in ("scheduler", "triggerer") else (0.5, 1, *range(2, 33, 2))), name
        assert machine["cpu"] <= machine["memory_gb"] <= 8 * machine["cpu"], name
    assert machines["web_server"]["cpu"] >= 1
    assert machines["web_server"]["memory_gb"] >= 3
    (config,) = dict(module("composer")["resource"][-1])["google_composer_environment"]["this"]["config"]
    (asked,) = config["workloads_config"]
    for name in machines:
        (block,) = asked[name]
        for part in ("cpu", "memory_gb"):
            assert block[part] == f"${{local.workloads.{name}.{part}}}"
    assert asked["worker"][0]["max_count"] == "${local.max_workers}"


def test_the_page_on_costs_counts_the_machines_that_terraform_asks_for() -> None:
    machines = local("composer", "workloads")
    sums = {part: sum(machine[part] for machine in machines.values()) for part in ("cpu", "memory_gb")}
    page = (ROOT / "docs" / "production.md").read_text()
    assert f"Terraform asks for {sums['cpu']:g} vCPU and {sums['memory_gb']:g} GB" in page
    assert f"{machines['worker']['cpu']:g} vCPU and {machines['worker']['memory_gb']:g} GB more" in page


def test_each_setting_is_an_option_of_airflow() -> None:
    options = airflow_configuration.retrieve_configuration_description(include_providers=False)
    named = {tuple(name.split("-", 1)) for name in local("composer", "airflow_settings")}
    of_airflow = {(section, option) for section, option in named if section not in ("celery", "cosmos")}
    assert len(of_airflow) > 5
    assert [pair for pair in of_airflow if pair[1] not in options.get(pair[0], {"options": ()})["options"]] == []


def test_the_page_on_production_names_the_commands() -> None:
    page = (ROOT / "docs" / "production.md").read_text()
    for command in ("plan", "apply", "destroy", "deploy"):
        assert f"make {command} ENV=" in page
