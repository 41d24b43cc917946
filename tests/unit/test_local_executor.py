"""Executor and DAG processor of the local stack: they have what tasks and DAG files import, before they fork."""

from __future__ import annotations

import importlib
import multiprocessing
import sys

import airflow.__main__
import pytest
from airflow.executors.local_executor import LocalExecutor

from local import dag_processor
from local.executor import MODULES, PreloadedExecutor
from local.preloading import OF_DAG_FILES


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


def test_modules_are_there_before_the_dag_processor_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda: "fork")
    monkeypatch.setattr(importlib, "import_module", happened.append)
    monkeypatch.setattr(sys, "argv", ["-m"])
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    monkeypatch.setattr(airflow.__main__, "main", lambda: happened.append(" ".join(sys.argv)))
    dag_processor.main()
    assert happened == [*OF_DAG_FILES, "airflow dag-processor"]


@pytest.mark.parametrize("module", MODULES)
def test_what_is_preloaded_exists(module: str) -> None:
    assert importlib.import_module(module)
