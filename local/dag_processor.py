"""``python -m local.dag_processor``: Airflow's DAG processor, which imports what DAG files import before it forks.

Airflow forks a process for each reading of a file, which would import it all again: seconds, and minutes on a busy
machine.
"""

from __future__ import annotations

import sys

from local.preloading import OF_DAG_FILES, preload


def main() -> None:
    """Import, then run ``airflow dag-processor``."""
    from airflow.__main__ import main as airflow

    preload(OF_DAG_FILES)
    sys.argv = ["airflow", "dag-processor"]
    airflow()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
