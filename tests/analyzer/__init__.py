"""Google's own SQL analyzer (PyPI: zetasql, its C++ as WebAssembly) on statements as they would be sent to BigQuery.

It knows names, types and the rules of GoogleSQL. The tables that a statement may name are those that contracts declare,
and those that the project itself creates, whose columns the analyzer works out.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final
from unittest import mock

import wasmtime
from google.protobuf import empty_pb2
from zetasql.core import ServerError, WasmClient, wasm_client
from zetasql.wasi import get_wasm_path
from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2 as service
from zetasql.wasi._pb2.zetasql.proto import options_pb2, simple_catalog_pb2
from zetasql.wasi._pb2.zetasql.public import options_pb2 as language_pb2
from zetasql.wasi._pb2.zetasql.resolved_ast import resolved_node_kind_pb2

from local.basics import LOCAL
from odre import warehouse
from odre.contracts import read_contracts
from odre.restore import BESIDE
from odre.settings import Settings

#: Features of GoogleSQL that the project's statements use and that BigQuery documents. The analyzer refuses a statement
#: that uses another one, until it is added here.
FEATURES: Final = (
    "ANALYTIC_FUNCTIONS",
    "CONCAT_MIXED_TYPES",
    "CREATE_TABLE_AS_SELECT_COLUMN_LIST",
    "CREATE_TABLE_CLUSTER_BY",
    "CREATE_TABLE_NOT_NULL",
    "CREATE_TABLE_PARTITION_BY",
    "DATE_ARITHMETICS",
    "HAVING_IN_AGGREGATE",
    "IS_DISTINCT",
    "JSON_ARRAY_FUNCTIONS",
    "ORDER_BY_IN_AGGREGATE",
    "QUALIFY",
    "SELECT_STAR_EXCEPT_REPLACE",
    "WITH_ON_SUBQUERY",
)

#: Columns of INFORMATION_SCHEMA.JOBS that are asked.
JOBS: Final = {
    "creation_time": "TIMESTAMP",
    "job_id": "STRING",
    "job_type": "STRING",
    "labels": "ARRAY<STRUCT<key STRING, value STRING>>",
    "parent_job_id": "STRING",
    "query": "STRING",
    "total_bytes_billed": "INT64",
}

#: Column → its type, as the analyzer's protocol has it.
Columns = dict[str, Any]

#: Name of a table, in parts: project, dataset, table.
Name = tuple[str, ...]

#: Comments, strings and quoted names.
_TOKENS: Final = re.compile(
    r"--[^\n]*|\#[^\n]*|/\*.*?\*/|'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|`[^`]*`", re.DOTALL
)
_MAX_BY: Final = re.compile(r"\b(MAX|MIN)_BY\(([^(),]+),([^(),]+)\)", re.IGNORECASE)


class Refused(AssertionError):
    """A statement that the analyzer does not accept; the message has the analyzer's words and the place."""


class _Client(WasmClient):  # type: ignore[misc]
    """The package's client, which compiles the module once for all processes and copies memory as a whole."""

    def __init__(self) -> None:
        with mock.patch.object(wasm_client, "Module", _Compiled):
            super().__init__(str(get_wasm_path()))

    def _address(self) -> int:
        return ctypes.addressof(self.memory.data_ptr().contents)

    def write_bytes(self, ptr: int, data: bytes) -> None:
        """Write to the module's memory."""
        ctypes.memmove(self._address() + ptr, data, len(data))

    def read_bytes(self, ptr: int, size: int) -> bytes:
        """Read from the module's memory."""
        return ctypes.string_at(self._address() + ptr, size)


class _Compiled:
    """Stands where the client asks wasmtime to compile: a minute of processor, kept in ``.local/analyzer``."""

    @staticmethod
    def from_file(engine: wasmtime.Engine, path: str) -> wasmtime.Module:
        """The compiled module."""
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]
        kept = LOCAL / "analyzer" / digest
        with suppress(wasmtime.WasmtimeError, OSError):  # of another wasmtime or processor, or not there
            return wasmtime.Module.deserialize_file(engine, str(kept))
        module = wasmtime.Module.from_file(engine, path)
        kept.parent.mkdir(parents=True, exist_ok=True)
        written = kept.with_suffix(f".{os.getpid()}")
        written.write_bytes(module.serialize())
        written.replace(kept)
        return module


@cache
def _client() -> _Client:
    return _Client()


