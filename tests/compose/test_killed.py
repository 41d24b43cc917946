"""Everything is killed once while runs go on: the stack mends itself, and the tables are those of a clean run.

What runs in a container is killed as the kernel does it when memory is short. (``docker kill`` is another thing: an
order to the engine, which then leaves the container down.)
"""

from __future__ import annotations

import time
from datetime import date, timedelta
from typing import Final

import pytest

from local.compose import SAMPLE
from tests.compose.support import Containers
from tests.e2e.support import Snapshot
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(2400)

DAG: Final = "eco2mix_hourly"

#: Kills the first worker of the scheduler whose task runs, and the task with it; fails if none does. A worker whose
#: task has ended (a zombie: its command is empty) still has to tell of the end, and nothing would be met.
KILL_A_WORKER: Final = """
for status in /proc/[0-9]*/cmdline; do
    pid=${status#/proc/}; pid=${pid%/cmdline}
    case "$(tr '\\0' ' ' <"$status" 2>/dev/null)" in
    *LocalExecutor*idle*) ;;
    *LocalExecutor*)
        for task in $(cat /proc/$pid/task/$pid/children); do
            if [ -n "$(tr -d '\\0' <"/proc/$task/cmdline" 2>/dev/null)" ]; then
                kill -9 $task $pid; echo killed; exit 0
            fi
        done ;;
    esac
done
exit 1
"""


def kill_a_worker(containers: Containers) -> None:
    """Kill a worker process that has a task."""

    def killed() -> bool:
        try:
            return "killed" in containers.execute("scheduler", "sh", "-c", KILL_A_WORKER)
        except Exception:
            return False

    wait_until(killed, "a worker has a task", 120)


def test_everything_is_killed_once_in_the_middle_of_a_run(containers: Containers, clean: Snapshot) -> None:
    # All of the history, a chunk after the other: long enough for every kill to meet it.
    begin = date.today() - timedelta(days=3 * 365)
    run_id = containers.run(DAG, window_start=begin.isoformat())
    wait_until(lambda: any(t["state"] == "success" for t in containers.api.tasks(DAG, run_id)), "it has begun", 120)
    for service in ("storage", "bigquery", "worker", "triggerer", "postgres", "scheduler"):
        time.sleep(1)
        assert containers.is_running(DAG, run_id), f"the run ended before {service} was killed"
        if service == "worker":
            kill_a_worker(containers)
        else:
            containers.kill(service)
            wait_until(lambda name=service: containers.health(name) == "healthy", f"{service} is healthy", 180)  # type: ignore[misc]
    assert containers.is_running(DAG, run_id), "the run ended before everything was killed"

    assert containers.follow({DAG: run_id}) == {DAG: "success"}
    tasks = containers.api.tasks(DAG, run_id)
    assert [task["task_id"] for task in tasks if task["try_number"] > 1], "no task was met by a kill"
    assert containers.snapshot() == clean


def test_a_container_that_was_ordered_down_comes_back_with_up(containers: Containers, clean: Snapshot) -> None:
    for service in ("scheduler", "postgres", "bigquery"):
        containers.docker("kill", containers.container(service))
    time.sleep(5)
    assert {containers.inspect(name)["State"]["Status"] for name in ("scheduler", "postgres", "bigquery")} == {"exited"}
    containers.compose.output("--profile", SAMPLE, "up", "--detach", "--wait")
    assert {containers.health(name) for name in ("scheduler", "postgres", "bigquery")} == {"healthy"}
    assert containers.snapshot() == clean
