"""What a deployment decides, without a bucket: order, environments, packages, Google's and Airflow's answers."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError, TransportError

from local import cloud, deploy, environments
from local.__main__ import COMMANDS
from local.basics import LocalError, Stopped
from local.cloud import Environment
from local.http import HttpError
from local.lists import composer_packages

DEV = Environment("dev", "odre-test", "europe-west1")


class Credentials(AnonymousCredentials):  # type: ignore[misc]
    """Credentials whose token is known."""

    def __init__(self) -> None:
        super().__init__()
        self.token = "a-token"


@contextmanager
def answering(answers: dict[str, tuple[int, Any]]) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """A server that answers GET by path; what it was asked: path, and who asks."""
    asked: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("Authorization")))
            status, body = answers.get(self.path.partition("?")[0], (404, {}))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small laid-out folder."""
    for name in ("dags/b.py", "dags/a.py", "dags/include/contracts/c.yaml", "plugins/odre/p.py", "plugins/plugin.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "plugins" / "__pycache__").mkdir()
    (tmp_path / "plugins" / "__pycache__" / "p.pyc").write_text("")
    return tmp_path


def test_what_dags_need_is_written_before_them_and_removed_after_them(folder: Path) -> None:
    files = deploy.objects(folder)
    gone = dict.fromkeys(["plugins/old.py", "dags/old.py", "dags/include/old.yaml"], "an MD5")
    assert [(change.action, change.name) for change in deploy.plan(files, gone)] == [
        ("write", "plugins/odre/p.py"),
        ("write", "plugins/plugin.py"),
        ("write", "dags/include/contracts/c.yaml"),
        ("write", "dags/a.py"),
        ("write", "dags/b.py"),
        ("remove", "dags/old.py"),
        ("remove", "dags/include/old.yaml"),
        ("remove", "plugins/old.py"),
    ]


def test_what_is_there_already_is_left_alone(folder: Path) -> None:
    files = deploy.objects(folder)
    there = {name: deploy._md5(path) for name, path in files.items()}
    assert deploy.plan(files, there) == []
    (folder / "dags" / "b.py").write_text("other")
    assert deploy.plan(files, there) == [deploy.Change("write", "dags/b.py")]


def test_what_is_composers_own_stays(folder: Path) -> None:
    files = deploy.objects(folder)
    there = {name: deploy._md5(path) for name, path in files.items()}
    assert deploy.plan(files, {**there, "dags/airflow_monitoring.py": "x", "dags/": "x", "plugins/": "x"}) == []


@pytest.mark.parametrize("name", ["", "staging", "../dev"])
def test_an_environment_is_dev_or_prod(name: str) -> None:
    with pytest.raises(LocalError, match="Give ENV=dev or ENV=prod"):
        Environment.chosen({"ENV": name})


def test_a_file_that_is_not_filled_in_is_named() -> None:
    with pytest.raises(LocalError, match=r"terraform/environments/prod\.tfvars is not filled in"):
        Environment.chosen({"ENV": "prod"})


def test_an_environment_is_what_its_file_says(tmp_path: Path) -> None:
    (tmp_path / "environments").mkdir()
    file = tmp_path / "environments" / "dev.tfvars"
    file.write_text('environment = "dev"\nproject_id        = "odre-test"\n')
    (tmp_path / "variables.tf").write_text((cloud.TERRAFORM / "variables.tf").read_text())
    assert Environment.chosen({"ENV": "dev"}, tmp_path) == DEV
    file.write_text('project_id = "odre-test"\nregion = "europe-west9"\n')
    chosen = Environment.chosen({"ENV": "dev"}, tmp_path)
    assert chosen.composer == "projects/odre-test/locations/europe-west9/environments/odre-dev"
    assert chosen.state_bucket == "odre-test-terraform"


def test_production_is_not_removed_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    production = Environment("prod", "odre-prod", "europe-west1")
    with pytest.raises(LocalError, match="from a terminal only"):
        cloud.confirm_destruction(production)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    with pytest.raises(LocalError, match="Nothing was removed"):
        cloud.confirm_destruction(production)
    monkeypatch.setattr("builtins.input", lambda _: "destroy odre-prod")
    cloud.confirm_destruction(production)
    cloud.confirm_destruction(DEV)


@pytest.fixture
def terraform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that notes how it was called, in place of Terraform; it fails where a file ``fail`` is."""
    program = tmp_path / "terraform"
    program.write_text(f'#!/bin/sh\necho "$TF_DATA_DIR $@" >> {tmp_path}/calls\n! test -e {tmp_path}/fail\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


def test_terraform_works_on_the_state_and_with_the_file_of_the_environment(terraform: Path) -> None:
    assert cloud.terraform("plan", DEV) == 0
    first, second = (terraform / "calls").read_text().splitlines()
    assert "init -input=false -backend-config=bucket=odre-test-terraform -backend-config=prefix=odre" in first
    assert second.endswith("plan -var-file=environments/dev.tfvars")
    assert first.split()[0].endswith(".local/terraform/dev"), "two environments do not share what Terraform notes"


def test_a_state_that_cannot_be_reached_is_explained(terraform: Path) -> None:
    (terraform / "fail").touch()
    with pytest.raises(LocalError, match=r"odre-test-terraform, is made by hand once: docs/production\.md"):
        cloud.terraform("apply", DEV)


def test_terraform_is_interrupted_and_never_killed_in_the_middle_of_a_change(terraform: Path) -> None:
    program = f"sleep 3600 &\ntrap 'kill $!; touch {terraform}/ended; exit 1' INT\nsleep 1\nkill -TERM $PPID\nwait\n"
    (terraform / "terraform").write_text(f'#!/bin/sh\ncase "$*" in *" init "*) exit 0;; esac\n{program}')

    def stop(number: int, _: object) -> None:
        raise Stopped(number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        with pytest.raises(Stopped):
            cloud.terraform("apply", DEV)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (terraform / "ended").exists(), "it had the time to write its state"


def test_without_terraform_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalError, match="terraform is not on the path"):
        cloud.terraform("plan", DEV)


@pytest.mark.parametrize(
    ("ref", "environment", "told"),
    [
        ("", "dev", "make deploy ENV=dev REF=<tag>"),
        ("no-such-tag", "dev", "REF=no-such-tag is no tag or commit here"),
        ("HEAD", "prod", "REF=HEAD is no tag here"),
        ("--help", "dev", "REF=--help is no tag or commit"),
    ],
)
def test_what_cannot_be_deployed(ref: str, environment: str, told: str) -> None:
    with (
        pytest.raises(LocalError, match=told),
        cloud.checked_out(ref, Environment(environment, "odre-test", "europe-west1")),
    ):
        pass


def test_where_git_itself_refuses_its_words_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    told = "Git cannot look for REF=v1: fatal: not a git repository: '/nowhere'"
    with pytest.raises(LocalError, match=told), cloud.checked_out("v1", DEV):
        pass


def test_without_git_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalError, match="git is not on the path"), cloud.checked_out("v1", DEV):
        pass


def test_a_commit_is_checked_out_as_it_is_in_git() -> None:
    with cloud.checked_out("HEAD", DEV) as (tree, commit):
        assert len(commit) == 40
        assert (tree / "dags" / "eco2mix_hourly.py").is_file()
        assert sorted(path.name for path in tree.iterdir()) == ["dags", "include", "plugins", "requirements"]
    assert not tree.exists()


def described(state: str = "RUNNING") -> dict[str, Any]:
    """An environment as Composer's API describes it."""
    return {
        "state": state,
        "storageConfig": {"bucket": "odre-test-composer"},
        "config": {
            "airflowUri": "https://airflow.example",
            "softwareConfig": {"envVariables": {"LAKE_BUCKET": "lake"}, "pypiPackages": {"dbt-core": "==1.11.16"}},
        },
    }


def test_an_environment_is_found_as_google_describes_it() -> None:
    with answering({f"/{DEV.composer}": (200, described())}) as (api, asked):
        target = deploy.find_target(DEV, Credentials(), api)
    assert asked == [(f"/{DEV.composer}", "Bearer a-token")]
    assert target.bucket.name == "odre-test-composer"
    assert target.variables == {"LAKE_BUCKET": "lake"}
    assert isinstance(target.airflow, deploy.ComposerApi)
    assert target.airflow.url == "https://airflow.example"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((404, {}), "is not there: make apply ENV=dev, with composer_enabled = true"),
        ((403, {}), "may not be seen by these credentials"),
        ((500, {}), "cannot be read: HTTP 500"),
        ((200, described("UPDATING")), "The environment is UPDATING: wait"),
    ],
)
def test_an_environment_that_cannot_be_deployed_to(answer: tuple[int, Any], told: str) -> None:
    with answering({f"/{DEV.composer}": answer}) as (api, _), pytest.raises(LocalError, match=told):
        deploy.find_target(DEV, Credentials(), api)


