"""What a run does: whether there is anything to fetch, and which windows it asks for.

Pure: no Airflow import. The facts come from the ledger, the source's metadata and the run's form.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from croniter import croniter  # type: ignore[import-untyped]

from odre.client import Metadata
from odre.contracts import Contract
from odre.drift import Drift
from odre.paris import PARIS
from odre.windows import Window, ordinary_window


@dataclass(frozen=True)
class SourceState:
    """What ordinary runs have landed of a dataset; each field is ``None`` before the first.

    ``source_mark``: freshness mark of the last of them; ``high_water``: greatest measured instant; ``landed_at``: last
    commit; ``unsettled``: earliest landed instant whose figures may still change.
    """

    source_mark: datetime | None = None
    high_water: datetime | None = None
    landed_at: datetime | None = None
    unsettled: datetime | None = None


@dataclass(frozen=True)
class Chunk:
    """One request of a run, as it travels between tasks. Instants are ISO 8601 texts in UTC."""

    dataset: str
    chunk: int
    chunks: int
    ordinary: bool
    run_window_start: str | None
    run_window_end: str | None
    window_start: str | None
    window_end: str | None
    source_mark: str
    columns: tuple[str, ...]
    unknown_columns: tuple[str, ...]
    absent_columns: tuple[str, ...]

    @property
    def window(self) -> Window:
        """The chunk's window."""
        return Window(_instant(self.window_start), _instant(self.window_end))

    @property
    def run_window(self) -> Window:
        """The window of the chunk's run."""
        return Window(_instant(self.run_window_start), _instant(self.run_window_end))

    def ledger_values(self) -> dict[str, Any]:
        """What the chunk knows of its row in the ledger, in the manifest's types."""
        return {
            "dataset": self.dataset,
            "chunk": self.chunk,
            "chunks": self.chunks,
            "ordinary": self.ordinary,
            "run_window_start": _instant(self.run_window_start),
            "run_window_end": _instant(self.run_window_end),
            "window_start": _instant(self.window_start),
            "window_end": _instant(self.window_end),
            "source_mark": datetime.fromisoformat(self.source_mark),
            "unknown_columns": ",".join(self.unknown_columns),
            "absent_columns": ",".join(self.absent_columns),
        }

    @property
    def label(self) -> str:
        """The chunk as people read it, in the grid and in the logs."""
        return f"chunk {self.chunk + 1} of {self.chunks}: {self.window}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for XCom."""
        return {
            name: list(value) if isinstance(value, tuple) else value  # XCom keeps lists, not tuples
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Chunk:
        """The chunk that :meth:`to_dict` made."""
        fields: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
        return cls(**fields)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def parse_form_instant(name: str, text: str, zone: tzinfo = PARIS) -> datetime | None:
    """A field of the run's form as an instant in UTC: a day or a time, in ``zone`` unless it names an offset.

    Raises:
        ValueError: it is neither; the message names the field.
    """
    if not text:
        return None
    try:
        day_only = len(text) == len("2022-06-01")
        moment = datetime.combine(date.fromisoformat(text), time()) if day_only else datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{name} is {text!r}: expected a day such as 2022-06-01 or a time such as 2022-06-01T06:00"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def parse_form_window(window_start: str, window_end: str, zone: tzinfo = PARIS) -> Window | None:
    """The window of the run's form; ``None`` when both fields are empty.

    ``zone`` is what its days begin in: a dataset with a row a day has no hours, and its windows count days of UTC.

    Raises:
        ValueError: a field cannot be read, or the window does not end after it starts; in the form's terms.
    """
    start = parse_form_instant("window_start", window_start, zone)
    end = parse_form_instant("window_end", window_end, zone)
    if start is None and end is None:
        return None
    if start is not None and end is not None and end <= start:
        raise ValueError(f"window_end ({window_end}) must be later than window_start ({window_start})")
    return Window(start, end)


def reason_to_fetch(contract: Contract, metadata: Metadata, state: SourceState, now: datetime) -> str | None:
    """Why an ordinary run should ask for data; ``None`` when the source shows nothing new."""
    if state.source_mark is None or state.landed_at is None:
        return "nothing was landed yet"
    # Also a mark that went back: the portal was restored, and may show other figures.
    if metadata.data_processed != state.source_mark:
        return f"the source was processed at {metadata.data_processed:%Y-%m-%dT%H:%M:%SZ}"
    if now - state.landed_at > timedelta(hours=contract.max_gate_skip_hours):
        return f"nothing was landed for more than {contract.max_gate_skip_hours} h, whatever the source's mark says"
    return None


def success_due(cron: str, timezone: str, late_after: timedelta, now: datetime) -> datetime:
    """When a DAG's next success is due: the next time of its schedule plus ``late_after``, in UTC."""
    following: datetime = croniter(cron, now.astimezone(ZoneInfo(timezone))).get_next(datetime)
    return (following + late_after).astimezone(UTC)


def run_window(contract: Contract, state: SourceState, asked: Window | None, now: datetime) -> Window:
    """The window of a run: the form's if it names one, else the contract's."""
    return asked or ordinary_window(contract, state.high_water, state.unsettled, now)


def plan_chunks(
    contract: Contract,
    metadata: Metadata,
    window: Window,
    first: datetime | None,
    now: datetime,
    *,
    ordinary: bool,
    drift: Drift,
) -> list[Chunk]:
    """The run's requests in order of time. ``first`` is the source's first instant, ``None`` when it is empty."""
    windows = window.chunks(contract.chunk_months, first, now)
    return [
        Chunk(
            dataset=contract.dataset,
            chunk=number,
            chunks=len(windows),
            ordinary=ordinary,
            run_window_start=_text(window.start),
            run_window_end=_text(window.end),
            window_start=_text(piece.start),
            window_end=_text(piece.end),
            source_mark=metadata.data_processed.astimezone(UTC).isoformat(),
            columns=drift.columns(contract),
            unknown_columns=drift.unknown,
            absent_columns=drift.absent,
        )
        for number, piece in enumerate(windows)
    ]
