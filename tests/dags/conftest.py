"""One DagBag for all DAG tests: nearly all of its seconds are imports."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def airflow_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An Airflow of its own, told where things are before its first import; the dbt manifest, made if absent."""
    home = tmp_path_factory.mktemp("airflow")
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
        "BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:1",
    }
    assert "airflow" not in sys.modules, "Airflow was imported before its home was set"
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    dbt = ROOT / "include" / "dbt"
    if not (dbt / "target" / "manifest.json").is_file():
        subprocess.run(
            [Path(sys.executable).with_name("dbt"), "parse", "--quiet", "--profiles-dir", dbt], cwd=dbt, check=True
        )
    yield
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(scope="session")
def dagbag(airflow_environment: None) -> Any:
    """The repository's DAGs as Airflow's DAG processor reads them."""
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(str(ROOT / "dags"))
