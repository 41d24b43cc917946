"""What the three DAGs share: their form, their defaults and the flow from the source to the marts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator, Param

from odre.alerts import OWNER
from odre.ingest import ingest
from odre.operators import PrepareWarehouseOperator
from odre.settings import MERGE_POOL, Settings
from odre.transform import transform

#: What to do when a task fails: the end of every DAG's documentation.
TRIAGE = """
**When a task fails**, its log ends with the dataset, the window, the cause and the next step.

| task | what to do |
| --- | --- |
| `gate`, `extract` | The source did not answer: nothing, the next run fetches what this one missed. \
It broke its contract: see `docs/runbooks`. |
| `load`, `merge` | Clear the task: both are safe to repeat. |
| `dbt` | Read the log of `dbt_producer_watcher`, mend, clear the failed model. \
Or leave it to the next run, which builds again. |

**Backfill**: trigger the DAG with a window. Its chunks are fetched one at a time, beside the scheduled runs.
"""

#: A day, or a time with or without seconds and offset.
FORM_INSTANT = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$"


def form() -> dict[str, Param]:
    """The fields of a DAG's trigger form."""
    return {
        "window_start": Param(
            None,
            type=["null", "string"],
            pattern=FORM_INSTANT,
            title="Window: from",
            description="Fetch again from this day or time on, such as 2022-06-01 (Paris time if it has no offset). "
            "Empty: the run chooses its window itself; with only an end given, from the source's first row.",
        ),
        "window_end": Param(
            None,
            type=["null", "string"],
            pattern=FORM_INSTANT,
            title="Window: up to",
            description="Up to this day or time, which is not in the window any more; later than its start. "
            "Empty: up to the source's last row.",
        ),
        "force": Param(
            False,
            type="boolean",
            title="Fetch even if nothing changed",
            description="Ask the source for data although its freshness mark says that nothing changed.",
        ),
    }


def default_args() -> dict[str, Any]:
    """Owner and retries of every task. What another try cannot mend fails at once, whatever is said here."""
    return {
        "owner": OWNER,
        "execution_timeout": timedelta(hours=1),
        "retries": 3,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=10),
    }


def pipeline(*datasets: str, late_after: timedelta) -> BaseOperator:
    """``prepare → ingest of each dataset → join → dbt → record``, in the DAG of the context; returns ``record``.

    The DAG is late when it has not succeeded by the time of its next scheduled run plus ``late_after``.
    """
    settings = Settings.from_environment()
    prepare = PrepareWarehouseOperator(
        task_id="prepare", settings=settings, pool=MERGE_POOL.name, execution_timeout=timedelta(minutes=10)
    )
    groups: Sequence[Any] = [ingest(dataset, settings) for dataset in datasets]
    join, record = transform(datasets, settings, late_after)
    prepare >> groups >> join
    prepare >> join
    return record
