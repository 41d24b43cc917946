"""Airflow's hooks on the source and on the warehouse's tables."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow.providers.google.cloud.hooks.bigquery import BigQueryHook
from airflow.sdk import BaseHook
from google.cloud import bigquery

from odre.client import OdreClient
from odre.settings import Settings


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


class WarehouseHook(BigQueryHook):
    """BigQuery in the deployment's project and location, and the one-row queries that the pipeline asks of it."""

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
