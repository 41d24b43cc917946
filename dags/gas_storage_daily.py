"""### Gas in storage, every day

Fetches `stock-quotidien-stockages-gaz`, the stock of each storage point at the end of the gas day, and rebuilds the
marts that depend on it.

**Owner** data-platform. **Late?** Operators publish on different days, up to a month apart: the window reaches back 35
days before the slowest of them, and France has no figure until every storage point has one.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable

from odre.alerts import ALERTS
from odre.pipeline import TRIAGE, default_args, form, pipeline

with DAG(
    dag_id="gas_storage_daily",
    description="Gas in storage from ODRÉ to the marts",
    schedule=CronTriggerTimetable("0 11 * * *", timezone="Europe/Paris", run_immediately=True),
    catchup=False,
    max_active_runs=4,  # three backfills, and the scheduled run beside them
    dagrun_timeout=timedelta(hours=6),
    is_paused_upon_creation=False,
    default_args=default_args(),
    params=form(),
    tags=["odre", "gas"],
    doc_md=__doc__ + TRIAGE,
    **ALERTS,
):
    pipeline("stock-quotidien-stockages-gaz", late_after=timedelta(hours=6))
