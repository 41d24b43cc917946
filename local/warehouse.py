"""The lake and the warehouse on this machine: what Terraform makes elsewhere, and queries over BigQuery's REST API."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from typing import Any

from local.basics import LocalError
from local.http import HttpError, request
from odre.settings import Settings

DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True)
class Result:
    """A query's answer: names of the columns, and rows of Python values (numbers, text, dates, ``None``)."""

    columns: list[str]
    rows: list[list[Any]]


@dataclass(frozen=True)
class Warehouse:
    """The two emulators."""

    bigquery: str
    storage: str
    settings: Settings

    @property
    def _api(self) -> str:
        return f"{self.bigquery}/bigquery/v2/projects/{self.settings.project}"

    def create(self) -> None:
        """Create the bucket and the datasets that are absent."""
        bucket = {"name": self.settings.bucket}
        _create(f"{self.storage}/storage/v1/b?project={self.settings.project}", bucket)
        for name in self.settings.datasets:
            dataset: dict[str, object] = {
                "datasetReference": {"projectId": self.settings.project, "datasetId": name},
                "location": self.settings.location,
            }
            if name == self.settings.load_dataset:
                dataset["defaultTableExpirationMs"] = str(DAY_MS)
            _create(f"{self._api}/datasets", dataset)

    def query(self, sql: str) -> Result:
        """Run one GoogleSQL query or script and wait for it.

        Raises:
            LocalError: the query failed; the message is BigQuery's.
        """
        body = {
            "query": sql,
            "useLegacySql": False,
            "timeoutMs": 600_000,
            "formatOptions": {"useInt64Timestamp": True},
        }
        try:
            page = request("POST", f"{self._api}/queries", body, timeout=610)
            schema, rows = page.get("schema", {}).get("fields", []), page.get("rows", [])
            job = page["jobReference"]["jobId"]
            while token := page.get("pageToken"):
                more = f"{self._api}/queries/{job}?pageToken={token}&formatOptions.useInt64Timestamp=true"
                page = request("GET", more, timeout=610)
                rows += page.get("rows", [])
        except HttpError as error:
            raise LocalError(f"The query failed: {_message(error)}") from None
        except OSError as error:
            raise LocalError(f"The warehouse at {self.bigquery} does not answer: {error}") from None
        return Result(
            [field["name"] for field in schema],
            [[_value(field, cell["v"]) for field, cell in zip(schema, row["f"], strict=True)] for row in rows],
        )


def _create(url: str, body: dict[str, Any]) -> None:
    try:
        request("POST", url, body)
    except HttpError as error:
        if error.status != 409:
            raise LocalError(f"{url} could not be created: {_message(error)}") from None


def _message(error: HttpError) -> str:
    try:
        message = str(json.loads(error.body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = str(error)
    return " ".join(message.split())


def _value(field: dict[str, Any], value: Any) -> Any:
    """A cell of BigQuery's JSON as a Python value."""
    if value is None:
        return None
    if field.get("mode") == "REPEATED":
        return [_value({**field, "mode": "NULLABLE"}, item["v"]) for item in value]
    match field["type"]:
        case "INTEGER" | "INT64":
            return int(value)
        case "FLOAT" | "FLOAT64":
            return float(value)
        case "BOOLEAN" | "BOOL":
            return value in ("true", True)
        case "TIMESTAMP":
            return datetime.datetime.fromtimestamp(0, datetime.UTC) + datetime.timedelta(microseconds=int(value))
        case "RECORD" | "STRUCT":
            return {
                part["name"]: _value(part, cell["v"]) for part, cell in zip(field["fields"], value["f"], strict=True)
            }
        case _:
            return value
