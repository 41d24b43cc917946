"""The executor of the local stack: its workers have what tasks import, before they are forked."""

from __future__ import annotations

import importlib
import multiprocessing
import sys

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
    imported = dict.fromkeys(("odre", "odre.pipeline", "odre_plugin", "cosmos"), importlib)
    monkeypatch.setattr(sys, "modules", {**sys.modules, **imported})
    PreloadedExecutor.start(PreloadedExecutor.__new__(PreloadedExecutor))
    assert happened == [*(MODULES if preloads else ()), "workers"]
    kept = ["odre_plugin", "cosmos"] if preloads else list(imported)
    assert [name for name in imported if name in sys.modules] == kept, "what is edited must be read anew by a task"


@pytest.mark.parametrize("module", MODULES)
def test_what_is_preloaded_exists(module: str) -> None:
    assert importlib.import_module(module)
