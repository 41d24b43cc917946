"""The contracts of the source's datasets, read from ``include/contracts``.

Pure: no Airflow import. Everything that depends on a dataset's columns derives it from here.
"""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import yaml

from odre.settings import find_folder

ARROW_TYPES: Final[dict[str, pa.DataType]] = {
    "STRING": pa.string(),
    "INT64": pa.int64(),
    "FLOAT64": pa.float64(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
}

#: The source's types that a contract's type can be cast from; another one is a retyped column.
SOURCE_TYPES: Final[dict[str, frozenset[str]]] = {
    "STRING": frozenset({"text", "int", "double"}),
    "INT64": frozenset({"int", "double", "text"}),
    "FLOAT64": frozenset({"double", "int", "text"}),
    "DATE": frozenset({"date", "text"}),
    "TIMESTAMP": frozenset({"datetime"}),
}


#: Days and instants of the source lie from the first of these on and before the second: others are no measures, and
#: beyond the second BigQuery has no partitions.
FIRST_INSTANT: Final = datetime(1900, 1, 1, tzinfo=UTC)
END_OF_INSTANTS: Final = datetime(2160, 1, 1, tzinfo=UTC)


def contracts_dir() -> Path:
    """Where the contracts are: ``CONTRACTS_DIR``, or the folder that :func:`odre.settings.find_folder` finds."""
    return find_folder("contracts", os.environ.get("CONTRACTS_DIR"))


def normalise_label(label: str) -> str:
    """A column's name or label without accents, case, punctuation and unit, so that spellings of one label agree.

    >>> normalise_label("Ech. comm. Angleterre (MW)") == normalise_label("ech_comm_angleterre")
    True
    """
    without_unit = re.sub(r"\([^)]*\)", "", label)
    ascii_only = unicodedata.normalize("NFKD", without_unit).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]", "", ascii_only.lower())


@dataclass(frozen=True)
class Column:
    """One column of a dataset; ``type`` is BigQuery's name of it, ``unit`` its physical unit if it has one."""

    name: str
    labels: tuple[str, ...]
    type: str
    description: str
    unit: str | None = None
    required: bool = True

    @property
    def arrow_type(self) -> pa.DataType:
        """The column's type in Parquet."""
        return ARROW_TYPES[self.type]

    @property
    def full_description(self) -> str:
        """Meaning and unit in one line."""
        return f"{self.description}, {self.unit}" if self.unit else self.description


@dataclass(frozen=True)
class Contract:
    """What we hold a dataset of the source to. Fields as in ``include/contracts/README.md``."""

    dataset: str
    table: str
    title: str
    producer: str
    optional: bool
    time_column: str
    key: tuple[str, ...]
    measured_column: str
    partition_filter: bool
    null_markers: tuple[str, ...]
    lookback_days: int
    chunk_months: int
    max_gate_skip_hours: int
    freshness_hours: int
    max_bad_share: float
    columns: tuple[Column, ...]
    local_date_column: str | None = None
    local_time_column: str | None = None
    high_water_over: str | None = None
    lookback_until_column: str | None = None
    lookback_until_value: str | None = None

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """The columns by their name at the source."""
        return {column.name: column for column in self.columns}

    @cached_property
    def by_label(self) -> dict[str, Column]:
        """The columns by :func:`normalise_label` of their name and of each of their labels."""
        return {
            normalise_label(spelling): column for column in self.columns for spelling in (column.name, *column.labels)
        }

    @property
    def time_type(self) -> str:
        """``TIMESTAMP`` or ``DATE``: the type of the column that windows filter."""
        return self.by_name[self.time_column].type

    @property
    def all_time(self) -> str:
        """Condition that every row meets: tables partitioned by time are asked with a bound on it."""
        return f"`{self.time_column}` >= {self.time_type} '0001-01-01'"

    def bound(self, moment: datetime | None) -> str:
        """A bound on the time column as a query's parameter; what is empty touches nothing, whatever its bounds."""
        moment = moment or datetime(1970, 1, 1, tzinfo=UTC)
        return moment.date().isoformat() if self.time_type == "DATE" else moment.isoformat()

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """The schema of what lands in the lake: every column of the contract, in its order."""
        return pa.schema(
            [pa.field(column.name, column.arrow_type, nullable=column.name not in self.key) for column in self.columns]
        )

    @cached_property
    def bigquery_schema(self) -> list[dict[str, str]]:
        """The same as BigQuery's API takes it (``name``, ``type``, ``mode``, ``description``)."""
        return [
            {
                "name": column.name,
                "type": column.type,
                "mode": "REQUIRED" if column.name in self.key else "NULLABLE",
                "description": column.full_description,
            }
            for column in self.columns
        ]


def _columns(spec: Any, directory: Path) -> tuple[Column, ...]:
    if isinstance(spec, dict):
        left_out = set(spec["except"])
        return tuple(column for column in _read(spec["from"], directory).columns if column.name not in left_out)
    columns = []
    for entry in spec:
        label = entry.pop("label")
        columns.append(Column(labels=tuple([label] if isinstance(label, str) else label), **entry))
    return tuple(columns)


@cache
def _read(dataset: str, directory: Path) -> Contract:
    path = directory / f"{dataset}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in directory.glob("*.yaml")))
        raise LookupError(f"No contract for dataset {dataset!r} in {directory}; there are: {known}")
    spec: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    local_time = spec.pop("local_time", {})
    lookback_until = spec.pop("lookback_until", {})
    return Contract(
        **{
            **spec,
            "key": tuple(spec["key"]),
            "null_markers": tuple(spec["null_markers"]),
            "columns": _columns(spec["columns"], directory),
        },
        local_date_column=local_time.get("date"),
        local_time_column=local_time.get("time"),
        lookback_until_column=lookback_until.get("column"),
        lookback_until_value=lookback_until.get("value"),
    )


def read_contract(dataset: str) -> Contract:
    """The contract of a dataset.

    Raises:
        LookupError: there is none; the message lists those that there are.
    """
    return _read(dataset, contracts_dir())


def read_contracts() -> dict[str, Contract]:
    """All contracts, by dataset.

    Raises:
        FileNotFoundError: there is no folder of contracts, or none in it.
    """
    folder = contracts_dir()
    contracts = {path.stem: read_contract(path.stem) for path in sorted(folder.glob("*.yaml"))}
    if not contracts:
        raise FileNotFoundError(f"{folder} has no contract: deploy again, or correct CONTRACTS_DIR")
    return contracts
