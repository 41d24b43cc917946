"""Texts of cells as values of a contract's types, a column at a time.

Pure: no Airflow import. :func:`cast_texts` accepts whatever Arrow's CSV parser accepts with the same type, and gives
the same value for it; beyond that it bears other spellings (``50765.0`` for a whole number, a midnight for a day).
"""

from __future__ import annotations

import codecs
import re
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from odre.arrays import all_true, any_true, instant_scalar, null_as_false
from odre.contracts import END_OF_INSTANTS, FIRST_INSTANT, Column

#: Whole numbers below this survive a float64.
EXACT_IN_FLOAT64: Final = 2.0**53
#: Stands where bytes were no text. Unicode keeps this character from being one, and so do those who write texts.
UNREADABLE: Final = "\ufdd0"
_FIRST: Final = instant_scalar(FIRST_INSTANT)
_END: Final = instant_scalar(END_OF_INSTANTS)

# The usual spelling of a value, which Arrow casts; all others are read one distinct text at a time.
_USUAL: Final = {
    "INT64": r"^-?[0-9]{1,18}$",
    "FLOAT64": r"^-?[0-9]{1,300}(\.[0-9]+)?$",
    "DATE": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    "TIMESTAMP": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})$",
}
_DECIMAL_WHOLE: Final = r"^-?[0-9]{1,15}\.0*$"
_MIDNIGHT: Final = re.compile(r"(\d{4}-\d{2}-\d{2})[T ]00:00(:00(\.0+)?)?(Z|[+-]\d{2}:?\d{2})?")
_NO_TEXT: Final = pa.nulls(1, pa.string())[0]


def is_text(block: bytes) -> bool:
    """Whether bytes hold no NUL, which no text has. (Whether they are UTF-8, Arrow finds out.)"""
    return b"\0" not in block


def marked_where_unreadable(block: bytes) -> bytes:
    """The block with :data:`UNREADABLE` in place of what is no UTF-8, and of each NUL."""
    try:
        if is_text(block):
            block.decode()
            return block
    except UnicodeDecodeError:
        pass
    return block.decode(errors="odre.unreadable").replace("\0", UNREADABLE).encode()


def unreadable(texts: pa.Array) -> pa.Array | None:
    """A mask of the texts with bytes that are none; ``None`` = all are readable."""
    marked = null_as_false(pc.match_substring(texts, UNREADABLE))
    return marked if any_true(marked) else None


def _mark(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return UNREADABLE, error.end


codecs.register_error("odre.unreadable", _mark)


def cast_texts(
    texts: pa.Array, column: Column, markers: pa.Array, *, is_key: bool = False
) -> tuple[pa.Array, pa.Array | None]:
    """Texts as the column's type, and a mask of those that are not of it (null in the result); ``None`` = all are.

    ``markers`` are the texts that mean null; blanks around a text count in a column of texts only, unless it is of the
    key: one thing is not two because of a blank.
    """
    if column.type == "STRING":
        if is_key:
            texts = pc.utf8_trim_whitespace(texts)
        return pc.if_else(pc.is_in(texts, markers), _NO_TEXT, texts), None
    trimmed = pc.utf8_trim_whitespace(texts)
    trimmed = pc.if_else(pc.is_in(trimmed, markers), _NO_TEXT, trimmed)
    try:
        values = pc.cast(trimmed, column.arrow_type)
        if not has_unusable(values, column):
            return values, None
    except pa.ArrowInvalid:
        pass
    values = _cast_by_spelling(trimmed, column)
    wrong = pc.and_(pc.is_null(values), pc.is_valid(trimmed))
    return values, wrong if any_true(wrong) else None


def _cast_by_spelling(texts: pa.Array, column: Column) -> pa.Array:
    """Texts as the column's type, null where they are not of it: the usual ones at once, each other one on its own."""
    usual = pc.fill_null(pc.match_substring_regex(texts, _USUAL[column.type]), True)
    try:
        values = pc.cast(pc.if_else(usual, texts, _NO_TEXT), column.arrow_type)
    except pa.ArrowInvalid:
        # Usual in spelling but no value, such as 30 February.
        usual = pc.is_null(texts)
        values = pa.nulls(len(texts), column.arrow_type)
    if column.type == "INT64":
        decimal = null_as_false(pc.match_substring_regex(texts, _DECIMAL_WHOLE))
        decimals = pc.cast(pc.cast(pc.if_else(decimal, texts, _NO_TEXT), pa.float64()), pa.int64())
        values, usual = pc.coalesce(values, decimals), pc.or_(usual, decimal)
    unusual = pc.if_else(usual, _NO_TEXT, texts).dictionary_encode()
    read = pa.array([_read_unusual(text, column) for text in unusual.dictionary.to_pylist()], column.arrow_type)
    values = pc.coalesce(values, read.take(unusual.indices))
    if column.type != "INT64":
        values = pc.if_else(_is_unusable(values), pa.scalar(None, values.type), values)
    return values


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


def has_blanks(values: pa.Array, column: Column) -> bool:
    """Whether there are texts with blanks around them."""
    return column.type == "STRING" and not all_true(pc.equal(values, pc.utf8_trim_whitespace(values)))


def has_unusable(values: pa.Array, column: Column) -> bool:
    """Whether there are values that Arrow reads and that are bad all the same."""
    return column.type in ("FLOAT64", "DATE", "TIMESTAMP") and any_true(_is_unusable(values))


def _is_unusable(values: pa.Array | pa.Scalar) -> pa.Array | pa.Scalar:
    """Where numbers are not finite, and days or instants lie in years that the source cannot mean."""
    if pa.types.is_floating(values.type):
        return pc.invert(pc.is_finite(values))
    first, end = (bound.cast(values.type, safe=False) for bound in (_FIRST, _END))
    return pc.or_(pc.less(values, first), pc.greater_equal(values, end))


def are_whole(numbers: pa.Array) -> bool:
    """Whether all float64 values are whole numbers that a float64 holds exactly."""
    if numbers.null_count == len(numbers):
        return True
    exact = pc.less(pc.abs(numbers), EXACT_IN_FLOAT64)
    return all_true(pc.and_(exact, pc.equal(numbers, pc.floor(numbers))))
