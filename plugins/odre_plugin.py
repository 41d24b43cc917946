"""What Airflow must know of by name: everything else in ``plugins`` is plain Python that the DAGs import."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from odre.priority import ScheduledFirst


class OdrePlugin(AirflowPlugin):
    """The project's plugin."""

    name = "odre"
    priority_weight_strategies = [ScheduledFirst]  # noqa: RUF012 - the base class is annotated so
