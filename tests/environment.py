"""Where tests, and the bench, run: their process's variables, and the environment that has the emulators."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from local import environments


@contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables while the block runs."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


@contextmanager
def emulators_installed() -> Iterator[None]:
    """``EMULATORS_PYTHON`` names the environment that has the emulators if it is not ours."""
    with pytest.MonkeyPatch.context() as patch:
        if python := os.environ.get("EMULATORS_PYTHON"):
            patch.setattr(environments, "ensure_emulators", lambda: Path(python))
        elif not environments.interpreter("emulators").is_file():
            pytest.fail("The emulators are not installed: run make test, or name their Python with EMULATORS_PYTHON=…")
        yield
