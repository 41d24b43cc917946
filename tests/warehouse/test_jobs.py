"""What is really submitted to BigQuery: each job says whose it is, and each query has its bound on bytes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSkipException

from emulators.odre.server import Request
from emulators.odre.source import MemorySource
from odre.restore import Restore
from odre.transform import BuildGateOperator
from tests.warehouse.ingest import DAY, Pipeline, build_context, gas
from tests.warehouse.support import FETCHES, GAS, DbtFailed

BOUND = 123_456_789
HOUR = timedelta(hours=1)


class Watched:
    """The jobs that a warehouse was given since."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.client = pipeline.house.client
        self.before = {job.job_id for job in self.client.list_jobs(all_users=True)}

    def since(self) -> list[Any]:
        """Them, oldest first; statements of a script apart, which the script's own bound holds."""
        every = reversed(list(self.client.list_jobs(all_users=True)))
        return [job for job in every if job.job_id not in self.before and not job.parent_job_id]


def check(jobs: list[Any], dag: str) -> None:
    for job in jobs:
        what = (job.job_type, job.labels, getattr(job, "query", "")[:80])
        assert job.labels["dag"] == dag, what
        assert job.labels["task"], what
        assert job.labels["dataset"], what
        if job.job_type == "query":
            assert job.maximum_bytes_billed == BOUND, what


