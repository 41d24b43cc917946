"""### French electricity mix, every hour

Fetches `eco2mix-national-tr` (near real time) each hour and `eco2mix-national-cons-def` (consolidated and definitive)
when ODRÉ republishes it, and rebuilds the marts that depend on them. Then it publishes the dashboard as one file,
`dashboard/index.html` in the lake: a failure of that last task leaves the run and its data a success.

**Owner** data-platform. **Late?** The source publishes 30 to 60 minutes late; a missed run heals by the next one's
window.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable

from energy_dashboard.operators import publish_dashboard
from odre.alerts import ALERTS
from odre.pipeline import TRIAGE, default_args, form, pipeline
from odre.settings import Settings

with DAG(
    dag_id="eco2mix_hourly",
    description="Electricity mix from ODRÉ to the marts",
    schedule=CronTriggerTimetable("20 * * * *", timezone="Europe/Paris", run_immediately=True),
    catchup=False,
    max_active_runs=4,  # three backfills, and the scheduled run beside them
    dagrun_timeout=timedelta(hours=12),
    is_paused_upon_creation=False,
    default_args=default_args(),
    params=form(),
    tags=["odre", "electricity"],
    doc_md=__doc__ + TRIAGE,
    **ALERTS,
):
    record = pipeline("eco2mix-national-tr", "eco2mix-national-cons-def", late_after=timedelta(hours=2))
    record >> publish_dashboard(Settings.from_environment())
