"""Calls of Airflow's API when its database refuses one, with a script in place of the server."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from local.airflow_api import TRIES, AirflowApi
from local.basics import LocalError
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
        if isinstance(answer, Exception):
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


SINCE = datetime(2026, 11, 24, 12, tzinfo=UTC)
NO_ERRORS: dict[str, object] = {"import_errors": []}


def dags(read: str | None) -> dict[str, object]:
    """Airflow's one DAG, read at this time."""
    return {"dags": [{"dag_id": "gas_storage_daily", "last_parsed_time": read}]}


def test_dags_are_waited_for_while_they_were_never_read_and_the_server_begins_anew(
    answers: tuple[AirflowApi, list[object], list[object]],
) -> None:
    api, script, _ = answers
    script += [dags(None), NO_ERRORS, HttpError(503, "begins"), ConnectionResetError("reset")]
    script += [dags("2026-11-24T11:59:59Z"), NO_ERRORS, dags("2026-11-24T12:00:01Z")]
    api.wait_for_dags(["gas_storage_daily"], SINCE)
    assert script == []


@pytest.mark.parametrize(
    ("last", "told"),
    [
        ([dags(None), NO_ERRORS], r"has not read \['gas_storage_daily'\] after 0 s$"),
        ([ConnectionResetError("reset")], r"has not read \['gas_storage_daily'\] after 0 s: reset$"),
    ],
)
def test_what_was_waited_for_in_vain_is_told(
    answers: tuple[AirflowApi, list[object], list[object]], last: list[object], told: str
) -> None:
    api, script, _ = answers
    script += last
    with pytest.raises(LocalError, match=told):
        api.wait_for_dags(["gas_storage_daily"], SINCE, patience=0)


def test_a_file_that_cannot_be_imported_ends_the_wait_if_it_was_read_meanwhile(
    answers: tuple[AirflowApi, list[object], list[object]],
) -> None:
    api, script, _ = answers
    old = {"timestamp": "2026-11-24T11:00:00Z", "filename": "old.py", "stack_trace": "ImportError: old"}
    new = {"timestamp": "2026-11-24T12:00:01Z", "filename": "new.py", "stack_trace": "Traceback\nImportError: new"}
    script += [dags(None), {"import_errors": [old]}, dags(None), {"import_errors": [old, new]}]
    with pytest.raises(LocalError, match=r"^new\.py cannot be imported: ImportError: new$"):
        api.wait_for_dags(["gas_storage_daily"], SINCE)


def test_who_may_not_ask_does_not_wait(answers: tuple[AirflowApi, list[object], list[object]]) -> None:
    api, script, _ = answers
    script += [HttpError(403, "no")]
    with pytest.raises(HttpError, match="403"):
        api.wait_for_dags(["gas_storage_daily"], SINCE)
