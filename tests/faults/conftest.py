"""The emulators and the pipeline of the warehouse's tests, for what goes wrong."""

from tests.warehouse.conftest import dbt_state, emulators, house, new_warehouse, pipeline, serving

__all__ = ["dbt_state", "emulators", "house", "new_warehouse", "pipeline", "serving"]
