"""What queries read of tables that are partitioned by month, estimated from their text: constant bounds alone count."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

_BOUND: Final = r"(?:\w+\.)?`?(?:instant|date_heure|day)`?\s*{operator}\s*(?:timestamp|date)\s*'([^']+)'"
_FROM: Final = _BOUND.format(operator=">=")
_UNTIL: Final = _BOUND.format(operator="<")
_RANGE: Final = re.compile(rf"{_FROM}\s*and\s*{_UNTIL}", re.IGNORECASE)
_OPEN: Final = re.compile(_FROM, re.IGNORECASE)
_NAME: Final = re.compile(r"`(?:[\w-]+`?\.`?)?(\w+)`?\.`?(\w+)`")
#: What BigQuery answers without reading: a table's count of rows, and the text of a view.
_FREE: Final = re.compile(r"\(\s*select count\(\*\) from `[^()\s]+`\s*\)|^.*create or replace view.*", re.I | re.S)
_TARGET: Final = "DBT_INTERNAL_DEST"

#: Bytes of a value: whole numbers, instants and days have eight.
VALUE: Final = 8


@dataclass(frozen=True)
class Partitioned:
    """A table, or a view of one: rows by the first day of their month, and the columns."""

    rows: Mapping[date, int]
    columns: tuple[str, ...]


def bytes_read(sql: str, tables: Mapping[str, Partitioned]) -> int:
    """Bytes that a query reads of some tables (``dataset.table``); of a table that is named twice, twice.

    What stands between a table's name and the next one's is taken for its conditions: ranges ``>= … and < …``, of which
    one must hold; without any, the least ``>= …``; without that, all partitions. A merge's conditions on its target are
    told by dbt's name for it. The columns are those that the text names, or all after ``select *``.

    Raises:
        ValueError: a table is named in a way that is not understood here, and would pass for one that is not read.
    """
    sql = _FREE.sub("", sql)
    names = list(_NAME.finditer(sql))
    for each in tables:
        mentions = len(re.findall(rf"\b{re.escape(each)}\b", sql.replace("`", "")))
        understood = sum(f"{name[1]}.{name[2]}" == each for name in names)
        if mentions != understood:
            raise ValueError(f"{each} is named {mentions} times, of which {understood} are understood, in: {sql}")
    total = 0
    for at, name in enumerate(names):
        table = tables.get(f"{name[1]}.{name[2]}")
        if table is None:
            continue
        end = names[at + 1].start() if at + 1 < len(names) else len(sql)
        is_target = sql[name.end() :].lstrip().startswith(f"as {_TARGET}")
        conditions = sql[name.end() : len(sql) if is_target else end]
        ranges = [(_day(c[1]), _day(c[2])) for c in _RANGE.finditer(conditions) if (_TARGET in c[0]) == is_target]
        if not ranges:
            opened = [_day(c[1]) for c in _OPEN.finditer(conditions) if (_TARGET in c[0]) == is_target]
            ranges = [(min(opened, default=date.min), date.max)]
        rows = sum(rows for month, rows in table.rows.items() if _touched(month, ranges))
        whole = re.search(r"select\s+\*\s+from\s*$", sql[: name.start()], re.IGNORECASE) is not None
        read = [column for column in table.columns if whole or re.search(rf"\b{column}\b", sql)]
        total += VALUE * rows * len(read)
    return total


def _touched(month: date, ranges: Iterable[tuple[date, date]]) -> bool:
    end = (month + timedelta(days=32)).replace(day=1)
    return any(month <= last and end > first for first, last in ranges)


def _day(text: str) -> date:
    """A bound's day in UTC: a bound at an instant of it touches its partition."""
    return datetime.fromisoformat(text).date()
