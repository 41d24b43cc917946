"""What the BigQuery emulator asks of its catalogue is remembered until the catalogue changes, and so are jobs.

Each query asks a dozen times which tables there are and of which columns, and DuckDB plans each question anew, a view
with all that it reads: half of what a small query took. Only whether something changed is cheap to ask.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import wraps
from itertools import count
from typing import Any, Final

#: How many jobs are remembered: some kilobytes each.
RECENT_JOBS: Final = 1_000

#: What an answer may depend on, as it is when the question comes; ``None``: not to be remembered.
Version = Callable[..., Hashable]


def remembered(question: Callable[..., Any], version: Version, key: Callable[..., Hashable]) -> Callable[..., Any]:
    """The function, which answers the same ``key`` of its arguments anew only after ``version`` has changed.

    An answer that comes while the version changes may be newer than it says, never older. Errors are not remembered.
    """
    latest: tuple[Hashable, dict[Hashable, Any]] = (None, {})

    @wraps(question)
    def answer(*arguments: Any) -> Any:
        nonlocal latest
        now = version(*arguments)
        if now is None:
            return question(*arguments)
        then, answers = latest
        if then != now:  # nothing stays of what is gone
            answers = {}
            latest = (now, answers)
        asked = key(*arguments)
        if asked not in answers:
            answers[asked] = question(*arguments)
        found = answers[asked]
        # Whoever asks may change the list that he gets, as he might that of a new answer.
        return list(found) if isinstance(found, list) else found

    return answer


def remember() -> None:
    """Let the emulator's modules ask through :func:`remembered`. Before it serves."""
    from local_bigquery.catalog import datasets, metadata, row_access, tables
    from local_bigquery.engine import database
    from local_bigquery.jobs import store
    from local_bigquery.sql.rules import partitions

    def lake(column: str) -> Version:
        def version(project_id: str, *_: Any) -> Hashable:
            # Results of jobs are kept beside the lakes, and change without a snapshot.
            if project_id not in database._attached:
                return None
            snapshots = database.quote(f"__ducklake_metadata_{project_id}", "ducklake_snapshot")
            ((number,),) = database.fetch(f"SELECT max({column}) FROM {snapshots}")
            return project_id, number

        return version

    def same(*arguments: Any) -> Hashable:
        return arguments

    # Counts of rows change with each snapshot, schemas with few of them.
    data, schema = lake("snapshot_id"), lake("schema_version")
    database.objects = remembered(database.objects, data, same)
    datasets.exists = remembered(datasets.exists, data, same)
    tables.columns = remembered(tables.columns, lambda p, d, t: None if d == tables.RESULTS else schema(p), same)
    partitions._hidden = remembered(
        partitions._hidden, lambda table: schema(table.catalog), lambda table: (table.catalog, table.db, table.name)
    )

    # Descriptions of tables and datasets are written through two functions alone.
    changes = count()
    current = [next(changes)]

    def changing(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def changed(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            finally:
                current[0] = next(changes)

        return changed

    metadata.save, metadata.delete = changing(metadata.save), changing(metadata.delete)
    metadata.list_ = remembered(metadata.list_, lambda *_: current[0], same)
    row_access.secured = remembered(row_access.secured, lambda: current[0], same)
    remember_jobs(store)


def remember_jobs(store: Any) -> None:
    """Let the last jobs be read from memory.

    The emulator keeps each from when it runs, so that a crash leaves none that waits for ever.
    """
    recent: OrderedDict[tuple[str, str], str] = OrderedDict()
    lock = threading.Lock()
    save, load, delete = store.save, store.load, store.delete

    def save_and_remember(job: Any) -> Any:
        if job.status.state != "PENDING":
            save(job)
        if job.statistics.parentJobId is None:  # nobody waits for the statements of a script one by one
            with lock:
                recent[job.jobReference.projectId, job.jobReference.jobId] = json.dumps(job.dump())
                if len(recent) > RECENT_JOBS:
                    recent.popitem(last=False)
        return job

    def load_remembered(project_id: str, job_id: str) -> Any:
        text = recent.get((project_id, job_id))
        return load(project_id, job_id) if text is None else store.Job.model_validate_json(text)

    def delete_and_forget(project_id: str, job_id: str) -> None:
        delete(project_id, job_id)
        with lock:
            recent.pop((project_id, job_id), None)

    store.save, store.load, store.delete = save_and_remember, load_remembered, delete_and_forget
