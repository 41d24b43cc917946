"""Small exports as the source writes them, and what becomes of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq

from odre.contracts import Contract, read_contract
from odre.convert import Conversion, convert_csv
from odre.quarantine import QUARANTINE_SCHEMA

POWER = read_contract("eco2mix-national-tr")
GAS = read_contract("stock-quotidien-stockages-gaz")
PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 9, 15, 10, 20, tzinfo=UTC)
Row = dict[str, str]


def power_row(instant: datetime, **cells: str) -> Row:
    """A row of eco2mix as the source writes it, empty but for its time and what is given."""
    local = instant.astimezone(PARIS)
    row = dict.fromkeys(POWER.by_name, "")
    row |= {
        "perimetre": "France",
        "nature": "Données temps réel",
        "date": f"{local:%Y-%m-%d}",
        "heure": f"{local:%H:%M}",
    }
    return row | {"date_heure": instant.isoformat(), "consommation": "50000"} | cells


def power_rows(count: int, start: datetime = datetime(2022, 8, 2, tzinfo=UTC)) -> list[Row]:
    return [power_row(start + timedelta(minutes=15 * step), gaz=str(step)) for step in range(count)]


def gas_row(day: str, pits: str, stock: str = "1000.5") -> Row:
    return {"date": day, "stock_fin_de_journee": stock, "source": "Storengy", "pits": pits}


def to_csv(rows: Sequence[Row], columns: Sequence[str] | None = None, line_end: str = "\r\n") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns or rows[0]), delimiter=";", lineterminator=line_end)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def pieces(content: bytes, size: int = 1000) -> Iterator[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


def convert(
    content: bytes | Sequence[Row],
    tmp_path: Path,
    contract: Contract = POWER,
    columns: Sequence[str] | None = None,
    **options: Any,
) -> Conversion:
    content = content if isinstance(content, bytes) else to_csv(content)
    asked = columns or list(contract.by_name)
    return convert_csv(pieces(content), contract, asked, tmp_path / "out.parquet", now=NOW, **options)


def landed(conversion: Conversion) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(conversion.path).to_pylist()
    return rows


def quarantined(conversion: Conversion) -> list[tuple[Any, ...]]:
    assert conversion.quarantine.schema == QUARANTINE_SCHEMA
    return [tuple(row.values()) for row in conversion.quarantine.to_pylist()]
