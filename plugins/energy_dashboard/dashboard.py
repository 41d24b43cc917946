"""The answers of the dashboard's routes: read once after each load, and kept until the next.

Pure: no Airflow import.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from threading import Lock
from typing import Final

import pyarrow as pa
from google.cloud import bigquery

from energy_dashboard.marts import Marts, MartsAbsent, WarehouseSilent
from energy_dashboard.payload import NOTHING_DUE, Warehouse, payload
from energy_dashboard.periods import Period, parse_period
from energy_dashboard.queries import Query, due_query, lasting_queries, period_queries, state_query
from odre.contracts import read_contracts
from odre.paris import PARIS
from odre.settings import Settings

#: Seconds between two looks at whether something was built or loaded.
LOOK_EVERY_S: Final = 30.0
#: Seconds for which nobody asks a warehouse again that was silent.
LEAVE_ALONE_S: Final = 5.0
#: Periods that are kept.
KEPT: Final = 32
#: Bytes that one query may read: the marts are small, and a query that wants more is a mistake.
MAXIMUM_BYTES_BILLED: Final = 200 * 2**20


@dataclass(frozen=True)
class Answer:
    """The JSON of a period (docs/dashboard.md), and the name of its state."""

    body: bytes
    etag: str


@dataclass
class Dashboard:
    """What the routes and the single file show.

    Args:
        settings: Names of the datasets.
        marts: The warehouse.
        stale_after_hours: Hours after a load from which a dataset is stale.
        is_sample: Whether the data are generated.
    """

    settings: Settings
    marts: Marts
    stale_after_hours: Mapping[str, int]
    is_sample: Callable[[], bool]
    _lock: Lock = field(default_factory=Lock)
    _warehouse: Warehouse | None = None
    _looked_at: float = 0.0
    _answers: OrderedDict[Period, Answer] = field(default_factory=OrderedDict)
    _silence: WarehouseSilent | None = None
    _silent_until: float = 0.0

    @classmethod
    def of(
        cls,
        settings: Settings,
        connect: Callable[[], bigquery.Client],
        is_sample: Callable[[], bool],
        asked_by: str | None = None,
    ) -> Dashboard:
        """The dashboard of a deployment's warehouse: ``connect`` gives its client, ``asked_by`` is a DAG that asks."""
        stale_after_hours = {contract.dataset: contract.freshness_hours for contract in read_contracts().values()}
        marts = Marts(connect, MAXIMUM_BYTES_BILLED, settings.marts_dataset, asked_by)
        return cls(settings, marts, stale_after_hours, is_sample)

    @property
    def built_at(self) -> datetime | None:
        """When the marts were last built; ``None``: nobody noted it.

        Raises:
            WarehouseSilent: the warehouse does not answer.
            MartsAbsent: nothing was built yet.
        """
        return self._look().built_at

    def answer(self, text: str) -> Answer:
        """The answer for a period, from memory unless something was built or loaded since.

        Raises:
            BadPeriod: the text means no period; the warehouse was not asked.
            WarehouseSilent: the warehouse does not answer, or did not a moment ago.
            MartsAbsent: nothing was built yet.
        """
        asked = parse_period(text)
        if self._silence and time.monotonic() < self._silent_until:
            raise self._silence
        try:
            warehouse = self._look()
            period = asked if isinstance(asked, Period) else asked.until(self._last_day(warehouse))
            with self._lock:
                known = self._answers.get(period)
                if known:
                    self._answers.move_to_end(period)
                    return known
            read = self._read(warehouse, period)
        except WarehouseSilent as silence:
            self._silence, self._silent_until = silence, time.monotonic() + LEAVE_ALONE_S
            raise
        with self._lock:
            # What was read before another load is for who asked, and not kept.
            if warehouse is self._warehouse:
                self._answers[period] = read
                if len(self._answers) > KEPT:
                    self._answers.popitem(last=False)
        return read

    def _look(self) -> Warehouse:
        """What is of all data, read again, and all answers forgotten, if something was built or loaded since."""
        with self._lock:
            known, due = self._warehouse, self._looked_at + LOOK_EVERY_S
        if known and time.monotonic() < due:
            return known
        state = {"state": state_query(self.settings)}
        found = self._read_with_due(state if known else state | lasting_queries(self.settings))
        now, due = found.pop("state"), found.pop("due")
        if known and now.equals(known.state) and due.equals(known.due):
            newer = known
        else:
            newer = Warehouse(now, found or self.marts.read(lasting_queries(self.settings)), due)
        with self._lock:
            if newer is not self._warehouse:
                self._warehouse = newer
                self._answers.clear()
            self._looked_at = time.monotonic()
        return newer

    def _read_with_due(self, queries: Mapping[str, Query]) -> dict[str, pa.Table]:
        """The rows of the queries, and ``due``: none before the first run after an upgrade, which makes that view."""
        try:
            return self.marts.read({**queries, "due": due_query(self.settings)})
        except MartsAbsent:
            return {**self.marts.read(queries), "due": NOTHING_DUE}

    def _last_day(self, warehouse: Warehouse) -> date:
        """The last whole day, or yesterday where there is none."""
        last_day: date | None = warehouse.available["last_complete_day"]
        return last_day or datetime.now(PARIS).date() - timedelta(days=1)

    def _read(self, warehouse: Warehouse, period: Period) -> Answer:
        rows: dict[str, pa.Table] = self.marts.read(period_queries(self.settings, period))
        shown = payload(
            period,
            warehouse,
            rows,
            stale_after_hours=self.stale_after_hours,
            sample=self.is_sample(),
            now=datetime.now(UTC),
        )
        body = json.dumps(shown, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        return Answer(body, hashlib.sha256(body).hexdigest()[:32])
