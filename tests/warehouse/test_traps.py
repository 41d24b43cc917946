"""What the source does to those who trust it, on rows made by hand: one warehouse, built once."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from energy_dashboard.dashboard import Dashboard
from tests.warehouse.support import (
    CONSOLIDATED,
    GAS,
    REAL_TIME,
    TEMPERATURE,
    DbtFailed,
    NewWarehouse,
    Row,
    TestWarehouse,
    every,
    power_row,
    source_day,
)

POINTS = {
    "Centre": "Storengy",
    "Saline": "Storengy",
    "Sediane": "Storengy",
    "Sediane B": "Storengy",
    "Serene": "Storengy",
    "Teréga": "Teréga",
}
EXCHANGES = tuple(
    f"ech_comm_{border}" for border in ("angleterre", "espagne", "italie", "suisse", "allemagne_belgique")
)
#: 58 GW of production: of a whole day 1,392 GWh, 68.97 % nuclear.
MIX = {
    "nucleaire": 40_000,
    "eolien": 6_000,
    "hydraulique": 8_000,
    "gaz": 3_000,
    "fioul": 100,
    "bioenergies": 900,
    "ech_physiques": -1_000,
}
REGIONS = ("11", "24", "27", "28", "32", "44", "52", "53", "75", "76", "84", "93", "94")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def gas_rows() -> list[Row]:
    """Three days at 100 GWh a point, rising by 1; Teréga is late on the second, and comes back on the third."""
    return [
        {"date": f"2023-09-0{day}", "stock_fin_de_journee": 99 + day, "source": operator, "pits": point}
        for day in (1, 2, 3)
        for point, operator in POINTS.items()
        if (day, operator) != (2, "Teréga")
    ]


def temperature_rows() -> list[Row]:
    """A day with all regions, a day without Corse, and a label of old; 30 °C in Île-de-France, 10 °C elsewhere."""
    return [
        {
            "date": day,
            "code_insee_region": region,
            "region": "Ile-de-France" if region == "11" else "Ailleurs",
            "tmin": 0,
            "tmax": 40,
            "tmoy": 30 if region == "11" else 10,
        }
        for day in ("2023-08-30", "2023-08-31")
        for region in REGIONS
        if (day, region) != ("2023-08-31", "94")
    ]


@pytest.fixture(scope="module")
def small(new_warehouse: NewWarehouse) -> TestWarehouse:
    """All traps in one warehouse, after a build on empty tables that must not fail either."""
    warehouse = new_warehouse()
    warehouse.dbt("build", "--exclude-resource-type", "unit_test")
    # These say of each question that there is not enough data.
    assert {mart for mart, (rows, _) in warehouse.state().items() if rows} == {
        "answers",
        "relationships",
        "thermosensitivity",
    }
    # Consolidated until 2022-01-01 00:30 UTC; the quarter-hours and all of the day after hold forecasts only.
    consolidated = [
        power_row(
            instant,
            1000 if instant.minute in (0, 30) and instant < at("2022-01-01 01:00") else None,
            "Données définitives",
            prevision_j=900,
            **dict.fromkeys(EXCHANGES, 0),
        )
        for instant in every(15, at("2021-12-31 23:00"), at("2022-01-02 23:00"))
    ]
    # Real time of the same days, as it was fetched before consolidation.
    real_time = [
        power_row(
            instant,
            2000,
            nucleaire=2360,
            pompage=-300,
            ech_physiques=-60,
            **(dict.fromkeys(EXCHANGES, 0) | {"ech_comm_espagne": -80} if instant.minute in (0, 30) else {}),
            stockage_batterie="ND",
            eolien_offshore="ND",
        )
        for instant in every(15, at("2021-12-31 23:00"), at("2022-01-01 23:00"))
    ]
    # Two equal days, but that the second has no nuclear from 06:00 to 12:15 in Paris.
    real_time += [
        power_row(instant, 57_000, **MIX, taux_co2=30)
        if not at("2022-02-02 05:00") <= instant < at("2022-02-02 11:15")
        else power_row(instant, 57_000, **{**MIX, "nucleaire": None}, taux_co2=30)
        for instant in every(15, at("2022-01-31 23:00"), at("2022-02-02 23:00"))
    ]
    real_time += source_day(date(2022, 3, 27), 3000)
    real_time += source_day(date(2022, 10, 30), 3000)
    # The last measures, and what is announced after them: exchanges ahead, then empty rows.
    real_time += [
        power_row(instant, 4000, nucleaire=4000, ech_comm_italie=400 if instant.minute in (0, 30) else None)
        for instant in every(15, at("2022-11-01 10:00"), at("2022-11-01 11:15"))
    ]
    real_time += [
        power_row(instant, None, ech_comm_italie=400 if instant.minute in (0, 30) else None, prevision_j=1)
        for instant in every(15, at("2022-11-01 11:15"), at("2022-11-02 23:00"))
    ]
    for dataset, rows in (
        (CONSOLIDATED, consolidated),
        (REAL_TIME, real_time),
        (GAS, gas_rows()),
        (TEMPERATURE, temperature_rows()),
    ):
        warehouse.land(dataset, rows)
    warehouse.dbt("build", "--exclude-resource-type", "unit_test")
    return warehouse


def mix(warehouse: TestWarehouse, day: str, source: str = "nuclear") -> Any:
    (row,) = warehouse.query(
        "select energy_mwh, measured_hours, expected_hours, is_complete from {marts}.energy_mix_daily"
        f" where day = '{day}' and source = '{source}'"
    )
    return row


def test_rows_without_a_measure_do_not_move_the_switch(small: TestWarehouse) -> None:
    steps = small.query(
        "select instant, step_minutes, consumption_mw from {marts}.power_steps"
        " where day = '2022-01-01' order by instant limit 6"
    )
    assert steps == [
        (at("2021-12-31 23:00"), 30, 1000),
        (at("2021-12-31 23:30"), 30, 1000),
        (at("2022-01-01 00:00"), 30, 1000),
        (at("2022-01-01 00:30"), 30, 1000),
        (at("2022-01-01 01:00"), 15, 2000),
        (at("2022-01-01 01:15"), 15, 2000),
    ]


def test_energy_across_the_switch(small: TestWarehouse) -> None:
    """Two hours at 1000 MW and 22 at 2000: neither twice nor a gap."""
    assert small.query("select consumption_mwh from {marts}.energy_climate_daily where day = '2022-01-01'") == [
        (2 * 1000 + 22 * 2000,)
    ]


def test_the_day_in_march_has_23_hours_and_is_complete(small: TestWarehouse) -> None:
    """The four rows of 02:xx do not exist and share their instant with 03:xx: counted, they would make 24."""
    assert mix(small, "2022-03-27") == (23 * 3000, 23, 23, True)


def test_the_day_in_october_lacks_an_hour_for_ever(small: TestWarehouse) -> None:
    assert mix(small, "2022-10-30") == (24 * 3000, 24, 25, False)


def test_rows_to_come_are_not_measures(small: TestWarehouse) -> None:
    assert mix(small, "2022-11-01") == (1.25 * 4000, 1.25, 24, False)
    assert small.value("select count(*) from {marts}.power_steps where day >= '2022-11-02'") == 0


def test_exchanges_hold_up_to_the_last_measure(small: TestWarehouse) -> None:
    """10:00 to 11:15: five quarters of an hour, though the value is announced for hours to come."""
    assert small.query(
        "select import_italy_mwh, export_italy_mwh, import_spain_mwh, top_export_destination"
        " from {marts}.energy_climate_daily where day = '2022-11-01'"
    ) == [(500, 0, None, None)]


def test_signs_and_absent_figures(small: TestWarehouse) -> None:
    """Pumping and exports as the source signs them; `ND` is null, not zero; the export goes to whom it goes to."""
    assert small.query(
        "select pumping_mwh, physical_exchange_mwh, export_spain_mwh, import_spain_mwh, battery_charge_mwh,"
        " top_source, top_export_destination from {marts}.energy_climate_daily where day = '2022-01-01'"
    ) == [(-300 * 22, -60 * 22, 80 * 22, 0, None, "nuclear", "spain")]
    assert small.query(
        "select energy_mwh, share_pct, measured_hours from {marts}.energy_mix_detail_daily"
        " where day = '2022-01-01' and technology = 'wind_offshore'"
    ) == [(None, None, 0)]


def test_no_figure_is_made_of_what_happens_to_be_there(small: TestWarehouse) -> None:
    """Where a production is unknown, so are the sum, the shares, the greatest source and CO2; the day is incomplete."""
    shares = "select source, energy_mwh, share_pct, is_complete from {marts}.energy_mix_daily where day = '2022-02-0%d'"
    for day, expected in (
        (1, {"nuclear": (960_000, 68.97, True), "wind": (144_000, 10.34, True), "hydro": (192_000, 13.79, True)}),
        (2, {"nuclear": (None, None, False), "wind": (144_000, None, False), "hydro": (192_000, None, False)}),
    ):
        found = {source: rest for source, *rest in small.query(shares % day)}
        for source, (energy, share, is_complete) in expected.items():
            assert found[source][0] == energy, (day, source)
            assert (found[source][1] and round(found[source][1], 2)) == share, (day, source)
            assert found[source][2] is is_complete, (day, source)
    assert small.query(
        "select electricity_is_complete, top_source, co2_g_per_kwh, consumption_mwh, nuclear_mwh"
        " from {marts}.energy_climate_daily where day between '2022-02-01' and '2022-02-02' order by day"
    ) == [(True, "nuclear", 30, 1_368_000, 960_000), (False, None, None, 1_368_000, None)]
    assert small.query(
        "select production_gwh, co2_tonnes from {marts}.looker_days"
        " where day between '2022-02-01' and '2022-02-02' order by day"
    ) == [(1_392, 41_760), (None, None)]
    # Neither the day's other figures nor those of periods count it.
    assert small.query(
        "select series, count(*) from {staging}.int_daily_series where day between '2022-02-01' and '2022-02-02'"
        " and series in ('nuclear_mwh', 'wind_mwh') group by 1 order by 1"
    ) == [("nuclear_mwh", 1), ("wind_mwh", 1)]
    assert small.query(
        "select source, energy_mwh, measured_hours from {marts}.energy_mix_period"
        " where period = '2022-02' and source in ('nuclear', 'wind') order by 1"
    ) == [("nuclear", 960_000, 24), ("wind", 144_000, 24)]


def test_the_dashboard_has_no_share_where_a_production_is_unknown(small: TestWarehouse) -> None:
    dashboard = Dashboard.of(small.settings, lambda: small.client, lambda: True)
    dashboard.marts.timeout_s = 60
    made = json.loads(dashboard.answer("2022-02-01_2022-02-02").body)
    assert made["daily"]["production_mwh"] == [1_392_000, None]
    assert (made["shares"]["production_mwh"], made["shares"]["top_source"]) == (1_392_000, "nuclear")
    assert made["totals"]["share_pct"][:3] == [68.966, 13.793, 10.345]
    hourly = made["hourly"]
    unknown = [n for n, energy in enumerate(hourly["nuclear_mwh"]) if energy is None]
    assert [hourly["instant"][n] for n in unknown] == [f"2022-02-02T{hour:02}:00:00Z" for hour in range(5, 12)]
    assert set(hourly["wind_mwh"]) == {6_000}


def test_a_measured_step_that_lacks_a_production_breaks_the_balance(small: TestWarehouse) -> None:
    """The 25 quarters of an hour without nuclear, where all other steps are balanced."""
    with pytest.raises(DbtFailed, match="power_steps_balance: Got 25 results"):
        small.dbt("test", "--select", "power_steps_balance", "--warn-error-options", '{"error": "all"}')


def test_every_technology_has_a_row(small: TestWarehouse) -> None:
    """Also those that the source does not have that day: a technology that the seed lacked would vanish."""
    assert small.query(
        "select count(*), count(distinct technology) from {marts}.energy_mix_detail_daily where day = '2022-01-01'"
    ) == [(15, 15)]


def test_a_late_operator_leaves_no_national_row(small: TestWarehouse) -> None:
    """And no flow on the day after: the points keep theirs."""
    assert small.query(
        "select day, stock_gwh, flow_gwh from {marts}.gas_stock_daily where storage_point = 'France' order by day"
    ) == [(date(2023, 9, 1), 600, None), (date(2023, 9, 3), 612, None)]
    assert small.query(
        "select day, flow_gwh from {marts}.gas_stock_daily where storage_point = 'Saline' order by day"
    ) == [(date(2023, 9, 1), None), (date(2023, 9, 2), 1), (date(2023, 9, 3), 1)]
    assert small.query(
        "select day, flow_gwh from {marts}.gas_stock_daily where storage_point = 'Teréga' order by day"
    ) == [(date(2023, 9, 1), None), (date(2023, 9, 3), None)]


def test_temperature_needs_every_region_and_weighs_people(small: TestWarehouse) -> None:
    inhabitants = 65_505_213
    ((day, mean),) = small.query("select day, temperature_mean_c from {marts}.temperature_daily")
    assert day == date(2023, 8, 30)
    assert mean == pytest.approx((12_317_279 * 30 + (inhabitants - 12_317_279) * 10) / inhabitants, abs=1e-6)


def test_the_wide_table_agrees_with_the_mix(small: TestWarehouse) -> None:
    assert (
        small.query(
            "select wide.day, wide.nuclear_mwh, mix.energy_mwh from {marts}.energy_climate_daily as wide"
            " full outer join (select * from {marts}.energy_mix_daily where source = 'nuclear') as mix"
            " on wide.day = mix.day"
            " where wide.consumption_mwh is not null and wide.nuclear_mwh is distinct from mix.energy_mwh"
        )
        == []
    )


def test_an_unknown_storage_point_is_a_warning_and_adds_nothing(small: TestWarehouse) -> None:
    before = small.state(["energy_climate_daily"])
    small.land(GAS, [{"date": "2023-09-03", "stock_fin_de_journee": 5000, "source": "Storengy", "pits": "Nouveau"}])
    small.dbt("build", "--select", "stg_odre__gas_stock+", "--exclude-resource-type", "unit_test")
    assert small.state(["energy_climate_daily"]) == before
    assert small.value("select count(*) from {marts}.gas_stock_daily where storage_point = 'Nouveau'") == 1


def test_sources_are_fresh_by_the_ledger(small: TestWarehouse) -> None:
    """Fresh after a load, whatever the age of the rows; stale when the ledger's last load is old."""
    fresh = ["source", "freshness", "--select", "source:odre.eco2mix_national_tr"]
    small.dbt(*fresh)
    later = (datetime.now(UTC) - timedelta(hours=7)).isoformat()
    small.query(f"update {{ops}}.loads set loaded_at = timestamp '{later}' where dataset = '{REAL_TIME}'")
    with pytest.raises(DbtFailed):
        small.dbt(*fresh)
