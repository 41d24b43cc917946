"""The stack with what Cloud Composer 3 gives to each component, and settings that a deployment commonly turns on."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from local import deploy
from local.basics import ROOT
from local.stack import Stack
from tests.e2e.worker import WORKER

#: Component → the folders of the bucket that it has. Google: "Plugins aren't synchronized" to scheduler and triggerer,
#: and ``dags`` is not to the web server.
GIVEN: Final[Mapping[str, tuple[str, ...]]] = {
    "dag-processor": ("dags", "plugins"),
    "scheduler": ("dags",),
    "triggerer": ("dags",),
    "worker": ("dags", "plugins"),
    "api-server": ("plugins",),
}


class ComposerStack(Stack):
    """Each component in an environment of its own, and XComs in files."""

    def build_manifest(self) -> None:
        """Lay the code out as a deployment does, with dbt's manifest."""
        bucket = self.state / "bucket"
        deploy.lay_out(ROOT, bucket)
        deploy.build_manifest(bucket, self.environment())
        for component, folders in GIVEN.items():
            for folder in folders:
                shutil.copytree(bucket / folder, self.gcs(component) / folder)

    def gcs(self, component: str) -> Path:
        """What a component sees as ``/home/airflow/gcs``."""
        return self.state / "composer" / component / "gcs"

    def environment_of(self, component: str) -> dict[str, str]:
        """A component's variables; where it has a folder not, Airflow looks for it in a place that is empty."""
        plugins = [str(self.gcs(component) / "plugins")] if "plugins" in GIVEN[component] else []
        environment = {
            **self.environment(),
            # `local` next to the component's own plugins, and not those of the checkout.
            "PYTHONPATH": os.pathsep.join([*plugins, str(ROOT)]),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.gcs(component) / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(self.gcs(component) / "plugins"),
            "AIRFLOW__CORE__EXECUTOR": "tests.e2e.worker.WorkerExecutor",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__CORE__DEFAULT_TIMEZONE": "Asia/Tokyo",
            "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE": "True",
            "AIRFLOW__CORE__XCOM_BACKEND": "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend",
            "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": (self.state / "xcom").as_uri(),
            "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "0",
        }
        if component == "scheduler":
            environment[WORKER] = json.dumps(self.environment_of("worker"))
        return environment
