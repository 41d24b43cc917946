"""From the source's CSV to one checked Parquet file: typed by the contract, in the key's order, each key once.

Pure: no Airflow import. Columnar and in constant memory: the stream is cut into blocks at row ends, a block is parsed
with the contract's types at once, and only a block that does not fit them is looked at cell by cell. What breaks the
contract goes to the quarantine; no row is ever lost: rows of the source = landed + quarantined + excluded.

The parts, in the order in which a row meets them: :mod:`odre.csv_blocks`, :mod:`odre.block_parser` (and
:mod:`odre.cells`), :mod:`odre.paris`, :mod:`odre.keys`, :mod:`odre.marks`, :mod:`odre.parquet_file`; and
:mod:`odre.quarantine` for the rows that do not land.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from odre.arrays import empty_table, one_chunk
from odre.block_parser import BlockParser
from odre.cells import cast_texts
from odre.contracts import Contract
from odre.csv_blocks import UnreadableCsv, cut_at_row_ends, read_header, split_header
from odre.drift import SEE_DRIFT
from odre.keys import each_key_once, first_descent, hold_last_time
from odre.marks import Marks
from odre.paris import check_local_time
from odre.parquet_file import HashedFile, RowGroupWriter
from odre.quarantine import (
    SEE_QUARANTINE,
    TOLERATED_BAD_ROWS,
    BadRows,
    ContractBroken,
    Quarantine,
    Rejected,
    value_text,
)

#: Bytes of CSV parsed at once; a row group is larger, so that a file's bytes do not depend on how the stream was cut.
BLOCK_BYTES: Final = 2 << 20


@dataclass(frozen=True)
class Conversion:
    """One converted export: a Parquet file (zstd, the contract's ``arrow_schema``, ordered by the key) and its figures.

    ``first_time`` and ``last_time`` bound the time column of the rows landed; ``high_water`` is the greatest measured
    instant that is not in the future (for a contract with ``high_water_over`` the least over its values). Days count as
    their midnight in UTC. ``quarantine`` has :data:`odre.quarantine.QUARANTINE_SCHEMA`: a row for each bad cell or
    row, once. ``ends_whole`` is false where the last row may have been cut short: it has no end, and does not close
    with a readable time.
    """

    path: Path
    sha256: str
    size_bytes: int
    rows_source: int
    rows_landed: int
    rows_quarantined: int
    rows_excluded: int
    first_time: datetime | None
    last_time: datetime | None
    high_water: datetime | None
    quarantine: pa.Table
    ends_whole: bool

    def ledger_values(self) -> dict[str, Any]:
        """What the conversion knows of its chunk's row in the ledger, in the manifest's types."""
        return {
            "rows_source": self.rows_source,
            "rows_landed": self.rows_landed,
            "rows_quarantined": self.rows_quarantined,
            "rows_excluded": self.rows_excluded,
            "first_time": self.first_time,
            "last_time": self.last_time,
            "high_water": self.high_water,
            "content_sha256": self.sha256,
        }


def convert_csv(
    stream: Iterable[bytes],
    contract: Contract,
    columns: Sequence[str],
    destination: Path,
    *,
    span: str = "all time",
    now: datetime | None = None,
    of_run: Callable[[BadRows], BadRows] = lambda own: own,
    block_bytes: int = BLOCK_BYTES,
) -> Conversion:
    """Convert a CSV export (``;``, header of technical names, rows ordered by the contract's key) to Parquet.

    Args:
        stream: the export's bytes, in pieces of any size.
        columns: the columns that were asked for; the contract's others land as null.
        destination: the file to write; it does not remain when the conversion fails.
        span: the window, for messages.
        now: measures later than this do not count for ``high_water``; the clock's time by default.
        of_run: from the export's bad rows to those of its run, which are judged; asked only when there are any. By
            default the export is all of its run.
        block_bytes: how much is parsed at once; it has no influence on the result.

    Raises:
        ContractBroken: the header is not the columns asked for, the rows are not in the key's order, or more than ten
            rows and more than the contract's share of them are bad.
    """
    converter = _Converter(contract, span, now or datetime.now(UTC), of_run)
    try:
        with HashedFile(destination) as file, RowGroupWriter(file, contract) as writer:
            converter.convert(stream, columns, block_bytes, writer)
        return converter.conversion(file)
    except BaseException:
        destination.unlink(missing_ok=True)
        raise


class _Converter:
    """One conversion: the way of its rows, and what is counted on it."""

    def __init__(self, contract: Contract, span: str, now: datetime, of_run: Callable[[BadRows], BadRows]) -> None:
        self.contract = contract
        self.span = span
        self._of_run = of_run
        self.quarantine = Quarantine()
        self.marks = Marks(contract, now)
        self.rows_source = 0
        self.rows_landed = 0
        self.ends_whole = True
        #: Rows of the greatest time so far: more of the same time may come with the next block.
        self._held = empty_table(contract.arrow_schema)

    def convert(self, stream: Iterable[bytes], asked: Sequence[str], block_bytes: int, writer: RowGroupWriter) -> None:
        """Take every row of the stream to the file or to the quarantine."""
        try:
            header, rows_of_csv = split_header(stream)
            # Of no rows, the source may send no header either.
            if header.strip():
                names = read_header(header, asked)
                parser = BlockParser(self.contract, names)
                for block in cut_at_row_ends(rows_of_csv, block_bytes):
                    self.ends_whole = block.endswith(b"\n") or self._ends_in_time(names, block)
                    rows = self._parsed(parser, block)
                    rows = self._with_local_time(rows)
                    rows = self._of_complete_times(rows)
                    self._land(rows, writer)
        except UnreadableCsv as error:
            raise self._broken(str(error), SEE_DRIFT) from error
        self._land(self._held, writer)

    def _ends_in_time(self, names: Sequence[str], block: bytes) -> bool:
        """Whether a block without an end closes with a whole time: a text such as ``Centr`` would not show its cut."""
        column = self.contract.by_name[self.contract.time_column]
        last_field = block.rpartition(b";")[2].rstrip(b"\r").decode(errors="replace")
        _, bad = cast_texts(pa.array([last_field]), column, pa.array([], pa.string()))
        return names[-1] == column.name and bad is None

    def _parsed(self, parser: BlockParser, block: bytes) -> pa.Table:
        """The block's rows that fit the contract's types."""
        parsed = parser.parse(block)
        self.rows_source += parsed.rows
        self._reject(parsed.rejected)
        self.rows_source += len(parsed.misshapen)
        self._reject(parsed.misshapen)
        return parsed.table

    def _with_local_time(self, rows: pa.Table) -> pa.Table:
        """The rows whose local time is that of their instant."""
        agreeing, rejected = check_local_time(rows, self.contract)
        self._reject(rejected)
        return agreeing

    def _of_complete_times(self, rows: pa.Table) -> pa.Table:
        """The rows of which no later block can have a repetition: all but those of the last time, which are held."""
        if rows.num_rows == 0:
            return rows
        rows = pa.concat_tables([self._held, rows]).combine_chunks()
        times = one_chunk(rows[self.contract.key[0]])
        descent = first_descent(times)
        if descent is not None:
            before, after = (value_text(times[place].as_py()) for place in (descent, descent + 1))
            cause = f"the source ignored order_by: {after} comes after {before}"
            raise self._broken(cause, "Run make check-source to see what changed")
        complete, self._held = hold_last_time(rows, times)
        return complete

    def _land(self, rows: pa.Table, writer: RowGroupWriter) -> None:
        """Write the rows to the file, each key once, and note their times."""
        unique, rejected = each_key_once(rows, self.contract.key)
        self._reject(rejected)
        self.marks.note(unique)
        self.rows_landed += unique.num_rows
        writer.write(unique)

    def _reject(self, rows: Iterable[Rejected]) -> None:
        """Put rows into the quarantine, and stop when there are too many bad ones."""
        for row in rows:
            self.quarantine.add(row)
            if self.quarantine.is_full:
                raise self._too_many_bad(BadRows(self.quarantine.rows_bad, self.rows_source), "rows so far")

    def conversion(self, file: HashedFile) -> Conversion:
        """The figures of the finished file, if it may land."""
        bad, excluded = self.quarantine.rows_bad, self.quarantine.rows_by_rule
        if self.rows_source != self.rows_landed + bad + excluded:
            raise AssertionError(
                f"{self.contract.dataset}, {self.span}: of {self.rows_source} rows {self.rows_landed} landed, "
                f"{bad} are quarantined and {excluded} excluded"
            )
        if bad:
            own = BadRows(bad, self.rows_source)
            judged = self._of_run(own)
            if judged.are_too_many(self.contract.max_bad_share):
                raise self._too_many_bad(judged, "rows" if judged == own else "rows of the run")
        return Conversion(
            path=file.path,
            sha256=file.sha256,
            size_bytes=file.size_bytes,
            rows_source=self.rows_source,
            rows_landed=self.rows_landed,
            rows_quarantined=bad,
            rows_excluded=excluded,
            first_time=self.marks.first_time,
            last_time=self.marks.last_time,
            high_water=self.marks.high_water,
            quarantine=self.quarantine.table,
            ends_whole=self.ends_whole,
        )

    def _too_many_bad(self, judged: BadRows, what: str) -> ContractBroken:
        commonest = ", ".join(f"{reason} ({rows})" for reason, rows in self.quarantine.reasons.most_common(3))
        cause = (
            f"{judged.bad} of {judged.rows} {what} are bad, more than "
            f"{self.contract.max_bad_share:.1%} and {TOLERATED_BAD_ROWS}: {commonest}"
        )
        return self._broken(cause, SEE_QUARANTINE)

    def _broken(self, cause: str, next_step: str) -> ContractBroken:
        message = f"{self.contract.dataset}, {self.span}: {cause}. {next_step}"
        return ContractBroken(message, self.quarantine.table)
