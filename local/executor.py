"""Airflow's LocalExecutor whose workers have imported what every task of ours imports."""

from __future__ import annotations

from typing import Final

from airflow.executors.local_executor import LocalExecutor

from local.preloading import OF_DAG_FILES, preload

#: What a task would import anew: Airflow forks a process for each, which begins with what its worker has.
MODULES: Final = (
    *OF_DAG_FILES,
    # Each model that is built on its own, as after a clear, is a dbt command in its task.
    "dbt.cli.main",
    "dbt.adapters.bigquery",
)


class PreloadedExecutor(LocalExecutor):
    """Imports :data:`MODULES` before its workers are forked: a task then begins seconds earlier.

    Those seconds are most of what a small task takes, and a dbt group has dozens of them.
    """

    def start(self) -> None:
        """Import, then start the workers."""
        preload(MODULES)
        super().start()
