"""The times of what lands: first, last, and the high-water mark that the next run starts from.

Pure: no Airflow import.
"""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from odre.arrays import instant, instant_scalar, one_chunk
from odre.contracts import Contract


class Marks:
    """Gathers the marks of tables that are noted in the order of time; each ``None`` before the first.

    Days count as their midnight in UTC. Measures later than ``now`` move no high-water mark.
    """

    def __init__(self, contract: Contract, now: datetime) -> None:
        self.contract = contract
        self.first_time: datetime | None = None
        self.last_time: datetime | None = None
        self._now = instant_scalar(now)
        self._greatest_measured: dict[str | None, datetime] = {}

    @property
    def high_water(self) -> datetime | None:
        """The greatest measured instant; for a contract with ``high_water_over`` the least over its values."""
        return min(self._greatest_measured.values(), default=None)

    def note(self, table: pa.Table) -> None:
        """Note the times of rows with the contract's schema."""
        if table.num_rows == 0:
            return
        times = one_chunk(table[self.contract.time_column])
        first, self.last_time = instant(times[0]), instant(times[-1])
        self.first_time = first if self.first_time is None else self.first_time
        not_future = pc.less_equal(times, self._now.cast(times.type, safe=False))
        measured = pc.and_(pc.is_valid(table[self.contract.measured_column]), not_future)
        over = self.contract.high_water_over
        if over is None:
            greatest = {None: pc.max(times.filter(one_chunk(measured)))}
        else:
            of_value = table.select([over, self.contract.time_column]).filter(measured).group_by(over)
            by_value = of_value.aggregate([(self.contract.time_column, "max")])
            greatest = dict(zip(by_value[over].to_pylist(), by_value[f"{self.contract.time_column}_max"], strict=True))
        for value, scalar in greatest.items():
            if scalar.is_valid:
                moment = instant(scalar)
                self._greatest_measured[value] = max(moment, self._greatest_measured.get(value, moment))
