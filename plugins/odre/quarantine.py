"""Rows that do not land: what is noted of them, and when there are too many.

Pure: no Airflow import. A row is *bad* when it breaks the contract, or *excluded* when a rule of the source says that
it is none (it was sent twice, or for an hour that does not exist). Only bad rows count against the contract.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from odre.arrays import empty_table, integers, texts, value_of
from odre.client import OdreError
from odre.parquet_file import HashedFile

#: Bad rows that never fail a run, whatever their share.
TOLERATED_BAD_ROWS: Final = 10
#: Bad rows kept at most; beyond it the conversion stops.
MOST_BAD_ROWS: Final = 10_000
#: Rows dropped by a rule that are recorded one by one; more are only counted.
MOST_RULE_ROWS: Final = 10_000
#: Characters of a cell or of a whole row that the quarantine shows.
MOST_CHARACTERS: Final = 500

QUARANTINE_SCHEMA: Final = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("column", pa.string(), nullable=False),
        pa.field("raw_value", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("is_rule", pa.bool_(), nullable=False),
    ]
)

REASON_BY_TYPE: Final = {
    "STRING": "not UTF-8 text",
    "INT64": "not a whole number",
    "FLOAT64": "not a finite number",
    "DATE": "not a date",
    "TIMESTAMP": "not an instant with its offset",
}
NO_KEY: Final = "key is missing"
NO_LOCAL_TIME: Final = "local time does not exist"
OTHER_LOCAL_TIME: Final = "local time disagrees with the instant"
REPEATED_ROW: Final = "repeated row"
REPEATED_KEY: Final = "key repeated with other values"

SEE_QUARANTINE: Final = (
    "Read the quarantine's rows, then correct the contract or report it to the source: "
    "see docs/runbooks/quarantine-growing.md"
)


class ContractBroken(OdreError):
    """What the source sends does not keep the contract; nothing of it may land.

    ``quarantine`` holds the rows found bad until then (:data:`QUARANTINE_SCHEMA`), for the caller to store.
    """

    def __init__(self, message: str, quarantine: pa.Table | None = None) -> None:
        super().__init__(message)
        self.quarantine = empty_table(QUARANTINE_SCHEMA) if quarantine is None else quarantine


class Finding(NamedTuple):
    """What is wrong in a row: the column (empty: the row as a whole), the text that stands there, and the reason."""

    column: str
    raw_value: str
    reason: str


@dataclass(frozen=True)
class Rejected:
    """A row that does not land, with what was found in it; it counts once, under its first finding's reason."""

    key: str
    findings: Sequence[Finding]
    is_rule: bool = False


@dataclass(frozen=True)
class BadRows:
    """How many bad rows there are, and among how many rows of the source."""

    bad: int
    rows: int

    def are_too_many(self, share: float) -> bool:
        """Whether they are more than a share of all rows, and more than :data:`TOLERATED_BAD_ROWS`."""
        return self.bad > max(TOLERATED_BAD_ROWS, share * self.rows)


class Quarantine:
    """The rows that do not land: each finding once, bad rows and rows dropped by a rule counted apart."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str, str, str, bool], None] = {}
        self.rows_bad = 0
        self.rows_by_rule = 0
        self.reasons: Counter[str] = Counter()

    def add(self, row: Rejected) -> None:
        """Count a row, and record it as long as there are not too many."""
        self.reasons[row.findings[0].reason] += 1
        if row.is_rule:
            self.rows_by_rule += 1
        else:
            self.rows_bad += 1
        if self.is_full or (row.is_rule and self.rows_by_rule > MOST_RULE_ROWS):
            return
        for column, raw_value, reason in row.findings:
            self._entries[(row.key, column, raw_value, reason, row.is_rule)] = None

    @property
    def is_full(self) -> bool:
        """Whether there are more bad rows than are worth keeping."""
        return self.rows_bad > MOST_BAD_ROWS

    @property
    def table(self) -> pa.Table:
        """The findings (:data:`QUARANTINE_SCHEMA`), sorted, so that they do not depend on how the stream was cut."""
        if not self._entries:
            return empty_table(QUARANTINE_SCHEMA)
        *described, is_rule = zip(*sorted(self._entries), strict=True)
        columns = [*map(texts, described), integers(is_rule).cast(pa.bool_())]
        return pa.Table.from_arrays(columns, schema=QUARANTINE_SCHEMA)


def write_quarantine(quarantine: pa.Table, destination: Path) -> str:
    """Write a conversion's quarantine (:data:`QUARANTINE_SCHEMA`) as Parquet; the SHA-256 of the file."""
    with HashedFile(destination) as file, pq.ParquetWriter(file, QUARANTINE_SCHEMA, compression="zstd") as writer:
        writer.write_table(quarantine)
    return file.sha256


def value_text(value: object) -> str:
    """A value as the quarantine and messages show it: ISO 8601 in UTC, empty for null."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return "" if value is None else str(value)


def key_text(key: Sequence[str], values: Mapping[str, object]) -> str:
    """A row's key, ``date=2022-08-02, pits=Saline``."""
    return ", ".join(f"{name}={value_text(values[name])}" for name in key)


def key_of_row(key: Sequence[str], table: pa.Table, row: int) -> str:
    """The key of a typed table's row, as a text."""
    return key_text(key, {name: value_of(table[name][row]) for name in key})
