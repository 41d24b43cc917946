"""What is said of a run, and that nothing is where nobody is to be told."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from local import container
from odre import alerts


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The messages."""
    texts: list[str] = []
    monkeypatch.setattr(alerts, "_send", lambda text, context: texts.append(text))
    return texts


FAILED = {"a": "success", "x.load_2": "failed", "b": "upstream_failed"}


def context(previous: str | None = None, cleared: int = 0, states: Any = FAILED, **ti: Any) -> Any:
    """What Airflow gives to a DAG's callback."""
    task_instance = SimpleNamespace(
        get_previous_dagrun=lambda: previous and SimpleNamespace(state=previous),
        get_task_states=lambda dag_id, run_ids: {"r": states},
        task=SimpleNamespace(retries=3),
        task_id="x.load",
        log_url="http://airflow/log",
        **ti,
    )
    return {
        "dag": SimpleNamespace(dag_id="d"),
        "dag_run": SimpleNamespace(clear_number=cleared),
        "run_id": "r",
        "reason": "task_failure",
        "ti": task_instance,
    }


@pytest.mark.parametrize(
    ("try_number", "said"),
    [(4, "retries are exhausted after 4 tries"), (1, "another try cannot mend it"), (3, "another try cannot mend it")],
)
def test_a_failure_names_tasks_owner_and_runbook(sent: list[str], try_number: int, said: str) -> None:
    alerts.notify_failure(context(try_number=try_number))
    (text,) = sent
    assert text.splitlines() == [
        ":red_circle: *d failed* (r): task_failure",
        f"x.load_2: {said}. <http://airflow/log|Log of x.load>",
        "Owner: data-platform. Runbook: docs/runbooks/dag-failed.md",
    ]


def test_a_failure_without_a_task_is_told_too(sent: list[str]) -> None:
    without: Any = {**context(), "reason": "timed_out"}
    del without["ti"]
    alerts.notify_failure(without)
    assert sent[0].splitlines()[0] == ":red_circle: *d failed* (r): timed_out"


@pytest.mark.parametrize(
    ("previous", "cleared", "told"),
    [("failed", 0, True), ("success", 0, False), (None, 0, False), ("success", 1, True)],
)
def test_a_recovery_is_told_after_a_failure_alone(
    sent: list[str], previous: str | None, cleared: int, told: bool
) -> None:
    alerts.notify_success(context(previous, cleared, {"a": "success", "b": "skipped"}))
    assert [text.splitlines()[0] for text in sent] == [":large_green_circle: *d works again* (r)"] * told


def test_a_run_that_succeeded_without_a_task_says_so(sent: list[str]) -> None:
    alerts.notify_success(context("success", states={"record": "success", "publish_dashboard": "failed"}))
    assert [text.splitlines()[0] for text in sent] == [
        ":large_orange_circle: *d succeeded without publish_dashboard* (r)"
    ]


def test_nothing_is_sent_where_no_connection_is_set(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_SLACK_DEFAULT", raising=False)
    with caplog.at_level(logging.INFO, "odre.alerts"):
        alerts.notify_failure(context(try_number=1))
        assert alerts.notify_late(alerts.late_text("d", None, datetime(2026, 1, 1, tzinfo=UTC)), context())
    assert [record.message.split(",")[0] for record in caplog.records if record.name == "odre.alerts"] == [
        "Nobody is told"
    ] * 2


def test_containers_keep_the_connection_in_airflows_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given to the one that sets it, and to no other's environment."""
    from airflow.models import Connection

    assert container.SLACK_CONNECTION == alerts.CONNECTION
    engine = create_engine("sqlite://")
    Connection.__table__.create(engine)

    @contextmanager
    def create_session() -> Iterator[Session]:
        with Session(engine) as session:
            yield session
            session.commit()

    monkeypatch.setattr("airflow.utils.session.create_session", create_session)

    def kept(given: str) -> list[tuple[Any, ...]]:
        monkeypatch.setenv("AIRFLOW_CONN_SLACK_DEFAULT", given)
        container.set_slack()
        with create_session() as session:
            return [(there.conn_id, there.password) for there in session.query(Connection)]

    assert kept('{"conn_type": "slackwebhook", "password": "T/B/first"}') == [("slack_default", "T/B/first")]
    assert kept('{"conn_type": "slackwebhook", "password": "T/B/second"}') == [("slack_default", "T/B/second")]
    assert kept("") == []