class Analyzer:
    """Judges statements one after the other, each with the tables that were declared or created before it."""

    def __init__(self, project: str) -> None:
        self.project = project
        self.tables: dict[Name, Columns] = {}
        self._declared: set[Name] = set()
        self._types: Columns = {}
        self._registered: tuple[int, Columns] | None = None
        self._language = options_pb2.LanguageOptionsProto(
            name_resolution_mode=language_pb2.NAME_RESOLUTION_DEFAULT,
            product_mode=language_pb2.PRODUCT_EXTERNAL,
            enabled_language_features=[language_pb2.LanguageFeature.Value(f"FEATURE_{name}") for name in FEATURES],
            supported_statement_kinds=[
                value for name, value in resolved_node_kind_pb2.ResolvedNodeKind.items() if name.endswith("_STMT")
            ],
            reserved_keywords=["QUALIFY"],
        )

    def declare(self, table: str, columns: Mapping[str, str]) -> None:
        """Let a table be there (``project.dataset.table``) with columns of these types, as SQL writes them.

        What is created under its name must have these columns.
        """
        name = tuple(table.split("."))
        self._declared.add(name)
        self._put(name, {column: self._type(kind) for column, kind in columns.items()})

    def judge(self, sql: str, parameters: Mapping[str, str] | None = None) -> Columns:
        """Analyze a statement, or every statement and condition of a script; what it creates is there from then on.

        ``parameters``: type by name. Returns the columns of the last statement's rows, or of what it creates.

        Raises:
            Refused: the analyzer does not accept it.
        """
        text = _as_analyzed(sql)
        request = service.ParseRequest(sql_statement=text, allow_script=True, options=self._language)
        script = self._call("Parse", request, service.ParseResponse).parsed_script
        columns: Columns = {}
        variables: Columns = {}
        types = {name: self._type(kind) for name, kind in (parameters or {}).items()}
        for kind, names, part in _parts(script, text.encode()):
            if kind == "declaration":
                variables.update(dict.fromkeys(names, self._type(part)))
                continue
            columns = self._analyze(_QUERIES[kind].format(part), types, variables)
            if kind == "value" and (found := columns["value"]) != (wanted := variables[names[0]]):
                raise Refused(f"{names[0]} is declared as {wanted}, and is given {found}: {part}")
        return columns

    def _analyze(self, sql: str, parameters: Columns, variables: Columns) -> Columns:
        options = options_pb2.AnalyzerOptionsProto(
            language_options=self._language,
            error_message_mode=language_pb2.ERROR_MESSAGE_MULTI_LINE_WITH_CARET,
            query_parameters=[{"name": name, "type": kind} for name, kind in parameters.items()],
        )
        request = service.AnalyzeRequest(
            sql_statement=sql, options=options, registered_catalog_id=self._register(variables)
        )
        statement = self._call("Analyze", request, service.AnalyzeResponse).resolved_statement
        created = _inherited(statement, "name_path")
        made = _inherited(statement, "column_definition_list")
        if made is None:
            made = _inherited(statement, "output_column_list") or []
        columns = {column.name: column.column.type for column in made}
        if created and "create" in statement.WhichOneof("node"):
            self._create((self.project, *created) if len(created) == 2 else tuple(created), columns)
        return columns

    def _create(self, name: Name, columns: Columns) -> None:
        declared = self.tables[name] if name in self._declared else columns
        if differing := sorted(c for c in columns.keys() | declared.keys() if columns.get(c) != declared.get(c)):
            raise Refused(f"{'.'.join(name)} is created with other columns than its contract has: {differing}")
        self._put(name, columns)

    def _put(self, name: Name, columns: Columns) -> None:
        if self.tables.get(name) != columns:
            self.tables[name] = columns
            self._registered = None

    def _type(self, kind: str) -> Any:
        if kind not in self._types:
            self._types[kind] = self._analyze(f"SELECT CAST(NULL AS {kind}) AS value", {}, {})["value"]
        return self._types[kind]

    def _register(self, variables: Columns) -> int:
        """The number under which the analyzer has the catalog; it takes as long as ten statements to hand it over."""
        if self._registered is None or self._registered[1] != variables:
            if self._registered is not None:
                self._call(
                    "UnregisterCatalog", service.UnregisterRequest(registered_id=self._registered[0]), empty_pb2.Empty
                )
            request = service.RegisterCatalogRequest(simple_catalog=self._catalog(variables))
            made = self._call("RegisterCatalog", request, service.RegisterResponse)
            self._registered = made.registered_id, dict(variables)
        return self._registered[0]

    def _catalog(self, variables: Columns) -> Any:
        """Every table, below its project and, since that is the default, below its dataset alone.

        A variable is a constant: as in BigQuery, a column of its name hides it.
        """
        root = simple_catalog_pb2.SimpleCatalogProto(
            builtin_function_options={"language_options": self._language},
            constant=[{"name_path": [name], "type": kind, "value": {}} for name, kind in variables.items()],
        )
        folders: dict[Name, Any] = {(): root}

        def folder(path: Name) -> Any:
            if path not in folders:
                folders[path] = folder(path[:-1]).catalog.add(name=path[-1])
            return folders[path]

        for name, columns in self.tables.items():
            for path in [name, name[1:]] if name[0] == self.project else [name]:
                table = folder(path[:-1]).table.add(name=path[-1])
                for column, kind in columns.items():
                    table.column.add(name=column, type=kind)
        return root

    def _call(self, method: str, request: Any, response: Any) -> Any:
        try:
            return _client().call_grpc_func(f"ZetaSqlLocalService_{method}", request, response)
        except ServerError as error:
            raise Refused(error.raw_error.partition("Message: ")[2]) from None


