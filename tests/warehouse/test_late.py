"""What the pipeline keeps of its own success, and what the next run of any DAG says of one that is late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from odre import alerts, warehouse
from odre.contracts import read_contracts
from odre.transform import BuildGateOperator
from tests.warehouse.ingest import Pipeline, build_context, prepare
from tests.warehouse.support import GAS, REAL_TIME, TEMPERATURE

HOUR = timedelta(hours=1)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The messages."""
    texts: list[str] = []
    monkeypatch.setattr(alerts, "_send", lambda text, context: texts.append(text))
    return texts


def succeeded(pipeline: Pipeline, dag_id: str, hours_ago: int, due_in_hours: int) -> None:
    """A success on record."""
    pipeline.house.query(
        "insert into {ops}.runs (dag_id, run_id, succeeded_at, expected_by) select "
        f"'{dag_id}', 'r', timestamp_sub(current_timestamp(), interval {hours_ago} hour), "
        f"timestamp_add(current_timestamp(), interval {due_in_hours} hour)"
    )


def loaded(pipeline: Pipeline, dataset: str, hours_ago: int) -> None:
    """A load on record."""
    pipeline.house.query(
        f"insert into {{ops}}.loads (dataset, loaded_at) "
        f"select '{dataset}', timestamp_sub(current_timestamp(), interval {hours_ago} hour)"
    )


def test_a_late_dag_is_warned_of_by_every_run_and_told_once(
    pipeline: Pipeline, sent: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(pipeline.house)
    assert sent == []
    succeeded(pipeline, "gas_storage_daily", hours_ago=60, due_in_hours=-30)
    succeeded(pipeline, "eco2mix_hourly", hours_ago=1, due_in_hours=2)
    for _ in range(2):
        capsys.readouterr()
        prepare(pipeline.house)
        warned = capsys.readouterr().out
        assert "gas_storage_daily is late: its last success was on " in warned
        assert "eco2mix_hourly is late" not in warned
    (text,) = sent
    assert text.startswith(":large_orange_circle: *gas_storage_daily is late*: its last success was on ")
    # It succeeds, and is late again: another lateness, another message.
    succeeded(pipeline, "gas_storage_daily", hours_ago=10, due_in_hours=-1)
    prepare(pipeline.house)
    prepare(pipeline.house)
    assert len(sent) == 2


def test_what_slack_refuses_is_tried_again_by_the_next_run_and_fails_nothing(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    def refuse(text: str, context: object) -> None:
        tries.append(text)
        raise ConnectionError("Slack is away")

    monkeypatch.setattr(alerts, "_send", refuse)
    prepare(pipeline.house)
    succeeded(pipeline, "gas_storage_daily", hours_ago=60, due_in_hours=-30)
    prepare(pipeline.house)
    prepare(pipeline.house)
    assert len(tries) == 2
    assert pipeline.house.query("select * from {ops}.alerts") == []


def test_a_dataset_that_was_never_loaded_is_late_once_the_others_are_there_for_long(
    pipeline: Pipeline, sent: list[str]
) -> None:
    loaded(pipeline, REAL_TIME, hours_ago=warehouse.FIRST_LOADS_WITHIN_HOURS - 1)
    prepare(pipeline.house)
    assert sent == []
    loaded(pipeline, REAL_TIME, hours_ago=warehouse.FIRST_LOADS_WITHIN_HOURS + 1)
    loaded(pipeline, GAS, hours_ago=1)
    prepare(pipeline.house)
    # The other dataset of electricity is optional at the source.
    assert [text.partition("*")[2].partition("*")[0] for text in sent] == [f"{TEMPERATURE} is late"]
    assert [c.dataset for c in read_contracts().values() if c.optional] == ["eco2mix-national-cons-def"]
    assert "Is its DAG switched on in Airflow?" in sent[0]


def test_a_run_that_finds_nothing_new_is_a_success_and_a_backfill_is_none(pipeline: Pipeline) -> None:
    house = pipeline.house

    def join(window: str) -> None:
        operator = BuildGateOperator(
            task_id="join", datasets=[GAS], settings=house.settings, late_after=HOUR, window=window
        )
        project_hash = operator.execute(build_context())["project_hash"]
        house.query(
            "insert into {ops}.builds (dag_id, run_id, project_hash, started_at, finished_at, data_tests)"
            f" select 'adhoc_airflow', 'r', '{project_hash}', current_timestamp(), current_timestamp(), 'all'"
        )
        with pytest.raises(AirflowSkipException, match="current"):
            operator.execute(build_context())

    join("2025-01-01")
    assert house.query("select * from {ops}.runs") == []
    house.query("delete from {ops}.builds where true")
    join("")
    ((dag_id, expected_by),) = house.query("select dag_id, expected_by from {ops}.runs")
    assert dag_id == "adhoc_airflow"
    # The hour's next twentieth minute, and an hour.
    now = datetime.now(UTC)
    assert now + HOUR < expected_by <= now + 2 * HOUR
    assert expected_by.minute == 20


def test_a_recorded_build_is_a_success_too(pipeline: Pipeline) -> None:
    house, job = pipeline.house, {"dag_id": "d", "run_id": "r", "project_hash": "h", "data_tests": "all"}
    prepare(pipeline.house)
    for due in ("", "2026-01-02T03:00:00+00:00"):
        parameters = ", ".join(f"'{value}' as {name}" for name, value in {**job, "expected_by": due}.items())
        sql = warehouse.record_build_sql(house.settings)
        script = f"create temp table p as select {parameters}, current_timestamp() as started_at;\n{sql}"
        for name in (*job, "expected_by", "started_at"):
            script = script.replace(f"@{name}", f"(select {name} from p)")
        house.client.query(script).result()
    assert len(house.query("select * from {ops}.builds")) == 2
    assert house.query("select format_timestamp('%F %H', expected_by) from {ops}.runs") == [("2026-01-02 03",)]
    assert house.query("select name from {ops}.due_runs where is_late") == [("d",)]
