"""One stack of containers for all of these tests: the repository's own file, in a copy of the checkout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.compose import Compose
from local.runs import adopt_or_trigger
from local.stack import DAGS
from tests.compose.support import Containers, answers, copy_of_the_checkout, environment
from tests.e2e.support import Snapshot


@pytest.fixture(scope="session")
def client() -> None:
    """Docker's client with Compose."""
    if not answers("compose", "version"):
        pytest.skip("there is no Docker client with Compose v2")


@pytest.fixture(scope="session")
def containers(client: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    """The stack with the source's stand-in, started as the README says, and removed in the end."""
    if not answers("info"):
        pytest.skip("no Docker engine runs")
    folder = tmp_path_factory.mktemp("checkout") / "odre-test"
    copy_of_the_checkout(folder)
    containers = Containers(Compose(folder, environment()))
    try:
        containers.start()
        yield containers
    finally:
        containers.keep_logs(Path(tmp_path_factory.getbasetemp()) / "logs")
        containers.remove()
    # As the documentation promises; seen here, since only here everything was started and used.
    assert containers.remains() == []


@pytest.fixture(scope="session")
def first_runs(containers: Containers) -> dict[str, str]:
    """Each DAG's first run."""
    return adopt_or_trigger(containers.api, DAGS)


@pytest.fixture(scope="session")
def first_states(containers: Containers, first_runs: dict[str, str]) -> dict[str, str]:
    """How each DAG's first run ended."""
    return containers.follow(first_runs)


@pytest.fixture(scope="session")
def clean(containers: Containers, first_states: dict[str, str]) -> Snapshot:
    """Every table as the undisturbed first runs left it."""
    assert set(first_states.values()) == {"success"}
    return containers.snapshot()