#: What is analyzed of a script's conditions and values.
_QUERIES: Final = {
    "statement": "{}",
    "condition": "SELECT IF(({}), 1, 0) AS value",
    "value": "SELECT ({}) AS value",
}


def _as_analyzed(sql: str) -> str:
    """A statement as the analyzer knows it: a name that is quoted as a whole in its parts, no ``MAX_BY``."""

    def in_parts(token: re.Match[str]) -> str:
        return token[0].replace(".", "`.`") if token[0].startswith("`") else token[0]

    return _MAX_BY.sub(r"ANY_VALUE(\2 HAVING \1 \3)", _TOKENS.sub(in_parts, sql))


def _parts(node: Any, text: bytes) -> Iterator[tuple[str, list[str], str]]:
    """What there is to analyze in a parsed script, in its order: kind, names of variables, text.

    A ``declaration``'s text is its type.
    """
    name = node.DESCRIPTOR.name
    if name == "AnyASTStatementProto" and node.WhichOneof("node") != "ast_script_statement_node":
        yield "statement", [], _text(node, text)
    elif name == "AnyASTExpressionProto":
        yield "condition", [], _text(node, text)
    elif name == "ASTVariableDeclarationProto":
        variables = [variable.id_string for variable in node.variable_list.identifier_list]
        yield "declaration", variables, _text(node.type, text)
        if node.HasField("default_value"):
            yield "value", variables, _text(node.default_value, text)
    elif name == "ASTSingleAssignmentProto":
        yield "value", [node.variable.id_string], _text(node.expression, text)
    else:
        for field, value in node.ListFields():
            if field.message_type and field.name != "parent":
                for child in value if field.is_repeated else [value]:
                    yield from _parts(child, text)


def _inherited(message: Any, field: str) -> Any:
    """A field of a message that is one of a union, or of what it extends; none without it."""
    while field not in message.DESCRIPTOR.fields_by_name:
        unions = message.DESCRIPTOR.oneofs
        if not unions and "parent" not in message.DESCRIPTOR.fields_by_name:
            return None
        message = getattr(message, message.WhichOneof(unions[0].name) if unions else "parent")
    return getattr(message, field)


def _text(node: Any, text: bytes) -> str:
    place = _inherited(node, "parse_location_range")
    return text[place.start : place.end].decode()


def of_project(settings: Settings, nodes: Iterable[Mapping[str, Any]]) -> Analyzer:
    """An analyzer that has what is there before dbt runs, and what contracts say of the rest.

    These are the raw and ops tables, also those that a restore makes; of dbt's manifest the seeds and the models with a
    contract; and BigQuery's own views, with the columns that its documentation has of them, as far as they are asked.
    """
    analyzer = Analyzer(settings.project)
    for each in (settings, replace(settings, dataset_prefix=BESIDE + settings.dataset_prefix)):
        for table in warehouse.tables(read_contracts().values(), each):
            columns = {field["name"]: field["type"] for field in table.schema}
            analyzer.declare(f"{each.project}.{table.dataset}.{table.name}", columns)
        views = f"{each.project}.{each.load_dataset}.INFORMATION_SCHEMA"
        analyzer.declare(f"{views}.TABLES", {"table_name": "STRING", "table_type": "STRING"})
    for node in nodes:
        columns = node["config"].get("column_types", {})
        if node["resource_type"] == "model" and node["contract"]["enforced"]:
            columns = {column["name"]: column["data_type"] for column in node["columns"].values()}
        if columns:
            analyzer.declare(f"{node['database']}.{node['schema']}.{node['alias']}", columns)
    analyzer.declare(f"{settings.project}.region-{settings.location.lower()}.INFORMATION_SCHEMA.JOBS", JOBS)
    return analyzer
