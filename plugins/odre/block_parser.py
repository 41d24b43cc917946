"""A block of CSV rows as a typed table: the fast way where all cells fit, the careful way where one does not.

Pure: no Airflow import.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from odre.arrays import any_true, either, one_chunk, true_places
from odre.cells import (
    UNREADABLE,
    are_whole,
    cast_texts,
    has_blanks,
    has_unusable,
    is_text,
    marked_where_unreadable,
    unreadable,
)
from odre.contracts import Contract
from odre.csv_blocks import UnreadableCsv
from odre.quarantine import MOST_CHARACTERS, NO_KEY, REASON_BY_TYPE, Finding, Rejected, key_text


@dataclass(frozen=True)
class ParsedBlock:
    """What a block of rows is made of.

    ``table``: the good rows with the contract's schema, in the source's order; ``rejected``: those with a bad cell or
    without a whole key; ``rows``: how many both are. ``misshapen``: those with a wrong number of fields.
    """

    table: pa.Table
    rejected: Iterable[Rejected]
    rows: int
    misshapen: Sequence[Rejected]


class BlockParser:
    """Parses one block after the other, and learns how the source spells its numbers.

    ``header`` names the columns of the blocks; the contract's others become null.
    """

    def __init__(self, contract: Contract, header: Sequence[str]) -> None:
        self.contract = contract
        self.header = list(header)
        self._markers = contract.null_markers
        #: Columns of whole numbers that the source spells with decimals (``50765.0``): parsed as such, then cast.
        self._with_decimals: set[str] = set()

    def parse(self, block: bytes) -> ParsedBlock:
        """Parse a block of whole rows.

        Raises:
            UnreadableCsv: it is no CSV.
        """
        return self._parse_typed(block) or self._parse_texts(block)

    def _parse_typed(self, block: bytes) -> ParsedBlock | None:
        """The fast way: all cells at once with the contract's types; ``None`` if a cell does not fit them."""
        types = {
            name: pa.float64() if name in self._with_decimals else self.contract.by_name[name].arrow_type
            for name in self.header
        }
        if not is_text(block):
            return None
        try:
            table = self._read(block, types, self._markers)
        except pa.ArrowInvalid:
            return None
        arrays = {}
        for name in self.header:
            column, values = self.contract.by_name[name], one_chunk(table[name])
            if name in self.contract.key and (values.null_count or has_blanks(values, column)):
                return None
            if has_unusable(values, column):
                return None
            if name in self._with_decimals:
                if not are_whole(values):
                    return None
                values = pc.cast(values, column.arrow_type)
            arrays[name] = values
        return ParsedBlock(self._of_contract(arrays, table.num_rows), (), table.num_rows, ())

    def _parse_texts(self, block: bytes) -> ParsedBlock:
        """The careful way: cells as texts, cast column by column; a row with a bad cell is rejected."""
        misshapen: list[Rejected] = []

        def skip(row: Any) -> str:
            reason = f"wrong number of fields: {row.actual_columns} instead of {len(self.header)}"
            misshapen.append(Rejected("", [Finding("", _shown(row.text), reason)]))
            return "skip"

        try:
            texts_only = dict.fromkeys(self.header, pa.string())
            raw = self._read(marked_where_unreadable(block), texts_only, (), on_bad_row=skip)
        except pa.ArrowInvalid as error:
            raise UnreadableCsv(f"the CSV cannot be read: {error}") from error
        markers = pa.array(self._markers, pa.string())
        texts: dict[str, pa.Array] = {}
        arrays: dict[str, pa.Array] = {}
        bad: dict[str, pa.Array] = {}
        for name in self.header:
            column = self.contract.by_name[name]
            texts[name] = one_chunk(raw[name])
            not_text = unreadable(texts[name])
            is_key = name in self.contract.key
            arrays[name], not_typed = cast_texts(texts[name], column, markers, is_key=is_key)
            masks = [mask for mask in (not_text, not_typed) if mask is not None]
            if masks:
                bad[name] = either(masks)
            elif column.type == "INT64":
                self._learn_spelling(name, texts[name], arrays[name])
        no_key = either([pc.is_null(arrays[name]) for name in self.contract.key])
        if not bad and not any_true(no_key):
            return ParsedBlock(self._of_contract(arrays, raw.num_rows), (), raw.num_rows, misshapen)
        bad_row = either([no_key, *bad.values()])
        good = pc.invert(bad_row)
        landing = {name: values.filter(good) for name, values in arrays.items()}
        table = self._of_contract(landing, len(landing[self.header[0]]))
        rejected = self._rejected(true_places(bad_row), bad, texts, arrays)
        return ParsedBlock(table, rejected, raw.num_rows, misshapen)

    def _read(
        self,
        block: bytes,
        types: dict[str, pa.DataType],
        null_values: Sequence[str],
        on_bad_row: Callable[[Any], str] | None = None,
    ) -> pa.Table:
        """The block as Arrow parses it; ``on_bad_row`` is told of rows with a wrong number of fields, else an error."""
        table = pa_csv.read_csv(
            pa.BufferReader(block),
            read_options=pa_csv.ReadOptions(column_names=self.header, block_size=len(block) + 1, use_threads=False),
            parse_options=pa_csv.ParseOptions(
                delimiter=";",
                newlines_in_values=b'"' in block,
                invalid_row_handler=on_bad_row,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=types, null_values=list(null_values), strings_can_be_null=bool(null_values)
            ),
        )
        return table.combine_chunks()

    def _learn_spelling(self, name: str, texts: pa.Array, values: pa.Array) -> None:
        """Parse a column of whole numbers as decimals from now on if the source spells it so."""
        if values.null_count < len(values) and any_true(pc.match_substring(texts, ".")):
            self._with_decimals.add(name)

    def _rejected(
        self,
        rows: Iterable[int],
        bad: Mapping[str, pa.Array],
        texts: Mapping[str, pa.Array],
        arrays: Mapping[str, pa.Array],
    ) -> Iterator[Rejected]:
        """The rows with a bad cell or without a whole key; a key's part that is bad is shown as its text."""
        for row in rows:
            key_values: dict[str, object] = {}
            for name in self.contract.key:
                value = arrays[name][row].as_py()
                text = texts[name][row].as_py() if value is None else value
                key_values[name] = _shown(text) if isinstance(text, str) else text
            bad_columns = [name for name, mask in bad.items() if mask[row].as_py()]
            findings = [
                Finding(name, _shown(texts[name][row].as_py()), self._reason(name, texts[name][row].as_py()))
                for name in bad_columns
            ]
            row_text = _shown(";".join(texts[name][row].as_py() for name in self.header))
            findings += [
                Finding(name, row_text, NO_KEY)
                for name in self.contract.key
                if name not in bad_columns and arrays[name][row].as_py() is None
            ]
            yield Rejected(key_text(self.contract.key, key_values), findings)

    def _reason(self, name: str, text: str) -> str:
        return REASON_BY_TYPE["STRING" if UNREADABLE in text else self.contract.by_name[name].type]

    def _of_contract(self, arrays: Mapping[str, pa.Array], rows: int) -> pa.Table:
        """Columns as a table with the contract's schema; those that are not there are null."""
        schema = self.contract.arrow_schema
        return pa.Table.from_arrays(
            [arrays[field.name] if field.name in arrays else pa.nulls(rows, field.type) for field in schema],
            schema=schema,
        )


def _shown(text: str) -> str:
    """A text of the source as the quarantine shows it."""
    return text.replace(UNREADABLE, "\ufffd")[:MOST_CHARACTERS]
