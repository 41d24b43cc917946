"""Google's clients for the commands that run outside of Airflow, and so without its connections.

No Airflow: the environment alone says where they are.
"""

from __future__ import annotations

import os

from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage

from odre.settings import Settings


def bigquery_client(settings: Settings) -> bigquery.Client:
    """The warehouse's: of the emulator at ``BIGQUERY_EMULATOR_HOST``, or of BigQuery as this machine's user."""
    credentials = _credentials("BIGQUERY_EMULATOR_HOST")
    return bigquery.Client(project=settings.project, location=settings.location, credentials=credentials)


def storage_client(settings: Settings) -> storage.Client:
    """The lake's: of the emulator at ``STORAGE_EMULATOR_HOST``, or of Cloud Storage as this machine's user."""
    return storage.Client(project=settings.project, credentials=_credentials("STORAGE_EMULATOR_HOST"))


def _credentials(emulator: str) -> AnonymousCredentials | None:
    # An emulator takes anybody, and there may be no credentials to find.
    return AnonymousCredentials() if os.environ.get(emulator) else None
