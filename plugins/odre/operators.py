"""Airflow's operators on the source: thin, over the hooks and the pure modules."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from airflow.providers.google.cloud.hooks.bigquery import BigQueryHook
from airflow.providers.google.cloud.hooks.gcs import GCSHook
from airflow.providers.google.cloud.operators.bigquery import BigQueryInsertJobOperator
from airflow.providers.google.cloud.transfers.gcs_to_bigquery import GCSToBigQueryOperator
from airflow.sdk import BaseBranchOperator, BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from odre import alerts, lineage, manifest, tables, warehouse
from odre.client import DatasetAbsent, OdreClient, OdreError
from odre.contracts import Contract, read_contract, read_contracts
from odre.drift import detect_drift
from odre.extract import extract_chunk
from odre.hooks import OdreHook, WarehouseHook
from odre.jobs import labels_of, query_parameter
from odre.paris import PARIS
from odre.plan import Chunk, SourceState, parse_form_window, plan_chunks, reason_to_fetch, run_window
from odre.quarantine import BadRows, ContractBroken, write_quarantine
from odre.settings import Settings

#: A table of one run that is older than this was left behind by a run that died.
ABANDONED_AFTER = timedelta(days=1)


@contextmanager
def failing_at_once() -> Iterator[None]:
    """Turns an error that another try cannot mend into one that Airflow does not retry."""
    try:
        yield
    except OdreError as error:
        if error.retryable:
            raise
        raise AirflowFailException(str(error)) from error


def was_cleared(task: BaseOperator, context: Context) -> bool:
    """Whether somebody cleared the task, and so wants it done again; Airflow's own retries do not count."""
    return context["ti"].max_tries > (task.retries or 0)


