"""What the stand-in serves: datasets as Arrow tables, each with the freshness mark that its metadata carry."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pyarrow as pa

from odre.contracts import read_contracts

#: Columns of eco2mix that ODRÉ publishes as text whatever they hold: ``ND`` until 2022, numbers since.
TEXT_AT_SOURCE = frozenset({"stockage_batterie", "destockage_batterie", "eolien_terrestre", "eolien_offshore"})


class UnreadableFile(Exception):
    """A file of the served folder cannot be served; the message names it and says why."""


@dataclass(frozen=True)
class Dataset:
    """One dataset in one state: its rows and the instant at which the source last processed it."""

    identifier: str
    table: pa.Table
    data_processed: datetime
    title: str
    labels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, identifier: str, table: pa.Table, data_processed: datetime, about: str = "") -> Dataset:
        """A dataset with title and labels from its contract; ``about`` says in the title what the rows are."""
        contract = read_contracts()[identifier]
        labels = {column.name: column.labels[0] for column in contract.columns}
        # One chunk a column: rows are then picked from anywhere at the same cost.
        title = f"{contract.title} ({about})" if about else contract.title
        return cls(identifier, table.combine_chunks(), data_processed, title, labels)

    def label(self, column: str) -> str:
        """What a column is called for readers."""
        return self.labels.get(column, column)


class Source(Protocol):
    """Where the server gets its datasets."""

    def identifiers(self) -> list[str]:
        """The datasets that there are."""
        ...

    def dataset(self, identifier: str, *, refresh: bool) -> Dataset | None:
        """A dataset's present state, ``None`` if there is none; ``refresh`` looks whether it changed since.

        Raises:
            UnreadableFile: it is there and cannot be served.
        """
        ...


class MemorySource:
    """Datasets that are set, and changed while they are served: generated ones, and those that a test makes by hand."""

    def __init__(self, datasets: Iterable[Dataset] = ()) -> None:
        self._lock = threading.Lock()
        self._datasets = {dataset.identifier: dataset for dataset in datasets}

    def put(self, dataset: Dataset) -> None:
        """Serve this state of a dataset from now on."""
        with self._lock:
            self._datasets[dataset.identifier] = dataset

    def publish(self, identifier: str, table: pa.Table, data_processed: datetime | None = None) -> datetime:
        """Serve a table from now on, under a mark (default: now, and newer than the one before); gives the mark."""
        before = self._datasets.get(identifier)
        mark = data_processed or datetime.now(UTC).replace(microsecond=0)
        if data_processed is None and before is not None:
            mark = max(mark, before.data_processed + timedelta(seconds=1))
        self.put(Dataset.of(identifier, table, mark))
        return mark

    def withdraw(self, identifier: str) -> None:
        """Have the dataset no more."""
        with self._lock:
            self._datasets.pop(identifier)

    def identifiers(self) -> list[str]:
        """The datasets that there are."""
        return sorted(self._datasets)

    def dataset(self, identifier: str, *, refresh: bool) -> Dataset | None:
        """A dataset's present state."""
        return self._datasets.get(identifier)
