"""The repository laid out as Cloud Composer does: ``dags`` and ``plugins`` in the bucket, ``include`` below ``dags``.

What is read there must be what is read here, from there alone.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local.basics import ROOT, clean_environment
from local.deploy import lay_out

#: Seconds that Airflow gives a file by default; Composer keeps that.
BUDGET = 30

SCRIPT = """
import json, sys, time
from airflow.dag_processing.dagbag import DagBag
bag = DagBag()
seconds = time.process_time()
from airflow import plugins_manager
plugins_manager.ensure_plugins_loaded()
import odre.contracts, odre.transform
print(json.dumps({
    "dags": {dag_id: len(dag.tasks) for dag_id, dag in bag.dags.items()},
    "errors": {**bag.import_errors, **plugins_manager.get_import_errors()},
    "seconds": seconds,
    "code": odre.transform.__file__,
    "contracts": str(odre.contracts.contracts_dir()),
    "project": str(odre.transform.dbt_project_dir()),
    "manifest": str(odre.transform.manifest_path()),
    "of_the_repository": [path for path in sys.path if path and path in %(repository)r],
}))
"""


@pytest.fixture(scope="module")
def laid_out(dagbag: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow reads there, in a process that knows nothing of the repository; ``dagbag`` has made the manifest."""
    gcs = tmp_path_factory.mktemp("home") / "gcs"
    lay_out(ROOT, gcs)
    target = Path("include", "dbt", "target", "manifest.json")
    (gcs / "dags" / target).parent.mkdir()
    shutil.copy(ROOT / target, gcs / "dags" / target)
    environment = {
        **clean_environment(),
        "AIRFLOW_HOME": str(gcs.parent / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(gcs / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(gcs / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
        "GOOGLE_CLOUD_PROJECT": "a-project",
        "LAKE_BUCKET": "a-lake",
    }
    repository = [str(ROOT), str(ROOT / "plugins"), str(ROOT / "dags")]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT % {"repository": repository}],
        cwd=gcs.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return {"gcs": gcs, **json.loads(done.stdout.splitlines()[-1])}


def test_all_dags_are_read_as_in_the_repository(laid_out: dict[str, Any], dagbag: Any) -> None:
    assert laid_out["errors"] == {}
    assert laid_out["dags"] == {dag_id: len(dag.tasks) for dag_id, dag in dagbag.dags.items()}


def test_paths_are_those_of_the_bucket(laid_out: dict[str, Any]) -> None:
    gcs = laid_out["gcs"]
    assert laid_out["of_the_repository"] == []
    assert laid_out["code"] == str(gcs / "plugins" / "odre" / "transform.py")
    assert laid_out["contracts"] == str(gcs / "plugins" / "include" / "contracts")
    assert laid_out["project"] == str(gcs / "dags" / "include" / "dbt")
    assert laid_out["manifest"] == str(gcs / "dags" / "include" / "dbt" / "target" / "manifest.json")


def test_the_dags_are_read_within_the_budget(laid_out: dict[str, Any]) -> None:
    """All of them, imports included: of the processor's time, which other work on the machine does not lengthen."""
    assert laid_out["seconds"] < BUDGET / 2
