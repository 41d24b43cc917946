"""The executor of the local stack: its workers have what tasks import, before they are forked."""

from __future__ import annotations

import importlib
import multiprocessing

import pytest
from airflow.executors.local_executor import LocalExecutor

from local.executor import MODULES, PreloadedExecutor


@pytest.mark.parametrize(("method", "preloads"), [("fork", True), ("spawn", False)])
def test_modules_are_there_before_workers_are_forked(
    method: str, preloads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda: method)
    monkeypatch.setattr(importlib, "import_module", happened.append)
    monkeypatch.setattr(LocalExecutor, "start", lambda self: happened.append("workers"))
    PreloadedExecutor.start(PreloadedExecutor.__new__(PreloadedExecutor))
    assert happened == [*(MODULES if preloads else ()), "workers"]


@pytest.mark.parametrize("module", MODULES)
def test_what_is_preloaded_exists(module: str) -> None:
    assert importlib.import_module(module)
