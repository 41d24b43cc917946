"""The task that publishes the dashboard as a file: where it stands, and that the run does not hang on it."""

from __future__ import annotations

from typing import Any


def test_the_hourly_run_publishes_after_its_build_is_on_record(dagbag: Any) -> None:
    dag = dagbag.dags["eco2mix_hourly"]
    assert dag.get_task("publish_dashboard").upstream_task_ids == {"record"}
    others = [other for name, other in dagbag.dags.items() if name != "eco2mix_hourly"]
    assert [other.dag_id for other in others if other.has_task("publish_dashboard")] == []


def test_a_publication_that_fails_does_not_fail_the_run(dagbag: Any) -> None:
    dag = dagbag.dags["eco2mix_hourly"]
    assert {task.task_id for task in dag.tasks if not _counts_downstream(dag, task)} == {"publish_dashboard", "record"}
    publish = dag.get_task("publish_dashboard")
    assert publish.is_teardown
    assert not publish.on_failure_fail_dagrun


def _counts_downstream(dag: Any, task: Any) -> bool:
    """Whether a task has one after it that counts for how a run went, as Airflow's scheduler asks it."""
    after = [dag.get_task(name) for name in task.downstream_task_ids]
    return any(not each.is_teardown or each.on_failure_fail_dagrun for each in after)
