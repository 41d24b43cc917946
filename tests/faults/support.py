"""A stack whose tasks reach their servers through proxies, so that a test can crash anything at a chosen request."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from emulators.odre.generate import generate
from local import environments
from local.airflow_api import AirflowApi
from local.processes import Processes, processes
from local.stack import DAGS, Ports, Source, Stack
from odre.contracts import contracts_dir, read_contract, read_contracts
from tests.environment import emulators_installed
from tests.faults.proxy import Proxy, Request, proxy
from tests.waiting import wait_until
from tests.warehouse.support import CONSOLIDATED, GAS, REAL_TIME, TEMPERATURE, TestWarehouse

GAS_TABLE: Final = read_contract(GAS).table
GAS_DAG: Final = "gas_storage_daily"
POWER_DAG: Final = "eco2mix_hourly"

#: Months of a chunk in these tests: small windows are cut into several requests.
CHUNK_MONTHS: Final = {GAS: 1, REAL_TIME: 12, CONSOLIDATED: 12, TEMPERATURE: 180}

#: The source's present: ordinary windows, which reach up to now, stay short.
NOW: Final = datetime.now(UTC)


def months_ago(count: int) -> date:
    """The first day of the month so many months ago."""
    year, month = divmod(NOW.year * 12 + NOW.month - 1 - count, 12)
    return date(year, month + 1, 1)


#: Nine months of gas, each a chunk, whose figures are all there, and the day after them.
MONTHS: Final = [months_ago(count) for count in range(10, 1, -1)]
END: Final = months_ago(1)

#: Rows in the order of their text, without what says by whom and when they were brought.
Content = dict[str, list[str]]


# The source.


def first_state() -> dict[str, pa.Table]:
    """Nine months of gas and some days of the rest, with rows of a rule and ten bad ones, which is what is borne."""
    served = {dataset.identifier: dataset.table for dataset in generate(NOW, years=2)}
    tables = {
        REAL_TIME: _days(served[REAL_TIME], lambda days: [days[0], *days[-5:-1], *_clock_changes(days)]),
        CONSOLIDATED: _days(served[CONSOLIDATED], lambda days: [*days[:2], *days[400:402], *days[-2:]]),
        TEMPERATURE: served[TEMPERATURE].filter(pc.field("date") >= MONTHS[-1]),
    }
    gas = served[GAS].filter(pc.field("date") >= MONTHS[0])
    tables[GAS] = gas.set_column(1, "stock_fin_de_journee", gas["stock_fin_de_journee"].cast(pa.string()))
    return edited(tables, GAS, {(month.replace(day=3), "Centre"): "n/c" for month in MONTHS[:5]})


def _days(table: pa.Table, choose: Callable[[list[str]], list[str]]) -> pa.Table:
    """The rows of the civil days that are chosen."""
    written = table["date"].cast(pa.string())
    return table.filter(pc.is_in(written, pa.array(choose(sorted(set(written.to_pylist()))))))


def _clock_changes(days: list[str]) -> list[str]:
    """The last Sundays of March, whose skipped hour the source publishes all the same."""
    return [day for day in days if "-03-25" <= day[4:] <= "-03-31" and date.fromisoformat(day).weekday() == 6]


def second_state(tables: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """The same, later: figures restated in every month, and a row in each that is bad now and was not."""
    gas = {(month.replace(day=day), "Centre"): f"{10000 + month.month}.5" for month in MONTHS for day in (5, 20)}
    gas |= {(month.replace(day=7), "Centre"): "s.o." for month in MONTHS[:5]}
    restated = edited(tables, GAS, gas)
    power = restated[REAL_TIME]
    index = pa.array(range(power.num_rows))
    changed = pc.and_(pc.equal(pc.bit_wise_and(index, pa.scalar(7)), 0), pc.is_valid(power["consommation"]))
    column = power.column_names.index("consommation")
    consumption = pc.if_else(changed, pc.add(power["consommation"], 1), power["consommation"])
    return {**restated, REAL_TIME: power.set_column(column, "consommation", consumption)}


def edited(tables: dict[str, pa.Table], identifier: str, values: dict[tuple[date, str], str]) -> dict[str, pa.Table]:
    """The tables with other stocks for some (day, storage point)."""
    table = tables[identifier]
    days, points, stocks = (table[name].to_pylist() for name in ("date", "pits", "stock_fin_de_journee"))
    missing = set(values) - set(zip(days, points, strict=True))
    assert not missing, f"{identifier} has no {missing}"
    written = [values.get((day, point), stock) for day, point, stock in zip(days, points, stocks, strict=True)]
    column = pa.array(written, pa.string())
    return {
        **tables,
        identifier: table.set_column(table.column_names.index("stock_fin_de_journee"), "stock_fin_de_journee", column),
    }


def publish(tables: dict[str, pa.Table], folder: Path) -> None:
    """Write the tables where the stand-in reads them; each file changes at once."""
    folder.mkdir(exist_ok=True)
    for identifier, table in tables.items():
        partial = folder / f".{identifier}"
        pq.write_table(table, partial)
        partial.replace(folder / f"{identifier}.parquet")


# The stack.

_restarting: Final = threading.Lock()


@dataclass
class FaultStack(Stack):
    """A stack whose tasks go through ``proxies`` (storage, bigquery, odre), which outlive its servers."""

    proxies: dict[str, Proxy] = field(default_factory=dict)
    scheduled: bool = False

    def environment(self) -> dict[str, str]:
        """The stack's, by way of the proxies, with small chunks and a short patience with tasks that are silent."""
        contracts = self.state / "contracts"
        if not contracts.is_dir():
            shutil.copytree(contracts_dir(), contracts)
            for identifier, months in CHUNK_MONTHS.items():
                file = contracts / f"{identifier}.yaml"
                text = re.sub(r"(?m)^chunk_months: \d+$", f"chunk_months: {months}", file.read_text())
                file.write_text(text)
        return {
            **super().environment(),
            "STORAGE_EMULATOR_HOST": self.proxies["storage"].url,
            "BIGQUERY_EMULATOR_HOST": self.proxies["bigquery"].url,
            "AIRFLOW_CONN_ODRE_DEFAULT": json.dumps({"conn_type": "http", "host": self.proxies["odre"].url}),
            "CONTRACTS_DIR": str(contracts),
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": str(self.scheduled),
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        }

    def start_all(self) -> None:
        """Every server."""
        self.start_warehouse()
        self.start_source()
        self.build_manifest()
        self.start_airflow()

    def recorded(self) -> dict[str, int]:
        """Name → id of the processes that the stack recorded when it started them; the last of a name."""
        entries = json.loads((self.state / "processes.json").read_text())
        return {entry["name"]: entry["pid"] for entry in entries}

    def kill(self, name: str) -> None:
        """Kill one server outright, by its recorded id, with what it started."""
        kill_families({self.recorded()[name]})

    def restart(self, name: str) -> None:
        """Kill one server outright and start it again on what it left; one at a time, since a start looks at all."""
        start = {
            "Cloud Storage emulator": self.restart_storage,
            "BigQuery emulator": self.restart_bigquery,
            "source": self.start_source,
        }
        with _restarting:
            self.kill(name)
            start[name]()

    def kill_all(self) -> None:
        """Kill the whole stack at once, by the recorded ids, and leave its state as it lies there."""
        record = self.state / "processes.json"
        recorded = record.read_text()
        kill_families(set(self.recorded().values()))
        # What a command that was killed with its servers leaves: nobody's lock, and a record of what is no more.
        self.processes.end()
        record.write_text(recorded)


