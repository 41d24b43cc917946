"""From the source's CSV to one checked Parquet file: typed by the contract, in the key's order, each key once.

Pure: no Airflow import. Columnar and in constant memory: the stream is cut into blocks at row ends, a block is parsed
with the contract's types at once, and only a block that does not fit them is looked at cell by cell. What breaks the
contract goes to the quarantine; no row is ever lost: rows of the source = landed + quarantined + excluded.
"""

from __future__ import annotations

import array
import calendar
import csv
import hashlib
import itertools
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from odre.client import OdreError
from odre.contracts import SOURCE_TYPES, Column, Contract

log = logging.getLogger(__name__)

#: Bytes of CSV parsed at once; a row group is larger, so that a file's bytes do not depend on how the stream was cut.
BLOCK_BYTES: Final = 4 << 20
ROW_GROUP_ROWS: Final = 1 << 16
#: A row longer than this is a quoted text that never ends.
LONGEST_ROW_BYTES: Final = 16 << 20
#: Bad rows kept at most; beyond it the conversion stops.
MOST_BAD_ROWS: Final = 10_000
#: Rows dropped by a rule that are recorded one by one; more are only counted.
MOST_RULE_ROWS: Final = 10_000
#: Bad rows that never fail a conversion, whatever their share.
TOLERATED_BAD_ROWS: Final = 10
#: Characters of a whole row that the quarantine shows.
ROW_TEXT_CHARACTERS: Final = 500

PARIS: Final = ZoneInfo("Europe/Paris")
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
#: Whole numbers below this survive a float64.
EXACT_IN_FLOAT64: Final = 2.0**53

QUARANTINE_SCHEMA: Final = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("column", pa.string(), nullable=False),
        pa.field("raw_value", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("is_rule", pa.bool_(), nullable=False),
    ]
)

REASON_BY_TYPE: Final = {
    "STRING": "not UTF-8 text",
    "INT64": "not a whole number",
    "FLOAT64": "not a finite number",
    "DATE": "not a date",
    "TIMESTAMP": "not an instant with its offset",
}
NO_KEY: Final = "key is missing"
NO_LOCAL_TIME: Final = "local time does not exist"
OTHER_LOCAL_TIME: Final = "local time disagrees with the instant"
REPEATED_ROW: Final = "repeated row"
REPEATED_KEY: Final = "key repeated with other values"

SEE_QUARANTINE: Final = "Read the quarantine's rows, then correct the contract or report it to the source"
SEE_DRIFT: Final = "Compare the contract with the portal's description of the dataset (make check-source), and adapt it"


class ContractBroken(OdreError):
    """What the source sends does not keep the contract; nothing of it may land.

    ``quarantine`` holds the rows found bad until then (:data:`QUARANTINE_SCHEMA`), for the caller to store.
    """

    def __init__(self, message: str, quarantine: pa.Table | None = None) -> None:
        super().__init__(message)
        self.quarantine = QUARANTINE_SCHEMA.empty_table() if quarantine is None else quarantine


class CountMismatch(OdreError):
    """The rows received are not as many as the source counts."""

    retryable = True


@dataclass(frozen=True)
class Drift:
    """How a dataset's fields differ from its contract, in ways that a run bears.

    ``unknown`` fields are ignored, ``absent`` optional columns are not asked for and land as null.
    """

    unknown: tuple[str, ...]
    absent: tuple[str, ...]

    def columns(self, contract: Contract) -> tuple[str, ...]:
        """The columns to ask the source for, in the contract's order."""
        return tuple(column.name for column in contract.columns if column.name not in self.absent)


def detect_drift(contract: Contract, fields: Mapping[str, str]) -> Drift:
    """The drift of the source's fields (name → type) from the contract.

    Raises:
        ContractBroken: a required column is absent, or one has a type that the contract cannot cast.
    """
    absent = [column for column in contract.columns if column.name not in fields]
    missing = [column.name for column in absent if column.required]
    retyped = [
        f"{column.name} ({fields[column.name]} instead of {column.type})"
        for column in contract.columns
        if column.name in fields and fields[column.name] not in SOURCE_TYPES[column.type]
    ]
    if missing or retyped:
        causes = []
        if missing:
            causes.append(f"required columns are absent: {', '.join(missing)}")
        if retyped:
            causes.append(f"columns have other types: {', '.join(retyped)}")
        raise ContractBroken(f"{contract.dataset}, its fields: {'; '.join(causes)}. {SEE_DRIFT}")
    return Drift(
        unknown=tuple(name for name in fields if name not in contract.by_name),
        absent=tuple(column.name for column in absent),
    )


