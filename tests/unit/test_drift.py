"""The source's fields against the contract."""

from __future__ import annotations

import pytest

from odre.contracts import Contract
from odre.drift import detect_drift
from odre.quarantine import ContractBroken
from tests.unit.conversions import (
    POWER,
)


def fields_of(contract: Contract) -> dict[str, str]:
    types = {"STRING": "text", "INT64": "int", "FLOAT64": "double", "DATE": "date", "TIMESTAMP": "datetime"}
    return {column.name: types[column.type] for column in contract.columns}


def test_new_and_absent_optional_columns_are_reported() -> None:
    fields = fields_of(POWER) | {"hydrogene": "int"}
    del fields["eolien_offshore"]
    drift = detect_drift(POWER, fields)
    assert (drift.unknown, drift.absent) == (("hydrogene",), ("eolien_offshore",))
    assert drift.columns(POWER) == tuple(name for name in POWER.by_name if name != "eolien_offshore")


def test_numbers_published_as_text_are_no_drift() -> None:
    detect_drift(POWER, fields_of(POWER) | {"ech_comm_italie": "text", "date": "text", "gaz": "double"})


def test_an_absent_required_column_is_refused() -> None:
    fields = fields_of(POWER)
    del fields["consommation"], fields["gaz"]
    with pytest.raises(
        ContractBroken, match=r"eco2mix-national-tr, .* columns are absent: consommation, gaz"
    ) as failure:
        detect_drift(POWER, fields)
    assert str(failure.value).endswith("see docs/runbooks/schema-drift.md")


def test_a_column_retyped_beyond_what_the_contract_casts_is_refused() -> None:
    fields = fields_of(POWER) | {"gaz": "geo_point_2d", "date_heure": "text", "eolien_offshore": "date"}
    with pytest.raises(ContractBroken, match=r"date_heure \(text .*gaz \(geo_point_2d .*eolien_offshore \(date"):
        detect_drift(POWER, fields)
