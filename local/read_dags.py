"""``python -m local.read_dags``: what Airflow makes of a folder of DAGs and one of plugins, as JSON on the last line.

Runs in a process of its own, whose environment says where code and settings are: ``dags`` (ids), ``errors`` (the first
line of the exception by file), ``pools`` (name, slots, purpose).
"""

from __future__ import annotations

import json

from local.basics import import_failure


def main() -> None:
    """Read and print."""
    from airflow import plugins_manager
    from airflow.dag_processing.dagbag import DagBag

    from odre.settings import POOLS

    bag = DagBag()
    plugins_manager.ensure_plugins_loaded()
    failed = {**bag.import_errors, **plugins_manager.get_import_errors()}
    errors = {file: import_failure(trace) for file, trace in failed.items()}
    pools = [(pool.name, pool.slots, pool.purpose) for pool in POOLS]
    print(json.dumps({"dags": sorted(bag.dags), "errors": errors, "pools": pools}))


if __name__ == "__main__":
    main()
