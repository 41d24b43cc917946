"""Airflow's LocalExecutor whose workers have imported what every task of ours imports."""

from __future__ import annotations

import importlib
import multiprocessing
import sys
from typing import Final

from airflow.executors.local_executor import LocalExecutor

#: What a task would import anew: Airflow forks a process for each, which begins with what its worker has.
MODULES: Final = (
    "odre.pipeline",
    "airflow.sdk.execution_time.task_runner",
    "airflow.dag_processing.dagbag",
    # Each model that is built on its own, as after a clear, is a dbt command in its task.
    "dbt.cli.main",
    "dbt.adapters.bigquery",
    # Each task loads Airflow's plugins; what those of ours and Cosmos's import takes longer than the rest of them.
    "fastapi",
    "cosmos.plugin.airflow3",
)


class PreloadedExecutor(LocalExecutor):
    """Imports :data:`MODULES` before its workers are forked: a task then begins seconds earlier.

    Those seconds are most of what a small task takes, and a dbt group has dozens of them. The project's own modules
    are forgotten again: each task reads them anew, so that an edit counts from the next task on. Where workers are
    spawned and not forked (macOS) nothing is gained and nothing done.
    """

    def start(self) -> None:
        """Import, then start the workers."""
        if multiprocessing.get_start_method() == "fork":
            preload()
        super().start()


def preload() -> None:
    """Import :data:`MODULES`, and forget the project's own among them."""
    for module in MODULES:
        importlib.import_module(module)
    for name in [name for name in sys.modules if name.partition(".")[0] == "odre"]:
        del sys.modules[name]
