"""What tests of several kinds share."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from emulators.odre.server import serve

# Airflow reads where it is when it is first imported, and the tests' modules import it when they are collected.
_ROOT = Path(__file__).parents[1]
_AIRFLOW_HOME = tempfile.mkdtemp(prefix="airflow-")
atexit.register(shutil.rmtree, _AIRFLOW_HOME, ignore_errors=True)
os.environ.update(
    AIRFLOW_HOME=_AIRFLOW_HOME,
    AIRFLOW__CORE__DAGS_FOLDER=str(_ROOT / "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER=str(_ROOT / "plugins"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT="0",  # none: the machine may be busy
    AIRFLOW__COSMOS__ENABLE_TELEMETRY="False",
)

#: Folders and files that take longest, in the order in which they begin.
_LONGEST = [_ROOT / "tests" / name for name in ("e2e", "faults/test_running_pipeline.py", "warehouse")]

#: Serves a source (``emulators.odre.source.Source``; ``behaviour=`` as for ``serve``) until the test ends.
ServeSource = Callable[..., str]


@pytest.fixture
def standin() -> Iterator[ServeSource]:
    """Serve a source from the test's own process: ``base_url = standin(MemorySource([...]))``.

    Its tables can be changed while it is served (``source.publish``, ``source.withdraw``); ``behaviour=`` sees every
    request and can change every answer.
    """
    with ExitStack() as servers:
        yield lambda source, **options: servers.enter_context(serve(source, **options))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """First what takes longest: the many short files level what each worker has to do in the end."""
    items.sort(key=lambda item: [not item.path.is_relative_to(path) for path in _LONGEST])


def pytest_collection_finish() -> None:
    """What was imported (Airflow, dbt) stays: it is not looked through for garbage again and again.

    What a dbt command makes of its manifest stays as long as the command: the collector comes seldom.
    """
    gc.freeze()
    gc.set_threshold(50_000)
