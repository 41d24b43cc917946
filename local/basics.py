"""What every module of the local stack shares: the folders, the error that is one line, and progress on the screen."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
LOCAL: Final = ROOT / ".local"

#: How the names of Airflow's settings, connections and variables begin.
OF_AIRFLOW: Final = ("AIRFLOW__", "AIRFLOW_CONN_", "AIRFLOW_VAR_")

#: What stands between the traceback of a cause and that of the exception which it led to.
CHAINED: Final = re.compile(
    r"^\W*(?:The above exception was the direct cause of the following exception"
    r"|During handling of the above exception, another exception occurred):$",
    re.MULTILINE,
)

_started: Final = time.monotonic()


class LocalError(Exception):
    """Something that the user can mend: the message is one line that says what and how."""


class Stopped(BaseException):
    """The user, or the system, asks the command to end; ``number`` is the signal's."""

    def __init__(self, number: int) -> None:
        """Keep the signal."""
        super().__init__(number)
        self.number = number


def elapsed(seconds: float) -> str:
    """Seconds as ``m:ss``.

    >>> elapsed(75.2)
    '1:15'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def since_start() -> float:
    """Seconds since the command began."""
    return time.monotonic() - _started


def say(text: str) -> None:
    """One line of progress, after the time since the command began."""
    print(f"[{elapsed(since_start()):>5}] {text}", flush=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Say what begins, and how many seconds it took once it is done."""
    begun = time.monotonic()
    say(f"{title} …")
    yield
    took = time.monotonic() - begun
    if took >= 1:
        say(f"{title}: done in {took:.0f} s")


def check_disk(folder: Path, needed: int) -> None:
    """Refuse to go on where the disk is full.

    Raises:
        LocalError: fewer than ``needed`` bytes are free where ``folder`` is.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise LocalError(f"{free / 1e9:.1f} GB are free in {folder}, where {needed / 1e9:.1f} GB are needed: make room")


def clean_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The user's environment for our processes, without what would lead them elsewhere.

    Airflow's, dbt's and Google's own variables are left out: the local stack names all that it needs. Proxies are kept
    for the package index and the live source, never for this machine.
    """
    ours = {
        name: value
        for name, value in environment.items()
        if not name.startswith(
            ("AIRFLOW", "DBT_", "GOOGLE_", "BIGQUERY_", "STORAGE_", "LAKE_", "PYTHON", "MAKE", "MFLAGS")
        )
        and name not in {"DATASET_PREFIX", "CONTRACTS_DIR", "VIRTUAL_ENV", "CLOUDSDK_CONFIG"}
    }
    exempt = [name for name in (ours.get("no_proxy") or ours.get("NO_PROXY") or "").split(",") if name]
    ours["NO_PROXY"] = ours["no_proxy"] = ",".join([*exempt, "127.0.0.1", "localhost"])
    return ours


def ignored_settings(counted: Iterable[str] = (), environment: Mapping[str, str] = os.environ) -> list[str]:
    """Names of the user's settings of Airflow that :func:`clean_environment` leaves out, without the ``counted``."""
    return sorted({name for name in environment if name.startswith(OF_AIRFLOW)} - set(counted))


def exception_line(trace: str) -> str:
    """The first line of the exception with which a traceback ends, ``Type: message``; empty where there is none.

    What a message has more, such as links to documentation, is left out, and so are the causes before it.

    >>> exception_line("Traceback (most recent call last):\\n  File …\\nValueError: no file\\n* see the manual\\n")
    'ValueError: no file'
    """
    last = CHAINED.split(trace)[-1].splitlines()
    # A group of exceptions is drawn as a tree, its trunk in front of the group's own lines.
    lines = [line[4:] if line[:4] in ("  | ", "  + ") else line for line in last]
    heads = [number for number, line in enumerate(lines) if line.endswith("Traceback (most recent call last):")]
    after = lines[heads[0] + 1 :] if heads else []
    return next((line.strip() for line in after if line.strip() and not line.startswith(" ")), "")


def import_failure(trace: str) -> str:
    """Why a file cannot be imported, in one line, of what Airflow keeps of it: a traceback, or a message alone."""
    return exception_line(trace) or trace.strip().partition("\n")[0] or "no reason is given"


def python_version() -> str:
    """This Python's version, as ``3.11``."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"
