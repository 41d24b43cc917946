"""The task that publishes the dashboard as one file: thin, over the same dashboard that the page shows."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any, Final

from airflow.providers.google.cloud.hooks.gcs import GCSHook
from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from energy_dashboard import build
from energy_dashboard.airflow_app import dashboard
from odre.settings import Settings

#: The period that is published.
PERIOD: Final = "last-365"
#: The file in the lake, behind the lake's prefix.
OBJECT: Final = "dashboard/index.html"

#: The object's metadata: which build and which page it is of.
_EDITION: Final = "edition"


class PublishDashboardOperator(BaseOperator):
    """Writes the dashboard into the lake as one file, unless what is there is of the same build and the same page.

    So a run whose marts were current skips, one whose publication failed is made up for by the next, and the builds of
    other DAGs are published within the hour.
    """

    def __init__(self, *, settings: Settings, gcp_conn_id: str = "google_cloud_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.settings = settings
        self.gcp_conn_id = gcp_conn_id

    def execute(self, context: Context) -> str:
        """Runs the task; the file's address."""
        shown = dashboard(self.settings, asked_by=self.dag_id)
        built_at = shown.built_at
        if built_at is None:
            raise AirflowSkipException("No build of the marts is on record yet: there is nothing to publish.")
        page = hashlib.sha256(build.page("").encode()).hexdigest()[:16]
        edition = f"{built_at.isoformat()} {page}"
        name = f"{self.settings.lake_prefix}{OBJECT}"
        address = f"gs://{self.settings.bucket}/{name}"
        lake = GCSHook(self.gcp_conn_id)
        published = lake.get_conn().bucket(self.settings.bucket).get_blob(name)
        if published and (published.metadata or {}).get(_EDITION) == edition:
            raise AirflowSkipException(f"{address} is of the build of {built_at:%Y-%m-%d %H:%M} UTC already.")
        lake.upload(
            self.settings.bucket,
            name,
            data=build.single_file(shown.answer(PERIOD).body),
            mime_type="text/html",
            metadata={_EDITION: edition},
            cache_control="no-cache",
        )
        self.log.info("%s: the build of %s UTC, %s", address, built_at, PERIOD)
        return address


def publish_dashboard(settings: Settings) -> PublishDashboardOperator:
    """The task of it. A teardown to Airflow: it does not count for how the run went, which is about the data."""
    task = PublishDashboardOperator(
        task_id="publish_dashboard", settings=settings, retries=1, execution_timeout=timedelta(minutes=10)
    )
    task.as_teardown(on_failure_fail_dagrun=False)
    return task
