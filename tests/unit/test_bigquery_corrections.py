"""The BigQuery emulator's corrections: all or nothing."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from emulators.bigquery import corrections
from emulators.bigquery.corrections import CORRECTIONS, CorrectionFailed, correct


def source_of(module: str) -> str:
    """A source that holds each text to replace once."""
    return "\n---\n".join(old for old, _ in CORRECTIONS[module])


@pytest.mark.parametrize("module", CORRECTIONS)
def test_every_text_is_replaced(module: str) -> None:
    corrected = correct(module, source_of(module))
    for old, new in CORRECTIONS[module]:
        assert new in corrected
        assert old not in corrected.replace(new, "")


@pytest.mark.parametrize("module", CORRECTIONS)
def test_a_text_that_is_absent_names_the_module(module: str) -> None:
    first = CORRECTIONS[module][0][0]
    with pytest.raises(CorrectionFailed, match=module):
        correct(module, source_of(module).replace(first, ""))


def test_a_text_that_is_there_twice_is_refused() -> None:
    module = "local_bigquery.api.jobs"
    with pytest.raises(CorrectionFailed, match="2 times"):
        correct(module, source_of(module) * 2)


def test_modules_are_corrected_as_they_are_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "odd_module.py").write_text("ANSWER = 41\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(CORRECTIONS, "odd_module", (("= 41", "= 42"),))
    monkeypatch.setattr(sys, "meta_path", [corrections.CorrectingFinder(), *sys.meta_path])
    monkeypatch.delitem(sys.modules, "odd_module", raising=False)
    assert importlib.import_module("odd_module").ANSWER == 42


def test_the_launcher_asks_for_its_folders() -> None:
    done = subprocess.run([sys.executable, "-m", "emulators.bigquery"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--data-dir" in done.stderr
