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


def test_what_was_not_answered_in_time_is_asked_again_and_not_for_ever(
    answers: tuple[AirflowApi, list[object], list[object]],
) -> None:
    api, script, sent = answers
    script += [TimeoutError("no answer within 60 s"), THERE]
    run_id = api.trigger("gas_storage_daily")
    assert sent == [{"dag_run_id": run_id, "logical_date": None, "conf": {}}] * 2
    script += [TimeoutError("no answer within 60 s")] * (TRIES + 1)
    with pytest.raises(TimeoutError, match="within 60 s"):
        api.call("GET", "dags")
    assert len(sent) == 2 + TRIES


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
    trace = "Traceback (most recent call last):\n  File x\nImportError: new\nsee the manual"
    new = {"timestamp": "2026-11-24T12:00:01Z", "filename": "new.py", "stack_trace": trace}
    script += [dags(None), {"import_errors": [old]}, dags(None), {"import_errors": [old, new]}]
    with pytest.raises(LocalError, match=r"^new\.py cannot be imported: ImportError: new$"):
        api.wait_for_dags(["gas_storage_daily"], SINCE)


#: As Airflow 3.3.1 keeps it.
TIMEOUT = """Traceback (most recent call last):
  File "/home/me/dags/gas_storage_daily.py", line 14, in <module>
    from odre.pipeline import pipeline
airflow.sdk.exceptions.AirflowTaskTimeout: DagBag import timeout for /home/me/dags/gas_storage_daily.py after 30.0s.
Please take a look at these docs to improve your DAG import time:
* https://airflow.apache.org/docs/apache-airflow/3.3.1/best-practices.html#top-level-python-code
* https://airflow.apache.org/docs/apache-airflow/3.3.1/best-practices.html#reducing-dag-complexity, PID: 29337
"""


def test_a_reading_that_took_too_long_is_waited_out(
    answers: tuple[AirflowApi, list[object], list[object]], capsys: pytest.CaptureFixture[str]
) -> None:
    api, script, _ = answers
    late = {"timestamp": "2026-11-24T12:00:31Z", "filename": "gas_storage_daily.py", "stack_trace": TIMEOUT}
    script += [dags(None), {"import_errors": [late]}] * 2 + [dags("2026-11-24T12:06:00Z")]
    api.wait_for_dags(["gas_storage_daily"], SINCE)
    assert script == []
    (line,) = capsys.readouterr().out.splitlines()
    assert "gas_storage_daily.py was not read in time, and Airflow reads it again" in line
    assert line.endswith("DagBag import timeout for /home/me/dags/gas_storage_daily.py after 30.0s.")

    script += [dags(None), {"import_errors": [late]}]
    with pytest.raises(LocalError, match=r"has not read .* after 0 s; gas_storage_daily\.py: .*DagBag import timeout"):
        api.wait_for_dags(["gas_storage_daily"], SINCE, patience=0)


def test_a_file_that_is_to_be_read_already_is_not_asked_for_twice(
    answers: tuple[AirflowApi, list[object], list[object]],
) -> None:
    api, script, _ = answers
    script += [None, HttpError(409, "Unique constraint violation"), HttpError(404, "no such file")]
    api.read_again({"file_token": "x"})
    api.read_again({"file_token": "x"})
    with pytest.raises(HttpError, match="404"):
        api.read_again({"file_token": "x"})


def test_a_server_that_ends_ends_the_wait(answers: tuple[AirflowApi, list[object], list[object]]) -> None:
    api, script, _ = answers

    def check() -> None:
        if not script:
            raise LocalError("The dag-processor ended by itself")

    script += [dags(None), NO_ERRORS]
    with pytest.raises(LocalError, match="ended by itself"):
        api.wait_for_dags(["gas_storage_daily"], SINCE, check=check)


def test_who_may_not_ask_does_not_wait(answers: tuple[AirflowApi, list[object], list[object]]) -> None:
    api, script, _ = answers
    script += [HttpError(403, "no")]
    with pytest.raises(HttpError, match="403"):
        api.wait_for_dags(["gas_storage_daily"], SINCE)
