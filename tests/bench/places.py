"""Stacks of the bench: their variables in this process, and their servers awaited."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from local.http import answers
from local.stack import PATIENCE, Stack
from tests.environment import variables

#: The variables that tell the operators and hooks where they are.
TOLD = (
    "GOOGLE_CLOUD_PROJECT",
    "BIGQUERY_LOCATION",
    "LAKE_BUCKET",
    "STORAGE_EMULATOR_HOST",
    "BIGQUERY_EMULATOR_HOST",
    "AIRFLOW_CONN_ODRE_DEFAULT",
    "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT",
)


@contextmanager
def configured(stack: Stack, **more: str) -> Iterator[None]:
    """Have this process work on a stack while the block runs."""
    environment = stack.environment()
    with variables({name: environment[name] for name in TOLD} | more):
        yield


def wait_until(url: str, stack: Stack) -> None:
    """Wait until a server of the stack answers.

    Raises:
        TimeoutError: it does not.
        LocalError: it ended.
    """
    deadline = time.monotonic() + PATIENCE
    while not answers(url):
        stack.processes.check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"{url} does not answer after {PATIENCE} s (see {stack.processes.logs})")
        time.sleep(0.1)
