"""The emulators and the pipeline of the warehouse's tests, for what goes wrong."""

from tests.warehouse.conftest import emulators, house, new_warehouse, pipeline, serving

__all__ = ["emulators", "house", "new_warehouse", "pipeline", "serving"]
