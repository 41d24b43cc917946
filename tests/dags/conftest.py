"""One DagBag for all DAG tests: nearly all of its seconds are imports."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def dagbag() -> Iterator[Any]:
    """The repository's DAGs as Airflow's DAG processor reads them, with the dbt manifest, made if absent."""
    from airflow.dag_processing.dagbag import DagBag

    dbt = ROOT / "include" / "dbt"
    if not (dbt / "target" / "manifest.json").is_file():
        subprocess.run(
            [Path(sys.executable).with_name("dbt"), "parse", "--quiet", "--profiles-dir", dbt], cwd=dbt, check=True
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:1")
        # As deployments commonly have it.
        patch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
        yield DagBag(str(ROOT / "dags"))
