"""``python -m tests.bench.parsing <repeats>``: seconds to parse each DAG file once its modules are imported, as JSON.

What a DAG file imports is imported first, then a fork for each parse, as Airflow's DAG processor forks for each file.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from local.basics import ROOT
from local.stack import DAGS, Ports, Source, Stack
from tests.bench.figures import Figure


def parsing(repeats: int, folder: Path) -> Iterator[Figure]:
    """``parse.<dag_id>`` of each DAG."""
    with Stack(Source.generated(), Ports.free(), folder / "parse") as stack:
        stack.build_manifest()
        environment = {**stack.environment(), "PYTHONPATH": os.pathsep.join([str(ROOT / "plugins"), str(ROOT)])}
        command = [sys.executable, "-m", "tests.bench.parsing", str(repeats)]
        done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    samples = json.loads(done.stdout.splitlines()[-1])
    for dag_id in DAGS:
        yield Figure(f"parse.{dag_id}", "s", tuple(samples[dag_id]), "the file as Airflow reads it, modules imported")


def _import_modules_of(file: Path) -> None:
    """Import what the import statements of a file name."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                importlib.import_module(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module:
            module = importlib.import_module(node.module)
            for alias in node.names:
                getattr(module, alias.name)  # Airflow's SDK imports on access


def _seconds(file: Path) -> float:
    """Parse a file in a fork of this process."""
    from airflow.dag_processing.dagbag import DagBag

    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        begun = time.perf_counter()
        bag = DagBag(str(file))
        took = time.perf_counter() - begun
        ok = list(bag.dags) == [file.stem] and not bag.import_errors
        os.write(writing, str(took if ok else bag.import_errors).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)
    return float(answer)


def main(repeats: int) -> None:
    """Parse the DAG files in turn and print the seconds of each."""
    files = [ROOT / "dags" / f"{dag_id}.py" for dag_id in DAGS]
    for file in files:
        _import_modules_of(file)
    rounds = [{file.stem: _seconds(file) for file in files} for _ in range(repeats)]
    print(json.dumps({dag_id: [seconds[dag_id] for seconds in rounds] for dag_id in DAGS}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