class PrepareWarehouseOperator(BaseBranchOperator):
    """Checks the run's form, creates and widens the raw and ops tables of all datasets, and drops abandoned tables.

    Of the gates that follow, those of backfills are skipped where the form has no window, the others where it has one.
    Idempotent. Refuses, without retry, a window that the form should not have let through and a table that differs
    from its contract by more than new nullable columns.
    """

    template_fields: Sequence[str] = ("window_start", "window_end")

    def __init__(
        self,
        *,
        settings: Settings,
        window_start: str = "{{ params.window_start or '' }}",
        window_end: str = "{{ params.window_end or '' }}",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.settings = settings
        self.window_start = window_start
        self.window_end = window_end

    def execute(self, context: Context) -> None:
        """Runs the task."""
        try:
            parse_form_window(self.window_start, self.window_end)
        except ValueError as error:
            raise AirflowFailException(f"{error}. Nothing was fetched; trigger the DAG again.") from None
        hook, contracts = WarehouseHook(self.settings), read_contracts().values()
        client = hook.client
        try:
            tables.ensure_tables(client, self.settings, warehouse.tables(contracts, self.settings))
            due_runs = f"{self.settings.project}.{self.settings.ops_dataset}.due_runs"
            tables.ensure_view(client, due_runs, warehouse.due_runs_sql(contracts, self.settings))
        except tables.SchemaRefused as error:
            raise AirflowFailException(str(error)) from error
        tables.drop_abandoned(client, self.settings, datetime.now(UTC) - ABANDONED_AFTER)
        self._report_late(hook, context, due_runs)
        is_backfill = bool(self.window_start or self.window_end)
        # What is no gate follows in any case.
        followed = [task for task in self.downstream_list if getattr(task, "backfill", is_backfill) == is_backfill]
        self.do_branch(context, [task.task_id for task in followed])

    def _report_late(self, hook: WarehouseHook, context: Context, due_runs: str) -> None:
        """Warn of each DAG that has not succeeded in time, and send one message a lateness."""
        labels = labels_of(self.dag_id, self.task_id, self.settings.ops_dataset)
        for due in hook.query(f"SELECT * FROM `{due_runs}` WHERE is_late ORDER BY name", labels):
            said = alerts.late_text(due["name"], due["succeeded_at"], due["expected_by"])
            # An alert looks for these words: terraform/modules/monitoring.
            self.log.warning("%s", said)
            if due["notified_at"] is None and alerts.notify_late(said, context):
                hook.query(
                    warehouse.record_alert_sql(self.settings),
                    labels,
                    query_parameter("subject", "STRING", due["name"]),
                    query_parameter("state", "STRING", "late"),
                    query_parameter("since", "TIMESTAMP", due["expected_by"].isoformat()),
                )


class OdreGateOperator(BaseOperator):
    """Asks the source whether a dataset changed, and plans the run's chunks; skips what follows when it did not.

    With ``backfill`` it plans the window of the run's form, without it that of an ordinary run; the other skips.
    Returns the chunks as dicts (:meth:`odre.plan.Chunk.to_dict`). One request when nothing changed. A run with a
    window or with ``force``, and one that somebody cleared, passes whatever the source's freshness mark. Metadata that
    cannot be read fail the task.
    """

    template_fields: Sequence[str] = ("window_start", "window_end", "force")

    def __init__(
        self,
        *,
        dataset: str,
        settings: Settings,
        backfill: bool,
        window_start: str = "{{ params.window_start or '' }}",
        window_end: str = "{{ params.window_end or '' }}",
        force: str = "{{ params.force }}",
        odre_conn_id: str = OdreHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dataset = dataset
        self.settings = settings
        self.backfill = backfill
        self.window_start = window_start
        self.window_end = window_end
        self.force = force
        self.odre_conn_id = odre_conn_id

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Runs the task."""
        contract = read_contract(self.dataset)
        now = datetime.now(UTC)
        zone = UTC if contract.time_type == "DATE" else PARIS
        asked = parse_form_window(self.window_start, self.window_end, zone)
        if self.backfill != (asked is not None):
            # `prepare` skipped it; whoever cleared it alone meets this.
            raise AirflowSkipException("The run has no window." if self.backfill else "The run has a window.")
        client = OdreHook(self.odre_conn_id).get_conn()
        with failing_at_once():
            try:
                metadata = client.metadata(contract.dataset)
            except DatasetAbsent as absent:
                if not contract.optional:
                    raise
                raise AirflowSkipException(
                    f"The source has no {contract.dataset}, which is optional: {absent}"
                ) from None
            state = self._state(contract)
            age = now - metadata.data_processed
            if age > timedelta(hours=contract.freshness_hours):
                # An alert looks for this line: terraform/modules/monitoring.
                self.log.warning(
                    "%s: the source is stale: it processed this %d h ago, and should within %d h",
                    contract.dataset,
                    age // timedelta(hours=1),
                    contract.freshness_hours,
                )
            if asked is None and self.force != "True" and not was_cleared(self, context):
                reason = reason_to_fetch(contract, metadata, state, now)
                if reason is None:
                    raise AirflowSkipException(
                        f"{contract.dataset} was processed at {metadata.data_processed}, which is landed already."
                    )
                self.log.info("%s: %s", contract.dataset, reason)
            drift = detect_drift(contract, metadata.fields)
            if drift.unknown or drift.absent:
                self.log.warning(
                    "%s drifted: unknown columns %s are left out, absent columns %s are loaded as null",
                    contract.dataset,
                    list(drift.unknown),
                    list(drift.absent),
                )
            window = run_window(contract, state, asked, now)
            first = window.start or client.first_time(contract.dataset, contract.time_column)
        chunks = plan_chunks(
            contract,
            metadata,
            window,
            first,
            now,
            ordinary=asked is None,
            drift=drift,
        )
        self.log.info("%s, %s: %d chunks", contract.dataset, window, len(chunks))
        return [chunk.to_dict() for chunk in chunks]

    def _state(self, contract: Contract) -> SourceState:
        return SourceState(
            **WarehouseHook(self.settings).query_row(
                warehouse.source_state_sql(contract, self.settings),
                labels_of(self.dag_id, self.task_id, contract.dataset),
            )
        )


class OdreToGCSOperator(BaseOperator):
    """One chunk of a dataset, from the source to one Parquet object of the lake, with its manifest.

    Objects are named by their content and never overwritten with another. Returns what load and merge need, each part
    an XCom: the chunk's label, the object's name, the run's table, bounds on the partition column, the manifest with
    the quarantined rows.

    Raises:
        AirflowFailException: the source or its data are refused; nothing counts as landed.
    """

    template_fields: Sequence[str] = ("chunk",)

    def __init__(
        self,
        *,
        chunk: Any,
        settings: Settings,
        odre_conn_id: str = OdreHook.default_conn_name,
        gcp_conn_id: str = "google_cloud_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(multiple_outputs=True, **kwargs)
        self.chunk = chunk
        self.settings = settings
        self.odre_conn_id = odre_conn_id
        self.gcp_conn_id = gcp_conn_id

    @property
    def chunk_label(self) -> str:
        """What the grid calls the instance: its chunk."""
        return Chunk.from_dict(self.chunk).label

    def execute(self, context: Context) -> dict[str, Any]:
        """Runs the task."""
        chunk = Chunk.from_dict(self.chunk)
        self.log.info("%s, %s", chunk.dataset, chunk.label)
        contract = read_contract(chunk.dataset)
        client = OdreHook(self.odre_conn_id).get_conn()
        self.read_from = client.base_url
        run_id = context["run_id"]
        lake = GCSHook(self.gcp_conn_id)
        extracted_at = datetime.now(UTC)
        prefix = self.settings.lake_prefix
        with tempfile.TemporaryDirectory() as directory:
            with failing_at_once():
                try:
                    conversion = extract_chunk(
                        client,
                        contract,
                        chunk.columns,
                        chunk.window,
                        Path(directory),
                        of_run=partial(self._bad_rows_of_run, context, client, contract, chunk),
                    )
                except ContractBroken as broken:
                    self._report_refused(lake, contract, chunk, run_id, broken)
                    raise
            object_name = manifest.object_name(prefix, contract.dataset, run_id, conversion.sha256)
            lake.upload(self.settings.bucket, object_name, str(conversion.path))
        quarantine = self._store_quarantine(lake, contract, run_id, conversion.quarantine)
        manifest_name = manifest.manifest_name(
            prefix,
            contract.dataset,
            run_id,
            extracted_at=extracted_at,
            chunk=chunk.chunk,
            sha256=conversion.sha256,
        )
        described = manifest.Manifest(
            dag_id=self.dag_id,
            run_id=run_id,
            object_uri=self._uri(object_name),
            manifest_uri=self._uri(manifest_name),
            extracted_at=extracted_at,
            **chunk.ledger_values(),
            **conversion.ledger_values(),
            **quarantine,
        )
        lake.upload(self.settings.bucket, manifest_name, data=described.to_json(), mime_type="application/json")
        if conversion.rows_quarantined:
            # An alert looks for these words, too.
            self.log.warning(
                "%s, %s: %d of %d rows break the contract and are in the quarantine",
                contract.dataset,
                chunk.window,
                conversion.rows_quarantined,
                conversion.rows_source,
            )
        self.log.info(
            "%s, %s: %d rows landed as %s", contract.dataset, chunk.window, conversion.rows_landed, object_name
        )
        run_table = warehouse.run_table(contract, run_id, chunk.chunk)
        return {
            "chunk_label": chunk.label,
            "object_name": object_name,
            "run_table": run_table,
            "run_table_id": f"{self.settings.project}.{self.settings.load_dataset}.{run_table}",
            "first_time": contract.bound(conversion.first_time),
            "last_time": contract.bound(conversion.last_time),
            "rows_quarantined": conversion.rows_quarantined,
            "manifest": json.dumps({**described.to_dict(), "quarantine": conversion.quarantine.to_pylist()}),
        }

    def get_openlineage_facets_on_complete(self, _: Any) -> Any:
        """From the source to the lake."""
        dataset = Chunk.from_dict(self.chunk).dataset
        read = lineage.source(self.read_from, dataset)
        return lineage.facets([read], [lineage.lake(self.settings, dataset)])

    def _bad_rows_of_run(
        self, context: Context, client: OdreClient, contract: Contract, chunk: Chunk, own: BadRows
    ) -> BadRows:
        """The bad rows of the run's chunks that were extracted so far, among the rows of its whole window."""
        others = [number for number in range(chunk.chunks) if number != chunk.chunk]
        if not others:
            return own
        bad: list[int] = context["ti"].xcom_pull(
            task_ids=self.task_id, key="rows_quarantined", map_indexes=others, default=0
        )
        return BadRows(
            own.bad + sum(bad), max(own.rows, client.count(contract.dataset, chunk.run_window.where(contract)))
        )

    def _uri(self, name: str) -> str:
        return f"gs://{self.settings.bucket}/{name}"

    def _store_quarantine(self, lake: GCSHook, contract: Contract, run_id: str, quarantine: pa.Table) -> dict[str, Any]:
        """The quarantined rows as an object of their own, if there are any; what the manifest says of it."""
        if not quarantine.num_rows:
            return {}
        with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
            sha256 = write_quarantine(quarantine, Path(file.name))
            name = manifest.quarantine_name(self.settings.lake_prefix, contract.dataset, run_id, sha256)
            lake.upload(self.settings.bucket, name, file.name, mime_type="application/vnd.apache.parquet")
        return {
            "quarantine_rows": quarantine.num_rows,
            "quarantine_uri": self._uri(name),
            "quarantine_sha256": sha256,
        }

    def _report_refused(
        self, lake: GCSHook, contract: Contract, chunk: Chunk, run_id: str, broken: ContractBroken
    ) -> None:
        """Keeps the rows for which a chunk is refused where they can be looked at; nothing of it counts as landed."""
        stored = self._store_quarantine(lake, contract, run_id, broken.quarantine)
        if stored:
            self.log.error(
                "%s, %s: the rows that break the contract are in %s",
                contract.dataset,
                chunk.window,
                stored["quarantine_uri"],
            )


class LoadOperator(GCSToBigQueryOperator):
    """Google's operator, whose job carries the pipeline's labels: those that it takes are the table's.

    Its job is waited for, whatever ``[operators] default_deferrable`` says: it takes seconds, and a deferred task waits
    for its slot twice.
    """

    def __init__(self, *, dataset: str, settings: Settings, **kwargs: Any) -> None:
        super().__init__(deferrable=False, **kwargs)
        self.dataset = dataset
        self.settings = settings

    def _submit_job(self, hook: BigQueryHook, job_id: str) -> Any:
        self.configuration["labels"] = labels_of(self.dag_id, self.task_id, self.dataset)
        return super()._submit_job(hook, job_id)

    def get_openlineage_facets_on_complete(self, _: Any) -> Any:
        """What was read alone: the table is gone after the merge, which tells of what is left."""
        return lineage.facets([lineage.lake(self.settings, self.dataset)])


class MergeOperator(BigQueryInsertJobOperator):
    """Google's operator on a chunk's merge, after which the lake has a note of the commit, for :mod:`odre.restore`.

    ``manifest`` as its ``extract`` returned it. A try that dies before the note is made up for by the next. Its job is
    waited for, whatever ``[operators] default_deferrable`` says: the note belongs to the same try.
    """

    template_fields: Sequence[str] = (*BigQueryInsertJobOperator.template_fields, "manifest")

    def __init__(self, *, settings: Settings, manifest: Any, **kwargs: Any) -> None:
        super().__init__(deferrable=False, **kwargs)
        self.settings = settings
        self.manifest = manifest

    def execute(self, context: Context) -> str | None:
        """Runs the task; the job's id."""
        job_id: str | None = super().execute(context)
        described = json.loads(self.manifest)
        committed_at = WarehouseHook(self.settings, self.gcp_conn_id).query_row(
            warehouse.commit_time_sql(self.settings),
            labels_of(self.dag_id, self.task_id, described["dataset"]),
            query_parameter("manifest_uri", "STRING", described["manifest_uri"]),
        )["committed_at"]
        # None: the same content was extracted again since, and committed by that.
        if committed_at is not None:
            _, name = manifest.split_uri(described["manifest_uri"])
            note = manifest.commit_name(name, committed_at)
            GCSHook(self.gcp_conn_id).upload(self.settings.bucket, note, data=described["manifest_uri"])
        return job_id

    def get_openlineage_facets_on_complete(self, _: Any) -> Any:
        """From the lake to the raw table, and to its earlier values."""
        contract = read_contract(json.loads(self.manifest)["dataset"])
        written = [contract.table, f"{contract.table}_replaced"]
        return lineage.facets(
            [lineage.lake(self.settings, contract.dataset)],
            [lineage.table(self.settings, self.settings.raw_dataset, name) for name in written],
        )
