"""Deployments of this checkout into a bucket of the emulator, whole and broken off anywhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from local import deploy
from local.basics import ROOT, LocalError
from local.cloud import Environment
from local.lists import composer_packages
from local.stack import DAGS, Stack
from odre.settings import POOLS
from tests.environment import variables

VARIABLES: Final = {"GOOGLE_CLOUD_PROJECT": "odre-test", "LAKE_BUCKET": "odre-test-lake", "DATASET_PREFIX": "me_"}
RECORD: Final = {"ref": "v1", "commit": "a" * 40, "at": "2026-11-24T12:00:00+00:00"}


@dataclass
class Airflow:
    """Notes what it is asked; ``failure``: what it says of DAGs that it cannot read."""

    pools: list[tuple[str, int, str]] = field(default_factory=list)
    waits: list[tuple[list[str], datetime]] = field(default_factory=list)
    failure: str = ""

    def set_pool(self, name: str, slots: int, description: str) -> None:
        self.pools.append((name, slots, description))

    def wait_for_dags(self, dag_ids: list[str], since: datetime, patience: float = 0) -> None:
        self.waits.append((dag_ids, since))
        if self.failure:
            raise LocalError(self.failure)


@dataclass(frozen=True)
class Prepared:
    """A laid-out checkout and what Airflow made of it."""

    folder: Path
    found: dict[str, Any]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """This checkout."""
    folder = tmp_path_factory.mktemp("laid-out")
    return Prepared(folder, deploy.prepare(ROOT, folder, VARIABLES))


@pytest.fixture
def new_target(emulators: Stack, request: pytest.FixtureRequest) -> Iterator[Callable[[], deploy.Target]]:
    """Makes an environment with an empty bucket."""
    with variables({"STORAGE_EMULATOR_HOST": emulators.warehouse.storage}):
        client = storage.Client(project="odre-test", credentials=AnonymousCredentials())
        made = 0

        def new() -> deploy.Target:
            nonlocal made
            made += 1
            bucket = client.create_bucket(f"code-{abs(hash(request.node.name))}-{made}")
            return deploy.Target(bucket, Airflow(), VARIABLES, {}, "dev")

        yield new


def content(target: deploy.Target) -> dict[str, bytes]:
    """What is in the bucket, but the record."""
    return {blob.name: blob.download_as_bytes() for blob in deploy.listed(target.bucket).values()}


def wanted(folder: Path) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in deploy.objects(folder).items()}


def put(prepared: Prepared, target: deploy.Target) -> list[deploy.Change]:
    return deploy.put(prepared.folder, prepared.found, RECORD, target)


def test_the_code_is_laid_out_as_composer_has_it(prepared: Prepared) -> None:
    names = set(deploy.objects(prepared.folder))
    assert {f"dags/{dag}.py" for dag in DAGS} <= names
    assert {"dags/include/dbt/target/manifest.json", "dags/include/dbt/profiles.yml"} <= names
    assert "plugins/.airflowignore" in names
    assert {name.split("/")[0] for name in names} == {"dags", "plugins"}
    assert not [name for name in names if "__pycache__" in name or "/logs/" in name]
    assert prepared.found["dags"] == sorted(DAGS)
    assert [tuple(pool) for pool in prepared.found["pools"]] == [(p.name, p.slots, p.purpose) for p in POOLS]


def test_the_manifest_is_that_of_the_environment_and_the_same_each_time(prepared: Prepared, tmp_path: Path) -> None:
    made = prepared.folder / "dags" / "include" / "dbt" / "target" / "manifest.json"
    mart = json.loads(made.read_text())["nodes"]["model.energy.gas_stock_daily"]
    assert (mart["database"], mart["schema"]) == ("odre-test", "me_energy")
    deploy.lay_out(ROOT, tmp_path)
    deploy.build_manifest(tmp_path, VARIABLES)
    assert (tmp_path / made.relative_to(prepared.folder)).read_bytes() == made.read_bytes()


def test_a_dag_that_cannot_be_read_is_not_deployed(tmp_path: Path) -> None:
    deploy.lay_out(ROOT, tmp_path)
    # Airflow reads a file only if these two words are in it.
    (tmp_path / "dags" / "eco2mix_hourly.py").write_text("from odre import no_airflow_dag\n")
    for file in (tmp_path / "dags").glob("[gt]*.py"):
        file.unlink()
    with pytest.raises(LocalError, match=r"eco2mix_hourly\.py cannot be imported: ImportError.*Nothing was deployed"):
        deploy.read_dags(tmp_path, VARIABLES)


def test_a_plugin_that_cannot_be_read_is_not_deployed(prepared: Prepared, tmp_path: Path) -> None:
    shutil.copytree(prepared.folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "plugins" / "added.py").write_text("from odre import no_such_thing\n")
    with pytest.raises(LocalError, match=r"added\.py cannot be imported: .*no_such_thing.*Nothing was deployed"):
        deploy.read_dags(tmp_path, VARIABLES)


def test_a_deployment_and_one_more(prepared: Prepared, new_target: Callable[[], deploy.Target]) -> None:
    target = new_target()
    begun = datetime.now(UTC)
    assert len(put(prepared, target)) == len(wanted(prepared.folder))
    assert content(target) == wanted(prepared.folder)
    assert isinstance(target.airflow, Airflow)
    assert target.airflow.pools == [(pool.name, pool.slots, pool.purpose) for pool in POOLS]
    ((dags, since),) = target.airflow.waits
    assert dags == sorted(DAGS)
    assert since > begun + deploy.COPIED_AFTER, "what was read before the bucket was copied does not count"
    assert json.loads(target.bucket.blob(deploy.RECORD).download_as_bytes()) == RECORD

    assert put(prepared, target) == [], "a second one finds nothing to change"
    assert target.airflow.waits[1] == (dags, since), "and waits for what the first one wrote"


def test_a_dry_run_changes_nothing(
    prepared: Prepared, new_target: Callable[[], deploy.Target], capsys: pytest.CaptureFixture[str]
) -> None:
    target = new_target()
    files = deploy.objects(prepared.folder)
    assert len(deploy.differences(files, target)) == len(files)
    assert content(target) == {}
    assert "write dags/eco2mix_hourly.py" in capsys.readouterr().out


class BrokenOff(Exception):
    """Somebody pulled the plug."""


@pytest.mark.parametrize("share", [0.0, 0.5, 0.98, 1.0])
def test_a_deployment_that_was_broken_off_is_completed_by_another(
    prepared: Prepared, new_target: Callable[[], deploy.Target], share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = new_target()
    after = int(share * (len(wanted(prepared.folder)) - 1))
    upload = storage.Blob.upload_from_filename
    written: list[str] = []

    def upload_until(blob: Any, filename: str) -> None:
        if len(written) == after:
            raise BrokenOff
        upload(blob, filename)
        written.append(blob.name)

    with monkeypatch.context() as patch:
        patch.setattr(storage.Blob, "upload_from_filename", upload_until)
        with pytest.raises(BrokenOff):
            put(prepared, target)
    there = content(target)
    assert len(there) == after
    if any(name.startswith("dags/") and not name.startswith("dags/include/") for name in there):
        needed = {name for name in wanted(prepared.folder) if name.startswith(("plugins/", "dags/include/"))}
        assert needed <= set(there), "a DAG file is there before what it needs"
    assert not target.bucket.blob(deploy.RECORD).exists()

    assert len(put(prepared, target)) == len(wanted(prepared.folder)) - after
    assert content(target) == wanted(prepared.folder)
    assert target.bucket.blob(deploy.RECORD).exists()


def test_the_next_version_and_back(prepared: Prepared, new_target: Callable[[], deploy.Target], tmp_path: Path) -> None:
    target = new_target()
    put(prepared, target)
    shutil.copytree(prepared.folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "dags" / "temperature_monthly.py").unlink()
    (tmp_path / "plugins" / "odre" / "windows.py").unlink()
    (tmp_path / "plugins" / "odre" / "added.py").write_text("ADDED = True\n")
    (tmp_path / "dags" / "gas_storage_daily.py").write_text("# another\n")
    found = {**prepared.found, "dags": ["eco2mix_hourly", "gas_storage_daily"]}
    assert deploy.put(tmp_path, found, RECORD, target) == [
        deploy.Change("write", "plugins/odre/added.py"),
        deploy.Change("write", "dags/gas_storage_daily.py"),
        deploy.Change("remove", "dags/temperature_monthly.py"),
        deploy.Change("remove", "plugins/odre/windows.py"),
    ]
    assert content(target) == wanted(tmp_path)
    put(prepared, target)
    assert content(target) == wanted(prepared.folder)


def test_what_airflow_cannot_read_is_told_with_the_way_back(
    prepared: Prepared, new_target: Callable[[], deploy.Target]
) -> None:
    target = new_target()
    assert isinstance(target.airflow, Airflow)
    target.airflow.failure = "eco2mix_hourly.py cannot be imported: ImportError"
    with pytest.raises(LocalError, match=r"cannot be imported: ImportError\. To go back: deploy the tag before"):
        put(prepared, target)
    assert not target.bucket.blob(deploy.RECORD).exists(), "what is not read is not deployed"


def test_the_command(
    prepared: Prepared,
    new_target: Callable[[], deploy.Target],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = replace(new_target(), packages={name: f"=={version}" for name, version in composer_packages().items()})

    def prepare(tree: Path, folder: Path, variables: Mapping[str, str]) -> dict[str, Any]:
        assert (tree, variables) == (ROOT, VARIABLES)
        shutil.copytree(prepared.folder, folder, dirs_exist_ok=True)
        return prepared.found

    monkeypatch.setattr("google.auth.default", lambda scopes: (AnonymousCredentials(), None))
    monkeypatch.setattr(Environment, "chosen", lambda: None)
    monkeypatch.setattr(deploy, "find_target", lambda environment, credentials: target)
    monkeypatch.setattr(deploy, "prepare", prepare)
    monkeypatch.setattr("sys.argv", ["deploy", str(ROOT), "v1", "a" * 40])
    monkeypatch.setenv("DRY_RUN", "1")
    assert deploy.main() == 0
    assert "Nothing was changed" in capsys.readouterr().out
    assert content(target) == {}
    monkeypatch.setenv("DRY_RUN", "")
    assert deploy.main() == 0
    assert "v1 is deployed" in capsys.readouterr().out
    assert content(target) == wanted(prepared.folder)

    monkeypatch.setattr(deploy, "find_target", lambda environment, credentials: replace(target, packages={}))
    assert deploy.main() == 1
    assert capsys.readouterr().err.startswith("error: The environment's packages are not those of this tag")

    absent = target.bucket.client.bucket("no-such-bucket")
    monkeypatch.setattr(deploy, "find_target", lambda environment, credentials: replace(target, bucket=absent))
    assert deploy.main() == 1
    assert capsys.readouterr().err.startswith("error: Cloud Storage refused: 404")
