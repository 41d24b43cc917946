"""``python -m tests.bench``: measure, print, and write ``.local/bench.json``. Runs in the Airflow environment.

``SIZE`` is ``full`` (the default) or ``small``; ``KEYS`` names the parts to measure, such as ``extract gate``.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from local.basics import LOCAL, LocalError, elapsed, python_version, say, since_start
from local.stack import DAGS
from tests.bench import figures
from tests.bench.builds import dbt_build
from tests.bench.dbt_group import dbt_group
from tests.bench.extract import extraction, remove_exports, streaming
from tests.bench.figures import Figure
from tests.bench.ingests import first_load, gate, hourly
from tests.bench.parsing import parsing, reading
from tests.bench.sizes import SIZES, Size

#: Part → how it is measured, with a folder of its own state.
PARTS: Final[dict[str, Callable[[Size, Path], Iterator[Figure]]]] = {
    "extract": extraction,
    "stream": streaming,
    "parse": lambda size, folder: parsing(size.repeats, folder),
    "read": lambda size, folder: reading(size.repeats, folder),
    "gate": lambda size, folder: gate(folder),
    "hourly": hourly,
    "first_load": first_load,
    "dbt_build": dbt_build,
    "dbt_group": dbt_group,
}

KEYS: Final = [
    *(key for key in figures.MUST if not key.endswith(".*")),
    *(f"parse.{dag_id}" for dag_id in DAGS),
]


def machine() -> str:
    """What the figures were measured on, in one line."""
    model = platform.processor() or platform.machine()
    for line in _lines(Path("/proc/cpuinfo")):
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
    memory = [int(line.split()[1]) for line in _lines(Path("/proc/meminfo")) if line.startswith("MemTotal")]
    gigabytes = f", {memory[0] * 1024 / 1e9:.0f} GB of memory" if memory else ""
    system = f"{platform.system()} {platform.release().partition('-')[0]}"
    return f"{os.cpu_count()} × {model}{gigabytes}, {system}, Python {python_version()}"


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []


def main() -> int:
    """Measure the parts that were asked for; 1 where figures are missing or no measurement."""
    name = os.environ.get("SIZE") or "full"
    if name not in SIZES:
        raise LocalError(f"SIZE={name}: choose one of {', '.join(SIZES)}")
    size = SIZES[name]
    asked = os.environ.get("KEYS", "").split() or list(PARTS)
    if unknown := [part for part in asked if part not in PARTS]:
        raise LocalError(f"KEYS={unknown[0]}: choose some of {', '.join(PARTS)}")
    folder = LOCAL / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    measured = []
    try:
        for part in asked:
            say(f"Measuring {part} …")
            for figure in PARTS[part](size, folder):
                measured.append(figure)
                say(figures.line(figure))
                figures.write(LOCAL / "bench.json", [figure], size.rows)
    finally:
        remove_exports(folder)
        shutil.rmtree(folder / "dbt", ignore_errors=True)
    print(f"\n{machine()}\n")
    for figure in measured:
        print(figures.line(figure))
    print(f"\nTime {elapsed(since_start())}; written to {LOCAL / 'bench.json'}", flush=True)
    expected = [key for key in KEYS if key.partition(".")[0] in asked]
    complaints = figures.complaints(measured, expected)
    for complaint in complaints:
        print(f"error: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LocalError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
