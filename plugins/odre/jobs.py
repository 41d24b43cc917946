"""What every job that the pipeline submits to BigQuery carries: who it is of, and how much it may read.

Pure: no Airflow import. Configurations are as BigQuery's API takes them, so that operators and clients share them.
"""

from __future__ import annotations

import re
from typing import Any, Final

from odre.settings import Settings

#: Templates of the labels that say which DAG and task a job is of, where Airflow renders them.
OF_THIS_TASK: Final = {"dag": "{{ dag.dag_id }}", "task": "{{ task.task_id | replace('.', '-') }}"}


def label(text: str) -> str:
    """A text as a label's value: lower case letters, digits, ``_`` and ``-``, 63 at most."""
    return re.sub(r"[^a-z0-9_-]", "-", text.lower())[:63]


def labels_of(dag_id: str, task_id: str, dataset: str) -> dict[str, str]:
    """The labels of a job that a task submits itself; ``dataset`` is the source's, or the warehouse's."""
    return {"dag": label(dag_id), "task": label(task_id), "dataset": label(dataset)}


def query_parameter(name: str, parameter_type: str, value: Any) -> dict[str, Any]:
    """A named query parameter; ``value`` may be a template or an XComArg."""
    return {"name": name, "parameterType": {"type": parameter_type}, "parameterValue": {"value": value}}


def query_job(sql: str, settings: Settings, labels: dict[str, str], *parameters: dict[str, Any]) -> dict[str, Any]:
    """Configuration of a query job that is refused, unbilled, if it would read more than it may."""
    return {
        "query": {
            "query": sql,
            "useLegacySql": False,
            "parameterMode": "NAMED",
            "queryParameters": list(parameters),
            "maximumBytesBilled": str(settings.maximum_bytes_billed),
        },
        "labels": labels,
    }
