"""Ingest runs on the emulators step by step, and small tables as a source serves them."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Final

import pyarrow as pa
from airflow.sdk import DAG
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from odre import jobs, warehouse
from odre.contracts import read_contract
from odre.operators import LoadOperator, MergeOperator, OdreGateOperator, OdreToGCSOperator, PrepareWarehouseOperator
from tests.warehouse.support import REAL_TIME, TestWarehouse, power_row

POINTS: Final = ("Centre", "Saline")
DAY: Final = date(2025, 3, 1)


def gas(stocks: dict[date, float], points: tuple[str, ...] = POINTS, **more: Any) -> pa.Table:
    """Rows of gas storage: the same stock for each point, GWh."""
    rows = [
        {"date": day, "stock_fin_de_journee": stock, "source": "Storengy", "pits": point, **more}
        for day, stock in stocks.items()
        for point in points
    ]
    return pa.Table.from_pylist(rows)


def power(first: datetime, consumptions: list[int | None], nature: str = "Données temps réel", **mw: Any) -> pa.Table:
    """Quarter-hours of eco2mix, all columns there."""
    contract = read_contract(REAL_TIME)
    types = {"INT64": pa.int64(), "STRING": pa.string(), "DATE": pa.string(), "TIMESTAMP": pa.timestamp("us", tz="UTC")}
    rows = []
    for step, consumption in enumerate(consumptions):
        row = dict(power_row(first + timedelta(minutes=15 * step), consumption, nature, **mw))
        rows.append({**row, "date_heure": datetime.fromisoformat(str(row["date_heure"]))})
    return pa.Table.from_pylist(
        rows, schema=pa.schema([pa.field(column.name, types[column.type]) for column in contract.columns])
    )


class TaskInstance(SimpleNamespace):
    """What Google's operators ask of theirs."""

    try_number = 1

    def xcom_push(self, key: str, value: object) -> None:
        """Kept by nobody."""


def prepare(house: TestWarehouse, **form: str) -> None:
    """The first task of a run."""
    with DAG("adhoc_airflow"):
        operator = PrepareWarehouseOperator(
            task_id="prepare",
            settings=house.settings,
            window_start=form.get("window_start", ""),
            window_end=form.get("window_end", ""),
        )
    context: Any = {"ti": TaskInstance(task=operator)}
    operator.execute(context)


def build_context(cleared: int = 0) -> Any:
    """What Airflow gives to ``join``: an hourly DAG, and whether the task was cleared."""
    schedule = SimpleNamespace(expression="20 * * * *", timezone="Europe/Paris")
    ti = TaskInstance(max_tries=cleared)
    return {"ti": ti, "run_id": "r", "dag": SimpleNamespace(timetable=schedule)}


class Pipeline:
    """Ingest runs against one warehouse, step by step as the DAG has them, without a scheduler."""

    def __init__(self, house: TestWarehouse) -> None:
        self.house = house
        self.lake = storage.Client(project=house.settings.project, credentials=AnonymousCredentials())
        self._bad: dict[tuple[str, int], int] = {}

    def gate(self, dataset: str, **form: str) -> list[dict[str, Any]]:
        """Plan a run; raises as the task does."""
        operator = OdreGateOperator(
            task_id="gate",
            dataset=dataset,
            settings=self.house.settings,
            backfill=bool(form.get("window_start") or form.get("window_end")),
            window_start=form.get("window_start", ""),
            window_end=form.get("window_end", ""),
            force=form.get("force", "False"),
        )
        cleared = (operator.retries or 0) + bool(form.get("cleared"))
        return operator.execute({"ti": SimpleNamespace(max_tries=cleared)})  # type: ignore[typeddict-item]

    def extract(self, chunk: dict[str, Any], run_id: str) -> dict[str, Any]:
        """Land a chunk in the lake."""
        operator = OdreToGCSOperator(task_id="extract", chunk=chunk, settings=self.house.settings)

        def xcom_pull(*, task_ids: str, key: str, map_indexes: list[int], default: int) -> list[int]:
            assert (task_ids, key) == (operator.task_id, "rows_quarantined")
            return [self._bad.get((run_id, number), default) for number in map_indexes]

        context: Any = {"run_id": run_id, "ti": SimpleNamespace(xcom_pull=xcom_pull)}
        extracted = operator.execute(context)
        self._bad[run_id, chunk["chunk"]] = extracted["rows_quarantined"]
        return extracted

    def load(self, dataset: str, extracted: dict[str, Any]) -> None:
        """Load a chunk from the lake into the run's table."""
        settings = self.house.settings
        operator = LoadOperator(
            task_id="load",
            dataset=dataset,
            settings=settings,
            bucket=settings.bucket,
            source_objects=[extracted["object_name"]],
            source_format="PARQUET",
            schema_fields=read_contract(dataset).bigquery_schema,
            autodetect=False,
            destination_project_dataset_table=extracted["run_table_id"],
            write_disposition="WRITE_TRUNCATE",
            project_id=settings.project,
            location=settings.location,
        )
        context: Any = {"ti": TaskInstance()}
        operator.execute(context)

    def merge(self, dataset: str, extracted: dict[str, Any]) -> None:
        """Commit a chunk, and note it in the lake."""
        contract, settings = read_contract(dataset), self.house.settings
        operator = MergeOperator(
            task_id="merge",
            settings=settings,
            manifest=extracted["manifest"],
            configuration=jobs.query_job(
                warehouse.merge_sql(contract, settings, extracted["run_table"]),
                settings,
                jobs.labels_of("test", "merge", dataset),
                jobs.query_parameter("manifest", "STRING", extracted["manifest"]),
                jobs.query_parameter("first_time", contract.time_type, extracted["first_time"]),
                jobs.query_parameter("last_time", contract.time_type, extracted["last_time"]),
            ),
            project_id=settings.project,
            location=settings.location,
        )
        context: Any = {"ti": TaskInstance()}
        operator.execute(context)

    def run(self, dataset: str, run_id: str, **form: str) -> list[dict[str, Any]]:
        """A whole run of a dataset; what its chunks extracted."""
        return [self.commit(chunk, run_id) for chunk in self.gate(dataset, **form)]

    def commit(self, chunk: dict[str, Any], run_id: str) -> dict[str, Any]:
        """One chunk from the source to the raw table; what it extracted."""
        extracted = self.extract(chunk, run_id)
        self.load(chunk["dataset"], extracted)
        self.merge(chunk["dataset"], extracted)
        return extracted

    def objects(self) -> set[str]:
        """What is in the lake."""
        return {
            blob.name
            for blob in self.lake.list_blobs(self.house.settings.bucket, prefix=self.house.settings.lake_prefix)
        }

    def raw(self, dataset: str, columns: str) -> list[tuple[Any, ...]]:
        """The raw table's rows in the key's order."""
        contract = read_contract(dataset)
        bound = "TIMESTAMP '2000-01-01'" if contract.time_type == "TIMESTAMP" else "DATE '2000-01-01'"
        return self.house.query(
            f"select {columns} from {{raw}}.{contract.table} where {contract.time_column} >= {bound}"
            f" order by {', '.join(contract.key)}"
        )
