"""The part of ODSQL that the stand-in speaks (``select``, ``where``, ``order_by``): a small parser that runs on Arrow.

    select   := "*" | item ("," item)*
    item     := (column | function "(" ("*" | column) ")") ["as" name]
    where    := and ("or" and)*
    and      := not ("and" not)*
    not      := "not" not | "(" where ")" | test
    test     := operand ("=" | "!=" | "<" | "<=" | ">" | ">=") operand
              | column "is" ["not"] "null"
              | column ["not"] "in" "(" literal ("," literal)* ")"
    order_by := column ["asc" | "desc"] ("," column ["asc" | "desc"])*

A literal is a number, a text in quotes, or an instant ``date'2026-01-01T00:00:00Z'`` (UTC where it names no offset).
Text has no order, and a kind is compared with its own kind alone: anything else is refused as ODRÉ does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Indices = npt.NDArray[np.int64]

INSTANT: Final = pa.timestamp("us", tz="UTC")

#: Functions of a ``select``, by name; each takes a column and gives one value.
FUNCTIONS: Final[dict[str, Callable[[pa.ChunkedArray], Any]]] = {
    "count": lambda column: len(column) - column.null_count,
    "min": lambda column: pc.min(column).as_py(),
    "max": lambda column: pc.max(column).as_py(),
    "sum": lambda column: pc.sum(column).as_py(),
    "avg": lambda column: pc.mean(column).as_py(),
}

_COMPARISONS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "=": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}

_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<date>date(?:'[^']*'|"[^"]*"))
      | (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
      | (?P<number>[+-]?\d+(?:\.\d+)?)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*|`[^`]+`)
      | (?P<symbol><=|>=|!=|<>|[=<>(),*])
    )""",
    re.VERBOSE,
)


class QueryError(Exception):
    """A request that ODRÉ refuses with a 400; ``error_code`` as it names it."""

    def __init__(self, message: str, error_code: str = "ODSQLError") -> None:
        super().__init__(message)
        self.message = message
        self.error_code = error_code


def kind(type_: pa.DataType) -> str:
    """The source's name of an Arrow type: ``text``, ``int``, ``double``, ``date`` or ``datetime``."""
    if pa.types.is_integer(type_):
        return "int"
    if pa.types.is_floating(type_):
        return "double"
    if pa.types.is_date(type_):
        return "date"
    if pa.types.is_timestamp(type_):
        return "datetime"
    return "text"


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str


@dataclass(frozen=True)
class _Operand:
    """One side of a comparison: its value on Arrow, what it can be compared with, and how it was written."""

    value: Any
    comparable: str
    written: str
    is_column: bool


@dataclass(frozen=True)
class Selected:
    """One item of a ``select``: a column, or a function of one (``*`` where it counts rows)."""

    name: str
    column: str
    function: str | None = None


def _tokens(clause: str, text: str) -> list[_Token]:
    tokens, position = [], 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise QueryError(
                f"ODSQL query is malformed: {clause} cannot be read from {text[position:].strip()[:40]!r} on"
            )
        tokens.append(_Token(match.lastgroup, match.group(match.lastgroup)))
        position = match.end()
    return tokens


class _Parser:
    """A cursor over the tokens of one clause."""

    def __init__(self, clause: str, text: str, table: pa.Table) -> None:
        self.clause = clause
        self.table = table
        self.tokens = _tokens(clause, text)
        self.position = 0

    def peek(self, *words: str) -> bool:
        """Whether the next token is one of these words or symbols."""
        if self.position == len(self.tokens):
            return False
        token = self.tokens[self.position]
        return token.kind in ("name", "symbol") and token.text.lower() in words

    def take(self, *words: str) -> bool:
        """Step over the next token if it is one of these."""
        found = self.peek(*words)
        self.position += found
        return found

    def next(self) -> _Token:
        """The next token."""
        if self.position == len(self.tokens):
            raise QueryError(f"ODSQL query is malformed: {self.clause} ends too early")
        self.position += 1
        return self.tokens[self.position - 1]

    def expect(self, *words: str) -> None:
        """Step over a token that must be one of these."""
        if not self.take(*words):
            raise self.unexpected()

    def unexpected(self) -> QueryError:
        """What to say of the token at the cursor."""
        if self.position == len(self.tokens):
            return QueryError(f"ODSQL query is malformed: {self.clause} ends too early")
        return QueryError(f"ODSQL query is malformed: unexpected {self.tokens[self.position].text!r} in {self.clause}")

    def end(self) -> None:
        """Nothing may follow."""
        if self.position != len(self.tokens):
            raise self.unexpected()

    def column(self) -> str:
        """The name of a column that the dataset has."""
        token = self.next()
        if token.kind != "name":
            self.position -= 1
            raise self.unexpected()
        name = token.text.strip("`")
        if name not in self.table.column_names:
            raise QueryError(f"Unknown field: {name}")
        return name


