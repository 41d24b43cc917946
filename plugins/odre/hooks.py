"""Airflow's hooks on the source and on the warehouse's tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from airflow.providers.google.cloud.hooks.bigquery import BigQueryHook
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowFailException
from google.cloud import bigquery

from odre.address import Address
from odre.client import TIMEOUT, OdreClient
from odre.jobs import query_job
from odre.settings import Settings

#: What a connection's extra may set: the client's option for it (``connect`` and ``read`` are the two of ``timeout``),
#: and its least value. All but the tries are seconds.
PATIENCE: Final = {
    "connect_timeout": ("connect", 0.001),
    "read_timeout": ("read", 0.001),
    "max_tries": ("max_tries", 1),
    "back_off": ("back_off_s", 0),
    "deadline": ("deadline_s", 0.001),
    "grace": ("grace_s", 0.001),
}


class OdreHook(BaseHook):
    """The portal that an Airflow connection names: its host is the address, its password an optional API key.

    Its extra may set how patient requests are (:data:`PATIENCE`), as numbers.
    """

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
            AirflowFailException: the connection names no address, or has an extra that it cannot have.
        """
        connection = self.get_connection(self.odre_conn_id)
        try:
            address = Address.of(
                connection.host,
                conn_type=connection.conn_type,
                schema=connection.schema,
                port=connection.port,
                password=connection.password,
            )
            return OdreClient(address.base_url, address.api_key, **self._patience(connection.extra_dejson))
        except ValueError as error:
            raise AirflowFailException(
                f"The connection {self.odre_conn_id} cannot be used: {error}. "
                "Correct it, then clear the task: see docs/runbooks/source-down.md"
            ) from error

    def _patience(self, extra: Mapping[str, Any]) -> dict[str, Any]:
        """The client's options that a connection's extra sets; what others put there is left alone."""
        options: dict[str, Any] = {}
        for name, (option, least) in PATIENCE.items():
            if name not in extra:
                continue
            try:
                value = float(extra[name])
            except (TypeError, ValueError):
                value = -1.0
            if not least <= value < float("inf"):
                raise ValueError(f"{name} in its extra is {extra[name]!r}, not a number of at least {least}")
            options[option] = value
        if "max_tries" in options:
            options["max_tries"] = int(options["max_tries"])
        connect_s, read_s = options.pop("connect", TIMEOUT[0]), options.pop("read", TIMEOUT[1])
        return {**options, "timeout": (connect_s, read_s)}


class WarehouseHook(BigQueryHook):
    """BigQuery in the deployment's project and location, and the small queries that the pipeline asks of it."""

    def __init__(self, settings: Settings, gcp_conn_id: str = "google_cloud_default") -> None:
        super().__init__(gcp_conn_id=gcp_conn_id, location=settings.location, use_legacy_sql=False)
        self.settings = settings

    @property
    def client(self) -> bigquery.Client:
        """BigQuery's client, in the deployment's project and location."""
        return self.get_client(project_id=self.settings.project, location=self.settings.location)

    def query_row(self, sql: str, labels: dict[str, str], *parameters: dict[str, Any]) -> dict[str, Any]:
        """The one row that a query gives, by column name. Labels and parameters as in :mod:`odre.jobs`.

        Raises:
            ValueError: it gave none, or several.
        """
        (row,) = self.query(sql, labels, *parameters)
        return row

    def query(self, sql: str, labels: dict[str, str], *parameters: dict[str, Any]) -> list[dict[str, Any]]:
        """The rows that a query gives, by column name; none where it is a statement that gives none."""
        job = query_job(sql, self.settings, labels, *parameters)
        rows = self.client.query_and_wait(sql, job_config=bigquery.QueryJobConfig.from_api_repr(job))
        return [dict(row.items()) for row in rows]
