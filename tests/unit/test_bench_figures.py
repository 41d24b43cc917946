"""The bench's own arithmetic: medians, spreads, ratios, what is no measurement, and the file that they go to."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from odre.contracts import read_contract
from odre.convert import convert_csv
from tests.bench import figures
from tests.bench.extract import write_csv
from tests.bench.figures import Figure


def test_a_figure_is_the_median_of_its_samples_and_shows_the_least_and_the_greatest() -> None:
    figure = Figure("extract.peak_mb", "MB", (210.0, 190.0, 400.0), "of something")
    assert (figure.value, figure.spread) == (210.0, (190.0, 400.0))
    assert Figure("gate.requests", "", (1.0, 2.0), "").value == 1.5


def test_a_ratio_compares_what_was_measured_one_after_the_other() -> None:
    # A load of the machine that comes and goes doubles both sides of the middle pair.
    assert figures.ratios([3.0, 6.0, 3.0], [2.0, 4.0, 2.0]) == (1.5, 1.5, 1.5)
    with pytest.raises(ValueError, match="shorter"):
        figures.ratios([1.0, 2.0], [1.0])


def test_the_sides_take_turns() -> None:
    called: list[str] = []

    def side(name: str) -> int:
        called.append(name)
        return len(called)

    assert figures.in_turn(3, lambda: side("ours"), lambda: side("theirs")) == [[1, 3, 5], [2, 4, 6]]
    assert called == ["ours", "theirs"] * 3


def test_each_dag_must_parse_in_the_time_of_all() -> None:
    assert Figure("parse.any_dag", "s", (0.2,), "").must == figures.MUST["parse.*"] == 1.0
    assert Figure("first_load.seconds_per_million_rows", "s", (80.0,), "").must is None


@pytest.mark.parametrize(
    ("samples", "about"),
    [((1.0, float("nan")), "no measurement"), ((0.0, 1.0), "no measurement"), ((2.0,), "not within")],
)
def test_what_no_working_code_gives_is_complained_of(samples: tuple[float, ...], about: str) -> None:
    (complaint,) = figures.complaints([Figure("gate.requests", "", samples, "")], ["gate.requests"])
    assert about in complaint


def test_a_key_that_was_not_measured_is_complained_of_and_a_slow_one_is_not() -> None:
    slow = Figure("stream.ratio_to_copy", "×", (50.0,), "")
    assert figures.complaints([slow], ["stream.ratio_to_copy", "extract.peak_mb"]) == ["extract.peak_mb is missing"]


def test_the_file_is_flat_and_keeps_what_another_run_of_the_same_size_measured(tmp_path: Path) -> None:
    file = tmp_path / "there" / "bench.json"
    figures.write(file, [Figure("gate.requests", "", (1.0,), "")], 500)
    figures.write(file, [Figure("stream.ratio_to_copy", "×", (1.23456, 1.3, 1.2), "")], 500)
    assert json.loads(file.read_text()) == {"bench.rows": 500, "gate.requests": 1.0, "stream.ratio_to_copy": 1.23}
    figures.write(file, [Figure("gate.requests", "", (2.0,), "")], 7)
    assert json.loads(file.read_text()) == {"bench.rows": 7, "gate.requests": 2.0}


def test_a_line_shows_a_figure_that_misses_what_it_must_be() -> None:
    shown = figures.line(Figure("extract.wall_ratio_to_pandas", "×", (1.2, 1.3, 0.9), "500 rows: 6 against 5 s"))
    assert " ".join(shown.split()) == "extract.wall_ratio_to_pandas 1.2 × 0.9–1.3 of 3 ≤ 1 ✗ 500 rows: 6 against 5 s"
    assert "✗" not in figures.line(Figure("extract.wall_ratio_to_pandas", "×", (1.0,), ""))


def test_the_rows_of_a_large_file_are_all_other_ones_and_good(tmp_path: Path) -> None:
    contract = read_contract("eco2mix-national-tr")
    file = io.BytesIO()
    assert write_csv(file, days=9, blocks=3) == 3 * 9 * 96
    names = file.getvalue().split(b"\r\n", 1)[0].decode().split(";")
    converted = convert_csv([file.getvalue()], contract, names, tmp_path / "large.parquet")
    assert (converted.rows_source, converted.rows_landed) == (2592, 2592)
