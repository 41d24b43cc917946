"""### Temperatures of the regions, every month

Fetches `temperature-quotidienne-regionale`, which ODRÉ republishes once in the first half of a month, and rebuilds the
marts that depend on it. The DAG asks every morning of that half; while the source has not changed a run costs one
request.

**Owner** data-platform. **Missing days?** Almost every last day of a month is missing at the source and never returns.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable

from odre.alerts import ALERTS
from odre.pipeline import TRIAGE, default_args, form, pipeline

with DAG(
    dag_id="temperature_monthly",
    description="Temperatures from ODRÉ to the marts",
    schedule=CronTriggerTimetable("0 7 1-15 * *", timezone="Europe/Paris", run_immediately=True),
    catchup=False,
    max_active_runs=4,  # three backfills, and the scheduled run beside them
    dagrun_timeout=timedelta(hours=6),
    is_paused_upon_creation=False,
    default_args=default_args(),
    params=form(),
    tags=["odre", "temperature"],
    doc_md=__doc__ + TRIAGE,
    **ALERTS,
):
    pipeline("temperature-quotidienne-regionale", late_after=timedelta(hours=6))
