"""One story on a real stack: a backfill that crashes at every step, beside what else runs, and how it all ends.

1. The source has shown a first state, which was landed. It shows a second one.
2. Somebody fetches nine months of gas again, a month a chunk. Each step of a chunk is met by a crash, each server is
   killed once, and one request is refused. Airflow's own retries heal all but the refused chunk.
3. That chunk alone is cleared. In the middle of its merge the whole stack is killed, while a backfill of electricity
   is under way. The stack starts again on the same state, and the scheduler starts the scheduled run of every DAG at
   once, beside the two runs that were interrupted. The first dbt build of the gas marts is killed in the middle.
4. The next run of gas builds what that one did not.

The tests look at what was seen on the way and at what is there in the end.
"""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pytest

from emulators.odre.source import Dataset
from local.airflow_api import UNFINISHED
from local.http import HttpError, request
from local.processes import processes
from local.runs import ENDED, task_log
from local.stack import DAGS
from odre.contracts import read_contract, read_contracts
from odre.manifest import clean_run_id
from odre.settings import POOLS, Pool
from odre.warehouse import run_table
from tests.faults import support
from tests.faults.proxy import Fault, Reply, Request
from tests.faults.support import (
    END,
    GAS_DAG,
    GAS_TABLE,
    MONTHS,
    POWER_DAG,
    Content,
    FaultStack,
    fault_stack,
)
from tests.waiting import PATIENCE, wait_until
from tests.warehouse.support import GAS, MARTS, TestWarehouse

pytestmark = pytest.mark.timeout(3600)

EXTRACT, LOAD, MERGE = (f"{GAS_TABLE}.backfill.chunks.{step}" for step in ("extract", "load", "merge"))
PRODUCER = "dbt.dbt_producer_watcher"

WINDOW = {"window_start": str(MONTHS[0]), "window_end": str(END)}
CHUNKS = len(MONTHS)

#: The chunk whose request the source refuses.
REFUSED = CHUNKS - 1

#: What the source shows anew between two tries of one chunk's extraction.
SHOWN_BETWEEN = {(MONTHS[1].replace(day=9), "Centre"): "20202.5"}


@dataclass
class Waiting:
    """What one look at Airflow showed of a pool: how many tasks wait for it, and the slots that are taken."""

    waiting: int
    taken: int


