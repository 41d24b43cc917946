"""The order of rows by their key, and each key once.

Pure: no Airflow import. Rows come in the order of time, the first part of the key; within one time the source has an
order of its own (its collation).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from odre.arrays import all_true, any_true, integers, null_as_false, one_chunk, true_places
from odre.quarantine import MOST_CHARACTERS, REPEATED_KEY, REPEATED_ROW, Finding, Rejected, key_of_row, value_text


def first_descent(times: pa.Array) -> int | None:
    """The place of the first time that the next one is earlier than; ``None`` if they are in order."""
    descends = pc.greater(times.slice(0, len(times) - 1), times.slice(1))
    return true_places(descends)[0] if any_true(descends) else None


def hold_last_time(table: pa.Table, times: pa.Array) -> tuple[pa.Table, pa.Table]:
    """The rows (at least one, in order) before the last of ``times``, and those of it: more of it may follow."""
    complete = pc.sum(pc.cast(pc.less(times, times[-1]), pa.int64())).as_py()
    return table.slice(0, complete), table.slice(complete)


def each_key_once(table: pa.Table, key: Sequence[str]) -> tuple[pa.Table, Iterable[Rejected]]:
    """The rows in the key's order, each key once (the source's last row of it), and the others.

    A row that comes again with the same values is one of the source's ways; other values for one key are bad.
    """
    if table.num_rows < 2 or all_true(_ascends(table, key)):
        return table, ()
    numbered = table.append_column("", integers(range(table.num_rows)))
    order = [(name, "ascending") for name in (*key, "")]
    ordered = table.take(pc.sort_indices(numbered, sort_keys=order)).combine_chunks()
    same_key = _equals_next(ordered, key)
    if not any_true(same_key):
        return ordered, ()
    same_row = _equals_next(ordered, ordered.column_names)

    def rejected() -> Iterator[Rejected]:
        for row in true_places(same_key):
            text = ";".join(value_text(value) for value in ordered.slice(row, 1).to_pylist()[0].values())
            is_rule = same_row[row].as_py()
            finding = Finding("", text[:MOST_CHARACTERS], REPEATED_ROW if is_rule else REPEATED_KEY)
            yield Rejected(key_of_row(key, ordered, row), [finding], is_rule)

    return ordered.filter(pa.concat_arrays([pc.invert(same_key), pa.repeat(True, 1)])), rejected()


def _pairs(table: pa.Table, name: str) -> tuple[pa.Array, pa.Array]:
    values = one_chunk(table[name])
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
        same = null_as_false(pc.equal(this, following))
        equals = pc.and_(equals, pc.or_(same, pc.and_(pc.is_null(this), pc.is_null(following))))
    return equals
