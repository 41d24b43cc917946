"""A stream of CSV, cut into its header and blocks of whole rows.

Pure: no Airflow import. Rows end with a line feed that is not within a quoted text.
"""

from __future__ import annotations

import codecs
import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

#: A row longer than this is a quoted text that never ends.
LONGEST_ROW_BYTES: Final = 16 << 20

# A quoted text, from its opening quote at the start of a field to its closing one or, unclosed, to the end.
_QUOTED: Final = re.compile(rb'(?<![^;\n])"[^"]*+(?:""[^"]*+)*+("|\Z)')


class UnreadableCsv(ValueError):
    """The stream is not the CSV that was asked for; the message says why."""


def split_header(stream: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first line, without its end and a byte order mark, and the stream after it.

    Raises:
        UnreadableCsv: the line is longer than :data:`LONGEST_ROW_BYTES`.
    """
    pieces, start = iter(stream), bytearray()
    for piece in pieces:
        start += piece
        if b"\n" in piece:
            break
        if len(start) > LONGEST_ROW_BYTES:
            raise UnreadableCsv("the header does not end")
    header, _, rest = bytes(start).removeprefix(codecs.BOM_UTF8).partition(b"\n")
    return header, itertools.chain([rest] if rest else [], pieces)


def read_header(line: bytes, asked: Sequence[str]) -> list[str]:
    """The names in a header, in the source's order.

    Raises:
        UnreadableCsv: they are not the columns ``asked`` for, each once; or the line is of a web page or JSON.
    """
    text = line.decode(errors="replace").strip("\r")
    if text.lstrip()[:1] in ("<", "{", "["):
        raise UnreadableCsv(f"this came instead of CSV: {text[:80]!r}")
    try:
        names = next(csv.reader([text], delimiter=";"))
    except csv.Error as error:
        raise UnreadableCsv(f"the header cannot be read ({error}): {text[:80]!r}") from error
    absent = [name for name in asked if name not in names]
    unknown = [name for name in names if name not in asked]
    if absent or unknown or len(names) != len(asked):
        causes = [
            f"{what}: {', '.join(which)}" for what, which in (("absent", absent), ("not asked for", unknown)) if which
        ]
        raise UnreadableCsv(f"the export's columns are not those asked for ({'; '.join(causes) or 'one repeats'})")
    return names


def cut_at_row_ends(stream: Iterable[bytes], block_bytes: int) -> Iterator[bytes]:
    """The stream, which starts with a row, in blocks of whole rows, of about ``block_bytes`` or one row each.

    Raises:
        UnreadableCsv: a row is longer than :data:`LONGEST_ROW_BYTES`.
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
                raise UnreadableCsv("the CSV cannot be read: a row does not end")
            else:
                # A row longer than a block: look again when there is twice as much.
                wanted *= 2
        pending, size = [buffer[start:]], len(buffer) - start
    rest = b"".join(pending)
    if rest:
        yield rest


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
