"""What OpenLineage is told of a run: from the source over the lake and the raw tables to the marts.

Told only where a collector is configured (``OPENLINEAGE_URL``); what tells it is imported then. The lake's dataset is
its folder, not each object, and the table of one run, which is gone after the merge, is none: a graph of a year of runs
is the graph of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Context

from odre.settings import Settings

#: A dataset's namespace and name.
Node = tuple[str, str]


def source(address: str, dataset: str) -> Node:
    """A dataset of the portal."""
    return address, dataset


def lake(settings: Settings, dataset: str) -> Node:
    """What the lake has of a dataset."""
    return f"gs://{settings.bucket}", f"{settings.lake_prefix}raw/{dataset}"


def table(settings: Settings, dataset: str, name: str) -> Node:
    """A table of the warehouse, as dbt's and Google's own events call it."""
    return "bigquery", f"{settings.project}.{dataset}.{name}"


def facets(inputs: Sequence[Node] = (), outputs: Sequence[Node] = ()) -> Any:
    """What an operator gives to Airflow's listener: the datasets that its task read and wrote."""
    from airflow.providers.common.compat.openlineage.facet import Dataset
    from airflow.providers.openlineage.extractors import OperatorLineage

    return OperatorLineage(
        inputs=[Dataset(namespace=namespace, name=name) for namespace, name in inputs],
        outputs=[Dataset(namespace=namespace, name=name) for namespace, name in outputs],
    )


def emit_models(_: str, context: Context) -> None:
    """Cosmos's callback after a dbt command: an event a model and seed, each with what it was made from.

    Cosmos itself tells them as one: all inputs and all outputs of the command, an edge from everything to everything.
    """
    from airflow.providers.openlineage.api.core import emit, is_openlineage_active
    from airflow.providers.openlineage.plugins import macros as untyped_macros
    from openlineage.client.facet_v2 import parent_run

    task: Any = context["task"]
    events, task.openlineage_events_completes = task.openlineage_events_completes, []
    if not is_openlineage_active():
        return
    ti: Any = context["ti"]
    macros: Any = untyped_macros
    parent = parent_run.ParentRunFacet(
        run=parent_run.Run(runId=macros.lineage_run_id(ti)),
        job=parent_run.Job(namespace=macros.lineage_job_namespace(), name=macros.lineage_job_name(ti)),
    )
    for event in events:
        if event.outputs:  # a test has none
            event.run.facets["parent"] = parent
            emit(event)
