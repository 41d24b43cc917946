"""The dashboard's figures against SQL and pandas on the warehouse, as the page has them, a file and the lake."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from airflow.sdk.exceptions import AirflowSkipException
from google.api_core.exceptions import BadRequest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from emulators.odre.generate import generate
from energy_dashboard import __main__ as command
from energy_dashboard.dashboard import Dashboard
from energy_dashboard.marts import MartsAbsent
from energy_dashboard.operators import PublishDashboardOperator
from energy_dashboard.queries import SOURCES
from local.stack import Stack
from odre.contracts import read_contracts
from tests.environment import variables
from tests.warehouse.support import NewWarehouse, TestWarehouse

ANCHOR = datetime(2026, 2, 19, 12, 7, tzinfo=UTC)
BUILT_AT = datetime(2026, 2, 19, 12, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def built(house: TestWarehouse) -> TestWarehouse:
    """Three years of generated data and their marts."""
    for dataset in generate(ANCHOR, years=3):
        house.land_all_of(dataset)
    house.dbt("seed")
    house.dbt("run")
    record_build(house, BUILT_AT)
    return house


def record_build(house: TestWarehouse, finished_at: datetime) -> None:
    house.query(
        "INSERT INTO {ops}.builds (dag_id, run_id, project_hash, started_at, finished_at) "
        f"VALUES ('d', 'r', 'h', TIMESTAMP '{finished_at}', TIMESTAMP '{finished_at}')"
    )


@pytest.fixture
def dashboard(built: TestWarehouse) -> Dashboard:
    return fresh(built)


def fresh(house: TestWarehouse) -> Dashboard:
    """A dashboard that has not read anything, and has the patience of a test among others."""
    dashboard = Dashboard.of(house.settings, lambda: house.client, lambda: True)
    dashboard.marts.timeout_s = 60
    return dashboard


def shown(dashboard: Dashboard, period: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(dashboard.answer(period).body)
    return made


def days(house: TestWarehouse, first: str, last: str) -> pd.DataFrame:
    """The mart's days, by day."""
    sql = f"SELECT * FROM {house.settings.marts_dataset}.energy_climate_daily WHERE day BETWEEN '{first}' AND '{last}'"
    table: pd.DataFrame = house.client.query(f"{sql} ORDER BY day").result().to_dataframe(create_bqstorage_client=False)
    return table.set_index(pd.to_datetime(table["day"]).dt.strftime("%Y-%m-%d"))


def test_the_header_is_what_sql_says_of_the_steps(dashboard: Dashboard, built: TestWarehouse) -> None:
    header = shown(dashboard, "2025")["header"]
    production = " + ".join(f"COALESCE({source}_mw, 0)" for source in SOURCES)
    ((consumed, produced, exchanged, co2, measured),) = built.query(f"""
        SELECT
          SUM(consumption_mw * step_minutes) / 60,
          SUM(({production}) * step_minutes) / 60,
          SUM(physical_exchange_mw * step_minutes) / 60,
          SUM(IF(co2_g_per_kwh IS NULL, NULL, co2_g_per_kwh * ({production}) * step_minutes))
            / SUM(IF(co2_g_per_kwh IS NULL, NULL, ({production}) * step_minutes)),
          COUNT(DISTINCT day)
        FROM {{marts}}.power_steps
        WHERE day BETWEEN '2025-01-01' AND '2025-12-31'
    """)
    assert header["consumption_mwh"]["value"] == pytest.approx(consumed, abs=0.01)
    assert header["production_mwh"]["value"] == pytest.approx(produced, abs=0.01)
    assert header["physical_exchange_mwh"]["value"] == pytest.approx(exchanged, abs=0.01)
    assert header["co2_g_per_kwh"]["value"] == pytest.approx(co2, abs=0.01)
    assert header["consumption_mwh"]["days"] == measured
    ((mean, counted),) = built.query(
        "SELECT AVG(temperature_mean_c), COUNT(*) FROM {marts}.temperature_daily "
        "WHERE day BETWEEN '2025-01-01' AND '2025-12-31'"
    )
    assert header["temperature_mean_c"]["value"] == pytest.approx(mean, abs=0.001)
    assert header["temperature_mean_c"]["days"] == counted
    fullness = built.value(
        "SELECT MAX_BY(fullness_pct, day) FROM {marts}.gas_stock_daily "
        "WHERE storage_point = 'France' AND day BETWEEN '2025-01-01' AND '2025-12-31'"
    )
    assert header["gas_fullness_pct"]["value"] == pytest.approx(fullness, abs=0.001)


