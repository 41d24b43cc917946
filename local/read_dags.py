"""``python -m local.read_dags``: what a folder of DAGs gives when Airflow reads it, as JSON on the last line.

Runs in a process of its own, whose environment says where code and settings are: ``dags`` (ids), ``errors`` (last line
by file), ``pools`` (name, slots, purpose).
"""

from __future__ import annotations

import json


def main() -> None:
    """Read and print."""
    from airflow.dag_processing.dagbag import DagBag

    from odre.settings import POOLS

    bag = DagBag()
    errors = {file: trace.strip().splitlines()[-1] for file, trace in bag.import_errors.items()}
    pools = [(pool.name, pool.slots, pool.purpose) for pool in POOLS]
    print(json.dumps({"dags": sorted(bag.dags), "errors": errors, "pools": pools}))


if __name__ == "__main__":
    main()
