"""Corrections of the BigQuery emulator, made in memory as its modules are imported.

Each is a replacement of a short text. One whose text is not there is an error: another version of the emulator needs
another look, and must not start half corrected.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

#: Module → (text to replace, what replaces it), in order.
CORRECTIONS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    # Type parameters are Python 3.12's: the same functions without them.
    "local_bigquery.catalog.metadata": (
        ("def list_[R: Resource](model: type[R], *keys: str) -> list[R]:", "def list_(model, *keys):"),
        ("def load[R: Resource](model: type[R], *keys: str) -> R | None:", "def load(model, *keys):"),
        ("def save[R: Resource](resource: R, *keys: str) -> R:", "def save(resource, *keys):"),
    ),
    # An f-string that nests its own quotes is Python 3.12's: the value is computed before.
    "local_bigquery.engine.results": (
        (
            'error in writing field {column}"\n',
            'error in writing field {column}"\n    message = message.replace("\'", "\'\'")\n',
        ),
        ("""THEN error('{message.replace("'", "''")}')""", "THEN error('{message}')"),
    ),
    # BigQuery reports the table of CREATE TABLE … AS SELECT as the job's destination, and dbt reads it there …
    "local_bigquery.jobs.runner": (
        (
            "    if destination:\n        config.destinationTable = destination\n",
            (
                "    if destination:\n        config.destinationTable = destination\n"
                '    elif statistics.statementType == "CREATE_TABLE_AS_SELECT" and not config.destinationTable:\n'
                "        config.destinationTable = statistics.ddlTargetTable\n"
            ),
        ),
    ),
    # … but such a job has no rows of its own.
    "local_bigquery.api.jobs": (
        ("    if not destination:\n", "    if not destination or statistics.ddlTargetTable:\n"),
    ),
    # For any question about its catalogue DuckDB lists all of it, with the result of every past job: the emulator spent
    # half its time so, asking several times a query. Of a lake the lake's own tables tell, of a result the result …
    "local_bigquery.engine.database": (
        # Every database is confined, before anything that a client named is opened (emulators/bigquery/confinement.py).
        (
            "from local_bigquery.settings import settings\n",
            (
                "from emulators.bigquery import confinement\n"
                "from local_bigquery.errors import BigQueryError\n"
                "from local_bigquery.settings import settings\n"
            ),
        ),
        (
            """\
    con = duckdb.connect(config={"TimeZone": "UTC"})
    con.execute(
        "SET ducklake_max_retry_count = 100; SET ducklake_retry_wait_ms = 20; "
        "SET ducklake_retry_backoff = 1.05"
    )
""",
            "    con = confinement.connect(settings.data_dir, settings.gcs_local_root)\n",
        ),
        (
            "        with duckdb.connect() as scratch:\n",
            "        with confinement.connect(settings.data_dir) as scratch:\n",
        ),
        (
            'p.stem for p in settings.data_dir.glob("*.ducklake")}',
            'p.stem for p in settings.data_dir.glob("*.ducklake") if confinement.is_project(p.stem)}',
        ),
        (
            "    path = settings.data_dir / project_id\n",
            (
                "    if not confinement.is_project(project_id):\n"
                '        raise BigQueryError("invalid", f"Invalid project ID: {project_id}")\n'
                "    path = settings.data_dir / project_id\n"
            ),
        ),
        # Functions of geography need an extension that cannot be confined.
        (
            "    for path in FUNCTIONS:\n        con.execute(",
            '    for path in FUNCTIONS:\n        path.stem == "geography" or con.execute(',
        ),
        (
            """\
    return fetch(
        "SELECT table_name, 'TABLE', estimated_size FROM duckdb_tables() "
""",
            """\
    if project_id in _attached:
        lake = quote(f"__ducklake_metadata_{project_id}")
        of_schema = f"JOIN {lake}.ducklake_schema AS schemas USING (schema_id)"
        current = "objects.end_snapshot IS NULL AND schemas.end_snapshot IS NULL"
        return fetch(
            "SELECT table_name, 'TABLE', coalesce(record_count, 0) "
            f"FROM {lake}.ducklake_table AS objects {of_schema} "
            f"LEFT JOIN {lake}.ducklake_table_stats USING (table_id) "
            f"WHERE {current} AND schema_name = $1 AND table_name = coalesce($2, table_name) "
            "UNION ALL SELECT view_name, 'VIEW', 0 "
            f"FROM {lake}.ducklake_view AS objects {of_schema} "
            f"WHERE {current} AND schema_name = $1 AND view_name = coalesce($2, view_name) ORDER BY 1",
            [dataset_id, table_id],
        )
    if table_id is not None:
        try:
            ((rows,),) = fetch(f"SELECT count(*) FROM {quote(project_id, dataset_id, table_id)}")
        except duckdb.CatalogException:
            return []
        return [(table_id, "TABLE", rows)]
    return fetch(
        "SELECT table_name, 'TABLE', estimated_size FROM duckdb_tables() "
""",
        ),
    ),
    # … a table's columns from the table …
    "local_bigquery.catalog.tables": (
        (
            """\
    required = database.fetch(
        "SELECT column_name FROM duckdb_columns() WHERE database_name = ? "
        "AND schema_name = ? AND table_name = ? AND NOT is_nullable",
        list(physical(project_id, dataset_id, table_id)),
    )
    required = {column for (column,) in required}
    with database.cursor() as cur:
        try:
""",
            """\
    with database.cursor() as cur:
        try:
            described = cur.execute(f"DESCRIBE {table}").fetchall()
            required = {column for column, _, null, *_ in described if null == "NO"}
""",
        ),
    ),
    "local_bigquery.sql.rules.partitions": (
        (
            """\
    return bool(
        database.fetch(
            "SELECT 1 FROM duckdb_columns() WHERE database_name = ? AND schema_name = ? "
            "AND table_name = ? AND column_name = ?",
            [table.catalog, table.db, table.name, tables.INGESTION_TIME],
        )
    )
""",
            """\
    path = database.quote(table.catalog, table.db, table.name)
    try:
        described = database.fetch(f"DESCRIBE {path}")
    except database.duckdb.CatalogException:
        return False
    return tables.INGESTION_TIME in [column for column, *_ in described]
""",
        ),
    ),
    # … and temporary tables are only a session's: no other job begins with one.
    "local_bigquery.jobs.query": (
        (
            """\
    temporary = cur.sql("SELECT table_name FROM duckdb_tables() WHERE temporary")
""",
            """\
    listed = "duckdb_tables() WHERE temporary" if session else "(SELECT '' AS table_name) LIMIT 0"
    temporary = cur.sql(f"SELECT table_name FROM {listed}")
""",
        ),
    ),
    # Without a join that names no condition there is no array to unnest: no table need be copied to look for one. And a
    # compiled node has no descendants of the emulator's own: nodes that neither dialect knows take their places.
    "local_bigquery.sql.dialect": (
        (
            'class TableMacro(exp.Expression):\n    arg_types = {"this": True}\n',
            "TableMacro = exp.RowFormatSerdeProperty\n",
        ),
        (
            'class DropPrimaryKey(exp.DropPrimaryKey):\n    arg_types = {"exists": False}\n',
            "DropPrimaryKey = exp.DropPrimaryKey\n",
        ),
        ("self.expression(DropPrimaryKey(exists=exists))", "DropPrimaryKey(exists=exists)"),
        (
            'class AlterColumnOptions(exp.Expression):\n    arg_types = {"this": True, "expressions": True}\n',
            "AlterColumnOptions = exp.AlterSortKey\n",
        ),
        (
            "        def reset(self):\n",
            (
                "        def _implicit_unnests_to_explicit(self, this):\n"
                '            if all(join.args.get("on") for join in this.args.get("joins") or ()):\n'
                "                return this\n"
                "            return super()._implicit_unnests_to_explicit(this)\n\n"
                "        def reset(self):\n"
            ),
        ),
    ),
    # What is written as DuckDB's SQL is a copy already, which need not be copied for it; and where a statement is
    # copied, the place of each of its words is a flat dictionary.
    "local_bigquery.sql.translate": (
        (
            "import sqlglot\nfrom sqlglot import exp\n",
            (
                "import copy\n\nimport sqlglot\nfrom sqlglot import exp\nfrom sqlglot.expressions import core\n\n"
                "core.deepcopy = lambda value: dict(value) if type(value) is dict else copy.deepcopy(value)\n"
            ),
        ),
        ("    return tree.sql(dialect=DuckDBDialect), {", "    return tree.sql(dialect=DuckDBDialect, copy=False), {"),
    ),
    # Loads and exports are of objects in Cloud Storage.
    "local_bigquery.jobs.storage": (
        (
            """\
    if uri.startswith("file://"):
        return uri.removeprefix("file://")
    if not uri.startswith("gs://"):
        return uri
    root = settings.gcs_local_root or settings.data_dir / "gcs"
    return str(root / uri.removeprefix("gs://"))
""",
            """\
    try:
        return confinement.object_path(uri, settings.gcs_local_root)
    except ValueError as error:
        raise BigQueryError("invalid", str(error)) from None
""",
        ),
        ("import duckdb\n", "import duckdb\n\nfrom emulators.bigquery import confinement\n"),
    ),
    # The Storage API answers whom the REST API answers.
    "local_bigquery.grpc.server": (
        (
            "from local_bigquery.errors import from_exception\n",
            "from emulators import access\nfrom local_bigquery.errors import BigQueryError, from_exception\n",
        ),
        (
            "    metadata = dict(context.invocation_metadata())\n",
            (
                "    metadata = dict(context.invocation_metadata())\n"
                '    authority = ("host", context._rpc_event.call_details.host.decode())\n'
                "    if refused := access.refusal([authority, *context.invocation_metadata()]):\n"
                '        raise BigQueryError("accessDenied", refused)\n'
            ),
        ),
    ),
    # SET (a) = (SELECT AS STRUCT …): the target is in parentheses, and each field is the value of one variable.
    "local_bigquery.sql.script": (
        (
            "            targets = target.expressions if",
            "            target = target.unnest()\n            targets = target.expressions if",
        ),
        (
            "            tables = [self.variable(target.name) for target in targets]\n",
            (
                "            query = value.unnest()\n"
                '            if isinstance(query, exp.Select) and query.args.get("kind") == "STRUCT":\n'
                "                values = []\n"
                "                for field in query.expressions:\n"
                "                    part = query.copy()\n"
                '                    part.set("kind", None)\n'
                '                    part.set("expressions", [field.copy()])\n'
                "                    values.append(part.subquery())\n"
                "            tables = [self.variable(target.name) for target in targets]\n"
            ),
        ),
    ),
}