def parse_instant(text: str) -> datetime:
    """The instant that a ``date'…'`` literal names, UTC where it names no offset.

    Raises:
        QueryError: it is no date.
    """
    written = text.replace("/", "-")
    if re.fullmatch(r"\d{4}", written):
        written += "-01"
    if re.fullmatch(r"\d{4}-\d{2}", written):
        written += "-01"
    try:
        instant = datetime.fromisoformat(written)
    except ValueError as error:
        raise QueryError(f"ODSQL query is malformed: {text!r} is not a date") from error
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _operand(parser: _Parser) -> _Operand:
    token = parser.next()
    if token.kind == "date":
        return _Operand(pa.scalar(parse_instant(token.text[5:-1]), INSTANT), "date", token.text, False)
    if token.kind == "number":
        number = float(token.text) if "." in token.text else int(token.text)
        return _Operand(pa.scalar(number), "number", token.text, False)
    if token.kind == "text":
        return _Operand(pa.scalar(re.sub(r"\\(.)", r"\1", token.text[1:-1])), "text", token.text, False)
    parser.position -= 1
    name = parser.column()
    column = parser.table[name]
    if kind(column.type) in ("date", "datetime"):
        return _Operand(column.cast(INSTANT), "date", name, True)
    return _Operand(column, "text" if kind(column.type) == "text" else "number", name, True)


def _compare(left: _Operand, operator: str, right: _Operand) -> pa.ChunkedArray:
    if left.comparable != right.comparable or (left.comparable == "text" and operator not in ("=", "!=")):
        raise QueryError(
            f"Incompatible types in comparison filter: {left.written} {operator} {right.written} "
            f"({left.comparable} with {right.comparable})",
            "IncompatibleTypesInComparisonFilter",
        )
    return _COMPARISONS[operator](left.value, right.value)


def _test(parser: _Parser) -> pa.ChunkedArray:
    left = _operand(parser)
    if left.is_column and parser.take("is"):
        negated = parser.take("not")
        parser.expect("null")
        return pc.is_valid(left.value) if negated else pc.is_null(left.value)
    if left.is_column and parser.peek("not", "in"):
        negated = parser.take("not")
        parser.expect("in")
        parser.expect("(")
        found = _compare(left, "=", _operand(parser))
        while parser.take(","):
            found = pc.or_kleene(found, _compare(left, "=", _operand(parser)))
        parser.expect(")")
        return pc.invert(found) if negated else found
    if not parser.peek("=", "!=", "<>", "<", "<=", ">", ">="):
        raise parser.unexpected()
    operator = parser.next().text.replace("<>", "!=")
    right = _operand(parser)
    if not left.is_column and not right.is_column:
        raise QueryError(f"ODSQL query is malformed: {left.written} {operator} {right.written} names no field")
    return _compare(left, operator, right)


def _negation(parser: _Parser) -> pa.ChunkedArray:
    if parser.take("not"):
        return pc.invert(_negation(parser))
    if parser.take("("):
        mask = _disjunction(parser)
        parser.expect(")")
        return mask
    return _test(parser)


def _conjunction(parser: _Parser) -> pa.ChunkedArray:
    mask = _negation(parser)
    while parser.take("and"):
        mask = pc.and_kleene(mask, _negation(parser))
    return mask


def _disjunction(parser: _Parser) -> pa.ChunkedArray:
    mask = _conjunction(parser)
    while parser.take("or"):
        mask = pc.or_kleene(mask, _conjunction(parser))
    return mask