def test_changes_are_those_of_the_days_that_are_whole_in_both_years(dashboard: Dashboard, built: TestWarehouse) -> None:
    header = shown(dashboard, "2026-02")["header"]
    now, before = days(built, "2026-02-01", "2026-02-28"), days(built, "2025-02-01", "2025-02-28")
    before.index = pd.Index([f"2026{day[4:]}" for day in before.index])
    whole = now.index[now["electricity_is_complete"]].intersection(before.index[before["electricity_is_complete"]])
    change = header["consumption_mwh"]["change"]
    assert 0 < len(whole) < 28
    assert change["days"] == len(whole)
    assert change["value"] == pytest.approx(now.loc[whole, "consumption_mwh"].sum(), abs=0.01)
    assert change["previous"] == pytest.approx(before.loc[whole, "consumption_mwh"].sum(), abs=0.01)
    assert change["difference_pct"] == pytest.approx((change["value"] / change["previous"] - 1) * 100, abs=0.001)
    # The day of the anchor is not over: it is in the figure, and not in the comparison.
    assert header["consumption_mwh"]["value"] == pytest.approx(now["consumption_mwh"].sum(), abs=0.01)
    assert header["consumption_mwh"]["value"] > change["value"]


def test_days_are_the_marts_rows(dashboard: Dashboard, built: TestWarehouse) -> None:
    daily = pd.DataFrame(shown(dashboard, "2025")["daily"]).set_index("day")
    mart = days(built, "2025-01-01", "2025-12-31").drop(columns="day")
    assert list(daily.index) == list(mart.index)
    for column in mart.columns:
        if mart[column].dtype.kind in "fi":
            pd.testing.assert_series_equal(
                daily[column].astype(float), mart[column].astype(float), atol=0.0051, rtol=0, check_names=False
            )
        else:
            # A null is None on one side and may be NaN on the other.
            assert daily[column].fillna("").tolist() == mart[column].fillna("").tolist()
    assert daily["production_mwh"].tolist() == pytest.approx(mart[[f"{s}_mwh" for s in SOURCES]].sum(axis=1).tolist())
    # Clocks change: a day of 23 hours, and one of 25 of which the source gives 24.
    assert daily.loc[["2025-03-30", "2025-10-26"], "expected_hours"].tolist() == [23, 25]
    assert daily.loc[["2025-03-30", "2025-10-26"], "measured_hours"].tolist() == [23.0, 24.0]
    assert daily.loc[["2025-03-30", "2025-10-26"], "electricity_is_complete"].tolist() == [True, False]
    mean = daily["consumption_mwh"] / daily["expected_hours"]
    assert daily["consumption_mean_mw"].dropna().tolist() == pytest.approx(
        mean[daily["electricity_is_complete"]].tolist(), abs=0.001
    )


@pytest.mark.parametrize("period", ["2025-10-26", "last-7", "2026-02-19"])
def test_hours_are_those_of_the_steps_and_sum_to_the_days(
    dashboard: Dashboard, built: TestWarehouse, period: str
) -> None:
    made = shown(dashboard, period)
    hourly = pd.DataFrame(made["hourly"]).set_index("instant")
    assert len(hourly) == sum(made["daily"]["expected_hours"])
    start, end = made["period"]["start"], made["period"]["end"]
    rows = built.query(f"""
        SELECT FORMAT_TIMESTAMP('%Y-%m-%dT%H:00:00Z', instant) AS hour, SUM(step_minutes),
          SUM(nuclear_mw * step_minutes) / 60, SUM(consumption_mw * step_minutes) / 60
        FROM {{marts}}.power_steps WHERE day BETWEEN '{start}' AND '{end}' GROUP BY 1 ORDER BY 1
    """)
    assert hourly.loc[hourly["measured_minutes"] > 0].index.tolist() == [row[0] for row in rows]
    measured = hourly.loc[[row[0] for row in rows]]
    assert measured["measured_minutes"].tolist() == [row[1] for row in rows]
    assert measured["nuclear_mwh"].tolist() == [row[2] for row in rows]
    assert measured["consumption_mwh"].tolist() == [row[3] for row in rows]
    for source in SOURCES:
        daily = sum(energy or 0 for energy in made["daily"][f"{source}_mwh"])
        assert hourly[f"{source}_mwh"].sum() == pytest.approx(daily, abs=0.01)
    if period == "2026-02-19":
        assert measured["measured_minutes"].tolist() == [60] * 12 + [30]


