"""Who is told when a run fails, works again, lacks a task or is late: Slack where its connection is set, else nobody.

One message a run: the DAG's own callbacks, not those of its tasks. What sends it is imported when there is something
to say.
"""

from __future__ import annotations

import logging
import os
from datetime import datetime
from typing import Any, Final

from airflow.sdk import Context
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


def late_text(name: str, succeeded_at: datetime | None, expected_by: datetime) -> str:
    """What is said of a DAG that has not succeeded in time, or of a dataset that was never loaded; times in UTC."""
    due = f"{expected_by:%Y-%m-%d %H:%M} UTC"
    if succeeded_at is None:
        return f"{name} is late: it was never loaded, and should have been by {due}. Is its DAG switched on in Airflow?"
    return (
        f"{name} is late: its last success was on {succeeded_at:%Y-%m-%d %H:%M} UTC, and the next was due by {due}. "
        "Look at its runs in Airflow"
    )


def notify_late(text: str, context: Context) -> bool:
    """Send the text of :func:`late_text`; whether it was. What Slack refuses is logged, and no reason to fail."""
    try:
        _send(f":large_orange_circle: *{text.replace(' is late', ' is late*', 1)}\n{_who('dag-failed')}", context)
    except Exception:
        log.exception("The message was not sent; the next run tries again: %s", text)
        return False
    return True


#: What a DAG says of its runs, as arguments of ``DAG``.
ALERTS: Final[dict[str, Any]] = {"on_failure_callback": notify_failure, "on_success_callback": notify_success}


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
