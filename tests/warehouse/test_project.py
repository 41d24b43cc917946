"""The dbt project against the contracts and the documents; no warehouse is asked."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from dbt.cli.main import dbtRunner

from local import __main__ as commands
from local import environments
from odre import warehouse
from odre.contracts import Contract, read_contracts
from odre.settings import Settings
from tests.warehouse.support import DBT_PROJECT, MARTS, ROOT, seeded

#: Every column of the original's one mart, ``daily_merged``.
SEED_COLUMNS = set(
    re.findall(
        r"\w+",
        """
        date_mix TMoydegC temperature_category TauxdeCO2gkWh top_source top_foreign_buyer stock_gaz
        FioulMW CharbonMW GazMW NucleaireMW EolienMW SolaireMW HydrauliqueMW PompageMW BioenergiesMW EchphysiquesMW
        EchcommAngleterreMW EchcommEspagneMW EchcommItalieMW EchcommSuisseMW EchcommAllemagneBelgiqueMW
        FioulTACMW FioulCogenerationMW FioulAutresMW GazTACMW GazCogenerationMW GazCCGMW GazAutresMW
        HydrauliqueFildeleauecluseeMW HydrauliqueLacsMW HydrauliqueSTEPturbinageMW
        BioenergiesDechetsMW BioenergiesBiomasseMW BioenergiesBiogazMW
        EolienterrestreMW EolienoffshoreMW StockagebatterieMW DestockagebatterieMW
        """,
    )
)

UNITS = {
    "_mw": "MW",
    "_mwh": "MWh",
    "_gwh": "GWh",
    "_pct": "%",
    "_c": "°C",
    "_hours": ", h",
    "_minutes": "minutes",
    "_g_per_kwh": "gCO2/kWh",
    "degree_days": "°C·day",
}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """dbt's manifest of the project, for datasets behind a prefix."""
    target = tmp_path_factory.mktemp("parse")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATASET_PREFIX", "anna_")
        patch.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "False")
        places = ["--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)]
        places += ["--target-path", str(target), "--log-path", str(target)]
        done = dbtRunner().invoke(["--quiet", "parse", *places])
    assert done.success, done.exception
    made: dict[str, Any] = json.loads((target / "manifest.json").read_text())
    return made


def models(manifest: dict[str, Any]) -> dict[str, Any]:
    return {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}


@pytest.mark.parametrize("contract", read_contracts().values(), ids=lambda contract: contract.dataset)
def test_sources_are_the_contracts(manifest: dict[str, Any], contract: Contract) -> None:
    source = manifest["sources"][f"source.energy.odre.{contract.table}"]
    described = {column["name"]: column["description"] for column in source["columns"].values()}
    lineage = {name: described.pop(name) for name in ("_loaded_at", "_run_id")}
    assert all(lineage.values())
    assert list(described) == [column.name for column in contract.columns]
    assert described == {column.name: column.full_description for column in contract.columns}
    assert source["freshness"]["error_after"] == {"count": contract.freshness_hours, "period": "hour"}
    assert source["loaded_at_query"] == f"{{{{ last_load('{contract.dataset}') }}}}"
    assert contract.title in source["description"]


def test_every_contract_has_a_source_and_only_they(manifest: dict[str, Any]) -> None:
    tables = {
        source["name"]: source["description"]
        for source in manifest["sources"].values()
        if source["source_name"] == "odre"
    }
    earlier = {name: text for name, text in tables.items() if name.endswith("_replaced")}
    assert set(tables) - set(earlier) == {contract.table for contract in read_contracts().values()}
    made = {
        table.name: table.description
        for table in warehouse.tables(read_contracts().values(), Settings.from_environment({}))
    }
    assert earlier
    assert earlier.items() <= made.items()


def test_datasets_follow_the_prefix(manifest: dict[str, Any]) -> None:
    """Exact names behind it: dbt's own habit would be to put one behind the other."""
    assert {model["schema"] for name, model in models(manifest).items() if name in MARTS} == {"anna_energy"}
    rest = [node for node in manifest["nodes"].values() if node["resource_type"] in ("model", "seed")]
    assert {node["schema"] for node in rest if node["fqn"][1] == "operations"} == {"anna_energy_ops"}
    rest = [node for node in rest if node["name"] not in MARTS and node["fqn"][1] != "operations"]
    assert {node["schema"] for node in rest} == {"anna_energy_staging"}
    assert {source["schema"] for source in manifest["sources"].values()} == {"anna_odre_raw", "anna_energy_ops"}


@pytest.mark.parametrize("mart", MARTS)
def test_marts_are_contracts_with_units(manifest: dict[str, Any], mart: str) -> None:
    model = models(manifest)[mart]
    assert model["contract"]["enforced"]
    assert model["config"]["persist_docs"] == {"relation": True, "columns": True}
    for name, column in model["columns"].items():
        assert column["data_type"], name
        assert len(column["description"]) > 10, name
        for ending, unit in UNITS.items():
            if name.endswith(ending):
                assert unit in column["description"], f"{name}: {column['description']} lacks its unit, {unit}"


def test_there_is_no_mart_that_these_tests_do_not_know(manifest: dict[str, Any]) -> None:
    assert {name for name, model in models(manifest).items() if model["fqn"][1] == "marts"} == set(MARTS)


def test_somebody_reads_each_mart(manifest: dict[str, Any]) -> None:
    """Lineage ends with people: a mart leads to an exposure, if not itself then through another."""
    read: set[str] = set()
    frontier = list(manifest["exposures"])
    while frontier:
        parents = manifest["parent_map"].get(frontier.pop(), ())
        frontier += [parent for parent in parents if parent not in read]
        read.update(parents)
    assert {f"model.energy.{mart}" for mart in MARTS} <= read


def test_every_model_and_column_is_described(manifest: dict[str, Any]) -> None:
    for name, model in models(manifest).items():
        assert model["description"], name
        assert model["columns"], name
        assert all(column["description"] for column in model["columns"].values()), name


def test_every_calculation_has_a_unit_test(manifest: dict[str, Any]) -> None:
    """Staging renames, and power_steps is what int_power_steps calculates; everything else calculates."""
    tested = {test["model"] for test in manifest["unit_tests"].values()}
    calculating = {name for name in models(manifest) if not name.startswith("stg_")} - {"power_steps"}
    assert tested == calculating


def test_each_source_reaches_the_joined_mart(manifest: dict[str, Any]) -> None:
    """So that whichever DAG runs, energy_climate_daily is built with all that it needs."""

    def descendants(node: str) -> set[str]:
        children = set(manifest["child_map"].get(node, ()))
        return children.union(*(descendants(child) for child in children))

    for contract in read_contracts().values():
        assert "model.energy.energy_climate_daily" in descendants(f"source.energy.odre.{contract.table}")


def test_the_seed_knows_each_technology(manifest: dict[str, Any]) -> None:
    macro = manifest["macros"]["macro.energy.technologies"]["macro_sql"]
    assert re.findall(r"'(\w+)'", macro) == [row["technology"] for row in seeded("technologies")]


def mapped(path: Path) -> dict[str, list[str]]:
    """Column of the original → ``mart.column`` that it became, from the document's tables."""
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {original: re.findall(r"`(\w+\.\w+)`", ours) for original, ours in rows}


def test_each_column_of_the_original_has_a_place(manifest: dict[str, Any]) -> None:
    found = mapped(ROOT / "docs" / "from-the-seed.md")
    assert len(SEED_COLUMNS) == 39
    assert set(found) >= SEED_COLUMNS
    assert all(found[column] for column in SEED_COLUMNS)
    marts = {name: set(model["columns"]) for name, model in models(manifest).items() if name in MARTS}
    for original, ours in found.items():
        for reference in ours:
            mart, column = reference.split(".")
            assert column in marts.get(mart, set()), f"{original} is said to be {reference}, which is no column"


def test_the_technologies_named_for_the_original_exist() -> None:
    text = (ROOT / "docs" / "from-the-seed.md").read_text(encoding="utf-8")
    assert set(re.findall(r"Row `(\w+)`", text)) == {row["technology"] for row in seeded("technologies")}


def test_the_data_dictionary_is_the_contracts(manifest: dict[str, Any]) -> None:
    text = (ROOT / "docs" / "data-dictionary.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    for mart in MARTS:
        rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*) \|$", sections[mart], re.MULTILINE)
        assert rows == [
            (column["name"], column["data_type"].upper(), column["description"])
            for column in models(manifest)[mart]["columns"].values()
        ]


def test_the_documentation_is_one_file_that_asks_nobody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a warehouse, too: the marts with their columns, and the lineage up to who reads them."""
    monkeypatch.setattr(commands, "LOCAL", tmp_path)
    monkeypatch.setattr(environments, "ensure_airflow", lambda: Path(sys.executable))
    monkeypatch.delenv("DATA", raising=False)
    assert commands.docs() == 0
    page = Path(capsys.readouterr().out.split()[-1])
    text = page.read_text(encoding="utf-8")
    assert page.is_relative_to(tmp_path)
    assert all(f"model.energy.{mart}" in text for mart in MARTS)
    assert all(f"exposure.energy.{reader}" in text for reader in ("queries", "answers"))
    assert re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=.?(?:https?:)?//[^> ]*", text) == []
