"""What Airflow's processes import before they fork: each fork reads a DAG file, and begins with what is there."""

from __future__ import annotations

import importlib
import multiprocessing
import sys
from collections.abc import Iterable
from typing import Final

#: What reading a DAG file of ours imports.
OF_DAG_FILES: Final = (
    "odre.pipeline",
    "airflow.sdk.execution_time.task_runner",
    "airflow.dag_processing.dagbag",
    # Airflow's plugins are loaded too; what those of ours and Cosmos's import takes longer than the rest of them.
    "fastapi",
    "cosmos.plugin.airflow3",
)


def preload(modules: Iterable[str]) -> None:
    """Import modules for the forks of this process.

    The project's own modules are forgotten again: each fork reads them itself, so that an edit counts from the next one
    on. Where processes are spawned and not forked (macOS) nothing is gained and nothing done.
    """
    if multiprocessing.get_start_method() != "fork":
        return
    for module in modules:
        importlib.import_module(module)
    for name in [name for name in sys.modules if name.partition(".")[0] == "odre"]:
        del sys.modules[name]
