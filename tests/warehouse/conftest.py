"""The two emulators, once for all tests of the warehouse, and the real extracts where they are."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from emulators.odre.server import Answer, Request
from emulators.odre.source import MemorySource
from local.stack import Ports, Source, Stack
from odre import warehouse
from odre.contracts import read_contracts
from tests.conftest import ServeSource
from tests.environment import emulators_installed
from tests.warehouse.ingest import Pipeline
from tests.warehouse.support import ROOT, NewWarehouse, TestWarehouse


@pytest.fixture(scope="package")
def emulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Cloud Storage and BigQuery."""
    state = tmp_path_factory.mktemp("emulators")
    with emulators_installed(), Stack(Source.generated(), Ports.free(), state) as stack:
        stack.start_warehouse()
        yield stack


@pytest.fixture(scope="module")
def new_warehouse(emulators: Stack) -> Iterator[NewWarehouse]:
    """Makes a warehouse with empty tables. It goes with its module: each table costs every query.

    Each module's have the same names, for which dbt has the project parsed already.
    """
    workdir = emulators.state / "dbt"
    workdir.mkdir(exist_ok=True)
    made: list[TestWarehouse] = []

    def new() -> TestWarehouse:
        made.append(TestWarehouse(f"test_{len(made) + 1}_", emulators.warehouse.bigquery, workdir).create())
        return made[-1]

    yield new
    for house in made:
        house.drop()


@pytest.fixture(scope="package")
def real_data() -> Path:
    """The folder of real extracts, which is not part of the project."""
    folder = Path(os.environ.get("REAL_DATA_DIR", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"The real extracts are not there ({folder}): name their folder with REAL_DATA_DIR=…")
    return folder


@pytest.fixture(scope="module")
def house(new_warehouse: NewWarehouse) -> TestWarehouse:
    """A warehouse of the module's own."""
    return new_warehouse()


@pytest.fixture
def pipeline(
    house: TestWarehouse, emulators: Stack, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Pipeline:
    """A pipeline on empty tables and a part of the lake of its own."""
    for table in warehouse.tables(read_contracts().values(), house.settings):
        house.client.query(f"truncate table {table.dataset}.{table.name}").result()
    google = {"conn_type": "google_cloud_platform", "extra": {"is_anonymous": True, "project": house.settings.project}}
    for name, value in {
        **house.environment,
        "STORAGE_EMULATOR_HOST": emulators.warehouse.storage,
        "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": json.dumps(google),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(house, "settings", replace(house.settings, lake_prefix=f"{request.node.name}/"))
    return Pipeline(house)


@pytest.fixture
def serving(standin: ServeSource, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Request]]:
    """Serve a source under ``odre_default``; gives the list of requests that it saw, as it grows."""

    def serve(source: MemorySource) -> list[Request]:
        seen: list[Request] = []

        def watch(request: Request, answer: Answer) -> Answer:
            seen.append(request)
            return answer

        monkeypatch.setenv("AIRFLOW_CONN_ODRE_DEFAULT", standin(source, behaviour=watch))
        return seen

    return serve
