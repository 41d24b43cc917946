"""What the dashboard shows of a period, as one JSON object: its shape is in docs/dashboard.md.

Pure: no Airflow import. Tables in, lists a column out; nothing that was not measured becomes a zero.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, reduce
from itertools import chain, pairwise
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from energy_dashboard.periods import Period
from energy_dashboard.queries import SOURCES, STATISTICS, Part, bounds
from odre.arrays import null_as_false
from odre.paris import PARIS

#: Of the shape; a page that knows another one says so.
VERSION: Final = 1

#: Renewable sources; with nuclear they are the low-carbon ones. Hydro has what pumped storage gives back in it.
RENEWABLE: Final = ("wind", "solar", "hydro", "bioenergy")
LOW_CARBON: Final = ("nuclear", *RENEWABLE)

BORDERS: Final = ("england", "spain", "italy", "switzerland", "germany_belgium")
CATEGORIES: Final = ("cold", "average", "hot")

#: The section of docs/method.md behind each answer.
METHODS: Final = {
    1: "energy",
    2: "relationships",
    3: "relationships",
    4: "relationships",
    5: "periods-and-seasons",
    6: "exchanges-by-fullness",
}

#: Decimals of a float column by how its name ends, the first that fits: a quarter of an hour of whole MW is exact.
_DECIMALS: Final = {"_mwh": 2, "_gwh": 2, "_mw": 3, "_pct": 3, "_hours": 2, "_c": 3, "_g_per_kwh": 3, "_days": 3}
_OTHER_DECIMALS: Final = 6

#: Figures of the header that a difference in per cent says something of.
_IN_PER_CENT: Final = frozenset({"consumption_mwh", "production_mwh", "co2_g_per_kwh"})

Columns = dict[str, list[Any]]


#: What ``due_query`` gives before any run took note of its end.
NOTHING_DUE: Final = pa.table(
    {
        "name": pa.array([], pa.string()),
        "succeeded_at": pa.array([], pa.timestamp("us", "UTC")),
        "expected_by": pa.array([], pa.timestamp("us", "UTC")),
    }
)


@dataclass(frozen=True)
class Warehouse:
    """What is of all data: the rows of ``state_query``, ``lasting_queries`` and ``due_query``."""

    state: pa.Table
    lasting: Mapping[str, pa.Table]
    due: pa.Table = field(default_factory=lambda: NOTHING_DUE)

    @cached_property
    def statistics(self) -> dict[str, pa.Table]:
        """A table for each of :data:`energy_dashboard.queries.STATISTICS`, in the order of its key."""
        return {name: _from_json(self.lasting["statistics"], name, part) for name, part in STATISTICS.items()}

    @property
    def built_at(self) -> datetime | None:
        """When the marts were last built; ``None``: nobody noted it."""
        built_at: datetime | None = pc.max(self.state["built_at"]).as_py()
        return built_at

    @property
    def available(self) -> dict[str, Any]:
        """First and last day with electricity, last whole one, and the base of degree days."""
        row: dict[str, Any] = self.lasting["available"].to_pylist()[0]
        return row


def payload(
    period: Period,
    warehouse: Warehouse,
    rows: Mapping[str, pa.Table],
    *,
    stale_after_hours: Mapping[str, int],
    sample: bool,
    now: datetime,
) -> dict[str, Any]:
    """The object of a period.

    Args:
        period: Its days.
        warehouse: What is of all data.
        rows: What ``period_queries`` gave.
        stale_after_hours: Hours after a load from which a dataset is stale; its datasets are those that are shown.
        sample: Whether the data are generated.
        now: When the figures were read.
    """
    days = _calendar(period.start, period.days)
    table = _with_totals(_placed(rows["days"], days, "day"))
    available = dict(warehouse.available)
    base = available.pop("heating_base_c")
    return {
        "version": VERSION,
        "sample": sample,
        "generated_at": _text(now),
        "built_at": _text(warehouse.built_at),
        "period": {
            "name": period.name,
            "kind": period.kind,
            "start": _text(period.start),
            "end": _text(period.end),
            "days": period.days,
            "previous_start": _text(period.previous_start),
            "previous_end": _text(period.previous_end),
        },
        "available": {name: _text(day) for name, day in available.items()},
        "coverage": _coverage(table),
        "freshness": _freshness(warehouse.state, stale_after_hours),
        "due": _columns(warehouse.due),
        "header": _header(table, _with_totals(_a_year_before(rows["days"], period))),
        "daily": _daily(table, _hours_of(days)),
        "hourly": _hourly(rows["hours"], period) if "hours" in rows else None,
        **_totals(table),
        "exchanges": _exchanges(table),
        "temperature_categories": {
            "category": list(CATEGORIES),
            "days": [_count(pc.equal(table["temperature_category"], category)) for category in CATEGORIES],
        },
        "campaigns": _campaigns(period),
        "heating_base_c": None if base is None else round(base, 3),
        **{name: _columns(table) for name, table in warehouse.statistics.items()},
        "answers": [_answer(row) for row in warehouse.statistics["answers"].to_pylist()],
    }


# Days in their places.


def _calendar(start: date, days: int) -> pa.Array:
    return pa.array([start + timedelta(days=n) for n in range(days)], pa.date32())


def _placed(rows: pa.Table, wanted: pa.Array, key: str) -> pa.Table:
    """A row for each wanted key, in its order; all null where ``rows`` has none. A null key finds nothing."""
    places = pc.index_in(wanted, value_set=rows[key].combine_chunks().cast(wanted.type))
    placed = rows.drop_columns([key]).take(places)
    return placed.add_column(0, key, wanted)


def _a_year_before(rows: pa.Table, period: Period) -> pa.Table:
    """The same days a year before, beside those of the period; a 29 February has none."""
    days = [period.start + timedelta(days=n) for n in range(period.days)]
    before = [
        None if (day.month, day.day) == (2, 29) else day.replace(year=day.year - 1)  # no such day in that year
        for day in days
    ]
    return _placed(rows, pa.array(before, pa.date32()), "day")


def _with_totals(table: pa.Table) -> pa.Table:
    """The table with ``production_mwh``: the sum of the eight sources, null where one of them is."""
    total = reduce(pc.add, (table[f"{source}_mwh"] for source in SOURCES))
    return table.append_column("production_mwh", total)


def _hours_of(days: pa.Array) -> list[int]:
    """Hours of each civil day: 24, or 23 and 25 when the clocks change."""
    midnights = [datetime.combine(day, time(), PARIS).astimezone(UTC) for day in days.to_pylist()]
    last = datetime.combine(days[-1].as_py() + timedelta(days=1), time(), PARIS).astimezone(UTC)
    return [(end - start) // timedelta(hours=1) for start, end in pairwise([*midnights, last])]


# Blocks.


def _coverage(table: pa.Table) -> dict[str, Any]:
    counts = {
        "days": table.num_rows,
        "electricity_days": _count(table["consumption_mwh"].is_valid()),
        "electricity_complete_days": _count(table["electricity_is_complete"]),
        "gas_days": _count(table["gas_stock_gwh"].is_valid()),
        "temperature_days": _count(table["temperature_mean_c"].is_valid()),
    }
    found = [count for name, count in counts.items() if name != "days"]
    state = "complete" if min(found) == table.num_rows else "partial" if max(found) else "empty"
    return {**counts, "state": state}


def _freshness(state: pa.Table, stale_after_hours: Mapping[str, int]) -> Columns:
    datasets = list(stale_after_hours)
    found = _placed(state, pa.array(datasets, pa.string()), "dataset")
    shown = found.select(["dataset", "measured_until", "published_at", "loaded_at"])
    return {**_columns(shown), "stale_after_hours": list(stale_after_hours.values())}


def _header(table: pa.Table, before: pa.Table) -> dict[str, Any]:
    whole = pc.and_(*(null_as_false(part["electricity_is_complete"]) for part in (table, before)))
    return {
        name: _figure(name, table, before, whole if name.endswith(("_mwh", "_kwh")) else None)
        for name in (
            "consumption_mwh",
            "production_mwh",
            "co2_g_per_kwh",
            "physical_exchange_mwh",
            "temperature_mean_c",
            "gas_fullness_pct",
        )
    }


def _figure(name: str, table: pa.Table, before: pa.Table, whole: pa.ChunkedArray | None) -> dict[str, Any]:
    """A figure of the header with its change over the days that both years have, whole ones if ``whole`` is given."""
    measured = _measured(name, table)
    both = pc.and_(measured, _measured(name, before))
    if whole is not None:
        both = pc.and_(both, whole)
    days = _count(both)
    change = None
    if days:
        value = _summary(name, table.filter(both))
        previous = _summary(name, before.filter(both))
        of = previous if name in _IN_PER_CENT else None
        change = {
            "value": _rounded(name, value),
            "previous": _rounded(name, previous),
            "difference": _rounded(name, value - previous),
            "difference_pct": round((value - previous) / of * 100, 3) if of else None,
            "days": 1 if name == "gas_fullness_pct" else days,
        }
    count = _count(measured)
    return {
        "value": _rounded(name, _summary(name, table.filter(measured))) if count else None,
        "days": min(count, 1) if name == "gas_fullness_pct" else count,
        "change": change,
    }


def _measured(name: str, table: pa.Table) -> pa.ChunkedArray:
    measured = table[name].is_valid()
    if name == "co2_g_per_kwh":
        measured = pc.and_(measured, null_as_false(pc.greater(table["production_mwh"], 0)))
    return measured


def _summary(name: str, measured: pa.Table) -> float:
    """One figure for days that all have it, at least one."""
    column = measured[name]
    match name:
        case "co2_g_per_kwh":
            production = measured["production_mwh"]
            return float(pc.sum(pc.multiply(column, production)).as_py() / pc.sum(production).as_py())
        case "temperature_mean_c":
            return float(pc.mean(column).as_py())
        case "gas_fullness_pct":
            return float(column[-1].as_py())
        case _:
            return float(pc.sum(column).as_py())


def _daily(table: pa.Table, hours: list[int]) -> Columns:
    whole = null_as_false(table["electricity_is_complete"])
    mean = pc.divide(table["consumption_mwh"], pa.array(hours, pa.float64()))
    parts = {
        "consumption_mean_mw": pc.if_else(whole, mean, pa.scalar(None, pa.float64())),
        "measured_hours": pc.fill_null(table["measured_hours"], 0.0),
        "expected_hours": pa.array(hours, pa.int64()),
        "electricity_is_complete": whole,
        "is_complete": null_as_false(table["is_complete"]),
    }
    return _columns(table) | {name: _list(name, values) for name, values in parts.items()}


def _hourly(rows: pa.Table, period: Period) -> Columns:
    start, end = (moment.astimezone(UTC) for moment in bounds(period))
    hours = (end - start) // timedelta(hours=1)
    instants = pa.array([start + timedelta(hours=n) for n in range(hours)], pa.timestamp("us", tz="UTC"))
    table = _placed(rows, instants, "instant")
    measured = pc.fill_null(table["measured_minutes"], 0)
    return {**_columns(table.drop_columns(["measured_minutes"])), "measured_minutes": measured.to_pylist()}


def _totals(table: pa.Table) -> dict[str, Any]:
    """The blocks ``totals`` and ``shares``, of the days on which all sources are known."""
    table = table.filter(table["production_mwh"].is_valid())
    production = pc.sum(table["production_mwh"]).as_py()
    energies = {source: pc.sum(table[f"{source}_mwh"]).as_py() for source in SOURCES}
    ranked = sorted(SOURCES, key=lambda source: (-(energies[source] or 0.0), source))

    def share(sources: Iterable[str]) -> float | None:
        part = [energy for source in sources if (energy := energies[source]) is not None]
        return round(sum(part) / production * 100, 3) if part and production else None

    return {
        "totals": {
            "source": ranked,
            "energy_mwh": [_rounded("energy_mwh", energies[source]) for source in ranked],
            "share_pct": [share([source]) for source in ranked],
        },
        "shares": {
            "production_mwh": _rounded("production_mwh", production),
            "top_source": ranked[0] if production else None,
            "low_carbon_pct": share(LOW_CARBON),
            "renewable_pct": share(RENEWABLE),
        },
    }


def _exchanges(table: pa.Table) -> Columns:
    """The block ``exchanges``, of the days on which all borders are known."""
    columns = [[f"{direction}_{border}_mwh" for border in BORDERS] for direction in ("import", "export")]
    table = table.filter(reduce(pc.and_, (table[name].is_valid() for name in chain(*columns))))
    imports, exports = ([pc.sum(table[name]).as_py() for name in names] for names in columns)
    exported = sum(exports) if table.num_rows else 0
    balances = [i - e if table.num_rows else None for i, e in zip(imports, exports, strict=True)]
    return {
        "border": list(BORDERS),
        "import_mwh": [_rounded("import_mwh", energy) for energy in imports],
        "export_mwh": [_rounded("export_mwh", energy) for energy in exports],
        "balance_mwh": [_rounded("balance_mwh", energy) for energy in balances],
        "export_share_pct": [round(e / exported * 100, 3) if exported > 0 else None for e in exports],
        "top_days": [_count(pc.equal(table["top_export_destination"], border)) for border in BORDERS],
    }


def _campaigns(period: Period) -> Columns:
    """Injection is April to October, withdrawal November to March; both have the year of their April."""
    found: Columns = {"campaign": [], "kind": [], "start": [], "end": []}
    for year in range(period.start.year - 1, period.end.year + 1):
        for kind, start, end in (
            ("injection", date(year, 4, 1), date(year, 10, 31)),
            ("withdrawal", date(year, 11, 1), date(year + 1, 4, 1) - timedelta(days=1)),
        ):
            first, last = max(start, period.start), min(end, period.end)
            if first <= last:
                for name, value in zip(found, (f"{year}-{kind}", kind, _text(first), _text(last)), strict=True):
                    found[name].append(value)
    return found


def _answer(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "question": row["question"],
        "method": METHODS[row["question"]],
        "period_start": row["period_start"],
        "period_end": row["period_end"],
        **{
            language: {name: row[f"{name}_{language}"] for name in ("question", "answer", "figures", "caveat")}
            for language in ("en", "fr")
        },
    }


# Texts in JSON as Arrow's tables, and Arrow's values as JSON's.


def _from_json(rows: pa.Table, name: str, part: Part) -> pa.Table:
    """The rows of a part. What is no number is a text to BigQuery's JSON, and null here."""
    texts = rows["row_json"].filter(pc.equal(rows["part"], name)).to_pylist()
    found = json.loads(f"[{','.join(texts)}]")
    columns = ([None if row[column] == "NaN" else row[column] for row in found] for column in part.columns)
    table = pa.table(dict(zip(part.columns, map(pa.array, columns), strict=True)))
    return table.sort_by([(column, "ascending") for column in part.key]) if found else table


def _columns(table: pa.Table) -> Columns:
    return {name: _list(name, table[name]) for name in table.column_names}


def _list(name: str, values: pa.ChunkedArray | pa.Array) -> list[Any]:
    if pa.types.is_floating(values.type):
        decimals = _decimals(name)
        finite = pc.if_else(pc.is_finite(values), values, pa.scalar(None, values.type))
        return [value if value is None else round(value, decimals) for value in finite.to_pylist()]
    if pa.types.is_date(values.type):
        return list(pc.strftime(values, "%Y-%m-%d").to_pylist())
    if pa.types.is_timestamp(values.type):
        return [_text(moment) for moment in values.to_pylist()]
    return list(values.to_pylist())


def _decimals(name: str) -> int:
    return next((decimals for ending, decimals in _DECIMALS.items() if name.endswith(ending)), _OTHER_DECIMALS)


def _rounded(name: str, value: float | None) -> float | None:
    return None if value is None else round(value, _decimals(name))


def _count(mask: pa.ChunkedArray) -> int:
    return int(pc.sum(mask.cast(pa.int64()), min_count=0).as_py())


def _text(value: date | datetime | None) -> str | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value.isoformat()
