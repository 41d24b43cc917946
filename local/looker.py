"""The link that opens a new report of Looker Studio on the marts in BigQuery."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from odre.settings import Settings

CREATE: Final = "https://lookerstudio.google.com/reporting/create"

#: The view that the report begins with: a blank report takes one data source, which it calls so.
VIEW: Final = "looker_days"
_ALIAS: Final = "ds.ds0"


def report_url(settings: Settings) -> str:
    """The link, by Looker Studio's Linking API: docs/looker-studio.md says how to go on from there."""
    source = {
        "connector": "bigQuery",
        "datasourceName": VIEW,
        "type": "TABLE",
        "projectId": settings.project,
        "datasetId": settings.marts_dataset,
        "tableId": VIEW,
    }
    parameters = {"c.mode": "edit", "r.reportName": "Énergie"}
    parameters |= {f"{_ALIAS}.{name}": value for name, value in source.items()}
    return f"{CREATE}?{urlencode(parameters)}"
