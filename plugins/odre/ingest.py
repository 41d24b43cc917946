"""The task group that brings one dataset from the source into its raw table."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from airflow.sdk import TaskGroup, task_group

from odre import warehouse
from odre.contracts import Contract, read_contract
from odre.jobs import OF_THIS_TASK, query_job, query_parameter
from odre.operators import LoadOperator, MergeOperator, OdreGateOperator, OdreToGCSOperator
from odre.settings import MERGE_POOL, Settings

#: Priorities of the tasks of chunks: where those of a backfill wait for a slot too, an ordinary run's go first.
ORDINARY: Final = 100
BACKFILL: Final = 1


def ingest(dataset: str, settings: Settings) -> TaskGroup:
    """The group named after the dataset's table: ``gate`` and ``chunks``, and the same for windows in ``backfill``.

    ``prepare`` chooses one of the two (:class:`PrepareWarehouseOperator`). They are apart because Airflow's priorities
    are those of tasks: so a backfill of years holds up an ordinary run for no longer than what it runs at the moment.
    """
    contract = read_contract(dataset)
    with TaskGroup(group_id=contract.table, tooltip=contract.title) as group:
        _gate_and_chunks(contract, settings, backfill=False)
        with TaskGroup(group_id="backfill", tooltip="The window of the run's form"):
            _gate_and_chunks(contract, settings, backfill=True)
    return group


def _gate_and_chunks(contract: Contract, settings: Settings, *, backfill: bool) -> None:
    """``gate`` and, a chunk at a time, ``extract → load → merge``, in the group of the context."""
    gate = OdreGateOperator(
        task_id="gate",
        dataset=contract.dataset,
        settings=settings,
        backfill=backfill,
        execution_timeout=timedelta(minutes=10),
    )

    # One chunk of a run in each step at a time: a run of many chunks takes no more slots than one of few.
    modestly: dict[str, Any] = {
        "max_active_tis_per_dagrun": 1,
        "priority_weight": BACKFILL if backfill else ORDINARY,
        "weight_rule": "absolute",
    }

    @task_group(group_id="chunks")
    def ingest_chunk(chunk: dict[str, Any]) -> None:
        extract = OdreToGCSOperator(
            task_id="extract",
            chunk=chunk,
            settings=settings,
            map_index_template="{{ task.chunk_label }}",
            **modestly,
        )
        extracted: Any = extract.output

        def of_this_chunk(part: str) -> str:
            """Template of a part of what this chunk's ``extract`` returned."""
            return f"{{{{ ti.xcom_pull(task_ids='{extract.task_id}', map_indexes=ti.map_index)['{part}'] }}}}"

        load = LoadOperator(
            task_id="load",
            dataset=contract.dataset,
            settings=settings,
            bucket=settings.bucket,
            source_objects=[extracted["object_name"]],
            source_format="PARQUET",
            schema_fields=contract.bigquery_schema,
            autodetect=False,
            destination_project_dataset_table=extracted["run_table_id"],
            write_disposition="WRITE_TRUNCATE",
            project_id=settings.project,
            location=settings.location,
            execution_timeout=timedelta(minutes=30),
            map_index_template=of_this_chunk("chunk_label"),
            **modestly,
        )
        merge = MergeOperator(
            task_id="merge",
            settings=settings,
            manifest=extracted["manifest"],
            configuration=query_job(
                warehouse.merge_sql(contract, settings, of_this_chunk("run_table")),
                settings,
                {**OF_THIS_TASK, "dataset": contract.dataset},
                query_parameter("manifest", "STRING", extracted["manifest"]),
                query_parameter("first_time", contract.time_type, extracted["first_time"]),
                query_parameter("last_time", contract.time_type, extracted["last_time"]),
            ),
            project_id=settings.project,
            location=settings.location,
            pool=MERGE_POOL.name,
            execution_timeout=timedelta(minutes=30),
            map_index_template=of_this_chunk("chunk_label"),
            **modestly,
        )
        load >> merge

    ingest_chunk.expand(chunk=gate.output)
