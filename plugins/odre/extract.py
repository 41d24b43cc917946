"""One chunk of a dataset, from the source to a checked Parquet file on disk.

Pure: no Airflow import.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from odre.client import OdreClient, OdreError, StreamBroken
from odre.contracts import Contract
from odre.convert import Conversion, convert_csv
from odre.quarantine import BadRows, ContractBroken
from odre.windows import Window

log = logging.getLogger(__name__)

#: Exports of one chunk at most, the first included.
MAX_EXPORTS: Final = 3


class CountMismatch(OdreError):
    """The rows received are not as many as the source counts."""

    retryable = True


def extract_chunk(
    client: OdreClient,
    contract: Contract,
    columns: Sequence[str],
    window: Window,
    directory: Path,
    *,
    now: datetime | None = None,
    of_run: Callable[[BadRows], BadRows] = lambda own: own,
) -> Conversion:
    """Count the window's rows at the source, export them, convert them, and compare.

    A cut-off export is not always announced as such: valid CSV may simply have too few rows. So only as many rows as
    the source counts will do, and an export that broke off or falls short starts again as a whole, a bounded number of
    times. The file is ``<table>.parquet`` in ``directory``.

    Args:
        columns: what to ask for: the contract's columns that the source has.
        now: measures later than this do not count for the high-water mark; the clock's time by default.
        of_run: as for :func:`odre.convert.convert_csv`.

    Raises:
        CountMismatch: the rows received are still not as many as the source counts.
        ContractBroken: what came does not keep the contract, or lies outside the window.
        OdreError: as the subclass says; nothing of the chunk may land.
    """
    where, span = window.where(contract), str(window)
    destination = directory / f"{contract.table}.parquet"
    # Last in a row, a time shows whether the row was cut: of a text, nobody could tell.
    asked = [*(name for name in columns if name != contract.time_column), contract.time_column]
    failure: OdreError
    for export in range(1, MAX_EXPORTS + 1):
        counted = client.count(contract.dataset, where)
        try:
            with client.export_csv(contract.dataset, asked, where, contract.key) as stream:
                conversion = convert_csv(stream, contract, asked, destination, span=span, now=now, of_run=of_run)
        except StreamBroken as error:
            failure = error
        else:
            received = conversion.rows_source
            if received != counted:
                # The source may have been republished in between: then the second count agrees with the rows.
                first_count, counted = counted, client.count(contract.dataset, where)
                counts = f"counted {first_count} rows before the export and {counted} after it, and sent {received}"
            if received != counted:
                failure = CountMismatch(
                    f"{contract.dataset}, {span}: the source {counts}. "
                    "Run the task again; if the counts stay apart, run make check-source"
                )
            elif not conversion.ends_whole:
                failure = StreamBroken(
                    f"{contract.dataset}, {span}: the export ends within a row. "
                    "Run the task again; if it stays so, run make check-source"
                )
            else:
                _check_window(contract, window, conversion)
                return conversion
        if export < MAX_EXPORTS:
            log.warning("Export %d of %d again: %s", export, MAX_EXPORTS, failure)
            client.wait(export)
    destination.unlink(missing_ok=True)
    raise failure


def _check_window(contract: Contract, window: Window, conversion: Conversion) -> None:
    """Refuse what was not asked for: it may be of another time, and of another chunk."""
    for moment in (conversion.first_time, conversion.last_time):
        if moment is not None and not window.holds(contract, moment):
            conversion.path.unlink()
            raise ContractBroken(
                f"{contract.dataset}, {window}: the source ignored where, and sent rows of "
                f"{moment:%Y-%m-%dT%H:%M:%SZ}. Run make check-source to see what changed"
            )
