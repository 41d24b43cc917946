"""Google's own SQL analyzer judges every statement that the project sends to BigQuery.

They are those that the emulator was sent: by runs of the pipeline, dbt builds, the dashboard and a restore.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from unittest import mock

import pyarrow as pa
import pytest
from dbt.adapters.bigquery import credentials
from dbt.cli.main import dbtRunner
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from emulators.odre.server import serve
from emulators.odre.source import MemorySource
from energy_dashboard.dashboard import Dashboard
from local.report import show_answers, show_marts
from local.stack import Stack
from local.warehouse import Warehouse
from odre import jobs, warehouse
from odre.contracts import read_contract, read_contracts
from odre.restore import Restore
from odre.transform import BuildGateOperator
from tests.analyzer import Analyzer, Refused, of_project
from tests.environment import variables
from tests.warehouse.ingest import DAY, Pipeline, build_context, gas, power, prepare
from tests.warehouse.support import CONSOLIDATED, DBT_PROJECT, GAS, REAL_TIME, ROOT, TEMPERATURE, TestWarehouse

#: Everything is sent once, and judged, before the first test: minutes of processor, and more on a busy machine.
pytestmark = pytest.mark.timeout(3000)

#: Of this year, and so of one chunk.
START: Final = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=2)

#: What the tables of steps, which alone have two forms, are selected by.
STEPS: Final = ("--select", "config.materialized:incremental")


@dataclass(frozen=True)
class Statement:
    """A query or script, with the types of its parameters by name; ``node``: what dbt made it of."""

    sql: str
    parameters: Mapping[str, str]
    node: str = ""

    @classmethod
    def of(cls, job: bigquery.QueryJob) -> Statement:
        """What a job asked."""
        node = re.search(r'^/\* .*"node_id": "([^"]*)"', job.query)
        types = {parameter.name: parameter.type_ for parameter in job.query_parameters}
        return cls(job.query, types, node[1] if node else "")

    @property
    def text(self) -> str:
        """It without dbt's comment."""
        return self.sql.partition("*/")[2] if self.node else self.sql


@pytest.fixture(scope="module")
def sent(house: TestWarehouse, emulators: Stack) -> list[Any]:
    """The jobs of all that the project does, oldest first; statements of a script apart."""
    google = {"conn_type": "google_cloud_platform", "extra": {"is_anonymous": True, "project": house.settings.project}}
    source = MemorySource()
    before = {job.job_id for job in house.client.list_jobs(all_users=True)}
    with serve(source) as url, pytest.MonkeyPatch.context() as patch:
        for name, value in {
            **house.environment,
            "STORAGE_EMULATOR_HOST": emulators.warehouse.storage,
            "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": json.dumps(google),
            "AIRFLOW_CONN_ODRE_DEFAULT": url,
            "LAKE_PREFIX": "analyzer/",
        }.items():
            patch.setenv(name, value)
        patch.setattr(house, "settings", replace(house.settings, lake_prefix="analyzer/"))
        _do_everything(
            Pipeline(house), source, Warehouse(house.bigquery_url, emulators.warehouse.storage, house.settings)
        )
    every = reversed(list(house.client.list_jobs(all_users=True)))
    return [job for job in every if job.job_id not in before and not job.parent_job_id]