@dataclass(frozen=True)
class Conversion:
    """One converted export: a Parquet file (zstd, the contract's ``arrow_schema``, ordered by the key) and its figures.

    ``first_time`` and ``last_time`` bound the time column of the rows landed; ``high_water`` is the greatest measured
    instant that is not in the future (for a contract with ``high_water_over`` the least over its values). Days count as
    their midnight in UTC. ``quarantine`` has :data:`QUARANTINE_SCHEMA`: a row for each bad cell or row, once.
    ``ends_in_newline`` is false where the last row may have been cut short.
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
    ends_in_newline: bool


def convert_csv(
    stream: Iterable[bytes],
    contract: Contract,
    columns: Sequence[str],
    destination: Path,
    *,
    span: str = "all time",
    now: datetime | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Conversion:
    """Convert a CSV export (``;``, header of technical names, rows ordered by the contract's key) to Parquet.

    Args:
        stream: the export's bytes, in pieces of any size.
        columns: the columns that were asked for; the contract's others land as null.
        destination: the file to write; it does not remain when the conversion fails.
        span: the window, for messages.
        now: measures later than this do not count for ``high_water``; the clock's time by default.
        block_bytes: how much is parsed at once; it has no influence on the result.

    Raises:
        ContractBroken: the header is not the columns asked for, the rows are not in the key's order, or more than ten
            rows and more than the contract's share of them are bad.
    """
    converter = _Converter(contract, columns, span, now or datetime.now(UTC))
    try:
        with _HashedFile(destination) as file:
            converter.run(stream, file, block_bytes)
    except BaseException:
        destination.unlink(missing_ok=True)
        raise
    return converter.conversion(file)


def write_quarantine(quarantine: pa.Table, destination: Path) -> str:
    """Write a conversion's quarantine (:data:`QUARANTINE_SCHEMA`) as Parquet; the SHA-256 of the file."""
    with _HashedFile(destination) as file, pq.ParquetWriter(file, QUARANTINE_SCHEMA, compression="zstd") as writer:
        writer.write_table(quarantine)
    return file.sha256


class _HashedFile:
    """A file that is hashed as it is written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self._hash = hashlib.sha256()
        self._file = path.open("wb")

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    @property
    def closed(self) -> bool:
        return self._file.closed

    def write(self, data: Any) -> int:
        self._hash.update(data)
        self.size_bytes += self._file.write(data)
        return len(data)

    def tell(self) -> int:
        return self.size_bytes

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> _HashedFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


# A quoted text, from its opening quote at the start of a field to its closing one or, unclosed, to the end.
_QUOTED: Final = re.compile(rb'(?<![^;\n])"[^"]*+(?:""[^"]*+)*+("|\Z)')


def _row_end(buffer: bytes, start: int, end: int) -> int:
    """The place after the last row that ends in ``buffer[start:end]``, which starts with a row; ``start`` if none."""
    if buffer.find(b'"', start, end) < 0:
        return max(buffer.rfind(b"\n", start, end) + 1, start)
    last, outside = start, start
    for quoted in _QUOTED.finditer(buffer, start, end):
        last = max(buffer.rfind(b"\n", outside, quoted.start()) + 1, last)
        outside = quoted.end()
        if not quoted.group(1):
            return last
    return max(buffer.rfind(b"\n", outside, end) + 1, last)


def _cut_at_row_ends(stream: Iterator[bytes], block_bytes: int) -> Iterator[bytes]:
    """The stream in blocks of whole rows, of about ``block_bytes`` or one row each.

    Raises:
        ValueError: a row is longer than :data:`LONGEST_ROW_BYTES`.
    """
    pending: list[bytes] = []
    size, wanted = 0, block_bytes
    for piece in stream:
        pending.append(piece)
        size += len(piece)
        if size < wanted:
            continue
        buffer, start = b"".join(pending), 0
        while len(buffer) - start >= wanted:
            cut = _row_end(buffer, start, start + wanted)
            if cut > start:
                yield buffer[start:cut]
                start, wanted = cut, block_bytes
            elif wanted > LONGEST_ROW_BYTES:
                raise ValueError("a row does not end")
            else:
                # A row longer than a block: look again when there is twice as much.
                wanted *= 2
        pending, size = [buffer[start:]], len(buffer) - start
    rest = b"".join(pending)
    if rest:
        yield rest


def _array(values: Iterable[object], of_type: pa.DataType) -> pa.Array:
    return pa.array(list(values), of_type)


def _integers(values: Iterable[int]) -> pa.Array:
    """Whole numbers as an int64 array.

    Not by ``pa.array``: Arrow imports pandas, where it is installed, to look at any Python value that it is given. Good
    data never need that, so they do not pay for it (half a second and 60 MB).
    """
    numbers = array.array("q", values)
    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(numbers.tobytes())])


YEAR_ONE: Final = _integers([(datetime(1, 1, 1, tzinfo=UTC) - EPOCH) // MICROSECOND]).cast(pa.timestamp("us", tz="UTC"))


def _key_part(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return "" if value is None else str(value)


def _key_text(key: Sequence[str], values: Mapping[str, object]) -> str:
    """A key for the quarantine, ``date=2022-08-02, pits=Saline``."""
    return ", ".join(f"{name}={_key_part(values[name])}" for name in key)


def _or(masks: Sequence[pa.Array]) -> pa.Array:
    result = masks[0]
    for mask in masks[1:]:
        result = pc.or_(result, mask)
    return result


def _any(mask: pa.Array | pa.ChunkedArray) -> bool:
    return bool(pc.any(mask, min_count=0).as_py())


def _all(mask: pa.Array | pa.ChunkedArray) -> bool:
    return bool(pc.all(mask, min_count=0).as_py())


def _indices(mask: pa.Array) -> list[int]:
    indices: list[int] = pc.indices_nonzero(mask).to_pylist()
    return indices


def _is_whole(numbers: pa.Array) -> bool:
    """Whether all float64 values are whole numbers that a float64 holds exactly."""
    if numbers.null_count == len(numbers):
        return True
    exact = pc.less(pc.abs(numbers), EXACT_IN_FLOAT64)
    return _all(pc.and_(exact, pc.equal(numbers, pc.floor(numbers))))


def _before_year_one(moments: pa.Array | pa.Scalar) -> pa.Array | pa.Scalar:
    """Where days or instants lie before the year 1: Arrow reads them, neither Python nor BigQuery has them."""
    return pc.less(moments, YEAR_ONE.cast(moments.type, safe=False)[0])


def _is_unusable(values: pa.Array | pa.Scalar) -> pa.Array | pa.Scalar:
    """Where numbers are not finite, and days or instants lie before the year 1."""
    return pc.invert(pc.is_finite(values)) if pa.types.is_floating(values.type) else _before_year_one(values)


# The usual spelling of a value, which Arrow casts; and the reading of all others, one distinct text at a time.
_USUAL: Final = {
    "INT64": r"^-?[0-9]{1,18}$",
    "FLOAT64": r"^-?[0-9]{1,300}(\.[0-9]+)?$",
    "DATE": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    "TIMESTAMP": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})$",
}
_DECIMAL_WHOLE: Final = r"^-?[0-9]{1,15}\.0*$"
_MIDNIGHT: Final = re.compile(r"(\d{4}-\d{2}-\d{2})[T ]00:00(:00(\.0+)?)?(Z|[+-]\d{2}:?\d{2})?")


def _read_unusual(text: str, column: Column) -> Any:
    """The value of a text that is not in its type's usual spelling; ``None`` = it has none."""
    midnight = _MIDNIGHT.fullmatch(text) if column.type == "DATE" else None
    try:
        value = pa.scalar(midnight.group(1) if midnight else text).cast(column.arrow_type)
    except pa.ArrowInvalid:
        if column.type != "INT64":
            return None
        try:
            number = pa.scalar(text).cast(pa.float64()).as_py()
        except pa.ArrowInvalid:
            return None
        return int(number) if abs(number) < EXACT_IN_FLOAT64 and number == int(number) else None
    return None if column.type != "INT64" and _is_unusable(value).as_py() else value.as_py()


def _cast_text(texts: pa.Array, column: Column, markers: pa.Array) -> tuple[pa.Array, pa.Array | None]:
    """Texts as the column's type, and a mask of those that are not of it (null in the result); ``None`` = all are.

    Accepts whatever the parse with types accepts, and gives the same value for it.
    """
    if column.type == "STRING":
        return pc.if_else(pc.is_in(texts, markers), pa.scalar(None, pa.string()), texts), None
    trimmed = pc.utf8_trim_whitespace(texts)
    trimmed = pc.if_else(pc.is_in(trimmed, markers), pa.scalar(None, pa.string()), trimmed)
    try:
        values = pc.cast(trimmed, column.arrow_type)
        if column.type == "INT64" or not _any(_is_unusable(values)):
            return values, None
    except pa.ArrowInvalid:
        pass
    nothing = pa.scalar(None, pa.string())
    usual = pc.fill_null(pc.match_substring_regex(trimmed, _USUAL[column.type]), True)
    try:
        values = pc.cast(pc.if_else(usual, trimmed, nothing), column.arrow_type)
    except pa.ArrowInvalid:
        # Usual in spelling but no value, such as 30 February.
        usual = pc.is_null(trimmed)
        values = pa.nulls(len(trimmed), column.arrow_type)
    if column.type == "INT64":
        decimal = pc.fill_null(pc.match_substring_regex(trimmed, _DECIMAL_WHOLE), False)
        decimals = pc.cast(pc.cast(pc.if_else(decimal, trimmed, nothing), pa.float64()), pa.int64())
        values, usual = pc.coalesce(values, decimals), pc.or_(usual, decimal)
    unusual = pc.if_else(usual, nothing, trimmed).dictionary_encode()
    read = _array([_read_unusual(text, column) for text in unusual.dictionary.to_pylist()], column.arrow_type)
    values = pc.coalesce(values, read.take(unusual.indices))
    if column.type != "INT64":
        values = pc.if_else(_is_unusable(values), pa.scalar(None, values.type), values)
    wrong = pc.and_(pc.is_null(values), pc.is_valid(trimmed))
    return values, wrong if _any(wrong) else None


class _Quarantine:
    """The rows that do not land: each entry once, bad rows and rows dropped by a rule counted apart."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str, str, str, bool], None] = {}
        self.rows_bad = 0
        self.rows_by_rule = 0
        self.reasons: Counter[str] = Counter()

    def count(self, reason: str, *, is_rule: bool, rows: int = 1) -> None:
        self.reasons[reason] += rows
        if is_rule:
            self.rows_by_rule += rows
        else:
            self.rows_bad += rows

    def record(self, key: str, column: str, raw_value: str, reason: str, *, is_rule: bool) -> None:
        self._entries[(key, column, raw_value, reason, is_rule)] = None

    @property
    def is_full(self) -> bool:
        return self.rows_bad > MOST_BAD_ROWS

    @property
    def table(self) -> pa.Table:
        """The entries, sorted, so that they do not depend on how the stream was cut."""
        if not self._entries:
            return pa.Table.from_arrays(
                [pa.nulls(0, field.type) for field in QUARANTINE_SCHEMA], schema=QUARANTINE_SCHEMA
            )
        columns = zip(*sorted(self._entries), strict=True)
        return pa.Table.from_arrays(
            [_array(values, field.type) for field, values in zip(QUARANTINE_SCHEMA, columns, strict=False)],
            schema=QUARANTINE_SCHEMA,
        )


class _Converter:
    """The state of one conversion."""

    def __init__(self, contract: Contract, columns: Sequence[str], span: str, now: datetime) -> None:
        self.contract = contract
        self.span = span
        self._now = _integers([(now - EPOCH) // MICROSECOND]).cast(pa.timestamp("us", tz="UTC"))
        self.asked = tuple(columns)
        self.header: list[str] = []
        self.quarantine = _Quarantine()
        self.rows_source = 0
        self.rows_landed = 0
        self.first_time: datetime | None = None
        self.last_time: datetime | None = None
        self.ends_in_newline = True
        self._high_waters: dict[str | None, datetime] = {}
        #: Columns of whole numbers that the source spells with decimals (``50765.0``).
        self._as_float: set[str] = set()
        #: Rows of the greatest time so far: more of the same time may come with the next block.
        self._held = self._of_contract({}, 0)
        self._ready: list[pa.Table] = []
        self._ready_rows = 0

    def run(self, stream: Iterable[bytes], file: _HashedFile, block_bytes: int) -> None:
        strings = [column.name for column in self.contract.columns if column.type == "STRING"]
        with pq.ParquetWriter(
            file,
            self.contract.arrow_schema,
            compression="zstd",
            # Figures hardly repeat: a dictionary of them costs time and bytes.
            use_dictionary=strings or False,
        ) as writer:
            for block in self._blocks(iter(stream), block_bytes):
                self._take(self._in_order(self._with_local_time(self._parse(block))))
                self._write(writer, whole_groups_only=True)
            self._take(self._unique(self._held))
            self._write(writer, whole_groups_only=False)

    def conversion(self, file: _HashedFile) -> Conversion:
        bad, excluded = self.quarantine.rows_bad, self.quarantine.rows_by_rule
        if self.rows_source != self.rows_landed + bad + excluded:
            raise AssertionError(
                f"{self.contract.dataset}, {self.span}: of {self.rows_source} rows {self.rows_landed} landed, "
                f"{bad} are quarantined and {excluded} excluded"
            )
        if bad > max(TOLERATED_BAD_ROWS, self.contract.max_bad_share * self.rows_source):
            file.path.unlink(missing_ok=True)
            raise self._too_many_bad("")
        return Conversion(
            path=file.path,
            sha256=file.sha256,
            size_bytes=file.size_bytes,
            rows_source=self.rows_source,
            rows_landed=self.rows_landed,
            rows_quarantined=bad,
            rows_excluded=excluded,
            first_time=self.first_time,
            last_time=self.last_time,
            high_water=min(self._high_waters.values(), default=None),
            quarantine=self.quarantine.table,
            ends_in_newline=self.ends_in_newline,
        )

    def _broken(self, cause: str, next_step: str = SEE_DRIFT) -> ContractBroken:
        message = f"{self.contract.dataset}, {self.span}: {cause}. {next_step}"
        return ContractBroken(message, self.quarantine.table)

    def _too_many_bad(self, so_far: str) -> ContractBroken:
        commonest = ", ".join(f"{reason} ({rows})" for reason, rows in self.quarantine.reasons.most_common(3))
        cause = (
            f"{self.quarantine.rows_bad} of {self.rows_source} rows{so_far} are bad, more than "
            f"{self.contract.max_bad_share:.1%} and {TOLERATED_BAD_ROWS}: {commonest}"
        )
        return self._broken(cause, SEE_QUARANTINE)

    # The stream: header and blocks.

    def _blocks(self, stream: Iterator[bytes], block_bytes: int) -> Iterator[bytes]:
        start = b""
        while b"\n" not in start and (piece := next(stream, None)) is not None:
            start += piece
            if len(start) > LONGEST_ROW_BYTES:
                raise self._broken("the header does not end")
        header, _, rest = start.partition(b"\n")
        if not header.strip():
            return
        self.header = self._checked_header(header)
        last = b"\n"
        try:
            for block in _cut_at_row_ends(itertools.chain([rest] if rest else [], stream), block_bytes):
                last = block[-1:]
                yield block
        except ValueError as error:
            raise self._broken(f"the CSV cannot be read: {error}") from error
        self.ends_in_newline = last == b"\n"

    def _checked_header(self, line: bytes) -> list[str]:
        text = line.decode("utf-8-sig", errors="replace").strip("\r")
        if text.lstrip()[:1] in ("<", "{", "["):
            raise self._broken(f"this came instead of CSV: {text[:80]!r}")
        names = next(csv.reader([text], delimiter=";"))
        absent = [name for name in self.asked if name not in names]
        unknown = [name for name in names if name not in self.asked]
        if absent or unknown or len(names) != len(self.asked):
            causes = [
                f"{what}: {', '.join(which)}"
                for what, which in (("absent", absent), ("not asked for", unknown))
                if which
            ]
            raise self._broken(f"the export's columns are not those asked for ({'; '.join(causes) or 'one repeats'})")
        return names

    # A block of CSV to typed columns.

    def _parse(self, block: bytes) -> pa.Table:
        """The block's good rows with the contract's schema, in the source's order; the others are in quarantine."""
        table, misshapen = self._parse_typed(block)
        if table is None:
            table, misshapen = self._parse_text(block)
        self.rows_source += len(misshapen)
        for text, fields in misshapen:
            reason = f"wrong number of fields: {fields} instead of {len(self.header)}"
            self.quarantine.count(reason, is_rule=False)
            if self.quarantine.is_full:
                raise self._too_many_bad(" so far")
            self.quarantine.record("", "", text[:ROW_TEXT_CHARACTERS], reason, is_rule=False)
        return table

    def _read(
        self, block: bytes, types: dict[str, pa.DataType], null_values: Sequence[str]
    ) -> tuple[pa.Table, list[tuple[str, int]]]:
        """The block as Arrow parses it, and the rows with a wrong number of fields (text, fields)."""
        misshapen: list[tuple[str, int]] = []

        def skip(row: Any) -> str:
            misshapen.append((row.text, row.actual_columns))
            return "skip"

        table = pa_csv.read_csv(
            pa.BufferReader(block),
            read_options=pa_csv.ReadOptions(column_names=self.header, block_size=len(block) + 1, use_threads=False),
            parse_options=pa_csv.ParseOptions(
                delimiter=";", newlines_in_values=b'"' in block, invalid_row_handler=skip
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=types, null_values=list(null_values), strings_can_be_null=bool(null_values)
            ),
        )
        return table.combine_chunks(), misshapen

    def _parse_typed(self, block: bytes) -> tuple[pa.Table | None, list[tuple[str, int]]]:
        """The fast way: all cells at once with the contract's types; no table if a cell does not fit them."""
        types = {
            name: pa.float64() if name in self._as_float else self.contract.by_name[name].arrow_type
            for name in self.header
        }
        try:
            table, misshapen = self._read(block, types, self.contract.null_markers)
        except pa.ArrowInvalid:
            return None, []
        arrays = {}
        for name in self.header:
            column, values = self.contract.by_name[name], _one_chunk(table[name])
            if name in self.contract.key and values.null_count:
                return None, []
            if column.type == "FLOAT64" and not _all(pc.is_finite(values)):
                return None, []
            if column.type in ("DATE", "TIMESTAMP") and _any(_before_year_one(values)):
                return None, []
            if name in self._as_float:
                if not _is_whole(values):
                    return None, []
                values = pc.cast(values, column.arrow_type)
            arrays[name] = values
        self.rows_source += table.num_rows
        return self._of_contract(arrays, table.num_rows), misshapen

    def _parse_text(self, block: bytes) -> tuple[pa.Table, list[tuple[str, int]]]:
        """The careful way: cells as texts, cast column by column; rows with a bad cell go to quarantine."""
        try:
            raw, misshapen = self._read(block, dict.fromkeys(self.header, pa.binary()), ())
        except pa.ArrowInvalid as error:
            raise self._broken(f"the CSV cannot be read: {error}") from error
        self.rows_source += raw.num_rows
        markers = _array(self.contract.null_markers, pa.string())
        texts: dict[str, pa.Array] = {}
        arrays: dict[str, pa.Array] = {}
        bad: dict[str, pa.Array] = {}
        for name in self.header:
            column = self.contract.by_name[name]
            texts[name], not_text = _decode(_one_chunk(raw[name]))
            arrays[name], not_typed = _cast_text(texts[name], column, markers)
            if not_typed is None and column.type == "INT64" and not_text is None:
                self._learn_spelling(name, texts[name], arrays[name])
            masks = [mask for mask in (not_text, not_typed) if mask is not None]
            if masks:
                bad[name] = _or(masks)
        no_key = _or([pc.is_null(arrays[name]) for name in self.contract.key])
        if not bad and not _any(no_key):
            return self._of_contract(arrays, raw.num_rows), misshapen
        bad_row = _or([no_key, *bad.values()])
        self._quarantine_cells(bad_row, bad, texts, arrays)
        good = pc.invert(bad_row)
        arrays = {name: values.filter(good) for name, values in arrays.items()}
        return self._of_contract(arrays, len(arrays[self.header[0]])), misshapen

    def _learn_spelling(self, name: str, texts: pa.Array, values: pa.Array) -> None:
        """Parse a column of whole numbers as floats from now on if the source spells it with decimals."""
        if values.null_count < len(values) and _any(pc.match_substring(texts, ".")):
            self._as_float.add(name)

    def _of_contract(self, arrays: Mapping[str, pa.Array], rows: int) -> pa.Table:
        schema = self.contract.arrow_schema
        return pa.Table.from_arrays(
            [arrays[field.name] if field.name in arrays else pa.nulls(rows, field.type) for field in schema],
            schema=schema,
        )

    def _quarantine_cells(
        self,
        bad_row: pa.Array,
        bad: Mapping[str, pa.Array],
        texts: Mapping[str, pa.Array],
        arrays: Mapping[str, pa.Array],
    ) -> None:
        for row in _indices(bad_row):
            key_values: dict[str, object] = {}
            for name in self.contract.key:
                value = arrays[name][row].as_py()
                key_values[name] = texts[name][row].as_py() if value is None else value
            key = _key_text(self.contract.key, key_values)
            bad_columns = [name for name, mask in bad.items() if mask[row].as_py()]
            entries = [
                (name, texts[name][row].as_py()[:ROW_TEXT_CHARACTERS], REASON_BY_TYPE[self.contract.by_name[name].type])
                for name in bad_columns
            ]
            row_text = ";".join(texts[name][row].as_py() for name in self.header)[:ROW_TEXT_CHARACTERS]
            entries += [
                (name, row_text, NO_KEY)
                for name in self.contract.key
                if name not in bad_columns and arrays[name][row].as_py() is None
            ]
            self.quarantine.count(entries[0][2], is_rule=False)
            if self.quarantine.is_full:
                raise self._too_many_bad(" so far")
            for name, raw_value, reason in entries:
                self.quarantine.record(key, name, raw_value, reason, is_rule=False)

    # Rows against each other and against the calendar.

    def _drop(
        self, table: pa.Table, rows: Iterable[int], reason_of: Callable[[int], tuple[str, str, str, bool]]
    ) -> None:
        """Quarantine rows of a typed table; ``reason_of`` gives column, raw value, reason and whether it is a rule."""
        for row in rows:
            column, raw_value, reason, is_rule = reason_of(row)
            self.quarantine.count(reason, is_rule=is_rule)
            if self.quarantine.is_full:
                raise self._too_many_bad(" so far")
            if is_rule and self.quarantine.rows_by_rule > MOST_RULE_ROWS:
                continue
            key = _key_text(self.contract.key, {name: table[name][row].as_py() for name in self.contract.key})
            self.quarantine.record(key, column, raw_value, reason, is_rule=is_rule)

    def _with_local_time(self, table: pa.Table) -> pa.Table:
        """The rows whose local date and time are those of their instant in Paris.

        In the hour that the spring change skips, the source publishes rows all the same. Whichever offset it took for
        their instant (that of winter makes 02:15 collide with 03:15, that of summer with 01:15), that local time does
        not exist: a rule of the source. Any other disagreement is bad.
        """
        date_column, time_column = self.contract.local_date_column, self.contract.local_time_column
        if date_column is None or time_column is None or table.num_rows == 0:
            return table
        dates, times = _one_chunk(table[date_column]), _one_chunk(table[time_column])
        instants = _one_chunk(table[self.contract.time_column])
        # Few distinct texts: read each once, in microseconds of the day; a text that is no time of day equals none.
        encoded = times.dictionary_encode()
        of_day = _integers(_microseconds_of_day(text) for text in encoded.dictionary.to_pylist())
        midnights = dates.cast(pa.timestamp("us")).cast(pa.int64())
        published = pc.add(midnights, of_day.take(encoded.indices))
        differs = pc.not_equal(published, _local_microseconds(instants))
        if not _any(differs):
            return table

        def reason_of(row: int) -> tuple[str, str, str, bool]:
            day, text = dates[row].as_py(), times[row].as_py()
            is_rule = _is_skipped_in_spring(day, _microseconds_of_day(text))
            return time_column, f"{day} {text}", NO_LOCAL_TIME if is_rule else OTHER_LOCAL_TIME, is_rule

        # Null, and so neither dropped nor kept by the mask itself, where the local date or time is missing.
        differs = pc.fill_null(differs, False)
        self._drop(table, _indices(differs), reason_of)
        return table.filter(pc.invert(differs))

    def _in_order(self, table: pa.Table) -> pa.Table:
        """The rows that can land now: all but those of the last time, which are held for the next block."""
        if table.num_rows == 0:
            return table
        table = pa.concat_tables([self._held, table]).combine_chunks()
        times = _one_chunk(table[self.contract.key[0]])
        late = pc.greater(times.slice(0, len(times) - 1), times.slice(1))
        if _any(late):
            row = pc.index(late, True).as_py()
            before, after = (_key_part(times[place].as_py()) for place in (row, row + 1))
            raise self._broken(
                f"the source ignored order_by: {after} comes after {before}",
                "Run make check-source to see what changed",
            )
        complete = pc.sum(pc.cast(pc.less(times, times[-1]), pa.int64())).as_py()
        self._held = table.slice(complete)
        return self._unique(table.slice(0, complete))

    def _unique(self, table: pa.Table) -> pa.Table:
        """The rows in the key's order, each key once: the source's last row of it."""
        if table.num_rows < 2 or _all(_ascends(table, self.contract.key)):
            return table
        # Equal times in an order of the source's own (its collation), or keys that repeat.
        numbered = table.append_column("", _integers(range(table.num_rows)))
        order = [(name, "ascending") for name in (*self.contract.key, "")]
        table = table.take(pc.sort_indices(numbered, sort_keys=order)).combine_chunks()
        same_key = _equals_next(table, self.contract.key)
        if not _any(same_key):
            return table
        same_row = _equals_next(table, table.column_names)

        def reason_of(row: int) -> tuple[str, str, str, bool]:
            text = ";".join(_key_part(value) for value in table.slice(row, 1).to_pylist()[0].values())
            is_rule = same_row[row].as_py()
            return "", text[:ROW_TEXT_CHARACTERS], REPEATED_ROW if is_rule else REPEATED_KEY, is_rule

        self._drop(table, _indices(same_key), reason_of)
        return table.filter(pa.concat_arrays([pc.invert(same_key), pa.repeat(True, 1)]))

    # What lands.

    def _take(self, table: pa.Table) -> None:
        """Queue rows for the file and note their times."""
        if table.num_rows == 0:
            return
        times = _one_chunk(table[self.contract.time_column])
        first, last = _instant(times[0]), _instant(times[-1])
        self.first_time = first if self.first_time is None else self.first_time
        self.last_time = last
        self._note_high_water(table, times)
        self._ready.append(table)
        self._ready_rows += table.num_rows
        self.rows_landed += table.num_rows

    def _note_high_water(self, table: pa.Table, times: pa.Array) -> None:
        not_future = pc.less_equal(times, self._now.cast(times.type, safe=False)[0])
        measured = pc.and_(pc.is_valid(table[self.contract.measured_column]), not_future)
        over = self.contract.high_water_over
        if over is None:
            greatest = {None: pc.max(times.filter(_one_chunk(measured)))}
        else:
            of_value = table.select([over, self.contract.time_column]).filter(measured).group_by(over)
            by_value = of_value.aggregate([(self.contract.time_column, "max")])
            greatest = dict(zip(by_value[over].to_pylist(), by_value[f"{self.contract.time_column}_max"], strict=True))
        for value, scalar in greatest.items():
            if scalar.is_valid:
                self._high_waters[value] = max(_instant(scalar), self._high_waters.get(value, _instant(scalar)))

    def _write(self, writer: pq.ParquetWriter, *, whole_groups_only: bool) -> None:
        """Write the queued rows in groups of a fixed size: the same rows give the same bytes."""
        if not self._ready or (whole_groups_only and self._ready_rows < ROW_GROUP_ROWS):
            return
        table = pa.concat_tables(self._ready)
        while table.num_rows >= ROW_GROUP_ROWS or (table.num_rows and not whole_groups_only):
            writer.write_table(table.slice(0, ROW_GROUP_ROWS).combine_chunks(), row_group_size=ROW_GROUP_ROWS)
            table = table.slice(ROW_GROUP_ROWS)
        self._ready, self._ready_rows = [table], table.num_rows


def _one_chunk(values: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    combined = values.combine_chunks()
    return combined if isinstance(combined, pa.Array) else pa.concat_arrays(combined.chunks)


def _decode(raw: pa.Array) -> tuple[pa.Array, pa.Array | None]:
    """Bytes as texts, and a mask of those that are not UTF-8; ``None`` = all are."""
    try:
        return raw.cast(pa.string()), None
    except pa.ArrowInvalid:
        cells = raw.to_pylist()
    texts = [cell.decode(errors="replace") for cell in cells]
    wrong = [text.encode() != cell for text, cell in zip(texts, cells, strict=True)]
    return _array(texts, pa.string()), _array(wrong, pa.bool_())


def _instant(scalar: pa.Scalar) -> datetime:
    """A timestamp or a day (its midnight) in UTC. Not by ``as_py``, for the same reason as in :func:`_integers`."""
    return EPOCH + timedelta(microseconds=scalar.cast(pa.timestamp("us", tz="UTC")).value)


def _microseconds_of_day(text: str) -> int:
    """A time of day, ``HH:MM`` or ``HH:MM:SS``, in microseconds; -1 where it is none."""
    try:
        moment = time.fromisoformat(text)
    except ValueError:
        return -1
    return ((moment.hour * 60 + moment.minute) * 60 + moment.second) * 1_000_000 + moment.microsecond


@cache
def _offset_changes(year: int) -> tuple[tuple[datetime, timedelta], ...]:
    """The offsets of Paris in a year of UTC, each with the instant since which it holds; New Year's first."""
    start = datetime(year, 1, 1, tzinfo=UTC)

    def offset(second: int) -> timedelta:
        return (start + timedelta(seconds=second)).astimezone(PARIS).utcoffset() or timedelta()

    changes = [(0, offset(0))]
    for day in range(1, 366 if calendar.isleap(year) else 365):
        before, after = (day - 1) * 86_400, day * 86_400
        if offset(after) == changes[-1][1]:
            continue
        while after - before > 1:
            middle = (before + after) // 2
            if offset(middle) == changes[-1][1]:
                before = middle
            else:
                after = middle
        changes.append((after, offset(after)))
    return tuple((start + timedelta(seconds=second), since_then) for second, since_then in changes)


def _local_microseconds(instants: pa.Array) -> pa.Array:
    """Civil time in Paris, in microseconds since 1970-01-01T00:00 there.

    By Python's time zones: Arrow's own need files of the machine that a small image may not have.
    """
    utc = instants.cast(pa.int64())
    local = utc
    for year in range(_instant(pc.min(instants)).year, _instant(pc.max(instants)).year + 1):
        for since, offset in _offset_changes(year):
            shifted = pc.add(utc, _integers([offset // MICROSECOND])[0])
            local = pc.if_else(pc.greater_equal(utc, _integers([(since - EPOCH) // MICROSECOND])[0]), shifted, local)
    return local


def _is_skipped_in_spring(day: date, microseconds: int) -> bool:
    """Whether a civil time of Paris does not exist, because the clocks jumped over it."""
    if microseconds < 0:
        return False
    local = datetime.combine(day, time()) + timedelta(microseconds=microseconds)
    there_and_back = local.replace(tzinfo=PARIS).astimezone(UTC).astimezone(PARIS)
    return there_and_back.replace(tzinfo=None) != local


def _pairs(table: pa.Table, name: str) -> tuple[pa.Array, pa.Array]:
    values = _one_chunk(table[name])
    return values.slice(0, len(values) - 1), values.slice(1)


def _ascends(table: pa.Table, key: Sequence[str]) -> pa.Array:
    """For each row but the last, whether the next one's key is greater."""
    names = list(key)
    this, following = _pairs(table, names[-1])
    ascends = pc.less(this, following)
    for name in reversed(names[:-1]):
        this, following = _pairs(table, name)
        ascends = pc.or_(pc.less(this, following), pc.and_(pc.equal(this, following), ascends))
    return ascends


def _equals_next(table: pa.Table, names: Sequence[str]) -> pa.Array:
    """For each row but the last, whether the next one has the same values; null equals null."""
    equals = pa.repeat(True, table.num_rows - 1)
    for name in names:
        this, following = _pairs(table, name)
        same = pc.fill_null(pc.equal(this, following), False)
        equals = pc.and_(equals, pc.or_(same, pc.and_(pc.is_null(this), pc.is_null(following))))
    return equals
