"""Deployment: a tag's code into the bucket of a Composer environment, and a wait until Airflow has read it.

The bucket becomes what the tag says: objects that differ are written, those that it does not have are removed. Plugins
and what they read come first and DAG files last, so that no DAG file meets modules older than itself. Nothing is
remembered in between: an interrupted deployment is completed by running it again, and one that is done changes nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from local.airflow_api import AirflowApi
from local.basics import ROOT, LocalError, clean_environment, exception_line, say, step
from local.cloud import Environment
from local.http import HttpError, request
from local.lists import composer_packages
from local.stack import MADE_BY_DBT

COMPOSER_API: Final = "https://composer.googleapis.com/v1"

#: Composer's own, beside ours.
KEPT: Final = frozenset({"dags/airflow_monitoring.py"})
#: What was deployed last, for whoever wants to know; nothing depends on it.
RECORD: Final = "data/deployed.json"
#: Composer copies the bucket to its machines within this time.
COPIED_AFTER: Final = timedelta(minutes=3)
#: Seconds that Airflow has to read the DAGs after that.
PATIENCE: Final = 1200
#: What dbt notes in its manifest of when and where it was made: the same project would give another each time.
OF_THE_MOMENT: Final = {
    "created_at": 0,
    **dict.fromkeys(("generated_at", "invocation_id", "invocation_started_at", "run_started_at", "root_path"), ""),
}
#: The next step where nothing is to be mended.
AGAIN: Final = "Run it again to complete it"


@dataclass(frozen=True)
class Change:
    """An object to ``write`` or to ``remove``."""

    action: str
    name: str


def objects(laid_out: Path) -> dict[str, Path]:
    """The files of a laid-out folder by their names in the bucket."""
    return {
        str(path.relative_to(laid_out)): path
        for path in sorted(laid_out.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def plan(files: Mapping[str, Path], remote: Mapping[str, str]) -> list[Change]:
    """What makes the bucket (MD5 by name) equal to the files, in the order in which it is safe."""

    def rank(name: str) -> int:
        folders = ("plugins/", "dags/include/", "dags/")
        return next(number for number, folder in enumerate(folders) if name.startswith(folder))

    write = [name for name, path in files.items() if remote.get(name) != _md5(path)]
    remove = [name for name in remote if name not in files and name not in KEPT and not name.endswith("/")]
    return [
        *(Change("write", name) for name in sorted(write, key=lambda name: (rank(name), name))),
        *(Change("remove", name) for name in sorted(remove, key=lambda name: (-rank(name), name))),
    ]


def _md5(path: Path) -> str:
    """As Cloud Storage gives it."""
    return base64.b64encode(hashlib.md5(path.read_bytes(), usedforsecurity=False).digest()).decode()


def listed(bucket: Any) -> dict[str, Any]:
    """The bucket's objects that a deployment looks after, by name."""
    return {blob.name: blob for prefix in ("plugins/", "dags/") for blob in bucket.list_blobs(prefix=prefix)}


def carry_out(changes: Sequence[Change], files: Mapping[str, Path], bucket: Any) -> None:
    """Write and remove objects, one after the other."""
    for change in changes:
        blob = bucket.blob(change.name)
        if change.action == "write":
            blob.upload_from_filename(str(files[change.name]))
        else:
            blob.delete()


