"""The dashboard in Airflow: its app, made at the first request, with Airflow's login and connections."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from odre.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from energy_dashboard.dashboard import Dashboard

#: Where the app is mounted.
PREFIX: Final = "/energy-dashboard"

#: In the extra of the source's connection: its data are not measured.
GENERATED: Final = "generated"


def dashboard(settings: Settings, asked_by: str | None = None) -> Dashboard:
    """The dashboard on the warehouse that Airflow's connection leads to; ``asked_by`` is a DAG that asks."""
    from energy_dashboard.dashboard import Dashboard
    from odre.hooks import WarehouseHook

    return Dashboard.of(
        settings, lambda: WarehouseHook(settings, settings.dashboard_conn_id).client, _is_sample, asked_by
    )


def _is_sample() -> bool:
    """Whether the source's connection says that its data are generated; one that is not there says nothing."""
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    from odre.hooks import OdreHook

    try:
        return bool(Connection.get(OdreHook.default_conn_name).extra_dejson.get(GENERATED))
    except AirflowNotFoundException:
        return False


@cache
def _app() -> ASGIApp:
    from airflow.api_fastapi.core_api.security import requires_authenticated

    from energy_dashboard.routes import create_app

    return create_app(dashboard(Settings.from_environment()), requires_authenticated())


async def app(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """The app: every process of Airflow reads plugins, and only its API server has a use for FastAPI's imports."""
    await _app()(scope, receive, send)