def _do_everything(pipeline: Pipeline, source: MemorySource, local: Warehouse) -> None:
    house, settings = pipeline.house, pipeline.house.settings
    prepare(house)
    # A success that lies long ago: the next run says so, and notes it.
    long_ago = "timestamp '2026-01-01 00:00:00+00'"
    house.query(f"insert into {{ops}}.runs (dag_id, succeeded_at, expected_by) values ('d', {long_ago}, {long_ago})")
    prepare(house)
    source.publish(GAS, gas({DAY: 100.0}))
    region = {
        "date": DAY,
        "code_insee_region": "11",
        "region": "Île-de-France",
        "tmin": 0.0,
        "tmax": 20.0,
        "tmoy": 10.0,
    }
    source.publish(TEMPERATURE, pa.Table.from_pylist([region]))
    for dataset in (GAS, TEMPERATURE):
        pipeline.run(dataset, "first")
    # Each model in its first form, each data test and unit test; then, without a step to replace, with all to replace,
    # and after the switch from consolidated figures to real time has moved, the forms of the tables of steps.
    house.dbt("build")
    house.dbt("run", *STEPS)
    for steps in (4, 8):
        consolidated = power(START, [50_000] * steps, "Données consolidées")
        source.publish(
            CONSOLIDATED, consolidated.select([column.name for column in read_contract(CONSOLIDATED).columns])
        )
        source.publish(REAL_TIME, power(START, [50_000 + steps] * 16))
        for dataset in (CONSOLIDATED, REAL_TIME):
            pipeline.run(dataset, f"{steps} steps")
        with variables({"DATA_TESTS": "keys"}):
            house.dbt("build", *STEPS, "--exclude-resource-type", "unit_test")

    join = BuildGateOperator(task_id="join", datasets=[GAS], settings=settings, late_after=timedelta(hours=1))
    decided = join.execute(build_context())
    texts = {"dag_id": "gas_storage_daily", "run_id": "first", **decided}
    types = {name: "TIMESTAMP" if name == "started_at" else "STRING" for name in texts}
    record = jobs.query_job(
        warehouse.record_build_sql(settings),
        settings,
        jobs.labels_of("test", "record", settings.ops_dataset),
        *(jobs.query_parameter(name, types[name], value) for name, value in texts.items()),
    )
    house.client.query(record["query"]["query"], job_config=bigquery.QueryJobConfig.from_api_repr(record)).result()

    dashboard = Dashboard.of(settings, lambda: house.client, lambda: True)
    dashboard.marts.timeout_s = 60
    for period in ("last-365", f"{DAY}_{DAY}"):
        dashboard.answer(period)
    show_marts(local)
    for language in ("en", "fr"):
        show_answers(local, sys.stdout, language)
    Restore(settings, house.client, pipeline.lake).run()


@pytest.fixture(scope="module")
def manifest(house: TestWarehouse) -> dict[str, Any]:
    """dbt's manifest, of the production target: what is compiled for Google's own views of it, too."""
    signed_in = mock.patch.object(credentials, "default", return_value=(AnonymousCredentials(), None))
    with variables(house.environment), signed_in:
        places = [f"--{name}-dir={DBT_PROJECT}" for name in ("project", "profiles")]
        places += [f"--{name}-path={house.workdir / 'google'}" for name in ("target", "log")]
        offline = ["--target=google", "--no-introspect", "--no-populate-cache"]
        done = dbtRunner().invoke(["--quiet", "compile", *offline, *places, "--select", "operations"])
    assert done.success, done.exception
    made: dict[str, Any] = json.loads((house.workdir / "google" / "manifest.json").read_text())
    return made


@pytest.fixture(scope="module")
def analyzer(house: TestWarehouse, manifest: dict[str, Any]) -> Analyzer:
    """What knows the tables of this warehouse, from the contracts."""
    return of_project(house.settings, manifest["nodes"].values())


@pytest.fixture(scope="module")
def statements(sent: list[Any]) -> list[Statement]:
    """What was asked, each text once."""
    asked = [Statement.of(job) for job in sent if job.job_type == "query"]
    return list({statement.text: statement for statement in reversed(asked)}.values())[::-1]


@pytest.fixture(scope="module")
def refused(sent: list[Any], analyzer: Analyzer) -> list[str]:
    """What the analyzer has to say against them, one after the other as they were sent."""
    found, seen = [], set()
    for job in sent:
        if job.job_type == "load":
            _declare_loaded(analyzer, job.destination)
            continue
        statement = Statement.of(job)
        if statement.text in seen:
            continue
        seen.add(statement.text)
        try:
            analyzer.judge(statement.sql, statement.parameters)
        except Refused as error:
            found.append(f"{statement.node}: {error}")
    return found


def _declare_loaded(analyzer: Analyzer, table: bigquery.TableReference) -> None:
    """The table of a run, which has its dataset's columns; the other loads are dbt's seeds."""
    for contract in read_contracts().values():
        if table.table_id.startswith(f"{contract.table}__"):
            columns = {field["name"]: field["type"] for field in contract.bigquery_schema}
            analyzer.declare(f"{table.project}.{table.dataset_id}.{table.table_id}", columns)


