"""Servers killed in the middle of what they write, and tries that overlap: no scheduler, which would add nothing.


Real emulators, of a stack of the module's own that may be killed; the steps of a run as ``tests.warehouse.ingest`` has
them, each of which stands for a task.
"""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from google.api_core.exceptions import GoogleAPICallError

from emulators.odre.generate import generate
from emulators.odre.server import serve
from emulators.odre.source import MemorySource
from local import environments
from local.basics import ROOT
from local.stack import Ports, Source, Stack
from odre.contracts import read_contract
from tests.faults.support import GAS_TABLE, installed, kill_families
from tests.waiting import PATIENCE
from tests.warehouse.ingest import Pipeline, gas
from tests.warehouse.support import GAS, REAL_TIME, TestWarehouse

#: Quarter-hours of a year: a merge of them takes long enough to be met in its middle.
YEAR = 365 * 96

POWER_TABLE = read_contract(REAL_TIME).table


@dataclass
class Servers:
    """The emulators, a source, and a pipeline between them."""

    stack: Stack
    source: MemorySource
    pipeline: Pipeline

    def crash_bigquery(self) -> None:
        """Kill BigQuery outright, and start it again on what it left."""
        recorded = json.loads((self.stack.state / "processes.json").read_text())
        pid = [entry["pid"] for entry in recorded if entry["name"] == "BigQuery emulator"][-1]
        kill_families({pid})
        self.stack.restart_bigquery()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Cloud Storage and BigQuery with empty tables, and a source that has nothing yet."""
    source = MemorySource()
    state = tmp_path_factory.mktemp("servers")
    with installed(), Stack(Source.generated(), Ports.free(), state) as stack, serve(source) as odre:
        stack.start_warehouse()
        house = TestWarehouse("", stack.warehouse.bigquery, tmp_path_factory.mktemp("work")).create()
        google = {
            "conn_type": "google_cloud_platform",
            "extra": {"is_anonymous": True, "project": stack.settings.project},
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {
                **house.environment,
                "STORAGE_EMULATOR_HOST": stack.warehouse.storage,
                "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": json.dumps(google),
                "AIRFLOW_CONN_ODRE_DEFAULT": json.dumps({"conn_type": "http", "host": odre}),
            }.items():
                patch.setenv(name, value)
            yield Servers(stack, source, Pipeline(house))


# A server that is killed while it writes.


def year(plus: int) -> pa.Table:
    """A year of quarter-hours; each consumption is this much above what it was."""
    table = generate(datetime(2025, 12, 31, tzinfo=UTC), rows=YEAR)[0].table
    column = table.column_names.index("consommation")
    return table.set_column(column, "consommation", pc.add(table["consommation"], plus))


#: Within one calendar year: one chunk.
WHOLE_YEAR = {"window_start": "2025-01-02", "window_end": "2025-12-30"}


def power_state(pipeline: Pipeline) -> dict[str, int]:
    """What a merge of a year changes, a figure each."""
    where = "WHERE date_heure >= TIMESTAMP '2000-01-01'"
    (raw,) = pipeline.house.query(
        f"SELECT COUNT(*), COUNT(DISTINCT date_heure), SUM(consommation) FROM {{raw}}.{POWER_TABLE} {where}"
    )
    count = pipeline.house.value
    return {
        "rows": raw[0],
        "keys": raw[1],
        "consumption": raw[2],
        "replaced": count(f"SELECT COUNT(*) FROM {{raw}}.{POWER_TABLE}_replaced {where}"),
        "ledger": count(f"SELECT COUNT(*) FROM {{ops}}.loads WHERE dataset = '{REAL_TIME}'"),
    }


def merge_once(pipeline: Pipeline, dataset: str, extracted: dict[str, Any]) -> Exception | None:
    """One merge without a client that tries again behind our back; its error."""
    try:
        pipeline.house.merge(read_contract(dataset), extracted, retry=None, job_retry=None)
    except (GoogleAPICallError, OSError) as error:
        return error
    return None


@pytest.mark.timeout(400)
def test_bigquery_killed_in_the_middle_of_a_merge_has_all_of_it_or_nothing(servers: Servers) -> None:
    pipeline = servers.pipeline
    servers.source.publish(REAL_TIME, year(0))
    pipeline.run(REAL_TIME, "first", **WHOLE_YEAR)
    state = power_state(pipeline)
    assert state["rows"] == state["keys"] > 34_000

    def stage(plus: int) -> dict[str, Any]:
        servers.source.publish(REAL_TIME, year(plus))
        (chunk,) = pipeline.gate(REAL_TIME, **WHOLE_YEAR)
        extracted = pipeline.extract(chunk, f"restates by {plus}")
        pipeline.load(REAL_TIME, extracted)
        return extracted

    def after(state: dict[str, int]) -> dict[str, int]:
        """The state once every measured figure was restated by one more."""
        where = "WHERE date_heure >= TIMESTAMP '2000-01-01' AND consommation IS NOT NULL"
        measured = pipeline.house.value(f"SELECT COUNT(*) FROM {{raw}}.{POWER_TABLE} {where}")
        return {
            **state,
            "consumption": state["consumption"] + measured,
            "replaced": state["replaced"] + measured,
            "ledger": state["ledger"] + 1,
        }

    # How long it takes when nobody disturbs it.
    extracted, expected = stage(1), after(state)
    begun = time.monotonic()
    assert merge_once(pipeline, REAL_TIME, extracted) is None
    took = time.monotonic() - begun
    assert power_state(pipeline) == expected
    found = []
    for plus, share in enumerate((0.3, 0.6, 0.9), start=2):
        before = expected
        extracted, expected = stage(plus), after(before)
        merge = threading.Thread(target=merge_once, args=(pipeline, REAL_TIME, extracted))
        merge.start()
        time.sleep(share * took)
        interrupted = merge.is_alive()
        servers.crash_bigquery()
        merge.join()
        state = power_state(pipeline)
        assert state in (before, expected), f"killed after {share:.0%} of {took:.1f} s"
        found.append((interrupted, state == before))
        # The task's next try.
        assert merge_once(pipeline, REAL_TIME, extracted) is None
        assert power_state(pipeline) == expected
        assert merge_once(pipeline, REAL_TIME, extracted) is None
        assert power_state(pipeline) == expected
    print(f"a merge takes {took:.1f} s; (interrupted, nothing of it there): {found}")
    assert (True, True) in found, "no merge was met in its middle"


KILLED_WHILE_WRITING = """
import os, pathlib, signal, sys
from emulators.storage import __main__ as launcher
launcher.install()
from gcp_storage_emulator.storage import Storage
storage = Storage(data_dir=sys.argv[1])
storage.create_bucket("lake", {"name": "lake"})
storage.create_file("lake", "one", b"first", {"name": "one"})
whole = pathlib.Path.write_bytes
writes = 0
def dies_in_the_middle(path, content):
    global writes
    writes += 1
    if writes < int(sys.argv[2]):
        return whole(path, content)
    whole(path, content[: len(content) // 2])
    os.kill(os.getpid(), signal.SIGKILL)
pathlib.Path.write_bytes = dies_in_the_middle
storage.create_file("lake", sys.argv[3], b"second", {"name": sys.argv[3]})
"""

WHAT_IS_LEFT = """
import sys
from gcp_storage_emulator.storage import Storage
storage = Storage(data_dir=sys.argv[1])
print({name: storage.get_file("lake", name).decode() for name in storage.objects["lake"]})
"""


@pytest.mark.parametrize("write", [1, 2], ids=["object", "index"])
@pytest.mark.parametrize("name", ["one", "two"])
def test_cloud_storage_killed_while_it_writes_keeps_what_it_had(tmp_path: Path, write: int, name: str) -> None:
    with installed():
        python = environments.ensure_emulators()

    def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(python), "-c", script, str(tmp_path), *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert run(KILLED_WHILE_WRITING, str(write), name).returncode == -signal.SIGKILL
    left = run(WHAT_IS_LEFT)
    # An object that is written again is there as it was or as it is to be; one that is new is not in the index.
    expected = [{"one": "first"}] if name == "two" or write == 1 else [{"one": "first"}, {"one": "second"}]
    assert left.stdout.strip() in [str(each) for each in expected], left.stderr


# Tries and runs that overlap, with nothing that keeps them apart.


def until_it_is_done(pipeline: Pipeline, extracted: dict[str, Any]) -> int:
    """A merge as a task has it: tried again when it fails, at most ten times; how often it failed."""
    for failures in range(10):
        if merge_once(pipeline, GAS, extracted) is None:
            return failures
        time.sleep(0.2)
    raise AssertionError("the merge does not come through")


def at_once(*work: Callable[[], Any]) -> list[Any]:
    """What each gives, done at the same time."""
    results: list[Any] = [None] * len(work)
    start = threading.Barrier(len(work))

    def do(number: int) -> None:
        start.wait()
        results[number] = work[number]()

    threads = [threading.Thread(target=do, args=(number,)) for number in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "a deadlock"
    assert None not in results
    return results


DAY = date(2024, 3, 1)


def gas_days(first: date, days: int, stock: float) -> dict[date, float]:
    """The same stock on each of some days."""
    return {first + timedelta(days=number): stock for number in range(days)}


def gas_rows(pipeline: Pipeline, first: date, days: int) -> list[tuple[Any, ...]]:
    """Stocks of some days, by day, of the storage point that comes first."""
    return pipeline.house.query(
        f"SELECT date, stock_fin_de_journee, _run_id FROM {{raw}}.{GAS_TABLE} "
        f"WHERE date >= '{first}' AND date < '{first + timedelta(days=days)}' AND pits = 'Centre' ORDER BY date"
    )


@pytest.mark.parametrize("before", [True, False], ids=["restated rows", "new rows"])
def test_two_tries_of_one_merge_that_overlap_commit_once(servers: Servers, before: bool) -> None:
    pipeline, first = servers.pipeline, DAY if before else DAY + timedelta(days=180)
    window = {"window_start": str(first), "window_end": str(first + timedelta(days=60))}
    if before:
        servers.source.publish(GAS, gas(gas_days(first, 60, 10.0)))
        pipeline.run(GAS, "before", **window)
    servers.source.publish(GAS, gas(gas_days(first, 60, 11.0)))
    (chunk,) = pipeline.gate(GAS, **window)
    run_id = f"twice, {before}"
    extracted = pipeline.extract(chunk, run_id)
    pipeline.load(GAS, extracted)
    at_once(*[lambda: until_it_is_done(pipeline, extracted)] * 2)
    assert gas_rows(pipeline, first, 60) == [(day, 11.0, run_id) for day in gas_days(first, 60, 0.0)]
    count, here = pipeline.house.value, f"date BETWEEN '{first}' AND '{first + timedelta(days=59)}'"
    assert count(f"SELECT COUNT(*) FROM {{raw}}.{GAS_TABLE} WHERE {here}") == 120
    assert count(f"SELECT COUNT(*) FROM {{raw}}.{GAS_TABLE}_replaced WHERE {here}") == (120 if before else 0)
    assert count(f"SELECT COUNT(*) FROM {{ops}}.loads WHERE run_id = '{run_id}'") == 1


def test_two_runs_whose_windows_overlap_lose_no_update_and_double_none(servers: Servers) -> None:
    pipeline, first = servers.pipeline, DAY + timedelta(days=365)
    middle = first + timedelta(days=20)

    def extract(run_id: str, start: date, stock: float) -> dict[str, Any]:
        servers.source.publish(GAS, gas(gas_days(first, 60, stock)))
        window = {"window_start": str(start), "window_end": str(start + timedelta(days=40))}
        (chunk,) = pipeline.gate(GAS, **window)
        extracted = pipeline.extract(chunk, run_id)
        pipeline.load(GAS, extracted)
        return extracted

    earlier, later = extract("earlier", first, 20.0), extract("later", middle, 21.0)
    at_once(lambda: until_it_is_done(pipeline, later), lambda: until_it_is_done(pipeline, earlier))
    # What was shown later wins where both have a day, whoever came first.
    expected = [(day, 21.0, "later") if day >= middle else (day, 20.0, "earlier") for day in gas_days(first, 60, 0.0)]
    assert gas_rows(pipeline, first, 60) == expected
    assert pipeline.house.value("SELECT COUNT(*) FROM {ops}.loads WHERE run_id IN ('earlier', 'later')") == 2


# What a run leaves behind that never went on.


def test_a_run_that_died_before_its_merge_is_not_in_the_ledger(servers: Servers) -> None:
    pipeline, house = servers.pipeline, servers.pipeline.house
    servers.source.publish(GAS, gas(gas_days(DAY + timedelta(days=500), 3, 5.0)))
    (chunk,) = pipeline.gate(GAS, window_start=str(DAY + timedelta(days=500)))
    pipeline.load(GAS, pipeline.extract(chunk, "dies before its merge"))
    assert house.value("SELECT COUNT(*) FROM {ops}.loads WHERE run_id = 'dies before its merge'") == 0