#: What stays Python where the rest of sqlglot is compiled, with the packages' modules: the parsers and generators that
#: the emulator's own descend from, since no class of Python's descends from a compiled one, and what refers to them.
INTERPRETED: Final = (
    "sqlglot.parser",
    "sqlglot.parsers",
    "sqlglot.generator",
    "sqlglot.generators",
    "sqlglot.expressions.builders",
    "sqlglot.lineage",
    "sqlglot.optimizer.isolate_table_selects",
    "sqlglot.optimizer.normalize_identifiers",
    "sqlglot.optimizer.qualify",
    "sqlglot.optimizer.qualify_columns",
    "sqlglot.optimizer.qualify_tables",
    "sqlglot.optimizer.simplify",
)


class CorrectionFailed(ImportError):
    """A module of the emulator does not hold the text that a correction replaces."""


def correct(module: str, source: str) -> str:
    """The module's source with its corrections.

    Raises:
        CorrectionFailed: a text to replace is absent, or there more than once; the message names the module.
    """
    for old, new in CORRECTIONS[module]:
        if source.count(old) != 1:
            line = old.strip().splitlines()[0]
            raise CorrectionFailed(
                f"{module} of the BigQuery emulator is not the version that emulators/bigquery corrects: "
                f"{line!r} is there {source.count(old)} times, not once"
            )
        source = source.replace(old, new)
    return source


class CorrectingLoader(SourceFileLoader):
    """Compiles a module's corrected source; never reads or writes its bytecode cache."""

    def get_code(self, fullname: str) -> CodeType:
        """The code of the corrected module."""
        path = self.get_filename(fullname)
        return self.source_to_code(correct(fullname, self.get_data(path).decode()), path)


class CorrectingFinder(MetaPathFinder):
    """Finds the modules that need a correction or are not to be compiled, and leaves all others to Python."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module to correct, with a loader that corrects it; of one to interpret, its source's."""
        interpreted = fullname in INTERPRETED or fullname.rpartition(".")[0] in INTERPRETED
        if not (interpreted or fullname in CORRECTIONS):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin is None:
            return None
        if fullname in CORRECTIONS:
            spec.loader = CorrectingLoader(fullname, spec.origin)
        elif not spec.origin.endswith(".py"):
            spec = spec_from_file_location(fullname, Path(spec.origin).with_name(f"{fullname.rpartition('.')[2]}.py"))
        return spec


def install() -> None:
    """Correct the emulator's modules from now on."""
    sys.meta_path.insert(0, CorrectingFinder())