def filtered(table: pa.Table, where: str) -> Indices:
    """The rows of a table for which a ``where`` holds, in the table's order; all of them where it is empty.

    Raises:
        QueryError: malformed, an unknown field, or kinds that cannot be compared.
    """
    if not where.strip():
        return np.arange(table.num_rows, dtype=np.int64)
    parser = _Parser("where", where, table)
    mask = _disjunction(parser)
    parser.end()
    # Not Arrow's own way: that of pyarrow 23 ends the process where the table has no rows.
    return np.flatnonzero(pc.fill_null(mask, False).to_numpy()).astype(np.int64)


def ordered(table: pa.Table, rows: Indices, order_by: str) -> Indices:
    """Rows in the order that ``order_by`` asks for (nulls last); in an arbitrary but repeatable one where it is empty.

    Raises:
        QueryError: malformed, or an unknown field.
    """
    if not order_by.strip():
        return np.random.default_rng(len(rows)).permutation(rows)
    parser = _Parser("order_by", order_by, table)
    keys: list[tuple[str, str]] = []
    while not keys or parser.take(","):
        name = parser.column()
        descending = parser.take("desc")
        if not descending:
            parser.take("asc")
        keys.append((name, "descending" if descending else "ascending"))
    parser.end()
    columns = dict.fromkeys(name for name, _ in keys)
    selected = table.select(list(columns))
    if not _contiguous(rows) or len(rows) != table.num_rows:
        selected = selected.take(pa.array(rows))
    order = pc.sort_indices(selected, sort_keys=keys).to_numpy()
    return np.asarray(rows[order.astype(np.int64)])


def _contiguous(rows: Indices) -> bool:
    return len(rows) == 0 or (int(rows[-1]) - int(rows[0]) == len(rows) - 1 and bool(np.all(np.diff(rows) == 1)))


def rows_of(table: pa.Table, rows: Indices) -> pa.Table:
    """These rows of a table; without a copy where they lie side by side."""
    return table.slice(int(rows[0]) if len(rows) else 0, len(rows)) if _contiguous(rows) else table.take(pa.array(rows))


def parse_select(table: pa.Table, select: str) -> list[Selected]:
    """The items of a ``select``; every column where it is empty or ``*``.

    Raises:
        QueryError: malformed, an unknown field, or columns beside functions (that would need a ``group_by``).
    """
    if select.strip() in ("", "*"):
        return [Selected(name, name) for name in table.column_names]
    parser = _Parser("select", select, table)
    items: list[Selected] = []
    while not items or parser.take(","):
        following = parser.tokens[parser.position + 1 : parser.position + 2]
        if following and following[0].text == "(":
            items.append(_function(parser))
        else:
            name = parser.column()
            items.append(Selected(name, name))
        if parser.take("as"):
            items[-1] = Selected(parser.next().text.strip("`"), items[-1].column, items[-1].function)
    parser.end()
    if len({item.function is None for item in items}) > 1:
        raise QueryError("ODSQL query is malformed: select names fields beside functions, which needs a group_by")
    return items


def _function(parser: _Parser) -> Selected:
    function = parser.next().text.lower()
    if function not in FUNCTIONS:
        raise QueryError(f"ODSQL query is malformed: unknown function {function!r}; there are {', '.join(FUNCTIONS)}")
    parser.expect("(")
    column = "*" if function == "count" and parser.take("*") else parser.column()
    parser.expect(")")
    if function in ("sum", "avg") and kind(parser.table[column].type) not in ("int", "double"):
        raise QueryError(f"ODSQL query is malformed: {function}({column}) of a field that is no number")
    return Selected(f"{function}({column})", column, function)


def aggregated(table: pa.Table, rows: Indices, items: list[Selected]) -> pa.Table:
    """The one row that the functions of a ``select`` give over these rows."""
    values: dict[str, list[Any]] = {}
    for item in items:
        assert item.function is not None
        values[item.name] = [
            len(rows) if item.column == "*" else FUNCTIONS[item.function](rows_of(table.select([item.column]), rows)[0])
        ]
    return pa.table(values)
