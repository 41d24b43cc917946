"""Airflow's hooks on the source and on the warehouse's tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from airflow.providers.google.cloud.hooks.bigquery import BigQueryHook
from airflow.sdk import BaseHook
from google.api_core.exceptions import NotFound
from google.cloud import bigquery

from odre.client import OdreClient
from odre.settings import Settings
from odre.warehouse import Table

SCHEMA_RUNBOOK = "docs/runbooks/schema-change.md"


class OdreHook(BaseHook):
    """The portal that an Airflow connection names: its host is the address, its password an optional API key."""

    conn_name_attr = "odre_conn_id"
    default_conn_name = "odre_default"
    conn_type = "http"
    hook_name = "ODRÉ"

    def __init__(self, odre_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.odre_conn_id = odre_conn_id

    def get_conn(self) -> OdreClient:
        """A client of the portal.

        Raises:
            ValueError: the connection names no host.
        """
        connection = self.get_connection(self.odre_conn_id)
        host = connection.host or ""
        if not host:
            raise ValueError(f"The connection {self.odre_conn_id} names no host, such as https://odre.opendatasoft.com")
        if "://" not in host:
            # Written as an address, https://host, the scheme becomes the connection's type.
            by_type = connection.conn_type if connection.conn_type in ("http", "https") else "https"
            host = f"{connection.schema or by_type}://{host}"
        if connection.port:
            host = f"{host}:{connection.port}"
        return OdreClient(host, connection.password or None)


class SchemaRefused(RuntimeError):
    """A table differs from its contract by more than new nullable columns."""


class WarehouseHook(BigQueryHook):
    """BigQuery with what the pipeline asks of it: one-row queries, and tables made from the contracts."""

    def __init__(self, settings: Settings, gcp_conn_id: str = "google_cloud_default") -> None:
        super().__init__(gcp_conn_id=gcp_conn_id, location=settings.location, use_legacy_sql=False)
        self.settings = settings

    @property
    def client(self) -> bigquery.Client:
        """BigQuery's client, in the deployment's project and location."""
        return self.get_client(project_id=self.settings.project, location=self.settings.location)

    def query_row(self, sql: str, parameters: Mapping[str, str | datetime] | None = None) -> dict[str, Any]:
        """The one row that a query gives, by column name.

        Raises:
            ValueError: it gave none, or several.
        """
        types = {str: "STRING", datetime: "TIMESTAMP"}
        config = bigquery.QueryJobConfig(
            query_parameters=[
                bigquery.ScalarQueryParameter(name, types[type(value)], value)
                for name, value in (parameters or {}).items()
            ]
        )
        (row,) = self.client.query_and_wait(sql, job_config=config)
        return dict(row.items())

    def ensure_tables(self, tables: Iterable[Table]) -> None:
        """Creates the tables that are absent and adds their new columns to those that are there.

        Raises:
            SchemaRefused: a table has a column of another type, or has lost one; nothing was changed in it.
        """
        client = self.client
        for table in tables:
            table_id = f"{self.settings.project}.{table.dataset}.{table.name}"
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
                self.log.info("Created %s", table_id)
                continue
            added = _new_columns(table_id, existing.schema, wanted)
            if added:
                existing.schema = [*existing.schema, *added]
                client.update_table(existing, ["schema"])
                self.log.info("Added %s to %s", ", ".join(field.name for field in added), table_id)

    def drop_abandoned(self, dataset: str, older_than: datetime) -> None:
        """Drops the tables of a dataset that were created before an instant."""
        client = self.client
        for item in client.list_tables(f"{self.settings.project}.{dataset}"):
            created = item.created or client.get_table(item.reference).created
            if created and created < older_than:
                client.delete_table(item.reference, not_found_ok=True)
                self.log.warning("Dropped %s, which a run left behind on %s", item.table_id, created)


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