def test_composers_airflow_takes_googles_token() -> None:
    with answering({"/api/v2/dags": (200, {"dags": []})}) as (url, asked):
        api = deploy.ComposerApi(url, "", "", credentials=Credentials())
        assert api.call("GET", "dags", limit=1) == {"dags": []}
    assert asked == [("/api/v2/dags?limit=1", "Bearer a-token")]


def test_code_whose_packages_are_not_there_is_refused() -> None:
    wanted = composer_packages()

    def target(packages: dict[str, str]) -> deploy.Target:
        return deploy.Target(None, deploy.ComposerApi("", "", ""), {}, packages, "dev")

    there = {name: f"=={version}" for name, version in wanted.items()}
    deploy.check_packages(wanted, target(there))
    for packages in ({**there, "dbt-core": "==1.0.0"}, {**there, "another": "==1"}, {}):
        with pytest.raises(LocalError, match="make apply ENV=dev first"):
            deploy.check_packages(wanted, target(packages))


def test_composer_installs_the_pins_of_its_python_but_what_its_image_brings(tmp_path: Path) -> None:
    (tmp_path / "airflow.txt").write_text(
        "apache-airflow==3.3.1 ; python_full_version < '3.13' and sys_platform == 'linux' \\\n    --hash=sha256:0\n"
        "networkx==3.6 ; python_full_version < '3.12' \\\n    --hash=sha256:1\n    # via dbt-core\n"
        "networkx==3.7 ; python_full_version == '3.12.*' \\\n    --hash=sha256:2\n"
    )
    (tmp_path / "composer-image.txt").write_text("apache-airflow==3.3.1\n    # via an image\n")
    assert composer_packages(tmp_path) == {"networkx": "3.6"}


