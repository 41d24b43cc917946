from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from odre.contracts import (
    ARROW_TYPES,
    SOURCE_TYPES,
    Contract,
    contracts_dir,
    normalise_label,
    read_contract,
    read_contracts,
)

REAL_DATA = Path(os.environ.get("REAL_DATA_DIR", Path(__file__).resolve().parents[3] / "shared" / "data"))
needs_real_data = pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"no real extracts in {REAL_DATA}")
CONTRACTS = read_contracts()
each_contract = pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)


def test_there_is_a_contract_for_each_dataset_and_no_other() -> None:
    assert list(CONTRACTS) == [
        "eco2mix-national-cons-def",
        "eco2mix-national-tr",
        "stock-quotidien-stockages-gaz",
        "temperature-quotidienne-regionale",
    ]
    assert all(contract.dataset == name for name, contract in CONTRACTS.items())


def test_only_the_consolidated_figures_may_be_missing_at_the_source() -> None:
    assert [name for name, contract in CONTRACTS.items() if contract.optional] == ["eco2mix-national-cons-def"]


@each_contract
def test_every_column_that_a_contract_names_is_one_of_its_own(contract: Contract) -> None:
    named = [*contract.key, contract.time_column, contract.measured_column]
    named += [
        name
        for name in (
            contract.local_date_column,
            contract.local_time_column,
            contract.high_water_over,
            contract.lookback_until_column,
        )
        if name is not None
    ]
    assert set(named) <= set(contract.by_name)
    assert all(contract.by_name[name].required for name in named)


@each_contract
def test_rows_are_ordered_by_time_first(contract: Contract) -> None:
    """Conversion reads a stream in the key's order, and windows cut it by time."""
    assert contract.key[0] == contract.time_column
    assert contract.time_type in ("TIMESTAMP", "DATE")


@each_contract
def test_columns_have_known_types_a_meaning_and_a_name_of_their_own(contract: Contract) -> None:
    assert len(contract.by_name) == len(contract.columns)
    for column in contract.columns:
        assert column.type in ARROW_TYPES
        assert column.type in SOURCE_TYPES
        assert re.fullmatch(r"[a-z][a-z0-9_]*", column.name)
        assert column.labels
        assert column.description
    spellings = [normalise_label(text) for column in contract.columns for text in {column.name, *column.labels}]
    assert {contract.by_label[spelling].name for spelling in spellings} == set(contract.by_name)


@each_contract
def test_figures_have_a_unit_and_texts_have_none(contract: Contract) -> None:
    for column in contract.columns:
        assert (column.unit is not None) == (column.type in ("INT64", "FLOAT64"))


@each_contract
def test_both_schemas_are_the_contracts_columns_in_order(contract: Contract) -> None:
    names = [column.name for column in contract.columns]
    assert contract.arrow_schema.names == names
    assert [field["name"] for field in contract.bigquery_schema] == names
    for arrow, bigquery in zip(contract.arrow_schema, contract.bigquery_schema, strict=True):
        assert ARROW_TYPES[bigquery["type"]] == arrow.type
        assert (bigquery["mode"] == "REQUIRED") == (not arrow.nullable) == (arrow.name in contract.key)
        assert bigquery["description"]


def test_instants_are_microseconds_in_utc_and_a_description_names_its_unit() -> None:
    power = CONTRACTS["eco2mix-national-tr"]
    assert power.arrow_schema.field("date_heure").type == pa.timestamp("us", tz="UTC")
    assert power.by_name["gaz"].full_description == "Production from gas, MW"
    assert power.by_name["heure"].full_description == "Civil time in Paris, HH:MM, start of the step"


def test_consolidated_columns_are_the_real_time_ones_less_four() -> None:
    power, definitive = CONTRACTS["eco2mix-national-tr"], CONTRACTS["eco2mix-national-cons-def"]
    assert (len(power.columns), len(definitive.columns)) == (41, 37)
    left_out = set(power.by_name) - set(definitive.by_name)
    assert left_out == {"stockage_batterie", "destockage_batterie", "eolien_terrestre", "eolien_offshore"}
    assert all(definitive.by_name[name] == power.by_name[name] for name in definitive.by_name)
    assert definitive.lookback_until_value == "Données définitives"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ech. comm. Angleterre (MW)", "ech_comm_angleterre"),
        ("Date et Heure", "date_et_heure"),
        ("Énergie", "energie"),
        ("TMin (°C)", "tmin"),
    ],
)
def test_spellings_of_one_label_agree(one: str, other: str) -> None:
    assert normalise_label(one) == normalise_label(other)


def test_two_labels_do_not_become_one() -> None:
    assert normalise_label("Prévision J-1 (MW)") != normalise_label("Prévision J (MW)")


def test_an_unknown_dataset_is_answered_with_those_there_are() -> None:
    with pytest.raises(LookupError, match=r"'eco2mix'.*eco2mix-national-tr, stock-quotidien-stockages-gaz"):
        read_contract("eco2mix")


def test_contracts_may_lie_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = yaml.safe_load((contracts_dir() / "stock-quotidien-stockages-gaz.yaml").read_text(encoding="utf-8"))
    (tmp_path / "gas.yaml").write_text(yaml.safe_dump(spec | {"dataset": "gas", "lookback_days": 9}), encoding="utf-8")
    monkeypatch.setenv("CONTRACTS_DIR", str(tmp_path))
    assert {name: contract.lookback_days for name, contract in read_contracts().items()} == {"gas": 9}


def test_a_folder_without_contracts_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTRACTS_DIR", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="has no contract"):
        read_contracts()
    monkeypatch.setenv("CONTRACTS_DIR", str(tmp_path / "absent"))
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        read_contracts()


def test_every_field_is_explained_where_the_contracts_are() -> None:
    explained = (contracts_dir() / "README.md").read_text(encoding="utf-8")
    for path in contracts_dir().glob("*.yaml"):
        for field in yaml.safe_load(path.read_text(encoding="utf-8")):
            if field not in ("title", "producer"):
                assert f"`{field}`" in explained, f"{field} of {path.name}"


@needs_real_data
@pytest.mark.parametrize(
    ("name", "dataset"),
    [
        ("eco2mix-national-tr.2022-06-01_2022-10-18.csv", "eco2mix-national-tr"),
        ("stock-quotidien-stockages-gaz.2010-11-01_2024-07-31.csv", "stock-quotidien-stockages-gaz"),
        ("temperature-quotidienne-regionale.2016-01-01_2026-02-27.csv", "temperature-quotidienne-regionale"),
        ("forms/eco2mix-national-cons-def.2024-01-01.sample.csv", "eco2mix-national-cons-def"),
    ],
)
def test_the_contract_knows_every_column_of_a_real_extract(name: str, dataset: str) -> None:
    with (REAL_DATA / name).open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file, delimiter=";"))
    assert [CONTRACTS[dataset].by_label[normalise_label(label)].name for label in header] == list(
        CONTRACTS[dataset].by_name
    )


@needs_real_data
def test_the_contract_knows_every_field_of_real_records_and_parquet() -> None:
    records = json.loads((REAL_DATA / "eco2mix-national-tr.2025-08-22.records.json").read_text(encoding="utf-8"))
    assert set(records[0]) == set(CONTRACTS["eco2mix-national-tr"].by_name)
    exported = pq.read_schema(REAL_DATA / "forms" / "temperature-quotidienne-regionale.2016-01-01_2025-10-30.parquet")
    known = CONTRACTS["temperature-quotidienne-regionale"]
    assert {known.by_label[normalise_label(name)].name for name in exported.names} == set(known.by_name)
