"""What the emulator says of its catalogue, which `emulators/bigquery/corrections.py` has it read in another way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.api_core.exceptions import GoogleAPICallError, NotFound

from tests.warehouse.support import TestWarehouse

DATASET = "emulator_catalogue"
OTHER = "emulator_catalogue_2"


@pytest.fixture(scope="module")
def catalogue(house: TestWarehouse) -> Iterator[TestWarehouse]:
    house.client.query(
        f"""
        create schema {DATASET};
        create schema {OTHER};
        create table {DATASET}.days (day date not null, value float64);
        create table {DATASET}.gone (day date);
        create table {OTHER}.elsewhere (day date);
        insert into {DATASET}.days values ('2025-01-01', 1), ('2025-01-02', 2), ('2025-01-03', null);
        delete from {DATASET}.days where value = 2;
        drop table {DATASET}.gone;
        """
    ).result()
    known = f"select day from {DATASET}.days where value is not null"
    house.client.query(f"create view {DATASET}.known as {known}").result()
    yield house
    for dataset in (DATASET, OTHER):
        house.client.delete_dataset(dataset, delete_contents=True)


def test_a_dataset_lists_its_own_tables_and_views(catalogue: TestWarehouse) -> None:
    listed = {table.table_id: table.table_type for table in catalogue.client.list_tables(DATASET)}
    assert listed == {"days": "TABLE", "known": "VIEW"}


def test_a_table_knows_which_columns_are_required(catalogue: TestWarehouse) -> None:
    table = catalogue.client.get_table(f"{DATASET}.days")
    assert [(field.name, field.mode) for field in table.schema] == [("day", "REQUIRED"), ("value", "NULLABLE")]
    view = catalogue.client.get_table(f"{DATASET}.known")
    assert (view.table_type, [field.name for field in view.schema]) == ("VIEW", ["day"])


@pytest.mark.parametrize("absent", ["gone", "elsewhere", "DAYS"])
def test_what_is_not_in_a_dataset_is_not_found(catalogue: TestWarehouse, absent: str) -> None:
    with pytest.raises(NotFound, match=absent):
        catalogue.client.get_table(f"{DATASET}.{absent}")
    with pytest.raises(NotFound, match=absent):
        catalogue.client.query(f"select * from {DATASET}.{absent}").result()


def test_a_query_sees_the_rows_that_are_left(catalogue: TestWarehouse) -> None:
    job = catalogue.client.query(f"select day, value from {DATASET}.days order by day")
    assert [tuple(row)[1] for row in job.result()] == [1, None]
    assert job.result().total_rows == 2


def test_temporary_tables_are_of_one_script(catalogue: TestWarehouse) -> None:
    script = "create temp table passing as select 1 as one; select one from passing"
    assert [row.one for row in catalogue.client.query(script).result()] == [1]
    with pytest.raises(GoogleAPICallError, match="passing"):
        catalogue.client.query("select one from passing").result()
