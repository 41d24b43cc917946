"""Waiting for what a test set going."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

#: Seconds that a test waits for an event which is sure to come, however busy the machine is.
PATIENCE: Final = 300.0


def wait_until(condition: Callable[[], bool], what: str, patience: float = PATIENCE, pause: float = 0.5) -> float:
    """Seconds until a condition holds, which is looked at every ``pause`` seconds.

    Raises:
        AssertionError: not within ``patience`` seconds.
    """
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < patience, f"{what}: not within {patience:.0f} s"
        time.sleep(pause)
    return time.monotonic() - begun