@pytest.fixture
def bounded(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A pipeline whose environment says how many bytes a query may read."""
    monkeypatch.setenv("MAXIMUM_BYTES_BILLED", str(BOUND))
    settings = pipeline.house.settings
    object.__setattr__(settings, "maximum_bytes_billed", BOUND)
    return pipeline


def test_jobs_of_operators_and_of_a_restore(bounded: Pipeline, serving: Callable[..., list[Request]]) -> None:
    source = MemorySource()
    source.publish(GAS, gas({DAY: 100.0, DAY + timedelta(days=1): 90.5}))
    serving(source)
    watched = Watched(bounded)
    (chunk,) = bounded.gate(GAS)
    extracted = bounded.extract(chunk, "first")
    bounded.load(GAS, extracted)
    bounded.merge(GAS, extracted)
    join = BuildGateOperator(task_id="join", datasets=[GAS], settings=bounded.house.settings, late_after=HOUR)
    assert join.execute(build_context())["data_tests"] == "all"
    jobs = watched.since()
    assert [job.labels["task"] for job in jobs] == ["gate", "load", "merge", "merge", "join"]
    assert {job.labels["dataset"] for job in jobs[:-1]} == {GAS}
    check([job for job in jobs if job.labels["dag"] != "test"], "adhoc_airflow")
    check([job for job in jobs if job.labels["dag"] == "test"], "test")

    watched = Watched(bounded)
    Restore(bounded.house.settings, bounded.house.client, bounded.lake).run()
    assert {job.job_type for job in watched.since()} == {"query", "load"}
    check(watched.since(), "restore")


def test_jobs_of_dbt(bounded: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CTX_DAG_ID", "gas_storage_daily")
    monkeypatch.setenv("AIRFLOW_CTX_TASK_ID", "dbt.dbt_producer_watcher")
    watched = Watched(bounded)
    bounded.house.dbt("build", "--select", "+stg_odre__gas_stock", "bytes_by_dag_daily", "gas_storage_points")
    jobs = watched.since()
    assert {job.job_type for job in jobs} == {"query", "load"}
    # dbt loads seeds without labels, which cost nothing.
    queries = [job for job in jobs if job.job_type == "query"]
    check(queries, "gas_storage_daily")
    assert {job.labels["task"] for job in queries} == {"dbt-dbt_producer_watcher"}
    of_models = {job.labels["node_id"]: job.labels["dataset"] for job in queries}
    settings = bounded.house.settings
    assert of_models["model_energy_stg_odre__gas_stock"] == settings.staging_dataset
    assert of_models["model_energy_bytes_by_dag_daily"] == settings.ops_dataset


def test_all_data_tests_run_once_a_day_and_those_of_keys_every_time(
    bounded: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = bounded.house
    row = "(date '2025-03-01', 'France', cast({stock} as float64))"
    house.dbt("seed")
    house.dbt("run", "--select", "+gas_stock_daily")
    columns = "day, storage_point, stock_gwh"
    house.query(f"insert into {{marts}}.gas_stock_daily ({columns}) values {row.replace('{stock}', '-1')}")
    tests = ["test", "--select", "gas_stock_daily"]
    with pytest.raises(DbtFailed, match="gas_stock_is_not_negative"):
        house.dbt(*tests)
    monkeypatch.setenv("DATA_TESTS", "keys")
    watched = Watched(bounded)
    house.dbt(*tests)
    read = [job.query for job in watched.since() if "gas_stock_daily" in job.query.partition("*/")[2]]
    assert len(read) == 1, read
    house.query(f"insert into {{marts}}.gas_stock_daily ({columns}) values {row.replace('{stock}', '1')}")
    with pytest.raises(DbtFailed, match="unique_combination_gas_stock_daily"):
        house.dbt(*tests)


def test_a_day_of_builds_has_one_with_all_data_tests(bounded: Pipeline) -> None:
    house = bounded.house

    def data_tests(**builds: str) -> str:
        join = BuildGateOperator(task_id="join", datasets=[GAS], settings=house.settings, late_after=HOUR)
        context = build_context(cleared=int(builds.pop("cleared", "0")))
        house.query("delete from {ops}.builds where true")
        first = join.execute(context)
        for tested, hours in builds.items():
            house.query(
                "insert into {ops}.builds (dag_id, run_id, project_hash, started_at, finished_at, data_tests)"
                f" select 'adhoc_airflow', 'r', '{first['project_hash']}', at, at, '{tested}' from"
                f" (select timestamp_sub(current_timestamp(), interval {hours} hour) as at)"
            )
        house.query("delete from {ops}.loads where true")
        house.query(f"insert into {{ops}}.loads (dataset, loaded_at) values ('{GAS}', current_timestamp())")
        return join.execute(context)["data_tests"]

    assert data_tests() == "all"
    assert data_tests(all="1") == "keys"
    assert data_tests(all="22", keys="1") == "keys"
    assert data_tests(all="24", keys="1") == "all"
    assert data_tests(keys="1") == "all"
    assert data_tests(all="1", cleared="1") == "all"


@pytest.mark.parametrize(("dag_id", "datasets"), FETCHES.items())
def test_the_marts_of_each_dag_are_behind_until_its_own_build_is_on_record(
    pipeline: Pipeline, dag_id: str, datasets: tuple[str, ...]
) -> None:
    house = pipeline.house
    with DAG(dag_id):
        join = BuildGateOperator(task_id="join", datasets=datasets, settings=house.settings, late_after=HOUR)

    def decide() -> dict[str, str]:
        return join.execute(build_context())

    def record(of: str) -> None:
        house.query(
            "insert into {ops}.builds (dag_id, run_id, project_hash, started_at, finished_at, data_tests)"
            f" select '{of}', 'r', '{project_hash}', current_timestamp(), current_timestamp(), 'all'"
        )

    for table in ("loads", "builds"):
        house.query(f"delete from {{ops}}.{table} where true")
    for dataset in datasets:
        house.query(f"insert into {{ops}}.loads (dataset, loaded_at) values ('{dataset}', current_timestamp())")
    project_hash = decide()["project_hash"]
    # A build that failed is not recorded, and that of another DAG is another.
    record("adhoc_airflow")
    assert decide()["project_hash"] == project_hash
    record(dag_id)
    with pytest.raises(AirflowSkipException, match="current"):
        decide()
    house.query(f"insert into {{ops}}.loads (dataset, loaded_at) values ('{datasets[-1]}', current_timestamp())")
    assert decide()["data_tests"] == "keys"
