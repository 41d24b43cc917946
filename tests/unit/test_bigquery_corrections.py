"""The BigQuery emulator's corrections: all or nothing."""

import importlib
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
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


def test_a_module_that_others_descend_from_is_not_the_compiled_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "odd_package"
    package.mkdir()
    (package / "__init__.py").touch()
    for name in ("base", "other"):
        (package / f"{name}.py").write_text("ANSWER = 42\n")
        (package / f"{name}{EXTENSION_SUFFIXES[0]}").write_bytes(b"nothing that could be loaded")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(corrections, "INTERPRETED", ("odd_package.base",))
    monkeypatch.setattr(sys, "meta_path", [corrections.CorrectingFinder(), *sys.meta_path])
    assert importlib.import_module("odd_package.base").ANSWER == 42
    with pytest.raises(ImportError):
        importlib.import_module("odd_package.other")


def test_the_launcher_asks_for_its_folders() -> None:
    done = subprocess.run([sys.executable, "-m", "emulators.bigquery"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--data-dir" in done.stderr
