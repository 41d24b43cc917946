"""What a run does: the gate's reasons, the form's window, and the chunks of a plan."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from odre.client import Metadata
from odre.contracts import read_contract
from odre.drift import Drift
from odre.plan import Chunk, SourceState, parse_form_window, plan_chunks, reason_to_fetch, run_window, success_due
from odre.windows import Window

TR = read_contract("eco2mix-national-tr")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MARK = datetime(2026, 3, 1, 11, tzinfo=UTC)
LANDED = SourceState(source_mark=MARK, high_water=datetime(2026, 3, 1, 10, 45, tzinfo=UTC), landed_at=NOW)


def metadata(mark: datetime) -> Metadata:
    return Metadata(TR.dataset, mark, {column.name: "int" for column in TR.columns})


class TestGate:
    def test_opens_before_anything_was_landed(self) -> None:
        assert reason_to_fetch(TR, metadata(MARK), SourceState(), NOW) == "nothing was landed yet"

    @pytest.mark.parametrize("mark", [MARK + timedelta(seconds=1), MARK - timedelta(hours=1)])
    def test_opens_on_another_mark_and_on_one_that_went_back(self, mark: datetime) -> None:
        assert reason_to_fetch(TR, metadata(mark), LANDED, NOW)

    def test_stays_shut_on_a_mark_that_is_landed_already(self) -> None:
        assert reason_to_fetch(TR, metadata(MARK), LANDED, NOW) is None

    def test_opens_when_it_was_shut_for_longer_than_the_contract_bears(self) -> None:
        longest = timedelta(hours=TR.max_gate_skip_hours)
        assert reason_to_fetch(TR, metadata(MARK), LANDED, NOW + longest) is None
        assert reason_to_fetch(TR, metadata(MARK), LANDED, NOW + longest + timedelta(seconds=1))


class TestForm:
    def test_empty_fields_are_no_window(self) -> None:
        assert parse_form_window("", "") is None

    def test_a_day_begins_at_midnight_in_paris(self) -> None:
        window = parse_form_window("2022-06-01", "2022-12-01")
        assert window == Window(datetime(2022, 5, 31, 22, tzinfo=UTC), datetime(2022, 11, 30, 23, tzinfo=UTC))

    def test_a_time_is_in_paris_unless_it_says_otherwise(self) -> None:
        assert parse_form_window("2022-06-01T06:00", "") == Window(datetime(2022, 6, 1, 4, tzinfo=UTC), None)
        assert parse_form_window("2022-06-01T06:00Z", "") == Window(datetime(2022, 6, 1, 6, tzinfo=UTC), None)

    def test_a_day_of_a_daily_dataset_is_that_day(self) -> None:
        gas = read_contract("stock-quotidien-stockages-gaz")
        window = parse_form_window("2022-06-01", "2022-06-02", UTC)
        assert window is not None
        assert window.where(gas) == "date >= date'2022-06-01' AND date < date'2022-06-02'"

    @pytest.mark.parametrize("end", ["2022-06-01", "2022-05-31", "2022-06-01T00:00"])
    def test_a_window_that_ends_before_it_starts_is_refused_in_the_forms_terms(self, end: str) -> None:
        with pytest.raises(ValueError, match=rf"window_end \({end}\) must be later than window_start \(2022-06-01\)"):
            parse_form_window("2022-06-01", end)

    def test_what_is_no_time_is_refused_by_its_fields_name(self) -> None:
        with pytest.raises(ValueError, match="window_end is '2022-13-01'"):
            parse_form_window("2022-06-01", "2022-13-01")


class TestPlan:
    def test_the_forms_window_comes_before_the_contracts(self) -> None:
        asked = Window(datetime(2022, 1, 1, tzinfo=UTC), datetime(2022, 2, 1, tzinfo=UTC))
        assert run_window(TR, LANDED, asked, NOW) == asked
        assert run_window(TR, LANDED, None, NOW).start == datetime(2026, 2, 26, 10, 45, tzinfo=UTC)
        assert run_window(TR, SourceState(), None, NOW) == Window(None, None)

    def test_chunks_cover_the_window_once_and_survive_xcom(self) -> None:
        window = Window(datetime(2020, 3, 1, tzinfo=UTC), datetime(2023, 2, 1, tzinfo=UTC))
        drift = Drift(unknown=("nouveau",), absent=("eolien_offshore",))
        chunks = plan_chunks(TR, metadata(MARK), window, window.start, NOW, ordinary=False, drift=drift)
        assert [Chunk.from_dict(chunk.to_dict()) for chunk in chunks] == chunks
        assert [chunk.chunk for chunk in chunks] == list(range(len(chunks)))
        assert {chunk.chunks for chunk in chunks} == {len(chunks)}
        assert chunks[0].window.start == window.start
        assert chunks[-1].window.end == window.end
        for before, after in pairwise(chunks):
            assert before.window.end == after.window.start
        assert "eolien_offshore" not in chunks[0].columns
        assert chunks[0].ledger_values()["unknown_columns"] == "nouveau"
        assert chunks[0].ledger_values()["source_mark"] == MARK
        assert chunks[1].label == f"chunk 2 of {len(chunks)}: 2021-01-01T00:00:00Z to 2022-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("cron", "hours", "now", "due"),
    [
        # Paris is at UTC + 1 in winter, at UTC + 2 in summer.
        ("20 * * * *", 2, "2026-03-01T12:30:00", "2026-03-01T15:20:00"),
        ("0 11 * * *", 6, "2026-03-01T10:05:00", "2026-03-02T16:00:00"),
        ("0 11 * * *", 6, "2026-03-28T10:05:00", "2026-03-29T15:00:00"),
        # The second half of a month has no run.
        ("0 7 1-15 * *", 6, "2026-03-14T06:05:00", "2026-03-15T12:00:00"),
        ("0 7 1-15 * *", 6, "2026-03-15T06:05:00", "2026-04-01T11:00:00"),
    ],
)
def test_a_success_is_due_some_hours_after_the_next_scheduled_time(cron: str, hours: int, now: str, due: str) -> None:
    found = success_due(cron, "Europe/Paris", timedelta(hours=hours), datetime.fromisoformat(f"{now}+00:00"))
    assert found == datetime.fromisoformat(f"{due}+00:00")
