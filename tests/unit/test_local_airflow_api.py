"""Calls of Airflow's API when its database refuses one, with a script in place of the server."""

from __future__ import annotations

import pytest

from local.airflow_api import TRIES, AirflowApi
from local.http import HttpError

LOCKED = HttpError(500, '{"detail": {"reason": "Database error"}}')
THERE = HttpError(409, '{"detail": "DagRun with this id already exists"}')
BROKEN = HttpError(500, "Internal Server Error")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> tuple[AirflowApi, list[object], list[object]]:
    """The client, what the server is to answer (a dictionary, or an error to raise), and the bodies it was sent."""
    script: list[object] = []
    sent: list[object] = []

    def request(method: str, url: str, body: object, headers: dict[str, str], proxies: bool = False) -> object:
        sent.append(body)
        answer = script.pop(0)
        if isinstance(answer, HttpError):
            raise answer
        return answer

    monkeypatch.setattr("local.airflow_api.request", request)
    monkeypatch.setattr("local.airflow_api.time.sleep", lambda seconds: None)
    return AirflowApi("http://127.0.0.1:1", "admin", "", "token"), script, sent


@pytest.mark.parametrize("again", [{"dag_run_id": "as sent"}, THERE])
def test_a_run_is_started_once_although_the_database_was_locked(
    answers: tuple[AirflowApi, list[object], list[object]], again: object
) -> None:
    api, script, sent = answers
    script += [LOCKED, again]
    run_id = api.trigger("gas_storage_daily", {"force": True})
    assert sent == [{"dag_run_id": run_id, "logical_date": None, "conf": {"force": True}}] * 2


def test_a_database_that_stays_locked_is_an_error(answers: tuple[AirflowApi, list[object], list[object]]) -> None:
    api, script, sent = answers
    script += [LOCKED] * (TRIES + 1)
    with pytest.raises(HttpError, match="Database error"):
        api.call("GET", "dags")
    assert len(sent) == TRIES


def test_another_error_is_not_tried_again(answers: tuple[AirflowApi, list[object], list[object]]) -> None:
    api, script, sent = answers
    script += [BROKEN, {}]
    with pytest.raises(HttpError, match="Internal Server Error"):
        api.call("GET", "dags")
    assert len(sent) == 1
