"""``python -m odre.restore``: the raw tables, their earlier values, ledger and quarantine again, from the lake.

The lake has a note of each commit beside its manifest (:func:`odre.manifest.commit_name`). Chunks are committed again
in that order, by the pipeline's own SQL, into datasets of their own; then the rows of each dataset are exchanged in one
transaction. So an interrupted restore leaves the tables as they were, and the next one goes on where it ended.

No Airflow: clients of BigQuery and Cloud Storage alone.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import pyarrow.parquet as pq
from google.api_core.exceptions import GoogleAPICallError, NotFound
from google.cloud import bigquery, storage

from odre import jobs, warehouse
from odre.clients import bigquery_client, storage_client
from odre.contracts import Contract, read_contracts
from odre.manifest import Manifest, commit_name, read_commit_name, split_uri
from odre.settings import Settings
from odre.tables import ensure_tables

#: Before the names of the datasets in which tables are made again.
BESIDE: Final = "restore_"

#: Seconds between two lines that tell how far it is.
TELL_EVERY: Final = 10.0

SEE: Final = "See docs/runbooks/restore.md"


class RestoreRefused(RuntimeError):
    """What is there cannot be made again from this lake; nothing was changed."""


@dataclass(frozen=True, order=True)
class Commit:
    """An extraction's commit: when, and the manifest's name in the bucket."""

    committed_at: datetime
    manifest: str


@dataclass(frozen=True)
class Restored:
    """What became of a dataset: chunks committed again, and rows of its raw table and of the earlier values."""

    dataset: str
    chunks: int
    rows: int
    replaced: int


class Restore:
    """One restore of a deployment's tables. ``say`` is told how far it is."""

    def __init__(
        self,
        settings: Settings,
        bigquery_client: bigquery.Client,
        storage_client: storage.Client,
        say: Callable[[str], None] = print,
    ) -> None:
        self.settings = settings
        self.beside = replace(settings, dataset_prefix=BESIDE + settings.dataset_prefix)
        self.client = bigquery_client
        self.bucket = storage_client.bucket(settings.bucket)
        self.say = say

    def run(self) -> list[Restored]:
        """Make every raw table again, with its earlier values, its part of the ledger and its quarantine.

        Raises:
            RestoreRefused: the lake lacks an object, or a table has rows of runs that the lake does not know.
        """
        contracts = read_contracts()
        self._create_beside()
        ensure_tables(self.client, self.settings, warehouse.tables(contracts.values(), self.settings))
        objects = {blob.name for blob in self.bucket.list_blobs(prefix=f"{self.settings.lake_prefix}raw/")}
        commits = sorted({*self._noted(objects), *self._note_ledger(objects)})
        if not commits:
            raise RestoreRefused(f"{self._lake} has no note of a commit: nothing to restore. {SEE}")
        by_dataset: dict[str, list[Commit]] = {dataset: [] for dataset in contracts}
        for commit in commits:
            self._check(commit.manifest, objects)
            dataset = commit.manifest.removeprefix(f"{self.settings.lake_prefix}raw/").partition("/")[0]
            if dataset not in contracts:
                raise RestoreRefused(f"{commit.manifest} is of {dataset}, which has no contract: put its contract back")
            by_dataset[dataset].append(commit)
        restored = []
        for dataset, of_dataset in by_dataset.items():
            self._commit_again(contracts[dataset], of_dataset, objects)
            self._check_runs(contracts[dataset])
        for dataset, of_dataset in by_dataset.items():
            restored.append(self._exchange(contracts[dataset], len(of_dataset)))
        self._forget_builds()
        for name in (self.beside.load_dataset, self.beside.raw_dataset, self.beside.ops_dataset):
            self.client.delete_dataset(f"{self.settings.project}.{name}", delete_contents=True, not_found_ok=True)
        return restored

    @property
    def _lake(self) -> str:
        return f"gs://{self.settings.bucket}/{self.settings.lake_prefix}raw/"

    def _create_beside(self) -> None:
        for name in (self.beside.load_dataset, self.beside.raw_dataset, self.beside.ops_dataset):
            dataset = bigquery.Dataset(f"{self.settings.project}.{name}")
            dataset.location = self.settings.location
            self.client.create_dataset(dataset, exists_ok=True)
        ensure_tables(self.client, self.beside, warehouse.tables(read_contracts().values(), self.beside))

    def _noted(self, objects: Iterable[str]) -> Iterator[Commit]:
        """The commits that the lake has a note of."""
        for name in objects:
            if noted := read_commit_name(name):
                manifest, committed_at = noted
                yield Commit(committed_at, manifest)

    def _note_ledger(self, objects: set[str]) -> list[Commit]:
        """The commits of the ledger, where it survived: one whose task died before its note is known there alone.

        Each gets its note, so that the lake has all before anything is exchanged.
        """
        rows = self._query(f"SELECT manifest_uri, loaded_at FROM {self._id(self.settings.ops_dataset, 'loads')}")
        commits = []
        for manifest_uri, loaded_at in rows:
            _, name = split_uri(manifest_uri)
            commits.append(Commit(loaded_at, name))
            note = commit_name(name, loaded_at)
            if note not in objects:
                self.bucket.blob(note).upload_from_string(manifest_uri)
        return commits

    def _commit_again(self, contract: Contract, commits: list[Commit], objects: set[str]) -> None:
        """Commits a dataset's chunks in their order, from the first that an interrupted restore has not."""
        loads = self._id(self.beside.ops_dataset, "loads")
        ((done_until,),) = self._query(f"SELECT MAX(loaded_at) FROM {loads} WHERE dataset = '{contract.dataset}'")
        told = time.monotonic()
        for number, commit in enumerate(commits, 1):
            if done_until is not None and commit.committed_at <= done_until:
                continue
            manifest = Manifest.from_json(self._read(commit.manifest, objects))
            self._merge(contract, manifest, commit, objects)
            if time.monotonic() - told > TELL_EVERY:
                self.say(f"{contract.dataset}: {number} of {len(commits)} chunks, up to {commit.committed_at:%Y-%m-%d}")
                told = time.monotonic()

    def _merge(self, contract: Contract, manifest: Manifest, commit: Commit, objects: set[str]) -> None:
        """One chunk, from its objects in the lake into the tables beside, as of its commit."""
        _, name = split_uri(manifest.object_uri)
        self._check(name, objects)
        quarantine: list[dict[str, Any]] = []
        if manifest.quarantine_uri:
            _, quarantined = split_uri(manifest.quarantine_uri)
            quarantine = pq.read_table(io.BytesIO(self._read(quarantined, objects))).to_pylist()
        table = warehouse.run_table(contract, manifest.run_id, manifest.chunk)
        table_id = f"{self.settings.project}.{self.beside.load_dataset}.{table}"
        schema = [bigquery.SchemaField.from_api_repr(dict(field)) for field in contract.bigquery_schema]
        with self.bucket.blob(name).open("rb") as file:
            there = set(pq.read_schema(file).names)
        gained = [field for field in schema if field.name not in there]
        self.client.load_table_from_uri(
            manifest.object_uri,
            table_id,
            job_config=bigquery.LoadJobConfig(
                source_format="PARQUET",
                schema=[field for field in schema if field.name in there],
                write_disposition="WRITE_TRUNCATE",
                labels=jobs.labels_of("restore", "load", contract.dataset),
            ),
        ).result()
        if gained:  # by the contract since the object was written: null
            loaded = self.client.get_table(table_id)
            loaded.schema = [*loaded.schema, *gained]
            self.client.update_table(loaded, ["schema"])
        job = jobs.query_job(
            warehouse.merge_sql(contract, self.beside, table, committed_at="@committed_at"),
            self.settings,
            jobs.labels_of("restore", "merge", contract.dataset),
            jobs.query_parameter("manifest", "STRING", json.dumps({**manifest.to_dict(), "quarantine": quarantine})),
            jobs.query_parameter("first_time", contract.time_type, contract.bound(manifest.first_time)),
            jobs.query_parameter("last_time", contract.time_type, contract.bound(manifest.last_time)),
            jobs.query_parameter("committed_at", "TIMESTAMP", commit.committed_at.isoformat()),
        )
        self._run(job)

    def _check_runs(self, contract: Contract) -> None:
        """Refuse to take rows away that cannot be made again."""
        rows = self._query(
            f"SELECT DISTINCT _run_id FROM {self._id(self.settings.raw_dataset, contract.table)}"
            f" WHERE {contract.all_time} AND _run_id NOT IN"
            f" (SELECT run_id FROM {self._id(self.beside.ops_dataset, 'loads')} WHERE dataset = '{contract.dataset}')"
            " ORDER BY _run_id LIMIT 5"
        )
        if rows:
            unknown = ", ".join(str(run_id) for (run_id,) in rows)
            raise RestoreRefused(
                f"{self.settings.raw_dataset}.{contract.table} has rows of runs that the lake does not know: {unknown}."
                f" Is {self._lake} the right lake? {SEE}"
            )

    def _exchange(self, contract: Contract, chunks: int) -> Restored:
        """Puts a dataset's rows in the place of those that are there, in one transaction."""
        of_dataset = f"dataset = '{contract.dataset}'"
        statements = []
        for table in warehouse.tables([contract], self.settings):
            is_raw = table.dataset == self.settings.raw_dataset
            if not is_raw and table.name not in ("loads", "quarantine"):
                continue  # of runs and builds: nothing to go back to
            where = contract.all_time if is_raw else of_dataset
            to = self._id(table.dataset, table.name)
            beside = self._id(self.beside.raw_dataset if is_raw else self.beside.ops_dataset, table.name)
            columns = ", ".join(f"`{field['name']}`" for field in table.schema)
            statements.append(f"DELETE FROM {to} WHERE {where};")
            statements.append(f"INSERT INTO {to} ({columns}) SELECT {columns} FROM {beside} WHERE {where};")
        sql = "\n".join(["BEGIN TRANSACTION;", *statements, "COMMIT TRANSACTION;"])
        self._run(jobs.query_job(sql, self.settings, jobs.labels_of("restore", "exchange", contract.dataset)))
        counts = [
            self._query(f"SELECT COUNT(*) FROM {self._id(self.settings.raw_dataset, table)} WHERE {contract.all_time}")
            for table in (contract.table, f"{contract.table}_replaced")
        ]
        return Restored(contract.dataset, chunks, *(rows for ((rows,),) in counts))

    def _forget_builds(self) -> None:
        """What was built came from the tables before: the next run of each DAG builds everything."""
        builds = self._id(self.settings.ops_dataset, "builds")
        labels = jobs.labels_of("restore", "forget", self.settings.ops_dataset)
        self._run(jobs.query_job(f"DELETE FROM {builds} WHERE TRUE", self.settings, labels))
        try:
            tables = list(self.client.list_tables(f"{self.settings.project}.{self.settings.staging_dataset}"))
        except NotFound:
            return
        for item in tables:
            if item.table_id.endswith("_last_build"):
                self.client.delete_table(item.reference, not_found_ok=True)

    def _id(self, dataset: str, table: str) -> str:
        return f"`{self.settings.project}.{dataset}.{table}`"

    def _read(self, name: str, objects: set[str]) -> bytes:
        self._check(name, objects)
        content: bytes = self.bucket.blob(name).download_as_bytes()
        return content

    def _check(self, name: str, objects: set[str]) -> None:
        if name not in objects:
            raise RestoreRefused(f"gs://{self.settings.bucket}/{name} is gone from the lake. {SEE}")

    def _query(self, sql: str) -> list[tuple[Any, ...]]:
        labels = jobs.labels_of("restore", "look", self.settings.ops_dataset)
        return self._run(jobs.query_job(sql, self.settings, labels))

    def _run(self, job: dict[str, Any]) -> list[tuple[Any, ...]]:
        config = bigquery.QueryJobConfig.from_api_repr(job)
        done = self.client.query(job["query"]["query"], job_config=config, location=self.settings.location)
        return [tuple(row.values()) for row in done.result()]


def main() -> int:
    """Restore the deployment that the environment names; what cannot be done is one line."""
    settings = Settings.from_environment()
    restore = Restore(settings, bigquery_client(settings), storage_client(settings))
    print(
        f"From gs://{settings.bucket}/{settings.lake_prefix}raw/ into {settings.project}.{settings.raw_dataset}",
        flush=True,
    )
    try:
        restored = restore.run()
    except (RestoreRefused, GoogleAPICallError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for done in restored:
        print(f"{done.dataset}: {done.chunks} chunks, {done.rows} rows, {done.replaced} earlier values")
    print("The next run of each DAG builds the marts anew.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
