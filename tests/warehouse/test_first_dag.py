"""Any DAG may be the first on an empty warehouse: its part of the dbt project builds where nothing else ever was."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest

from odre.contracts import read_contract
from odre.transform import selection
from tests.warehouse.support import (
    CONSOLIDATED,
    FETCHES,
    GAS,
    MARTS,
    REAL_TIME,
    NewWarehouse,
    Row,
    every,
    power_row,
    seeded,
    source_day,
)

DAY = date(2024, 2, 1)


def rows_of(dataset: str) -> list[Row]:
    """A day of a dataset, whole."""
    if dataset == REAL_TIME:
        return source_day(DAY, 50_000)
    if dataset == CONSOLIDATED:
        hour = every(30, datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, 1, tzinfo=UTC))
        return [power_row(instant, 50_000, "Données consolidées", nucleaire=50_000) for instant in hour]
    if dataset == GAS:
        return [
            {"date": DAY, "stock_fin_de_journee": 100, "source": point["operator"], "pits": point["storage_point"]}
            for point in seeded("gas_storage_points")
        ]
    return [
        {"date": DAY, "code_insee_region": region["region_code"], "region": "", "tmin": 0, "tmax": 20, "tmoy": 10}
        for region in seeded("regions")
    ]


@pytest.mark.parametrize(
    ("dag_id", "marts"),
    [
        ("eco2mix_hourly", {"power_steps", "energy_mix_daily", "energy_mix_detail_daily"}),
        ("gas_storage_daily", {"gas_stock_daily"}),
        ("temperature_monthly", {"temperature_daily"}),
    ],
)
def test_a_dag_builds_its_marts_first(new_warehouse: NewWarehouse, dag_id: str, marts: set[str]) -> None:
    datasets = FETCHES[dag_id]
    warehouse = new_warehouse()
    for dataset in datasets:
        warehouse.land(dataset, rows_of(dataset))
    warehouse.dbt("parse")
    manifest = json.loads((warehouse.target / "manifest.json").read_text())
    chosen = selection(manifest, [read_contract(dataset).table for dataset in datasets])
    warehouse.dbt("build", "--exclude-resource-type", "unit_test", "--select", *chosen)
    built = warehouse.state([mart for mart in MARTS if mart in chosen])
    assert {mart for mart, (rows, _) in built.items() if rows} >= {*marts, "energy_climate_daily"}
