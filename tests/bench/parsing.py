"""``python -m tests.bench.parsing parse|read <repeats>``: what reading DAG files takes, as JSON.

``parse``: seconds for each file once all that it imports is there, then a fork for each. ``read``: processor seconds of
a whole reading, as the DAG processor and each task pay them: in a fork of a process that has preloaded what the local
stack does (``local/preloading.py``), and in a process that begins with nothing, as at Composer.
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
from functools import partial
from pathlib import Path
from typing import Final

from local.basics import ROOT
from local.preloading import OF_DAG_FILES, preload
from local.stack import DAGS, Ports, Source, Stack
from tests.bench.figures import Figure, against, in_turn, ratios


def parsing(repeats: int, folder: Path) -> Iterator[Figure]:
    """``parse.<dag_id>`` of each DAG."""
    samples = _measured("parse", repeats, folder)
    for dag_id in DAGS:
        yield Figure(f"parse.{dag_id}", "s", tuple(samples[dag_id]), "the file as Airflow reads it, modules imported")


def reading(repeats: int, folder: Path) -> Iterator[Figure]:
    """``read.*``: processor seconds of a whole reading, preloaded and not."""
    samples = _measured("read", repeats, folder)
    preloaded, fresh = samples["preloaded"], samples["fresh"]
    yield Figure("read.task_seconds", "s", tuple(preloaded), "of processor, by DAG processor and each task, preloaded")
    yield Figure("read.task_seconds_fresh", "s", tuple(fresh), "of processor, with all imports, as at Composer")
    about = f"of processor: {against(preloaded, fresh, 's')}"
    yield Figure("read.ratio_to_fresh", "×", ratios(preloaded, fresh), about)


def _measured(what: str, repeats: int, folder: Path) -> dict[str, list[float]]:
    """The samples that this module's command takes, in the environment of a stack."""
    with Stack(Source.generated(), Ports.free(), folder / what) as stack:
        stack.build_manifest()
        command = [sys.executable, "-m", "tests.bench.parsing", what, str(repeats)]
        done = subprocess.run(command, cwd=ROOT, env=stack.environment(), check=True, stdout=subprocess.PIPE, text=True)
    samples: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return samples


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


#: Reads a file as a task does, and fails if its DAG is not there.
READ: Final = """
import sys
import airflow.sdk.execution_time.task_runner
from airflow.dag_processing.dagbag import DagBag
sys.exit(not DagBag(sys.argv[1]).dags)
"""


def _processor_seconds(pid: int) -> float:
    """What a child takes of the processor, to its end; it must end well."""
    _, status, used = os.wait4(pid, 0)
    assert status == 0
    return used.ru_utime + used.ru_stime


def _read_preloaded(file: Path) -> float:
    """Read a file in a fork of this process."""
    pid = os.fork()
    if pid == 0:
        from airflow.dag_processing.dagbag import DagBag

        os._exit(not DagBag(str(file)).dags)
    return _processor_seconds(pid)


def _read_fresh(file: Path) -> float:
    """Read a file in a process that begins with nothing."""
    return _processor_seconds(os.posix_spawn(sys.executable, [sys.executable, "-c", READ, str(file)], os.environ))


def main(what: str, repeats: int) -> None:
    """Parse the DAG files in turn, or read one, and print the seconds of each."""
    files = [ROOT / "dags" / f"{dag_id}.py" for dag_id in DAGS]
    if what == "read":
        preload(OF_DAG_FILES)
        sides = in_turn(repeats, partial(_read_preloaded, files[0]), partial(_read_fresh, files[0]))
        print(json.dumps(dict(zip(("preloaded", "fresh"), sides, strict=True))))
        return
    for file in files:
        _import_modules_of(file)
    rounds = [{file.stem: _seconds(file) for file in files} for _ in range(repeats)]
    print(json.dumps({dag_id: [seconds[dag_id] for seconds in rounds] for dag_id in DAGS}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
