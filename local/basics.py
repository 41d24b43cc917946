"""What every module of the local stack shares: the folders, the error that is one line, and progress on the screen."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
LOCAL: Final = ROOT / ".local"

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


def python_version() -> str:
    """This Python's version, as ``3.11``."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"