@pytest.mark.parametrize("period", ["2025-10-26", "2025"])
def test_a_period_reads_its_partitions_alone(built: TestWarehouse, period: str) -> None:
    """A mart that requires a bound on its partition column refuses a query without one."""
    client, marts = built.client, built.settings.marts_dataset
    partitioned = [
        item.table_id for item in client.list_tables(marts) if client.get_table(item.reference).time_partitioning
    ]
    assert "power_steps" in partitioned

    def require(required: bool) -> None:
        for table in partitioned:
            client.query(f"alter table {marts}.{table} set options (require_partition_filter = {required})").result()

    try:
        require(True)
        with pytest.raises(BadRequest, match="partition elimination"):
            client.query(f"select max(instant) from {marts}.power_steps where instant > '2025-01-01'").result()
        assert shown(fresh(built), period)["daily"]["day"]
    finally:
        require(False)


def test_totals_shares_and_exchanges_are_sums_of_the_marts(dashboard: Dashboard, built: TestWarehouse) -> None:
    made = shown(dashboard, "2025")
    rows = built.query(
        "SELECT source, SUM(energy_mwh) FROM {marts}.energy_mix_daily "
        "WHERE day BETWEEN '2025-01-01' AND '2025-12-31' GROUP BY 1 ORDER BY 2 DESC"
    )
    assert made["totals"]["source"] == [row[0] for row in rows]
    assert made["totals"]["energy_mwh"] == pytest.approx([row[1] for row in rows], abs=0.01)
    energies = dict(rows)
    total = sum(energies.values())
    assert made["totals"]["share_pct"] == pytest.approx([row[1] / total * 100 for row in rows], abs=0.001)
    fossil = sum(energies[source] for source in ("gas", "coal", "oil"))
    assert made["shares"]["top_source"] == rows[0][0] == "nuclear"
    assert made["shares"]["low_carbon_pct"] == pytest.approx(100 - fossil / total * 100, abs=0.001)
    renewable = 100 - (fossil + energies["nuclear"]) / total * 100
    assert made["shares"]["renewable_pct"] == pytest.approx(renewable, abs=0.001)
    mart = days(built, "2025-01-01", "2025-12-31")
    exchanges = pd.DataFrame(made["exchanges"]).set_index("border")
    for border in exchanges.index:
        for direction in ("import", "export"):
            expected = mart[f"{direction}_{border}_mwh"].sum()
            assert exchanges.loc[border, f"{direction}_mwh"] == pytest.approx(expected, abs=0.01)
        assert exchanges.loc[border, "top_days"] == (mart["top_export_destination"] == border).sum()
    assert exchanges["export_mwh"].sum() == pytest.approx(mart["commercial_export_mwh"].sum(), abs=0.01)
    assert exchanges["export_share_pct"].sum() == pytest.approx(100, abs=0.01)
    counts = mart["temperature_category"].value_counts()
    categories = made["temperature_categories"]
    assert categories["days"] == [counts.get(category, 0) for category in categories["category"]]
    assert sum(categories["days"]) == made["coverage"]["temperature_days"] > 300


def test_what_is_of_all_data_is_the_marts_as_they_are(dashboard: Dashboard, built: TestWarehouse) -> None:
    made = shown(dashboard, "2025-01-15")
    all_days = "period = 'all' AND season_filter = 'all' AND method IN ('raw', 'deseasonalised')"
    for part, where in {
        "seasons": "energy_mix_season",
        "fullness": "exchanges_by_fullness",
        "relationships": f"relationships WHERE {all_days}",
        "thermosensitivity": "thermosensitivity WHERE y = 'consumption_mwh'",
    }.items():
        columns = list(made[part])
        rows = built.query(f"SELECT {', '.join(columns)} FROM {{marts}}.{where}")
        assert len(rows) > 4, part
        found = sorted(zip(*made[part].values(), strict=True), key=str)
        for mine, theirs in zip(found, sorted(rows, key=str), strict=True):
            assert [pytest.approx(value, abs=0.006) if isinstance(value, float) else value for value in theirs] == list(
                mine
            )
    answers = built.query("SELECT question, answer_fr, figures_en, caveat_fr FROM {marts}.answers ORDER BY question")
    assert [
        (each["question"], each["fr"]["answer"], each["en"]["figures"], each["fr"]["caveat"])
        for each in made["answers"]
    ] == answers
    assert len(answers) == 6