def test_every_statement_is_accepted(refused: list[str]) -> None:
    """There is none that it cannot judge: ``MAX_BY``, which BigQuery has and it lacks, is written otherwise for it."""
    assert not refused, "\n\n".join(refused)


def test_the_production_form_of_views_of_bigquerys_own_is_accepted(
    manifest: dict[str, Any], analyzer: Analyzer
) -> None:
    """The emulator is sent another: its list of jobs has no labels."""
    compiled = {
        name: node["compiled_code"]
        for name, node in manifest["nodes"].items()
        if node["resource_type"] == "model" and "macro.energy.bigquery_jobs" in node["depends_on"]["macros"]
    }
    assert list(compiled) == ["model.energy.bytes_by_dag_daily"]
    for name, sql in compiled.items():
        assert "INFORMATION_SCHEMA.JOBS" in sql
        analyzer.judge(f"CREATE OR REPLACE VIEW {manifest['nodes'][name]['relation_name']} AS {sql}")


def test_no_other_sql_depends_on_the_target() -> None:
    files = [path for path in DBT_PROJECT.rglob("*.sql") if re.search(r"target\.(name|type)\b", path.read_text())]
    assert [path.name for path in files] == ["jobs.sql"]


def test_each_node_of_the_dbt_project_is_among_them(manifest: dict[str, Any], statements: list[Statement]) -> None:
    sent: dict[str, str] = {}
    for statement in statements:
        sent[statement.node] = sent.get(statement.node, "") + statement.text.lower()
    nodes = {**manifest["nodes"], **manifest["unit_tests"]}
    for name, node in nodes.items():
        materialized = node["config"].get("materialized")
        if materialized in ("seed", "ephemeral"):  # loaded; a part of others
            continue
        made = {"table": "table", "incremental": "table", "view": "view"}.get(materialized)
        assert name in sent, name
        assert made is None or f"create or replace {made} " in sent[name], name
        assert materialized != "incremental" or "merge into " in sent[name], name


#: Text that is not sent to BigQuery → where it is sent.
ELSEWHERE: Final = {"UPDATE job SET state = 'failed' WHERE state = 'running'": "Airflow's own database, on SQLite"}

#: What a text begins with that is SQL of ours.
SQL: Final = re.compile(
    r"\s*(SELECT|WITH|INSERT|UPDATE|DELETE|MERGE|TRUNCATE|CREATE|ALTER|DROP|DECLARE|BEGIN|CALL|EXPORT|LOAD)\s"
)


