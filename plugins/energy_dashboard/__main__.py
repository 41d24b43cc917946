"""``python -m energy_dashboard <period> <file> [generated]``: the dashboard as one file, with the data of a period.

The warehouse is that of the settings' environment: the emulator at ``BIGQUERY_EMULATOR_HOST``, or BigQuery with the
credentials of this machine. ``generated`` says that the data are not measured.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from energy_dashboard import build
from energy_dashboard.dashboard import Dashboard
from energy_dashboard.marts import MartsAbsent, WarehouseSilent
from energy_dashboard.periods import BadPeriod
from odre.clients import bigquery_client
from odre.settings import Settings


def main(arguments: list[str] | None = None) -> int:
    """Write the file; 1, and a line on what is wrong, where that cannot be."""
    parser = argparse.ArgumentParser("energy_dashboard", description="The dashboard as one file.")
    parser.add_argument("period", help="a period as in the page's address, such as 2025-01 or last-30")
    parser.add_argument("file", type=Path, help="where to write it")
    parser.add_argument("sample", nargs="?", choices=["generated"], help="the data are not measured")
    asked = parser.parse_args(arguments)
    settings = Settings.from_environment()
    sample = asked.sample is not None
    try:
        answer = Dashboard.of(settings, lambda: bigquery_client(settings), lambda: sample).answer(asked.period)
    except BadPeriod as error:
        print(f"error: {asked.period} is no period. {error}", file=sys.stderr)
        return 1
    except MartsAbsent as error:
        print(f"error: There are no marts in {settings.project} yet, run the DAGs first: {error}", file=sys.stderr)
        return 1
    except WarehouseSilent as error:
        print(
            f"error: The warehouse of {settings.project} does not answer: {error}. Try again, and if it goes on see "
            "that its address is right and that these credentials may read it: docs/dashboard.md",
            file=sys.stderr,
        )
        return 1
    asked.file.write_text(build.single_file(answer.body), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
