"""An executor whose workers have the folders of a Composer worker, which the scheduler that starts them has not."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from typing import Any, Final

from airflow import plugins_manager, settings
from airflow.executors import local_executor
from airflow.executors.local_executor import LocalExecutor
from airflow.sdk import plugins_manager as tasks_plugins_manager

from local.executor import MODULES
from local.preloading import preload

#: Variable of the scheduler: the workers' environment, as JSON.
WORKER: Final = "WORKER_ENVIRONMENT"


class WorkerExecutor(LocalExecutor):
    """Each worker takes the environment of :data:`WORKER` before it imports anything of the project."""

    def _spawn_worker(self) -> None:
        worker = multiprocessing.Process(
            target=_work,
            kwargs={
                "logger_name": self.log.name,
                "input": self.activity_queue,
                "output": self.result_queue,
                "unread_messages": self._unread_messages,
                "team_conf": self.conf,
            },
        )
        worker.start()
        assert worker.pid
        self.workers[worker.pid] = worker


def _work(**how: Any) -> None:
    assert "odre" not in sys.modules, "the scheduler has imported what it does not have on Composer"
    os.environ.update(json.loads(os.environ[WORKER]))
    settings.PLUGINS_FOLDER = os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"]
    settings.DAGS_FOLDER = os.environ["AIRFLOW__CORE__DAGS_FOLDER"]
    sys.path.append(settings.PLUGINS_FOLDER)
    for module in (plugins_manager, tasks_plugins_manager):
        for function in vars(module).values():
            if hasattr(function, "cache_clear"):
                function.cache_clear()
    preload(MODULES)
    local_executor._run_worker(**how)