def kill_families(leaders: set[int]) -> None:
    """SIGKILL to processes and all that they started; returns when they are gone."""
    members = Processes.members(processes(), leaders)
    for seen in members:
        _kill(seen.pid)
    wait_until(lambda: not members & set(processes().values()), "SIGKILL ends all of them", pause=0.02)
    for pid in leaders:
        # A process can look dead while threads of it still hold its files and ports.
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        # It ended with another one of the family.
        return


@contextmanager
def installed() -> Iterator[None]:
    """Airflow runs in the environment of the tests, the emulators in theirs."""
    with emulators_installed(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(environments, "ensure_airflow", lambda: Path(sys.executable))
        yield


@contextmanager
def fault_stack(state: Path, folder: Path) -> Iterator[Callable[..., FaultStack]]:
    """Makes the stack of a state folder, again and again on the same ports and proxies; ends the last one."""
    ports = Ports.free()
    made: list[FaultStack] = []
    with installed(), ExitStack() as open_:
        proxies = {name: open_.enter_context(proxy(getattr(ports, name))) for name in ("storage", "bigquery", "odre")}

        def new(*, scheduled: bool) -> FaultStack:
            made.append(FaultStack(Source("faults", folder=folder), ports, state, proxies=proxies, scheduled=scheduled))
            return made[-1]

        try:
            yield new
        finally:
            if made:
                made[-1].end()


def unfinished(api: AirflowApi) -> list[str]:
    """Runs that have not ended."""
    return [
        f"{dag_id} {run['dag_run_id']} {run['state']}"
        for dag_id in DAGS
        for run in api.runs(dag_id, ("queued", "running"))
    ]


def running(api: AirflowApi, dag_id: str, task_id: str) -> list[dict[str, Any]]:
    """The instances of a task that run now, in all runs of the DAG."""
    found: list[dict[str, Any]] = api.call("GET", f"dags/{dag_id}/dagRuns/~/taskInstances", state="running", limit=100)[
        "task_instances"
    ]
    return [task for task in found if task["task_id"] == task_id]


# Requests, as the proxies see them.


def upload_name(request: Request) -> str:
    """Name of the object that a request uploads; empty if it is another request."""
    if request.method != "POST" or "/upload/storage/v1/b/" not in request.path:
        return ""
    found = re.search(r'"name": ?"([^"]+)"', request.text[:4096])
    return found[1] if found else parse_qs(urlsplit(request.path).query).get("name", [""])[0]


def is_rows(name: str) -> bool:
    """Whether an object of the lake holds a chunk's rows."""
    return name.endswith(".parquet") and not name.endswith(".quarantine.parquet")


def job(request: Request) -> dict[str, Any]:
    """The configuration of the job that a request inserts; empty if it is another request."""
    if request.method != "POST" or not urlsplit(request.path).path.endswith("/jobs"):
        return {}
    configuration: dict[str, Any] = json.loads(request.body).get("configuration", {})
    return configuration


def load_table(request: Request) -> str:
    """The table that a load job fills; empty if it is another request."""
    return str(job(request).get("load", {}).get("destinationTable", {}).get("tableId", ""))


def load_objects(request: Request) -> list[str]:
    """The objects that a load job reads."""
    return list(job(request).get("load", {}).get("sourceUris", []))


def merge_table(request: Request) -> str:
    """The run's table that a merge commits; empty if it is another request."""
    found = re.search(r"table_name = '([^']+)'", query_text(request))
    return found[1] if found else ""


def query_text(request: Request) -> str:
    """The text of a query job; empty if it is another request."""
    return str(job(request).get("query", {}).get("query", ""))


def export_window(request: Request, dataset: str) -> str:
    """The condition of an export of a dataset; empty if it is another request."""
    split = urlsplit(request.path)
    if not split.path.endswith(f"/{dataset}/exports/csv"):
        return ""
    return parse_qs(split.query).get("where", ["all"])[0]


# What the warehouse holds in the end.


def content(warehouse: TestWarehouse, marts: tuple[str, ...]) -> Content:
    """Raw tables, replaced rows, quarantine and marts, without the columns that say who brought a row and when."""
    found = {}
    for contract in read_contracts().values():
        columns = ", ".join(f"`{column.name}`" for column in contract.columns)
        where = f"WHERE {contract.all_time}"
        for table in (contract.table, f"{contract.table}_replaced"):
            found[table] = _rows(warehouse, f"SELECT {columns} FROM {{raw}}.{table} {where}")
    found["quarantine"] = _rows(warehouse, "SELECT dataset, key, `column`, raw_value, reason FROM {ops}.quarantine")
    for mart in marts:
        found[mart] = _rows(warehouse, f"SELECT * FROM {{marts}}.{mart}")
    return found


def _rows(warehouse: TestWarehouse, sql: str) -> list[str]:
    return sorted(str(row) for row in warehouse.query(sql))
