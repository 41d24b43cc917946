"""Who goes first when tasks wait for a slot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.task.priority_strategy import PriorityWeightStrategy

if TYPE_CHECKING:
    from airflow.models.taskinstance import TaskInstance


class ScheduledFirst(PriorityWeightStrategy):
    """Tasks of scheduled runs go before those of runs that someone started, a backfill of years above all."""

    def get_weight(self, ti: TaskInstance) -> int:
        """Weight of a task instance; Cosmos gives the dbt build 20."""
        return 100 if ti.run_id.startswith("scheduled__") else 1