def lay_out(tree: Path, folder: Path) -> None:
    """The code of a checkout as Composer has it: ``include`` within ``dags``, contracts also within ``plugins``.

    Composer's web server, which shows how old each dataset may become, has the plugins and not the DAGs.
    """
    shutil.copytree(tree / "dags", folder / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(tree / "plugins", folder / "plugins", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(tree / "include" / "contracts", folder / "plugins" / "include" / "contracts")
    made = shutil.ignore_patterns("__pycache__", ".user.yml", *(path.name for path in MADE_BY_DBT))
    shutil.copytree(tree / "include", folder / "dags" / "include", ignore=made)


def build_manifest(folder: Path, variables: Mapping[str, str]) -> None:
    """Make dbt's manifest of a laid-out folder, without what differs each time it is made.

    Raises:
        LocalError: dbt cannot read the project; its own words are on the screen.
    """
    project = folder / "dags" / "include" / "dbt"
    with tempfile.TemporaryDirectory() as made:
        places = [f"--project-dir={project}", f"--profiles-dir={project}"]
        places += [f"--target-path={made}", f"--log-path={made}"]
        dbt = str(Path(sys.executable).with_name("dbt"))
        # A fixed seed, or what dbt keeps in sets would be written in another order each time.
        environment = {**clean_environment(), **variables, "PYTHONHASHSEED": "0"}
        if subprocess.run([dbt, "--quiet", "parse", *places], env=environment, check=False).returncode:
            raise LocalError("dbt cannot read the project: its message is above")
        manifest = json.loads((Path(made) / "manifest.json").read_text())
    (project / "target").mkdir()
    (project / "target" / "manifest.json").write_text(json.dumps(_without_moment(manifest), sort_keys=True))


def _without_moment(value: Any) -> Any:
    if isinstance(value, dict):
        # A column may be called so too: that is a mapping.
        return {
            name: OF_THE_MOMENT[name]
            if name in OF_THE_MOMENT and not isinstance(inner, dict)
            else _without_moment(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_without_moment(inner) for inner in value]
    return value


def read_dags(folder: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """What Airflow makes of a laid-out folder (:mod:`local.read_dags`), with the environment's variables.

    Raises:
        LocalError: a DAG file or a plugin cannot be imported.
    """
    dbt = folder / "dags" / "include" / "dbt"
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **clean_environment(),
            **variables,
            "CONTRACTS_DIR": str(folder / "plugins" / "include" / "contracts"),
            "DBT_PROJECT_DIR": str(dbt),
            "DBT_MANIFEST": str(dbt / "target" / "manifest.json"),
            "PYTHONPATH": os.pathsep.join([str(folder / "plugins"), str(ROOT)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(folder / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "0",  # none: the machine may be busy
            "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        }
        command = [sys.executable, "-m", "local.read_dags"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise LocalError(f"Airflow cannot read the DAGs: {exception_line(done.stderr) or said[-1]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    for file, error in found["errors"].items():
        raise LocalError(f"{Path(file).name} cannot be imported: {error}. Nothing was deployed")
    return found


class Airflow(Protocol):
    """What a deployment asks of an environment's Airflow."""

    def set_pool(self, name: str, slots: int, description: str) -> None: ...

    def wait_for_dags(self, dag_ids: list[str], since: datetime, patience: float = ...) -> None: ...


@dataclass
class ComposerApi(AirflowApi):
    """Airflow's API in Composer, which takes Google's tokens."""

    credentials: Any = field(default=None, repr=False)
    proxies: bool = True

    def log_in(self) -> str:
        """A token of the credentials."""
        return _token(self.credentials)


def _token(credentials: Any) -> str:
    from google.auth.transport.requests import Request

    if not credentials.valid:
        credentials.refresh(Request())
    return str(credentials.token)


@dataclass(frozen=True)
class Target:
    """A Composer environment: its bucket, its Airflow, what its tasks are told, and its packages (versions by name)."""

    bucket: Any
    airflow: Airflow
    variables: Mapping[str, str]
    packages: Mapping[str, str]
    name: str


def find_target(environment: Environment, credentials: Any, api: str = COMPOSER_API) -> Target:
    """The Composer environment as Google describes it.

    Raises:
        LocalError: it is not there, may not be seen, or is being changed.
    """
    from google.cloud import storage

    headers = {"Authorization": f"Bearer {_token(credentials)}"}
    try:
        described = request("GET", f"{api}/{environment.composer}", headers=headers, proxies=True)
    except HttpError as error:
        reason = {
            403: "may not be seen by these credentials: log in as the deployer, or with its roles",
            404: f"is not there: make apply ENV={environment.name}, with composer_enabled = true",
        }.get(error.status, f"cannot be read: {error}")
        raise LocalError(f"The environment {environment.composer} {reason}") from None
    except OSError as error:
        raise LocalError(f"Google's API does not answer: {error}") from None
    if described["state"] != "RUNNING":
        raise LocalError(
            f"The environment is {described['state']}: wait until it is RUNNING, then deploy again. If it does not "
            "become so: docs/runbooks/environment-unhealthy.md"
        )
    config, software = described["config"], described["config"]["softwareConfig"]
    return Target(
        bucket=storage.Client(project=environment.project, credentials=credentials).bucket(
            described["storageConfig"]["bucket"]
        ),
        airflow=ComposerApi(config["airflowUri"], "", "", credentials=credentials),
        variables=software.get("envVariables", {}),
        packages=software.get("pypiPackages", {}),
        name=environment.name,
    )


def check_packages(wanted: Mapping[str, str], target: Target) -> None:
    """Refuse code whose packages the environment does not have.

    Raises:
        LocalError: names the packages that differ.
    """
    has = {name: version.removeprefix("==") for name, version in target.packages.items()}
    if differing := sorted(name for name in wanted.keys() | has.keys() if wanted.get(name) != has.get(name)):
        told = ", ".join(f"{name} is {has.get(name)}, wanted {wanted.get(name)}" for name in differing[:5])
        raise LocalError(
            f"The environment's packages are not those of this tag: {told}. Check the tag out, and make apply "
            f"ENV={target.name} first"
        )


def prepare(tree: Path, folder: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """Lay a checkout out in ``folder`` with its manifest, and see that Airflow can read it; what it read.

    Raises:
        LocalError: it cannot be read.
    """
    with step("Reading the dbt project and the DAGs"):
        lay_out(tree, folder)
        build_manifest(folder, variables)
        return read_dags(folder, variables)


def put(folder: Path, found: Mapping[str, Any], record: Mapping[str, str], target: Target) -> list[Change]:
    """Make the environment what ``folder`` is, and wait until Airflow has read it; the changes that were made.

    ``found`` as :func:`prepare` returned it; ``record`` is left in the bucket once all is done.

    Raises:
        LocalError: Airflow does not come to read it.
    """
    files = objects(folder)
    changes = differences(files, target)
    for pool in found["pools"]:
        target.airflow.set_pool(*pool)
    with step("Writing to the bucket"):
        carry_out(changes, files, target.bucket)
    # From the objects' own times, so that a deployment that was interrupted here waits as well.
    written = max(blob.updated for name, blob in listed(target.bucket).items() if name in files)
    with step("Waiting for Airflow to read the DAGs"):
        try:
            target.airflow.wait_for_dags(found["dags"], written + COPIED_AFTER, COPIED_AFTER.total_seconds() + PATIENCE)
        except LocalError as error:
            raise LocalError(f"{error}. To go back: deploy the tag before") from None
    target.bucket.blob(RECORD).upload_from_string(json.dumps(dict(record)), content_type="application/json")
    return changes


def differences(files: Mapping[str, Path], target: Target) -> list[Change]:
    """What is to be changed in the bucket; said line by line."""
    changes = plan(files, {name: blob.md5_hash for name, blob in listed(target.bucket).items()})
    for change in changes:
        say(f"{change.action} {change.name}")
    say(f"{len(changes)} objects differ from the {len(files)} that are to be there")
    return changes


def main() -> int:
    """``python -m local.deploy <checkout> <ref> <commit>``, in the checkout's own environment of packages."""
    import google.auth
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError, TransportError

    tree, ref, commit = sys.argv[1:]
    try:
        credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
        target = find_target(Environment.chosen(), credentials)
        check_packages(composer_packages(Path(tree) / "requirements"), target)
        with tempfile.TemporaryDirectory() as folder:
            found = prepare(Path(tree), Path(folder), target.variables)
            if os.environ.get("DRY_RUN", "") not in ("", "0"):
                differences(objects(Path(folder)), target)
                say("Nothing was changed: this was a dry run")
                return 0
            at = datetime.now(UTC).isoformat(timespec="seconds")
            put(Path(folder), found, {"ref": ref, "commit": commit, "at": at}, target)
        say(f"{ref} is deployed")
        return 0
    except KeyboardInterrupt:
        print("\nBroken off. Run it again to complete it, or deploy the tag before", file=sys.stderr)
        return 128 + signal.SIGINT
    except LocalError as error:
        failure = str(error)
    except HttpError as error:
        next_step = "Has the account the role Op in Airflow?" if error.status in (401, 403) else AGAIN
        failure = f"Airflow's API refused: {error}. {next_step}"
    except GoogleAPIError as error:
        failure = f"Cloud Storage refused: {error}. Run it again once that is mended"
    except (OSError, TransportError) as error:
        failure = f"Google or Airflow does not answer: {error}. {AGAIN}"
    except GoogleAuthError as error:
        failure = f"No credentials of Google's: gcloud auth application-default login ({error})"
    print(f"error: {failure}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