@dataclass
class Story:
    """The stack, and what was seen while the story went on."""

    new_stack: Callable[..., FaultStack]
    stack: FaultStack
    folder: Path
    tables: dict[str, pa.Table]
    run_id: str = ""
    faults: list[Fault] = field(default_factory=list)
    #: Fault → rows of the ledger for its chunk, and whether the chunk's table was there, just after the crash.
    ledger_after: dict[str, int] = field(default_factory=dict)
    table_after: dict[str, bool] = field(default_factory=dict)
    waits: dict[str, list[Waiting]] = field(default_factory=lambda: {pool.name: [] for pool in POOLS})
    killed_pids: list[int] = field(default_factory=list)
    clean: Content = field(default_factory=dict)
    exports_before: int = 0
    exports_after: list[str] = field(default_factory=list)
    power_runs: list[str] = field(default_factory=list)
    #: Of those, the ones that the story does not wait for.
    given_up: set[str] = field(default_factory=set)
    last_run: str = ""
    ledger_of_failed_run: list[tuple[Any, ...]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    states: dict[str, dict[str, str]] = field(default_factory=dict)
    tasks_after_refusal: list[dict[str, Any]] = field(default_factory=list)

    def warehouse(self, prefix: str = "") -> TestWarehouse:
        """The warehouse without a proxy."""
        return TestWarehouse(prefix, self.stack.warehouse.bigquery, self.stack.state)

    # Crashes.

    def kill_task(self, task_id: str, dag_id: str = GAS_DAG, *, supervisor: bool = False) -> None:
        """SIGKILL to the process of the task that runs, or to the worker that watches over it."""
        (task,) = support.running(self.stack.airflow, dag_id, task_id)
        pid = task["pid"]
        seen = processes()[pid]
        if supervisor:
            pid = seen.parent
        os.kill(pid, signal.SIGKILL)
        self.killed_pids.append(pid)
        wait_until(lambda: pid not in processes(), f"the end of process {pid}")

    def note(self, name: str, chunk: int) -> None:
        """What the warehouse has of a chunk."""
        rows = self.warehouse().query(
            f"SELECT COUNT(*) FROM {{ops}}.loads WHERE run_id = '{self.run_id}' AND chunk = {chunk}"
        )
        self.ledger_after[name] = rows[0][0]
        name_of_table = run_table(read_contract(GAS), self.run_id, chunk)
        self.table_after[name] = bool(
            self.warehouse().query(
                f"SELECT table_name FROM odre_load.INFORMATION_SCHEMA.TABLES WHERE table_name = '{name_of_table}'"
            )
        )

    def plan_crashes(self) -> None:
        """One fault for each step of the gas backfill; chunks are told by their number."""
        storage, bigquery, odre = (self.stack.proxies[name] for name in ("storage", "bigquery", "odre"))

        def kills(name: str, picks: Callable[[Request], bool], moment: Any, task_id: str, **how: Any) -> Fault:
            chunk = int(name.split("chunk ")[1])

            def act() -> None:
                self.kill_task(task_id, **how)
                if task_id == MERGE:
                    self.note(name, chunk)

            return Fault(name, picks, moment, act)

        def uploads(kind: Callable[[str], bool], chunk: int) -> Callable[[Request], bool]:
            def picks(request: Request) -> bool:
                if not kind(support.upload_name(request)):
                    return False
                return chunk in [task["map_index"] for task in support.running(self.stack.airflow, GAS_DAG, EXTRACT)]

            return picks

        def on_table(table: Callable[[Request], str], chunk: int) -> Callable[[Request], bool]:
            return lambda request: table(request) == run_table(read_contract(GAS), self.run_id, chunk)

        def on_export(chunk: int) -> Callable[[Request], bool]:
            return lambda request: f">= date'{MONTHS[chunk]}" in support.export_window(request, GAS)

        def change_source() -> None:
            """What was uploaded is not what the next try will be sent."""
            self.kill_task(EXTRACT)
            self.tables = support.edited(self.tables, GAS, SHOWN_BETWEEN)
            self.publish()

        def refuse() -> Reply:
            return Reply(400, json.dumps({"error_code": "ODSQLError", "message": "refused by the test"}).encode())

        def manifests(name: str) -> bool:
            return name.endswith(".manifest.json")

        rows = support.is_rows
        storage.faults += [
            kills("extract killed before the upload, chunk 0", uploads(rows, 0), "before", EXTRACT),
            Fault("extract killed after the upload, chunk 1", uploads(rows, 1), "after", change_source),
            kills("extract killed after the manifest's upload, chunk 2", uploads(manifests, 2), "after", EXTRACT),
            Fault(
                "Cloud Storage killed in the upload, chunk 3",
                uploads(rows, 3),
                "before",
                partial(self.stack.restart, "Cloud Storage emulator"),
            ),
        ]
        odre.faults += [
            Fault(
                "source killed in the export, chunk 4",
                on_export(4),
                "during",
                partial(self.stack.restart, "source"),
            ),
            Fault("export refused, chunk 8", on_export(REFUSED), "before", refuse),
        ]
        load, merge = support.load_table, support.merge_table
        bigquery.faults += [
            kills("load killed before the job, chunk 5", on_table(load, 5), "before", LOAD),
            kills("load killed after the job, chunk 6", on_table(load, 6), "after", LOAD),
            kills("worker killed in the load, chunk 7", on_table(load, 7), "before", LOAD, supervisor=True),
            Fault(
                "BigQuery killed in the load, chunk 3",
                on_table(load, 3),
                "during",
                partial(self.stack.restart, "BigQuery emulator"),
            ),
            kills("merge killed before the job, chunk 0", on_table(merge, 0), "before", MERGE),
            kills("merge killed in the middle, chunk 1", on_table(merge, 1), "during", MERGE),
            kills("merge killed after the commit, chunk 2", on_table(merge, 2), "after", MERGE),
            Fault(
                "BigQuery killed in the merge, chunk 4",
                on_table(merge, 4),
                "during",
                partial(self.stack.restart, "BigQuery emulator"),
            ),
        ]
        self.faults = [*storage.faults, *odre.faults, *bigquery.faults]

    def publish(self) -> None:
        """Let the source show the present tables; asked for its metadata, it looks."""
        support.publish(self.tables, self.folder)
        base = f"http://127.0.0.1:{self.stack.ports.odre}/api/explore/v2.1/catalog/datasets"
        wait_until(lambda: request("GET", base)["total_count"] == len(self.tables), "the source")

    # Looking.

    def exports(self) -> list[str]:
        """The windows of gas that were asked for so far."""
        seen = [support.export_window(request, GAS) for request in self.stack.proxies["odre"].seen]
        return [window for window in seen if window]

    @property
    def scheduled_power_run(self) -> dict[str, Any]:
        """The first: the story may last until the next is due, which finds nothing new."""
        runs = self.stack.airflow.runs(POWER_DAG)
        return min(
            (run for run in runs if run["dag_run_id"].startswith("scheduled__")), key=lambda run: run["run_after"]
        )

    def three_backfills_were_met(self) -> bool:
        """Whether the scheduled run of electricity has landed, and each backfill has run something meanwhile."""
        ours = self.tasks(POWER_DAG, self.scheduled_power_run["dag_run_id"])
        merges = [task["state"] for task in ours if re.fullmatch(r"[^.]+\.chunks\.merge", task["task_id"])]
        theirs = [self.tasks(POWER_DAG, run) for run in self.power_runs]
        has_run = [
            any(".chunks." in task["task_id"] and task["state"] == "success" for task in tasks) for tasks in theirs
        ]
        return bool(merges) and set(merges) <= ENDED and all(has_run)

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The task instances of a run."""
        return self.stack.airflow.tasks(dag_id, run_id)

    def objects(self) -> list[tuple[Any, ...]]:
        """The objects of the ledger, those of the first landing aside, which has none."""
        return self.warehouse().query(
            "SELECT REPLACE(object_uri, 'gs://', '') FROM {ops}.loads WHERE object_uri LIKE '%run=%'"
        )

    @property
    def logs(self) -> Path:
        """Airflow's task logs."""
        return self.stack.airflow_home / "logs"

    def watch(self, ended: threading.Event) -> None:
        """Note, twice a second, how many wait for each pool; the stack may be away for a while."""
        while not ended.wait(0.5):
            try:
                pools = self.stack.airflow.call("GET", "pools")["pools"]
            except (OSError, HttpError):
                continue
            for pool in pools:
                if pool["name"] in self.waits:
                    waiting = pool["queued_slots"] + pool["scheduled_slots"]
                    self.waits[pool["name"]].append(Waiting(waiting, pool["running_slots"]))

    def wait(self, patience: float) -> None:
        """Until no run of any DAG is under way."""
        begun = time.monotonic()
        while left := support.unfinished(self.stack.airflow):
            assert time.monotonic() - begun < patience, f"waits for ever: {left}"
            time.sleep(2)
        for dag_id in DAGS:
            self.states[dag_id] = {run["dag_run_id"]: run["state"] for run in self.stack.airflow.runs(dag_id)}

    # The story.

    def clean_run(self) -> None:
        """The same two states, landed once each and built once, in a warehouse of their own."""
        warehouse = self.warehouse("clean_").create()
        later = support.edited(support.second_state(self.tables), GAS, SHOWN_BETWEEN)
        for tables in (self.tables, later):
            land(warehouse, tables)
        warehouse.dbt("build", "--exclude-resource-type", "unit_test")
        self.clean = support.content(warehouse, MARTS)
        warehouse.drop()

    def crash_a_backfill(self) -> None:
        """Second part: every step and every server."""
        self.tables = support.second_state(self.tables)
        self.publish()
        self.run_id = f"manual__{datetime.now(UTC).isoformat()}"
        self.plan_crashes()
        self.stack.airflow.call(
            "POST",
            f"dags/{GAS_DAG}/dagRuns",
            {"logical_date": None, "conf": WINDOW, "dag_run_id": self.run_id},
        )
        self.wait(1500)
        self.tasks_after_refusal = self.tasks(GAS_DAG, self.run_id)
        self.ledger_of_failed_run = self.warehouse().query(
            f"SELECT chunk FROM {{ops}}.loads WHERE run_id = '{self.run_id}' ORDER BY chunk"
        )

    def kill_everything_beside_another_backfill(self) -> None:
        """Third part: the whole stack, in the middle of a merge and of a backfill, and what runs once it is up."""
        reached, over = threading.Event(), threading.Event()

        def hold() -> None:
            reached.set()
            over.wait(PATIENCE)

        table = run_table(read_contract(GAS), self.run_id, REFUSED)
        whole = Fault(
            "stack killed in the merge, chunk 8",
            lambda request: support.merge_table(request) == table,
            "during",
            hold,
        )

        def builds_gas(request: Request) -> bool:
            text = support.query_text(request)
            if '"node_id": "model.energy.gas_stock_daily"' not in text or "create or replace table" not in text.lower():
                return False
            # Each DAG builds it, for the mart that joins all.
            return bool(support.running(self.stack.airflow, GAS_DAG, PRODUCER))

        def give_up() -> None:
            """The models would go on one by one; whoever has no patience leaves it to the next run."""
            (task,) = support.running(self.stack.airflow, GAS_DAG, PRODUCER)
            self.kill_task(PRODUCER)
            self.stack.airflow.give_up(GAS_DAG, task["dag_run_id"])

        build = Fault("dbt killed in the middle", builds_gas, "during", give_up)
        self.stack.proxies["bigquery"].faults += [whole, build]
        self.faults += [whole, build]
        api = self.stack.airflow
        self.exports_before = len(self.exports())
        path = f"dags/{GAS_DAG}/dagRuns/{quote(self.run_id, safe='')}/clear"
        api.call("POST", path, {"dry_run": False, "only_failed": True})
        window = {"window_start": f"{END.year - 2}-01-01", "window_end": str(END)}
        self.power_runs = [api.trigger(POWER_DAG, window)]
        assert reached.wait(PATIENCE), "the cleared chunk has not come to its merge"
        self.exports_after = self.exports()[self.exports_before :]
        self.stack.kill_all()
        over.set()
        self.stack = self.new_stack(scheduled=True)
        self.stack.start_all()
        api = self.stack.airflow
        self.power_runs += [api.trigger(POWER_DAG, window) for _ in range(2)]
        wait_until(
            lambda: all(
                any(run.startswith("scheduled__") for run in [r["dag_run_id"] for r in self.stack.airflow.runs(dag)])
                for dag in DAGS
            ),
            "the scheduled runs",
        )
        wait_until(self.three_backfills_were_met, "the scheduled run's chunks land next to three backfills", 1500, 5)
        for run_id in self.power_runs[1:]:
            if api.run(POWER_DAG, run_id)["state"] in UNFINISHED:
                api.give_up(POWER_DAG, run_id)
                self.given_up.add(run_id)
        self.wait(1200)

    def run_once_more(self) -> None:
        """Fourth part: the next run."""
        self.last_run = self.stack.airflow.trigger(GAS_DAG)
        self.wait(900)
        self.events = self.stack.airflow.call("GET", "eventLogs", limit=100, event="heartbeat timeout")["event_logs"]


def land(warehouse: TestWarehouse, tables: dict[str, pa.Table]) -> None:
    """Land every table as one chunk each."""
    for identifier, table in tables.items():
        warehouse.land_all_of(Dataset.of(identifier, table, datetime.now(UTC)))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The whole story, told once."""
    folder = tmp_path_factory.mktemp("source")
    tables = support.first_state()
    support.publish(tables, folder)
    with fault_stack(tmp_path_factory.mktemp("stack"), folder) as new_stack:
        told = Story(new_stack, new_stack(scheduled=False), folder, tables)
        begun = time.monotonic()

        def say(what: str) -> None:
            print(f"[{time.monotonic() - begun:4.0f} s] {what}", flush=True)

        told.stack.start_warehouse()
        told.stack.build_manifest()
        told.clean_run()
        say("the clean run is done")
        land(told.warehouse().create(), tables)
        told.stack.start_source()
        told.stack.start_airflow()
        say("the stack is up")
        ended = threading.Event()
        watcher = threading.Thread(target=told.watch, args=(ended,), daemon=True)
        watcher.start()
        told.crash_a_backfill()
        say("the backfill has crashed at every step")
        told.kill_everything_beside_another_backfill()
        say("the stack was killed and started again, and all runs have ended")
        told.run_once_more()
        say("one more run")
        ended.set()
        watcher.join()
        yield told


def test_every_crash_took_place(story: Story) -> None:
    assert not [fault.name for fault in story.faults if not fault.fired.is_set()]
    assert not [(fault.name, fault.error) for fault in story.faults if fault.error]


def test_airflows_own_retries_heal_all_but_what_was_refused(story: Story) -> None:
    tasks = {
        (task["task_id"], task["map_index"]): task
        for task in story.tasks_after_refusal
        if task["task_id"] in (EXTRACT, LOAD, MERGE)
    }
    assert len(tasks) == 3 * CHUNKS
    states = {key: task["state"] for key, task in tasks.items() if key[1] != REFUSED}
    assert set(states.values()) == {"success"}
    assert tasks[EXTRACT, REFUSED]["state"] == "failed"
    assert tasks[EXTRACT, REFUSED]["try_number"] == 1, "what is refused is not asked for again"
    assert tasks[LOAD, REFUSED]["state"] == tasks[MERGE, REFUSED]["state"] == "upstream_failed"
    killed = [(EXTRACT, 0), (EXTRACT, 1), (EXTRACT, 2), (LOAD, 5), (LOAD, 6), (LOAD, 7)]
    killed += [(MERGE, 0), (MERGE, 1), (MERGE, 2)]
    assert [key for key in killed if tasks[key]["try_number"] < 2] == []


def test_airflow_finds_out_that_a_worker_is_gone(story: Story) -> None:
    timeouts = [event for event in story.events if event["event"] == "heartbeat timeout"]
    assert (LOAD, 7) in [(event["task_id"], event["map_index"]) for event in timeouts]


def test_the_ledger_has_what_was_committed_and_nothing_else(story: Story) -> None:
    # Just after the crash: nothing before the commit, one row after it.
    assert story.ledger_after["merge killed before the job, chunk 0"] == 0
    assert story.table_after["merge killed before the job, chunk 0"]
    assert story.ledger_after["merge killed after the commit, chunk 2"] == 1
    assert not story.table_after["merge killed after the commit, chunk 2"]
    # When the run had failed: each chunk but the refused one.
    assert story.ledger_of_failed_run == [(chunk,) for chunk in range(CHUNKS) if chunk != REFUSED]
    # In the end: one row for each (run, dataset, chunk, content), all of them of merges that succeeded.
    ledger = story.warehouse().query("SELECT run_id, dataset, chunk, content_sha256 FROM {ops}.loads")
    assert len(ledger) == len(set(ledger))
    assert [chunk for run, _, chunk, _ in sorted(ledger) if run == story.run_id] == list(range(CHUNKS))
    committed = {
        (run_id, task["task_id"].split(".")[0], task["map_index"])
        for dag_id, runs in story.states.items()
        for run_id in runs
        for task in story.tasks(dag_id, run_id)
        if task["task_id"].endswith(".chunks.merge") and task["state"] == "success"
    }
    of_runs = {(run, read_contract(dataset).table, chunk) for run, dataset, chunk, _ in ledger if "__" in run}
    # Where a run was given up, a merge may have come to its end without its task.
    assert committed <= of_runs
    assert {run for run, _, _ in of_runs - committed} <= story.given_up


def test_quarantine_has_each_finding_once(story: Story) -> None:
    found = story.warehouse().query("SELECT dataset, key, `column`, raw_value, reason FROM {ops}.quarantine")
    assert len(found) == len(set(found)) >= 10


def test_no_table_of_a_committed_chunk_is_left(story: Story) -> None:
    """Whatever met the merge: a crash before the commit leaves the table to the next try, which drops it."""
    warehouse = story.warehouse()
    left = {table.table_id for table in warehouse.client.list_tables(warehouse.settings.load_dataset)}
    ledger = warehouse.query("SELECT dataset, run_id, chunk FROM {ops}.loads")
    committed = {run_table(read_contract(dataset), run_id, chunk) for dataset, run_id, chunk in ledger}
    assert {run_table(read_contract(GAS), story.run_id, chunk) for chunk in range(CHUNKS)} <= committed
    assert not left & committed
    # What else there is waits for a merge that never came through; the next day's `prepare` drops it.
    contracts = {contract.table: contract for contract in read_contracts().values()}
    never_merged = {
        run_table(contracts[task["task_id"].split(".")[0]], run_id, task["map_index"])
        for dag_id, runs in story.states.items()
        for run_id in runs
        for task in story.tasks(dag_id, run_id)
        if task["task_id"].endswith(".chunks.merge") and task["state"] != "success"
    }
    assert left <= never_merged


def test_no_orphan_object_is_read(story: Story) -> None:
    uploaded = {
        support.upload_name(request)
        for request in story.stack.proxies["storage"].seen
        if support.is_rows(support.upload_name(request))
    }
    uris = [uri for request in story.stack.proxies["bigquery"].seen for uri in support.load_objects(request)]
    read = {uri.removeprefix("gs://").partition("/")[2] for uri in uris}
    landed = {uri.partition("/")[2] for (uri,) in story.objects()}
    # The object whose chunk was extracted anew with other rows, before it was loaded.
    orphans = {name for name in uploaded - landed if GAS in name}
    assert len(orphans) == 1
    assert not orphans & read
    assert landed <= read
    # Only what the ledger names is read whole, and what a run had loaded that was given up before its merge.
    given_up = {f"run={clean_run_id(run_id)}" for run_id in story.given_up}
    assert not {name for name in read - landed if name.split("/")[-2] not in given_up}


def test_the_end_is_that_of_one_clean_run(story: Story) -> None:
    found = support.content(story.warehouse(), MARTS)
    differing = {
        table: (len(rows), len(story.clean[table]), sorted(set(rows) ^ set(story.clean[table]))[:4])
        for table, rows in found.items()
        if rows != story.clean[table]
    }
    assert not differing
    # The seasons' mix is of whole years, which the small source does not have.
    empty = {table for table, rows in found.items() if not rows and not table.endswith("_replaced")}
    assert empty == {"energy_mix_season"}
    assert len(found[f"{GAS_TABLE}_replaced"]) == 2 * CHUNKS + 1


# Concurrency.


def test_every_run_ends_and_all_that_were_not_crashed_succeed(story: Story) -> None:
    states = {
        run_id: state
        for runs in story.states.values()
        for run_id, state in runs.items()
        if run_id not in story.given_up
    }
    assert sum(run_id.startswith("scheduled__") for run_id in states) >= len(DAGS)
    # The one whose dbt build was killed.
    assert list(states.values()).count("failed") <= 1
    assert story.states[GAS_DAG][story.last_run] == "success"
    power = story.states[POWER_DAG]
    assert {power[run_id] for run_id in power if run_id not in story.given_up} == {"success"}


@pytest.mark.parametrize("pool", POOLS, ids=lambda pool: pool.name)
def test_waits_are_seen_in_the_pools(story: Story, pool: Pool) -> None:
    assert max(seen.waiting for seen in story.waits[pool.name]) >= 1
    assert max(seen.taken for seen in story.waits[pool.name]) <= pool.slots


def test_three_backfills_hold_a_scheduled_run_up_for_no_longer_than_what_they_run(story: Story) -> None:
    """Once a task of the scheduled run could go, none of the backfills' of the same kind is let go before it."""
    ours, theirs = (
        [
            task
            for run in runs
            for task in story.tasks(POWER_DAG, run)
            if ".chunks." in task["task_id"] and task["state"] == "success"
        ]
        for runs in ([story.scheduled_power_run["dag_run_id"]], story.power_runs)
    )
    assert len({task["dag_run_id"] for task in theirs}) == 3
    assert len(ours) >= 3
    assert len(theirs) >= 3 * 3
    overtaken = {}
    for task in ours:
        # A chunk also waits for those of its own run.
        earlier = [own["end_date"] for own in ours if own["task_id"] == task["task_id"]]
        ready = max([task["scheduled_when"], *(end for end in earlier if end <= task["start_date"])])
        step = task["task_id"].rpartition(".")[2]
        before = [
            other["rendered_map_index"]
            for other in theirs
            if other["task_id"].endswith(f".chunks.{step}") and ready < other["queued_when"] < task["queued_when"]
        ]
        if before:
            overtaken[task["task_id"], task["rendered_map_index"]] = before
    assert not overtaken


# Backfill as a product.


def test_chunks_are_named_by_number_and_window(story: Story) -> None:
    names = {
        (task["task_id"], task["map_index"]): task["rendered_map_index"]
        for task in story.tasks(GAS_DAG, story.run_id)
        if task["task_id"] in (EXTRACT, LOAD, MERGE)
    }
    expected = [
        f"chunk {number + 1} of {CHUNKS}: {start}T00:00:00Z to {end}T00:00:00Z"
        for number, (start, end) in enumerate(pairwise([*MONTHS, END]))
    ]
    assert [names[EXTRACT, number] for number in range(CHUNKS)] == expected
    assert [names[LOAD, number] for number in range(CHUNKS)] == expected
    assert [names[MERGE, number] for number in range(CHUNKS)] == expected
    (task, *_) = [task for task in story.tasks(GAS_DAG, story.run_id) if task["task_id"] == EXTRACT]
    assert f"chunk {task['map_index'] + 1} of {CHUNKS}: " in task_log(story.logs, task).read_text()


def test_a_backfill_goes_on_at_the_chunk_that_failed(story: Story) -> None:
    # In one run a window is asked for once, but for what was met by a crash: the tries are Airflow's own.
    extracts = [task for task in story.tasks_after_refusal if task["task_id"] == EXTRACT]
    assert len(extracts) == len({task["rendered_map_index"] for task in extracts}) == CHUNKS
    # Once the failed tasks are cleared, the one chunk is fetched that was not landed, once.
    assert len(story.exports_after) == 1
    assert f">= date'{MONTHS[REFUSED]}" in story.exports_after[0]
