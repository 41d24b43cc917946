"""What a command tells at its end: tables of the marts, time, disk and memory."""

from __future__ import annotations

import csv
import datetime
import json
import os
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TextIO

from local.processes import processes
from local.warehouse import Result, Warehouse

#: DAG → title and query of the table that shows its marts; ``{marts}`` is their dataset.
TABLES: Final = {
    "eco2mix_hourly": (
        "Electricity: production and its sources, share of the day's production in %",
        """
        SELECT day, ROUND(SUM(energy_mwh) / 1000) AS production_gwh,
          ROUND(MAX(IF(source = 'nuclear', share_pct, NULL)), 1) AS nuclear_pct,
          ROUND(MAX(IF(source = 'hydro', share_pct, NULL)), 1) AS hydro_pct,
          ROUND(MAX(IF(source = 'wind', share_pct, NULL)), 1) AS wind_pct,
          ROUND(MAX(IF(source = 'solar', share_pct, NULL)), 1) AS solar_pct,
          ROUND(MAX(IF(source = 'gas', share_pct, NULL)), 1) AS gas_pct
        FROM `{marts}.energy_mix_daily`
        GROUP BY day HAVING LOGICAL_AND(is_complete) ORDER BY day DESC LIMIT 7""",
    ),
    "gas_storage_daily": (
        "Gas in storage, France",
        """
        SELECT day, ROUND(stock_gwh) AS stock_gwh, ROUND(flow_gwh) AS flow_gwh, ROUND(fullness_pct, 1) AS fullness_pct
        FROM `{marts}.gas_stock_daily` WHERE storage_point = 'France' ORDER BY day DESC LIMIT 7""",
    ),
    "temperature_monthly": (
        "Temperature, weighted by population",
        """
        SELECT day, ROUND(temperature_mean_c, 1) AS mean_c, ROUND(temperature_min_c, 1) AS min_c,
          ROUND(temperature_max_c, 1) AS max_c, ROUND(heating_degree_days, 1) AS heating_degree_days, category
        FROM `{marts}.temperature_daily` ORDER BY day DESC LIMIT 7""",
    ),
}


def show_marts(warehouse: Warehouse) -> None:
    """Print the last days of each DAG's marts, then the answers."""
    for dag_id, (title, query) in TABLES.items():
        marts = f"{warehouse.settings.project}.{warehouse.settings.marts_dataset}"
        print(f"\n{title} ({dag_id})")
        write_table(warehouse.query(query.format(marts=marts)), sys.stdout)
    show_answers(warehouse, sys.stdout, language())


#: Width of what is wrapped.
WIDTH: Final = 90

#: Language → title, how a period is told, and how a day is written.
ANSWERS: Final = {
    "en": ("The six questions", "{} to {}. ", "%Y-%m-%d"),
    "fr": ("Les six questions", "Du {} au {}. ", "%d/%m/%Y"),
}


def language() -> str:
    """``fr`` where the shell is French (``LC_ALL``, else ``LANG``), ``en`` otherwise."""
    locale = os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
    return "fr" if locale.lower().startswith("fr") else "en"


def show_answers(warehouse: Warehouse, out: TextIO, tongue: str) -> None:
    """Print each question with its answer, the figures behind it, their period and the caveat."""
    marts = f"{warehouse.settings.project}.{warehouse.settings.marts_dataset}"
    title, told, written = ANSWERS[tongue]
    columns = ", ".join(f"{name}_{tongue}" for name in ("question", "answer", "figures", "caveat"))
    ends = ", ".join(f"FORMAT_DATE('{written}', period_{end})" for end in ("start", "end"))
    query = f"SELECT question, {columns}, {ends} FROM `{marts}.answers` ORDER BY question"
    out.write(f"\n{title}\n")
    for number, question, answer, figures, caveat, start, end in warehouse.query(query).rows:
        period = told.format(start, end) if start and end else ""
        out.write(f"\n  {number}. {question}\n")
        for text in (answer, figures, f"{period}{caveat}"):
            if text:
                out.write(textwrap.fill(text, WIDTH, initial_indent="     ", subsequent_indent="     ") + "\n")


def write_table(result: Result, out: TextIO) -> None:
    """A result with aligned columns; numbers to the right."""
    columns = [_column([row[i] for row in result.rows]) for i in range(len(result.columns))]
    cells = [[column[row] for column in columns] for row in range(len(result.rows))]
    widths = [max(map(len, [name, *column])) for name, column in zip(result.columns, columns, strict=True)]
    right = [
        any(isinstance(row[i], (int, float)) and not isinstance(row[i], bool) for row in result.rows)
        for i in range(len(widths))
    ]
    for row in [result.columns, ["-" * width for width in widths], *cells]:
        aligned = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)]
        out.write(f"  {'  '.join(aligned).rstrip()}\n")
    if not result.columns:
        out.write("  done\n")
    elif not result.rows:
        out.write("  (no rows)\n")


def write_csv(result: Result, out: TextIO) -> None:
    """A result as CSV with a line of names; null is empty, and a number has all its digits."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(result.columns)
    for row in result.rows:
        writer.writerow([value if value is None or isinstance(value, float) else _text(value) for value in row])


def _column(values: list[Any]) -> list[str]:
    """A column's texts; decimals, where they are few, stand below each other."""
    texts = [_text(value) for value in values]
    decimals = max(
        (len(text.partition(".")[2]) for text, v in zip(texts, values, strict=True) if isinstance(v, float)), default=0
    )
    if not 0 < decimals <= 3:
        return texts
    return [f"{v:.{decimals}f}" if isinstance(v, float) else text for text, v in zip(texts, values, strict=True)]


def _text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.10g}" if abs(value) < 1e9 else f"{value:.3f}"
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ").replace("+00:00", "Z")
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False, default=_text)
    return str(value)


class Memory:
    """The most memory that this command and all its processes held at once, in bytes, as sampled every 2 s."""

    def __init__(self) -> None:
        """Nothing seen yet."""
        self.peak = 0

    @contextmanager
    def watched(self) -> Iterator[Memory]:
        """Sample in the background."""
        stop = threading.Event()
        thread = threading.Thread(target=self._watch, args=(stop,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            stop.set()
            thread.join()

    def _watch(self, stop: threading.Event) -> None:
        while not stop.wait(2.0):
            self.peak = max(self.peak, _memory_of_descendants(os.getpid()))


def _memory_of_descendants(root: int) -> int:
    """Memory of a process and its descendants, in bytes; pages that several share are counted once."""
    now = processes()
    members = {root}
    while children := {seen.pid for seen in now.values() if seen.parent in members} - members:
        members |= children
    return sum(_memory(pid) for pid in members)


def _memory(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def disk(folder: Path) -> int:
    """What a folder takes on the disk, in bytes; a file with several names is counted once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                found = Path(parent, name).lstat()
            except OSError:
                continue
            if (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                total += found.st_blocks * 512
    return total