def texts(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The SQL in a module, by its line: what stands between the places that are filled in."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parts = {id(value) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for value in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(v.value) if isinstance(v, ast.Constant) else "\0" for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            text = re.sub(r"\{\w+\}", "\0", node.value)
        else:
            continue
        if SQL.match(text):
            yield node.lineno, text.strip().split("\0")


def is_part_of(pieces: list[str], sql: str) -> bool:
    """Whether a statement has the pieces from the beginning of a line to the end of one, and no other's in between."""
    first, *more = map(re.escape, pieces)
    between = "".join(f"(?>[^;]*?{piece})" for piece in more[:-1])
    last = f"[^;]*?{more[-1]}" if more else ""
    return re.search(rf"^[\s(]*{first}{between}{last}[\s);]*$", sql, re.MULTILINE) is not None


def test_each_text_of_sql_in_the_code_is_among_them(statements: list[Statement]) -> None:
    """So none that is added later is left out: what sends it has to be done above."""
    found = [
        (path, line, pieces)
        for folder in ("plugins", "local", "dags")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, pieces in texts(path)
    ]
    assert len(found) > 20
    left_out = {
        "".join(pieces): f"{path.relative_to(ROOT)}:{line}"
        for path, line, pieces in found
        if not any(is_part_of(pieces, statement.text) for statement in statements)
    }
    assert left_out.keys() == ELSEWHERE.keys(), left_out


def pages() -> list[Path]:
    return [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def documented() -> Iterator[tuple[Path, str]]:
    """The SQL that the documentation has readers send."""
    for path in pages():
        text = path.read_text(encoding="utf-8")
        for block in re.findall(r"^ *```sql\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
            yield path, block
        for _, sql in re.findall(r"""(?:\bSQL=|\bbq query [-\w= ]*)(["'])(.*?)(?<!\\)\1""", text, re.DOTALL):
            if "…" not in sql:
                yield path, sql.replace("\\`", "`")


def test_the_sql_of_the_documentation_is_accepted(house: TestWarehouse, analyzer: Analyzer, refused: list[str]) -> None:
    """After the statements of the pipeline, some of which make what the documentation asks."""
    assert refused == []
    found = list(documented())
    markers = r"\bSQL=[\"'](?!(?:SELECT )?…)|\bbq query\b|```sql"
    assert len(found) == sum(len(re.findall(markers, path.read_text(encoding="utf-8"))) for path in pages())
    for path, sql in found:
        prefixed = re.sub(r"\b((?:odre|energy)(?:_\w+)?)\.(?=`?\w+)", rf"{house.prefix}\1.", sql)
        prefixed = prefixed.replace("region-eu", f"region-{house.settings.location.lower()}")
        try:
            analyzer.judge(prefixed)
        except Refused as error:
            pytest.fail(f"{path.relative_to(ROOT)}: {error}")


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("select * replace (max(a) over () as a) from {t}", "Cannot use analytic functions inside SELECT . REPLACE"),
        ("select b, round(sum(a)) as a from {t} group by b having countif(a is null) = 0", "Aggregations of aggregat"),
        ("with a as (select * from {t}) select a from a union all select a from {t}", "incompatible types: STRUCT"),
        ("select t.a as t from {t} as t group by t.a", "Cannot GROUP BY field references from SELECT list alias t"),
        ("select a, c from {t}", "Unrecognized name: c"),
        ("select a, count(*) from {t}", "neither grouped nor aggregated"),
        ("select a from {t} union all select b from {t}", "incompatible types"),
        ("select a + b from {t}", "No matching signature for operator"),
        ("select a as x, x + 1 as y from {t}", "Unrecognized name: x"),
        ("select count(*) filter (where a > 0) from {t}", "Syntax error|not supported"),
        ("select greatest_of(a) from {t}", "Function not found"),
        ("insert into {t} (a) select b from {t}", "has type STRING which cannot be inserted"),
        ("create table {t}_2 (a int64, b string) as select b, a from {t}", "cannot be"),
        ("select 1 from {t} where b = @first", "No matching signature for operator ="),
        ("declare until date default (select max(b) from {t}); select 1", "until is declared as"),
        ("begin transaction; delete from {t} where c = 1; commit transaction;", "Unrecognized name: c"),
        ("if (select max(a) from {t}) then select 1; end if;", "IF"),
        ("select 1 from {t}_3", "Table not found"),
        ("create or replace view {t} as select a, 1 as b from {t}", r"than its contract has: \['b'\]"),
        ("create or replace view {t} as select a, b, a as c from {t}", r"than its contract has: \['c'\]"),
    ],
)
def test_what_bigquery_refuses_is_refused(analyzer: Analyzer, sql: str, reason: str) -> None:
    analyzer.declare("odre-local.one.items", {"a": "INT64", "b": "STRING"})
    with pytest.raises(Refused, match=reason):
        analyzer.judge(sql.replace("{t}", "one.items"), {"first": "DATE"})


def test_what_bigquery_accepts_is_accepted(analyzer: Analyzer) -> None:
    """Names quoted as a whole, a column before a variable of its name, ``MAX_BY``, quotes in comments and texts."""
    analyzer.declare("odre-local.one.items", {"a": "INT64", "b": "STRING"})
    columns = analyzer.judge("""\
declare a, c date default current_date();
-- A comment with a ` and a '.
select max_by(b, a) as b, max(a) as a, max(c) as c, 'from `one.other`' as text from `odre-local.one.items`;
""")
    assert columns == {
        **{name: analyzer.judge(f"select {name} from one.items")[name] for name in ("b", "a")},
        **{
            name: analyzer.judge(f"select {value} as v")["v"]
            for name, value in (("c", "current_date()"), ("text", "''"))
        },
    }