def test_the_fitted_line_goes_through_the_middle_of_the_points(dashboard: Dashboard) -> None:
    """Base, slope and degrees as the page draws them, against the winter days that it shows."""
    made = shown(dashboard, "2023-03-01_2026-02-18")
    fit = pd.DataFrame(made["thermosensitivity"]).set_index("winter").loc["all"]
    points = pd.DataFrame(made["daily"]).dropna(subset=["consumption_mean_mw", "temperature_mean_c"])
    winter = points[points["day"].str[5:7].isin(["11", "12", "01", "02", "03"])]
    assert made["heating_base_c"] == 18
    cold = (made["heating_base_c"] - winter["temperature_mean_c"]).clip(lower=0)
    assert (cold - winter["heating_degree_days"]).abs().max() < 0.002
    off = winter["consumption_mean_mw"] - (fit["base_mw"] + fit["mw_per_c"] * cold)
    assert len(winter) > 300
    # Least squares over all winter days: those that this period leaves out are few.
    assert abs(off.mean()) < 0.02 * winter["consumption_mean_mw"].mean()


def test_freshness_is_the_ledgers(dashboard: Dashboard, built: TestWarehouse) -> None:
    made = shown(dashboard, "2025")
    found = pd.DataFrame(made["freshness"]).set_index("dataset")
    assert list(found.index) == list(read_contracts())
    for dataset, until, loaded in built.query(
        "SELECT dataset, MAX(high_water), MAX(loaded_at) FROM {ops}.loads GROUP BY 1"
    ):
        assert found.loc[dataset, "measured_until"] == f"{until:%Y-%m-%dT%H:%M:%SZ}"
        assert found.loc[dataset, "loaded_at"] == f"{loaded:%Y-%m-%dT%H:%M:%SZ}"
        assert found.loc[dataset, "stale_after_hours"] == read_contracts()[dataset].freshness_hours
    assert made["built_at"] == f"{BUILT_AT:%Y-%m-%dT%H:%M:%SZ}"
    assert made["available"]["last_day"] == "2026-02-19"
    assert made["available"]["last_complete_day"] == "2026-02-18"


def test_the_last_days_end_with_the_last_whole_one(dashboard: Dashboard) -> None:
    period = shown(dashboard, "last-30")["period"]
    assert (period["start"], period["end"]) == ("2026-01-20", "2026-02-18")


def seconds(what: Callable[[], object], times: int) -> list[float]:
    """How long something takes, each time, the fastest first."""
    took = []
    for _ in range(times):
        begun = time.perf_counter()
        what()
        took.append(time.perf_counter() - begun)
    return sorted(took)


def test_a_year_is_there_within_the_time_that_a_page_has(built: TestWarehouse, dashboard: Dashboard) -> None:
    # A query of nothing takes 50 ms at most where the machine has nothing else to do.
    busy = max(1.0, seconds(lambda: built.value("SELECT 1"), 5)[2] / 0.05)
    assert seconds(lambda: fresh(built).answer("last-365"), 3)[0] < 2.0 * busy
    dashboard.answer("last-365")
    assert seconds(lambda: dashboard.answer("last-365"), 40)[37] < 0.3


def test_a_warehouse_without_marts_is_told_from_one_that_is_silent(new_warehouse: NewWarehouse) -> None:
    with pytest.raises(MartsAbsent):
        fresh(new_warehouse()).answer("2025")


# The same as a file.


def data_of(html: str) -> dict[str, Any]:
    """The data inside a single file."""
    (text,) = re.findall(r'<script type="application/json" id="energy-data">(.*?)</script>', html, re.DOTALL)
    found: dict[str, Any] = json.loads(text)
    return found


def test_a_file_has_the_figures_of_its_period_inside(built: TestWarehouse, tmp_path: Path) -> None:
    file = tmp_path / "energy.html"
    with variables(built.environment):
        assert command.main(["2025", str(file), "generated"]) == 0
    made = data_of(file.read_text(encoding="utf-8"))
    expected = shown(fresh(built), "2025")
    assert made["sample"] is True
    assert {name: part for name, part in made.items() if name != "generated_at"} == {
        name: part for name, part in expected.items() if name != "generated_at"
    }


