"""Two extractions of the same times: what was shown later wins, in whichever order they are committed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from emulators.odre.source import MemorySource
from odre.contracts import read_contract
from tests.warehouse.ingest import DAY, Pipeline, gas
from tests.warehouse.support import GAS

NEXT = DAY + timedelta(days=1)

Show = Callable[[dict[date, float]], datetime]


REPLACED = f"{read_contract(GAS).table}_replaced"


def stocks(pipeline: Pipeline) -> list[tuple[Any, ...]]:
    return pipeline.raw(GAS, "date, stock_fin_de_journee, _run_id")


def replaced(pipeline: Pipeline) -> list[tuple[Any, ...]]:
    return pipeline.house.query(
        f"select date, stock_fin_de_journee, _run_id, _replaced_by_run_id from {{raw}}.{REPLACED} order by 1, 2"
    )


@pytest.fixture
def shown(serving: Callable[..., Any]) -> Show:
    source = MemorySource()
    served: list[bool] = []

    def show(values: dict[date, float]) -> datetime:
        mark = source.publish(GAS, gas(values, ("Centre",)))
        if not served:
            serving(source)
            served.append(True)
        return mark

    return show


def test_an_earlier_extraction_that_is_committed_later_takes_nothing_back(pipeline: Pipeline, shown: Show) -> None:
    shown({DAY: 100.0})
    pipeline.run(GAS, "first")
    shown({DAY: 101.0, NEXT: 90.0})
    (chunk,) = pipeline.gate(GAS, force="True")
    slow = pipeline.extract(chunk, "slow")
    shown({DAY: 102.0})
    pipeline.run(GAS, "quick", force="True")
    pipeline.load(GAS, slow)
    pipeline.merge(GAS, slow)
    expected = [(DAY, 102.0, "quick"), (NEXT, 90.0, "slow")]
    assert stocks(pipeline) == expected
    kept = [(DAY, 100.0, "first", "quick"), (DAY, 101.0, "slow", "quick")]
    assert replaced(pipeline) == kept
    pipeline.load(GAS, slow)
    pipeline.merge(GAS, slow)
    assert (stocks(pipeline), replaced(pipeline)) == (expected, kept)


def test_content_that_a_cleared_run_shows_again_is_its_latest_load(pipeline: Pipeline, shown: Show) -> None:
    marks = []
    for value in (100.0, 101.0, 100.0):
        marks.append(shown({DAY: value}))
        pipeline.run(GAS, "cleared", force="True")
    assert stocks(pipeline) == [(DAY, 100.0, "cleared")]
    assert [(value, by) for _, value, _, by in replaced(pipeline)] == [(100.0, "cleared"), (101.0, "cleared")]
    ledger = pipeline.house.query("select source_mark from {ops}.loads order by loaded_at")
    assert [mark for (mark,) in ledger] == marks[1:], "one row a content, with its last extraction's facts"
