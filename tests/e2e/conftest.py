"""One stack for all end-to-end tests: real servers on free ports, generated data, a state of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.runs import adopt_or_trigger
from local.stack import DAGS, Ports, Source
from tests.e2e.composer import ComposerStack
from tests.e2e.support import Pipeline, Snapshot


@pytest.fixture(scope="package")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The stack, after the first run of each DAG on an empty warehouse."""
    stack = ComposerStack(Source.generated(), Ports.free(), tmp_path_factory.mktemp("stack"))
    with stack:
        stack.start_warehouse()
        stack.start_source()
        stack.build_manifest()
        stack.start_airflow()
        started = Pipeline(stack, adopt_or_trigger(stack.airflow, DAGS), {})
        started.first_states.update(started.follow(started.first_runs))
        yield started


@pytest.fixture(scope="package")
def first(pipeline: Pipeline) -> Snapshot:
    """Every table as the first runs left it."""
    assert set(pipeline.first_states.values()) == {"success"}
    return pipeline.snapshot()
