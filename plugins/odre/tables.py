"""The pipeline's own tables in BigQuery, made from the contracts and widened with them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime

from google.api_core.exceptions import NotFound
from google.cloud import bigquery

from odre.settings import Settings
from odre.warehouse import Table

log = logging.getLogger(__name__)

SCHEMA_RUNBOOK = "docs/runbooks/schema-drift.md"


class SchemaRefused(RuntimeError):
    """A table differs from its contract by more than new nullable columns."""


def ensure_tables(client: bigquery.Client, settings: Settings, tables: Iterable[Table]) -> None:
    """Creates the tables that are absent and adds their new columns to those that are there.

    Raises:
        SchemaRefused: a table has a column of another type, or has lost one; nothing was changed in it.
    """
    for table in tables:
        table_id = f"{settings.project}.{table.dataset}.{table.name}"
        wanted = [bigquery.SchemaField.from_api_repr(dict(field)) for field in table.schema]
        try:
            existing = client.get_table(table_id)
        except NotFound:
            created = bigquery.Table(table_id, schema=wanted)
            created.description = table.description
            created.time_partitioning = bigquery.TimePartitioning(
                type_=bigquery.TimePartitioningType.MONTH, field=table.partition_column
            )
            created.require_partition_filter = table.require_partition_filter
            client.create_table(created, exists_ok=True)
            log.info("Created %s", table_id)
            continue
        added = _new_columns(table_id, existing.schema, wanted)
        if added:
            existing.schema = [*existing.schema, *added]
            client.update_table(existing, ["schema"])
            log.info("Added %s to %s", ", ".join(field.name for field in added), table_id)


def ensure_view(client: bigquery.Client, view_id: str, sql: str) -> None:
    """Creates a view, or replaces one whose query is another."""
    try:
        if client.get_table(view_id).view_query == sql:
            return
    except NotFound:
        pass
    client.query_and_wait(f"CREATE OR REPLACE VIEW `{view_id}` AS\n{sql}")
    log.info("Created the view %s", view_id)


def drop_abandoned(client: bigquery.Client, settings: Settings, older_than: datetime) -> None:
    """Drops the tables of runs that were created before an instant: their runs died before the merge."""
    for item in client.list_tables(f"{settings.project}.{settings.load_dataset}"):
        created = item.created or client.get_table(item.reference).created
        if created and created < older_than:
            client.delete_table(item.reference, not_found_ok=True)
            log.warning("Dropped %s, which a run left behind on %s", item.table_id, created)


def _new_columns(
    table_id: str, existing: Iterable[bigquery.SchemaField], wanted: Iterable[bigquery.SchemaField]
) -> list[bigquery.SchemaField]:
    """The wanted columns that a table lacks, if adding them is all that it takes."""
    present = {field.name: field for field in existing}
    aliases = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
    added, refused = [], []
    for field in wanted:
        there = present.pop(field.name, None)
        if there is None and field.mode == "NULLABLE":
            added.append(field)
        elif there is None:
            refused.append(f"{field.name} is new and required")
        elif aliases.get(there.field_type, there.field_type) != aliases.get(field.field_type, field.field_type):
            refused.append(f"{field.name} is {there.field_type} there and {field.field_type} in the contract")
    refused.extend(f"{name} is not in the contract any more" for name in present)
    if refused:
        raise SchemaRefused(f"{table_id} cannot be widened to its contract: {'; '.join(refused)}. See {SCHEMA_RUNBOOK}")
    return added
