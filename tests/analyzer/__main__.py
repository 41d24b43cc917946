"""``python -m tests.analyzer``: the compiled models and data tests of dbt, as ``make lint`` judges them.

Their first form alone, and the queries without what dbt writes around them: tests/warehouse/test_analyzer.py judges all
that is sent.
"""

from __future__ import annotations

import json
import sys
from graphlib import TopologicalSorter
from typing import Any

from dbt.cli.main import dbtRunner

from local.basics import LOCAL
from local.stack import DBT_PLACES
from odre.settings import Settings
from tests.analyzer import Analyzer, Refused, of_project


def main() -> int:
    """Compile, judge, and print what is refused."""
    target = LOCAL / "lint" / "analyzer"
    done = dbtRunner().invoke(["--quiet", "compile", *DBT_PLACES, f"--target-path={target}", f"--log-path={target}"])
    if not done.success:
        print(done.exception or "dbt could not compile the project: its message is above")
        return 1
    nodes = json.loads((target / "manifest.json").read_text(encoding="utf-8"))["nodes"]
    refused = refusals(of_project(Settings.from_environment(), nodes.values()), nodes)
    for name, error in refused.items():
        print(f"include/dbt/{nodes[name]['original_file_path']}: {error}")
    return 1 if refused else 0


def refusals(analyzer: Analyzer, nodes: dict[str, Any]) -> dict[str, Refused]:
    """The compiled nodes of a manifest that the analyzer does not accept.

    Where that leaves a table without columns, what reads it is left out: it cannot be judged.
    """
    found: dict[str, Refused] = {}
    unknown: set[str] = set()
    parents = {name: node["depends_on"]["nodes"] for name, node in nodes.items() if "compiled_code" in node}
    for name in TopologicalSorter(parents).static_order():
        if name not in parents:  # a source or a seed
            continue
        node = nodes[name]
        if not unknown.isdisjoint(parents[name]):
            unknown.add(name)
            continue
        try:
            analyzer.judge(_statement(node))
        except Refused as error:
            found[name] = error
            if not node["contract"]["enforced"]:
                unknown.add(name)
    return found


def _statement(node: dict[str, Any]) -> str:
    """What dbt makes of a node's query, in short."""
    query, relation = node["compiled_code"], node["relation_name"]
    if relation is None:  # a test, or inlined into others
        return str(query)
    if node["config"]["materialized"] == "view" or not node["contract"]["enforced"]:
        return f"CREATE OR REPLACE VIEW {relation} AS {query}"
    columns = node["columns"].values()
    types = ", ".join(f"{column['name']} {column['data_type']}" for column in columns)
    names = ", ".join(column["name"] for column in columns)
    return f"CREATE OR REPLACE TABLE {relation} ({types}) AS SELECT {names} FROM (\n{query}\n)"


if __name__ == "__main__":
    sys.exit(main())
