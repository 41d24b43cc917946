"""Who is told when a run fails, works again, lacks a task or is late: Slack where its connection is set, else nobody.

One message a run: the DAG's own callbacks, not those of its tasks. What sends it is imported when there is something
to say.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from airflow.sdk import Context
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference
from airflow.sdk.exceptions import AirflowNotFoundException

log = logging.getLogger(__name__)

#: Airflow's connection with the address of an incoming webhook.
CONNECTION: Final = "slack_default"

#: Who answers for the DAGs.
OWNER: Final = "data-platform"


def runbook(name: str) -> str:
    """Where a runbook is: below ``RUNBOOKS_URL``, or its path in the repository."""
    return f"{os.environ.get('RUNBOOKS_URL') or 'docs/runbooks'}/{name}.md"


def notify_failure(context: Context) -> None:
    """Tell that a run failed, which tasks of it, and whether for want of further tries."""
    dag_id, run_id = context["dag"].dag_id, context["run_id"]
    ti: Any = context.get("ti")  # absent where the run failed without a task
    lines = [f":red_circle: *{dag_id} failed* ({run_id}): {context.get('reason')}"]
    if ti is not None:
        failed = _failed_tasks(ti, dag_id, run_id)
        exhausted = ti.try_number > (ti.task.retries or 0)
        tries = f"retries are exhausted after {ti.try_number} tries" if exhausted else "another try cannot mend it"
        lines.append(f"{', '.join(failed) or ti.task_id}: {tries}. <{ti.log_url}|Log of {ti.task_id}>")
    _send("\n".join([*lines, _who("dag-failed")]), context)


def notify_success(context: Context) -> None:
    """Tell that a run succeeded after one that failed or after somebody cleared it, or without a task; else nothing."""
    ti: Any = context.get("ti")
    if ti is None:
        return
    dag_id, run_id = context["dag"].dag_id, context["run_id"]
    lines = []
    previous = ti.get_previous_dagrun()
    if (previous is not None and previous.state == "failed") or context["dag_run"].clear_number:
        lines.append(f":large_green_circle: *{dag_id} works again* ({run_id})")
    # What comes after the marts' record, such as the published dashboard, does not fail the run.
    if failed := _failed_tasks(ti, dag_id, run_id):
        lines.append(f":large_orange_circle: *{dag_id} succeeded without {', '.join(failed)}* ({run_id})")
    if lines:
        _send("\n".join([*lines, _who("dag-failed")]), context)


async def notify_late(context: Mapping[str, Any]) -> None:
    """Tell that a scheduled run is not done by its deadline; of one that failed it was told already."""
    run = context["dag_run"]
    if run["run_type"] != "scheduled" or run["state"] not in ("queued", "running"):
        return
    text = f":large_orange_circle: *{run['dag_id']} is late* ({run['dag_run_id']}): it is still {run['state']}"
    notifier = _notifier(f"{text}\n{_who('dag-failed')}")
    try:
        await notifier.async_notify(context)
    except AirflowNotFoundException:
        _say_nobody(text)


def alerts(late_after: timedelta) -> dict[str, Any]:
    """What a DAG says of its runs, as arguments of ``DAG``; a scheduled one is late so long after its time."""
    # From the scheduled time, not from when the run was queued: Airflow 3.3.1 cannot clear a run with such a deadline.
    scheduled, late = DeadlineReference.DAGRUN_LOGICAL_DATE, AsyncCallback(notify_late)
    return {
        "on_failure_callback": notify_failure,
        "on_success_callback": notify_success,
        "deadline": DeadlineAlert(reference=scheduled, interval=late_after, callback=late),
    }


def _failed_tasks(ti: Any, dag_id: str, run_id: str) -> list[str]:
    states = ti.get_task_states(dag_id, run_ids=[run_id]).get(run_id, {})
    return sorted(task_id for task_id, state in states.items() if state == "failed")


def _who(name: str) -> str:
    return f"Owner: {OWNER}. Runbook: {runbook(name)}"


def _notifier(text: str) -> Any:
    # Half a second that no task needs.
    from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

    return SlackWebhookNotifier(slack_webhook_conn_id=CONNECTION, text=text)


def _send(text: str, context: Context) -> None:
    try:
        _notifier(text).notify(context)
    except AirflowNotFoundException:
        _say_nobody(text)


def _say_nobody(text: str) -> None:
    log.info("Nobody is told, since there is no connection %s: %s", CONNECTION, text)
