"""The two emulators, once for all tests of the warehouse, and the real extracts where they are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local import environments
from local.stack import Ports, Source, Stack
from tests.warehouse.support import ROOT, TestWarehouse


@pytest.fixture(scope="package")
def emulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Cloud Storage and BigQuery; ``EMULATORS_PYTHON`` names the environment that has them if it is not ours."""
    with pytest.MonkeyPatch.context() as patch:
        if python := os.environ.get("EMULATORS_PYTHON"):
            patch.setattr(environments, "ensure_emulators", lambda: Path(python))
        elif not environments.interpreter("emulators").is_file():
            pytest.fail("The emulators are not installed: run make test, or name their Python with EMULATORS_PYTHON=…")
        state = tmp_path_factory.mktemp("emulators")
        with Stack(Source.generated(), Ports.free(), state) as stack:
            stack.start_warehouse()
            yield stack


@pytest.fixture(scope="module")
def new_warehouse(
    emulators: Stack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], TestWarehouse]]:
    """Makes a warehouse with empty tables behind a prefix. It goes with its module: each table costs every query."""
    workdir = tmp_path_factory.mktemp("dbt")
    made = []

    def new(prefix: str) -> TestWarehouse:
        made.append(TestWarehouse(prefix, emulators.warehouse.bigquery, workdir).create())
        return made[-1]

    yield new
    for warehouse in made:
        warehouse.drop()


@pytest.fixture(scope="package")
def real_data() -> Path:
    """The folder of real extracts, which is not part of the project."""
    folder = Path(os.environ.get("REAL_DATA_DIR", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"The real extracts are not there ({folder}): name their folder with REAL_DATA_DIR=…")
    return folder