def test_a_tag_with_other_pins_has_an_environment_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def ensure(name: str, title: str, requirements: list[Path]) -> Path:
        made.append(name)
        return Path(name)

    monkeypatch.setattr(environments, "_ensure", ensure)
    requirements = tmp_path / "airflow.txt"
    requirements.write_bytes((environments.REQUIREMENTS / "airflow.txt").read_bytes())
    assert environments.ensure_pinned(requirements) == Path("airflow")
    requirements.write_text("apache-airflow==3.3.0\n")
    assert environments.ensure_pinned(requirements) == Path("deploy")
    assert made == ["airflow", "deploy"]


def test_a_deployment_runs_on_the_tags_code_with_the_callers_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, ...]] = []

    def run_in(python: Path, *arguments: str, environment: dict[str, str]) -> int:
        seen.append(arguments)
        assert environment["GOOGLE_APPLICATION_CREDENTIALS"] == "/somewhere"
        assert "STORAGE_EMULATOR_HOST" not in environment, "or the code would land there"
        assert (Path(arguments[3]) / "plugins" / "odre").is_dir()
        return 0

    monkeypatch.setattr(Environment, "chosen", lambda: DEV)
    monkeypatch.setattr(environments, "ensure_pinned", lambda requirements: Path("python"))
    monkeypatch.setattr(environments, "run_in", run_in)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/somewhere")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
    monkeypatch.setenv("REF", "HEAD")
    assert COMMANDS["deploy"]() == 0
    ((python, *command),) = seen
    assert (python, command[:2], command[3]) == ("python", ["-m", "local.deploy"], "HEAD")


@pytest.mark.parametrize(
    ("failure", "code", "told"),
    [
        (LocalError("something to mend"), 1, "error: something to mend"),
        (GoogleAuthError("none found"), 1, "error: No credentials of Google's: gcloud auth application-default login"),
        (TransportError("no route"), 1, "error: Google or Airflow does not answer: no route. Run it again"),
        (HttpError(403, "no"), 1, "error: Airflow's API refused: HTTP 403: no. Has the account the role Op"),
        (HttpError(500, "oh"), 1, "error: Airflow's API refused: HTTP 500: oh. Run it again to complete it"),
        (ConnectionResetError("reset"), 1, "error: Google or Airflow does not answer: reset. Run it again"),
        (KeyboardInterrupt(), 130, "\nBroken off. Run it again to complete it"),
    ],
)
def test_whatever_ends_a_deployment_is_one_line(
    failure: BaseException,
    code: int,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(**_: object) -> None:
        raise failure

    monkeypatch.setattr("google.auth.default", fail)
    monkeypatch.setattr("sys.argv", ["deploy", "tree", "v1", "a" * 40])
    assert deploy.main() == code
    said = capsys.readouterr().err
    assert said.startswith(told)
    assert said.strip().count("\n") == 0
