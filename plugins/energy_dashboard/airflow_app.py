"""The dashboard in Airflow: its app, made at the first request, with Airflow's login and connections."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from odre.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from energy_dashboard.dashboard import Dashboard

#: Where the app is mounted.
PREFIX: Final = "/energy-dashboard"

#: Bytes that one query may read: the marts are small, and a query that wants more is a mistake.
MAXIMUM_BYTES_BILLED: Final = 200 * 2**20


def dashboard(settings: Settings, gcp_conn_id: str) -> Dashboard:
    """The dashboard on the warehouse that an Airflow connection leads to."""
    from airflow.sdk import Connection

    from energy_dashboard.dashboard import Dashboard
    from energy_dashboard.marts import Marts
    from odre.contracts import read_contracts
    from odre.hooks import OdreHook, WarehouseHook

    return Dashboard(
        settings,
        Marts(lambda: WarehouseHook(settings, gcp_conn_id).client, MAXIMUM_BYTES_BILLED),
        stale_after_hours={contract.dataset: contract.freshness_hours for contract in read_contracts().values()},
        is_sample=lambda: bool(Connection.get(OdreHook.default_conn_name).extra_dejson.get("generated")),
    )


@cache
def _app() -> FastAPI:
    from airflow.api_fastapi.core_api.security import requires_authenticated

    from energy_dashboard.routes import create_app

    settings = Settings.from_environment()
    return create_app(dashboard(settings, "google_cloud_default"), requires_authenticated())


async def app(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """The app: every process of Airflow reads plugins, and only its API server has a use for FastAPI's imports."""
    await _app()(scope, receive, send)