@pytest.mark.parametrize(("period", "message"), [("2025-13", "no such day"), ("2025", "no marts")])
def test_a_file_that_cannot_be_is_said_in_a_line(
    new_warehouse: NewWarehouse,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    period: str,
    message: str,
) -> None:
    with variables(new_warehouse().environment):
        assert command.main([period, str(tmp_path / "energy.html")]) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def publish(
    built: TestWarehouse, emulators: Stack, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], tuple[storage.Blob, dict[str, Any]]]:
    """Runs the task; gives the object and its data."""
    google = {"conn_type": "google_cloud_platform", "extra": {"is_anonymous": True, "project": "odre-local"}}
    for name, value in {
        **built.environment,
        "STORAGE_EMULATOR_HOST": emulators.warehouse.storage,
        "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": json.dumps(google),
        "AIRFLOW_CONN_READERS": json.dumps(google),
        "AIRFLOW_CONN_ODRE_DEFAULT": emulators.source.airflow_connection("http://127.0.0.1:9"),
    }.items():
        monkeypatch.setenv(name, value)
    settings = replace(built.settings, lake_prefix="dash/", dashboard_conn_id="readers")

    def run() -> tuple[storage.Blob, dict[str, Any]]:
        task = PublishDashboardOperator(task_id="publish_dashboard", settings=settings)
        address = task.execute({})
        assert address == f"gs://{settings.bucket}/dash/dashboard/index.html"
        lake = storage.Client(project=settings.project, credentials=AnonymousCredentials())
        blob = lake.bucket(settings.bucket).get_blob("dash/dashboard/index.html")
        return blob, data_of(blob.download_as_bytes().decode())

    return run


def test_the_task_publishes_each_build_once(
    built: TestWarehouse, publish: Callable[[], tuple[storage.Blob, dict[str, Any]]]
) -> None:
    before = {job.job_id for job in built.client.list_jobs(all_users=True)}
    blob, made = publish()
    labels = [job.labels for job in built.client.list_jobs(all_users=True) if job.job_id not in before]
    # No DAG runs the task here: it is Airflow's name for that, and not the page's.
    assert {each["dag"] for each in labels} == {"adhoc_airflow"}
    assert blob.content_type == "text/html"
    assert (made["sample"], made["period"]["name"]) == (True, "last-365")
    assert made["header"] == shown(fresh(built), "last-365")["header"]
    with pytest.raises(AirflowSkipException, match="already"):
        publish()
    later = BUILT_AT.replace(hour=13)
    record_build(built, later)
    _, made = publish()
    assert made["built_at"] == f"{later:%Y-%m-%dT%H:%M:%SZ}"
    built.query(f"DELETE FROM {{ops}}.builds WHERE finished_at = TIMESTAMP '{later}'")


def test_the_task_has_nothing_to_publish_before_a_build(
    built: TestWarehouse, publish: Callable[[], tuple[storage.Blob, dict[str, Any]]]
) -> None:
    built.query("DELETE FROM {ops}.builds WHERE TRUE")
    try:
        with pytest.raises(AirflowSkipException, match="No build"):
            publish()
    finally:
        record_build(built, BUILT_AT)


def test_what_looker_studio_reads_gives_the_figures_of_the_page(dashboard: Dashboard, built: TestWarehouse) -> None:
    made = shown(dashboard, "2025")
    where = "WHERE day BETWEEN '2025-01-01' AND '2025-12-31'"
    ((consumed, produced, co2),) = built.query(
        "SELECT SUM(consumption_gwh), SUM(production_gwh), SUM(co2_tonnes) / SUM(production_gwh) "
        f"FROM {{marts}}.looker_days {where}"
    )
    header = made["header"]
    assert consumed * 1000 == pytest.approx(header["consumption_mwh"]["value"], abs=0.1)
    assert produced * 1000 == pytest.approx(header["production_mwh"]["value"], abs=0.1)
    assert co2 == pytest.approx(header["co2_g_per_kwh"]["value"], abs=0.001)
    ((low_carbon, renewable),) = built.query(
        "SELECT SUM(IF(is_low_carbon, energy_gwh, 0)) / SUM(energy_gwh) * 100, "
        f"SUM(IF(is_renewable, energy_gwh, 0)) / SUM(energy_gwh) * 100 FROM {{marts}}.looker_mix {where}"
    )
    assert low_carbon == pytest.approx(made["shares"]["low_carbon_pct"], abs=0.001)
    assert renewable == pytest.approx(made["shares"]["renewable_pct"], abs=0.001)
    exchanges = dict(zip(made["exchanges"]["border"], made["exchanges"]["export_mwh"], strict=True))
    for border, exported in built.query(
        f"SELECT border, SUM(energy_gwh) FROM {{marts}}.looker_exchanges {where} AND direction = 'export' GROUP BY 1"
    ):
        assert exported * 1000 == pytest.approx(exchanges.pop(border), abs=0.1)
    assert exchanges == {}


def test_the_days_of_a_range_before_all_data_are_there_and_empty(dashboard: Dashboard) -> None:
    made = shown(dashboard, "2001-01-01_2001-01-31")
    assert made["coverage"]["state"] == "empty"
    assert made["daily"]["day"][::30] == [date(2001, 1, 1).isoformat(), date(2001, 1, 31).isoformat()]
    assert set(made["daily"]["nuclear_mwh"]) == {None}
