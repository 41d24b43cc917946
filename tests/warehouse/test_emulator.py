"""What the emulator says of its catalogue: `emulators/bigquery` has it read in another way, and remembered."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from google.api_core.exceptions import Conflict, GoogleAPICallError, NotFound

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


def test_the_catalogue_follows_every_change(catalogue: TestWarehouse) -> None:
    """It is asked after each, so that an answer which was remembered too long is seen."""
    client, table = catalogue.client, f"{DATASET}.changing"

    def columns() -> list[str]:
        return [field.name for field in client.get_table(table).schema]

    for _ in range(2):
        client.query(f"create table {table} as select 1 as one").result()
        assert (columns(), client.get_table(table).num_rows) == (["one"], 1)
        client.query(f"alter table {table} add column two int64").result()
        client.query(f"insert into {table} values (3, 4), (5, 6)").result()
        assert (columns(), client.get_table(table).num_rows) == (["one", "two"], 3)
        assert [row.two for row in client.query(f"select * from {table} where two > 4").result()] == [6]
        client.query(f"create or replace table {table} as select 'a' as three").result()
        assert (columns(), client.get_table(table).num_rows) == (["three"], 1)
        described = client.get_table(table)
        described.description = "changed"
        client.update_table(described, ["description"])
        assert client.get_table(table).description == "changed"
        client.query(f"drop table {table}").result()
        with pytest.raises(NotFound):
            client.get_table(table)


def test_a_view_follows_what_it_reads(catalogue: TestWarehouse) -> None:
    client = catalogue.client
    client.query(f"create table {DATASET}.read as select 1 as one").result()
    client.query(f"create view {DATASET}.reads as select * from {DATASET}.read").result()
    for column in ("two", "three"):
        client.query(f"create or replace table {DATASET}.read as select 2.5 as {column}").result()
        client.query(f"create or replace view {DATASET}.reads as select * from {DATASET}.read").result()
        assert [field.name for field in client.get_table(f"{DATASET}.reads").schema] == [column]
        assert [row[column] for row in client.query(f"select * from {DATASET}.reads").result()] == [2.5]


def test_nodes_of_the_emulator_alone(catalogue: TestWarehouse) -> None:
    """What it has added to the parsed statements, whose classes are compiled."""
    client = catalogue.client
    numbers = "select n from unnest([1, 2, 3]) as n where n <= last"
    client.query(f"create table function {DATASET}.up_to(last int64) as {numbers}").result()
    assert [row.n for row in client.query(f"select n from {DATASET}.up_to(2) order by n").result()] == [1, 2]
    client.query(f"create table {DATASET}.keyed (id int64, primary key (id) not enforced)").result()
    assert client.get_table(f"{DATASET}.keyed").table_constraints.primary_key.columns == ["id"]
    client.query(f"alter table {DATASET}.keyed alter column id set options (description = 'the key')").result()
    assert client.get_table(f"{DATASET}.keyed").schema[0].description == "the key"
    client.query(f"alter table {DATASET}.keyed drop primary key").result()
    constraints = client.get_table(f"{DATASET}.keyed").table_constraints
    assert constraints is None or constraints.primary_key is None


def test_a_job_is_known_from_its_beginning_to_its_removal(catalogue: TestWarehouse) -> None:
    client = catalogue.client
    begun = datetime.now(UTC) - timedelta(seconds=2)
    jobs = [client.query(f"select {number} as one") for number in range(3)]
    for job in jobs:
        assert client.get_job(job.job_id).state in ("PENDING", "RUNNING", "DONE")
        with pytest.raises(Conflict):
            client.query("select 2", job_id=job.job_id, job_retry=None, retry=None)
        job.result()
        assert client.get_job(job.job_id).state == "DONE"
    listed = {job.job_id: job.state for job in client.list_jobs(min_creation_time=begun)}
    assert {job.job_id: "DONE" for job in jobs}.items() <= listed.items()
    client.delete_job_metadata(jobs[0].job_id, location=jobs[0].location)
    with pytest.raises(NotFound):
        client.get_job(jobs[0].job_id)
