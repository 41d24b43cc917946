"""The few things on Arrow arrays that Arrow does not say in one word.

Numbers, texts and instants go in and out of arrays here without ``pa.array``, ``pa.scalar`` and ``as_py``: Arrow
imports pandas, where it is installed, to look at any Python value that it is given. Data as the source usually sends
them never need that, so they do not pay for it (a quarter of a second and 60 MB).
"""

from __future__ import annotations

import array
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
INSTANTS: Final = pa.timestamp("us", tz="UTC")


def integers(values: Iterable[int]) -> pa.Array:
    """Whole numbers as an int64 array."""
    numbers = array.array("q", values)
    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(numbers.tobytes())])


def texts(values: Iterable[str]) -> pa.Array:
    """Texts as an array of strings."""
    encoded = [value.encode() for value in values]
    ends = integers(accumulate(map(len, encoded), initial=0)).cast(pa.int32())
    return pa.StringArray.from_buffers(len(encoded), ends.buffers()[1], pa.py_buffer(b"".join(encoded)))


def instant_scalar(moment: datetime) -> pa.Scalar:
    """An instant in UTC, in microseconds."""
    return integers([(moment - EPOCH) // MICROSECOND]).cast(INSTANTS)[0]


def instant(scalar: pa.Scalar) -> datetime:
    """A timestamp or a day (its midnight) in UTC."""
    return EPOCH + timedelta(microseconds=scalar.cast(INSTANTS).value)


def value_of(scalar: pa.Scalar) -> object:
    """A scalar's value in Python; an instant in UTC."""
    return instant(scalar) if scalar.is_valid and pa.types.is_timestamp(scalar.type) else scalar.as_py()


def empty_table(schema: pa.Schema) -> pa.Table:
    """A table without rows."""
    return pa.Table.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)


def one_chunk(values: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A table's column as one array."""
    if isinstance(values, pa.Array):
        return values
    combined = values.combine_chunks()
    return combined if isinstance(combined, pa.Array) else pa.concat_arrays(combined.chunks)


def any_true(mask: pa.Array | pa.ChunkedArray) -> bool:
    """Whether some element is true; nulls are not."""
    return bool(pc.any(mask, min_count=0).as_py())


def all_true(mask: pa.Array | pa.ChunkedArray) -> bool:
    """Whether no element is false; nulls are not."""
    return bool(pc.all(mask, min_count=0).as_py())


def null_as_false(mask: pa.Array) -> pa.Array:
    """The mask with false where it was null."""
    return pc.and_kleene(mask, pc.is_valid(mask))


def either(masks: Sequence[pa.Array]) -> pa.Array:
    """Where one of the masks (at least one) is true."""
    result = masks[0]
    for mask in masks[1:]:
        result = pc.or_(result, mask)
    return result


def true_places(mask: pa.Array) -> list[int]:
    """The places of the true elements."""
    places: list[int] = pc.indices_nonzero(mask).to_pylist()
    return places
