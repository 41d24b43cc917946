"""What the estimate of bytes makes of a query: one for each way in which a table is bounded, or named."""

from __future__ import annotations

from datetime import date

import pytest

from tests.warehouse.cost import VALUE, Partitioned, bytes_read

#: 10, 20 and 40 rows in three months; three columns.
STEPS = Partitioned(
    {date(2024, 1, 1): 10, date(2024, 2, 1): 20, date(2024, 3, 1): 40}, ("instant", "consumption_mw", "nuclear_mw")
)
TABLES = {"raw.steps": STEPS, "marts.steps": STEPS}

#: Query, and values that it reads.
QUERIES = {
    "range": (
        """select consumption_mw from `p`.`raw`.`steps`
        where instant >= timestamp '2024-01-31 23:00:00+00' and instant < timestamp '2024-02-29 23:00:00+00'""",
        (10 + 20) * 2,
    ),
    "open": ("select consumption_mw from `p.raw.steps` as s where s.instant >= timestamp '2024-03-01'", 40 * 2),
    "unbounded": ("select sum(nuclear_mw) from `p`.`raw`.`steps`", (10 + 20 + 40) * 1),
    "merge": (
        """merge into `p`.`marts`.`steps` as DBT_INTERNAL_DEST
        using (select * from `p`.`raw`.`steps` where instant >= timestamp '2024-03-01') as DBT_INTERNAL_SOURCE
        on false when not matched by source and DBT_INTERNAL_DEST.instant >= timestamp '2024-02-10'
        and DBT_INTERNAL_DEST.instant < timestamp '2024-02-20' then delete""",
        20 * 1 + 40 * 3,
    ),
    "view": ("create or replace view `p`.`marts`.`view` as select * from `p`.`raw`.`steps`", 0),
}


@pytest.mark.parametrize("query", QUERIES)
def test_what_is_read_is_what_the_bounds_leave_of_the_columns_named(query: str) -> None:
    sql, values = QUERIES[query]
    assert bytes_read(sql, TABLES) == VALUE * values


@pytest.mark.parametrize("name", ["p.raw.steps", "raw.steps", "p.`raw`.steps"])
def test_a_table_whose_name_is_not_understood_is_no_free_one(name: str) -> None:
    with pytest.raises(ValueError, match=r"raw\.steps"):
        bytes_read(f"select consumption_mw from {name}", TABLES)
