"""The lake's object names, and the manifest that describes one extraction.

Pure: no Airflow import. Objects are named by their content and written once: nothing in the lake is overwritten.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

MANIFEST: Final = ".manifest.json"
COMMITTED: Final = ".committed-"
STAMP: Final = "%Y%m%dT%H%M%S%fZ"


def clean_run_id(run_id: str) -> str:
    """A run's id as it stands in object names: ``[A-Za-z0-9_.-]`` only, never empty.

    Distinct ids stay distinct: one that had to be altered, or looks as if it had been, ends in a hash of itself.
    """
    cleaned = re.sub(r"[^A-Za-z0-9_.-]", "-", run_id)
    if cleaned == run_id and cleaned.strip(".") and not re.search(r"-[0-9a-f]{8}\Z", cleaned):
        return cleaned
    return f"{cleaned}-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}"


def _run_folder(lake_prefix: str, dataset: str, run_id: str) -> str:
    return f"{lake_prefix}raw/{dataset}/run={clean_run_id(run_id)}"


def object_name(lake_prefix: str, dataset: str, run_id: str, sha256: str) -> str:
    """Name of the object with a chunk's rows, by the SHA-256 of its content."""
    return f"{_run_folder(lake_prefix, dataset, run_id)}/{sha256}.parquet"


def quarantine_name(lake_prefix: str, dataset: str, run_id: str, sha256: str) -> str:
    """Name of the object with a chunk's quarantined rows, by the SHA-256 of its content."""
    return f"{_run_folder(lake_prefix, dataset, run_id)}/{sha256}.quarantine.parquet"


def manifest_name(
    lake_prefix: str, dataset: str, run_id: str, *, extracted_at: datetime, chunk: int, sha256: str
) -> str:
    """Name of an extraction's manifest, beside its object; names sort by the time of extraction, to the microsecond."""
    return f"{_run_folder(lake_prefix, dataset, run_id)}/{_stamp(extracted_at)}-{chunk}-{sha256[:12]}{MANIFEST}"


def commit_name(manifest: str, committed_at: datetime) -> str:
    """Name of the note that an extraction was committed, beside its manifest: it says when, to the microsecond."""
    return f"{manifest.removesuffix(MANIFEST)}{COMMITTED}{_stamp(committed_at)}"


def read_commit_name(name: str) -> tuple[str, datetime] | None:
    """The manifest and the instant that :func:`commit_name` made a name from; ``None`` for another object's name."""
    stem, found, stamp = name.rpartition(COMMITTED)
    return (stem + MANIFEST, datetime.strptime(stamp, STAMP).replace(tzinfo=UTC)) if found else None


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and name of an object, from its ``gs://`` address."""
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    return bucket, name


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime(STAMP)


@dataclass(frozen=True)
class Manifest:
    """One extraction of one chunk. All but the quarantine's fields are the columns of its row in the ledger.

    Instants are in UTC; ``None`` bounds are open; column lists are comma separated. ``quarantine_rows`` counts the
    entries of the quarantine object (a row with two bad cells has two), which exists only when there are any.
    """

    dataset: str
    dag_id: str
    run_id: str
    chunk: int
    chunks: int
    ordinary: bool
    run_window_start: datetime | None
    run_window_end: datetime | None
    window_start: datetime | None
    window_end: datetime | None
    source_mark: datetime
    rows_source: int
    rows_landed: int
    rows_quarantined: int
    rows_excluded: int
    first_time: datetime | None
    last_time: datetime | None
    high_water: datetime | None
    object_uri: str
    content_sha256: str
    manifest_uri: str
    unknown_columns: str
    absent_columns: str
    extracted_at: datetime
    quarantine_rows: int = 0
    quarantine_uri: str | None = None
    quarantine_sha256: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON and XCom; instants as ISO 8601 texts in UTC."""
        return {
            name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Manifest:
        """The manifest that :meth:`to_dict` made.

        Raises:
            TypeError: a field is absent or unknown.
            ValueError: an instant cannot be read.
        """
        instants = {field.name for field in fields(cls) if "datetime" in str(field.type)}
        read: dict[str, Any] = {
            name: datetime.fromisoformat(value) if name in instants and value is not None else value
            for name, value in values.items()
        }
        return cls(**read)

    def to_json(self) -> str:
        """The manifest as it is stored: one JSON object, its keys in the ledger's order."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Manifest:
        """The manifest that :meth:`to_json` made. Errors as :meth:`from_dict`."""
        return cls.from_dict(json.loads(text))
