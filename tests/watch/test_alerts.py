"""What Slack is told: one message a run that failed, one when it works again, one when a scheduled run is late."""

from __future__ import annotations

import re
from urllib.parse import quote

from tests.waiting import wait_until
from tests.watch.conftest import Receiver, ToldStack, run


def test_a_failure_and_the_recovery_are_told_once_a_run(stack: ToldStack, receiver: Receiver) -> None:
    def told() -> list[str]:
        return [body["text"] for body in receiver.at("/slack") if "*told_of " in body["text"]]

    assert run(stack.airflow, "told_of")[1] == "success"
    failed, state = run(stack.airflow, "told_of", end="badly")
    assert state == "failed"
    wait_until(lambda: len(told()) == 1, "the failure is told", 90)
    first = told()[0]
    assert f"*told_of failed* ({failed})" in first
    assert "end: retries are exhausted after 2 tries" in first
    assert re.search(rf"<{stack.airflow_url}/dags/told_of/runs/manual__\S+/tasks/end\?try_number=2\|Log of end>", first)
    assert first.endswith("Owner: data-platform. Runbook: https://runbooks.example/dag-failed.md")

    at_once, _ = run(stack.airflow, "told_of", end="at once")
    wait_until(lambda: len(told()) == 2, "the second failure is told", 90)
    assert f"({at_once})" in told()[1]
    assert "end: another try cannot mend it" in told()[1]

    well, _ = run(stack.airflow, "told_of")
    wait_until(lambda: len(told()) == 3, "the recovery is told", 90)
    assert f"*told_of works again* ({well})" in told()[2]
    assert run(stack.airflow, "told_of")[1] == "success"

    # Of a failed run that somebody clears, and that succeeds then: told as well.
    again, _ = run(stack.airflow, "told_of", end="at once")
    wait_until(lambda: len(told()) == 4, "the third failure is told", 90)
    path = f"dags/told_of/dagRuns/{quote(again, safe='')}/taskInstances/end"
    stack.airflow.call("PATCH", path, {"new_state": "success"})
    stack.airflow.clear("told_of", again, ["after"])
    wait_until(lambda: len(told()) == 5, "the recovery of the cleared run is told", 120)
    assert f"*told_of works again* ({again})" in told()[4]


def test_a_scheduled_run_is_late_and_one_that_somebody_started_is_not(stack: ToldStack, receiver: Receiver) -> None:
    def told() -> list[str]:
        return [body["text"] for body in receiver.at("/slack") if "*slow is late*" in body["text"]]

    wait_until(lambda: len(told()) == 1, "the late run is told", 120)
    assert re.search(r"\*slow is late\* \(scheduled__\S+\): it is still (queued|running)", told()[0])
    assert told()[0].endswith("Owner: data-platform. Runbook: https://runbooks.example/dag-failed.md")
    assert run(stack.airflow, "slow")[1] == "success"
    assert len(told()) == 1
