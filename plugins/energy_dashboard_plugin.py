"""The dashboard's entry in Airflow's navigation: what is behind it is in ``energy_dashboard``."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from energy_dashboard.airflow_app import PREFIX, app


class EnergyDashboardPlugin(AirflowPlugin):
    """The dashboard."""

    name = "energy_dashboard"
    fastapi_apps = [{"app": app, "url_prefix": PREFIX, "name": "Énergie"}]  # noqa: RUF012 - annotated so in the base
    external_views = [  # noqa: RUF012
        {"name": "Énergie", "href": f"{PREFIX}/", "destination": "nav", "url_route": "energie", "nav_top_level": True}
    ]
