"""The warehouse as the dashboard reads it: a few queries side by side, within a time and a number of bytes.

Pure: no Airflow import.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

import pyarrow as pa
from google.api_core.exceptions import NotFound
from google.api_core.retry import Retry
from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_RETRY

from energy_dashboard.queries import Query
from odre.jobs import labels_of

#: Seconds that a reader waits for the warehouse before it is told so.
TIMEOUT_S: Final = 10.0
#: Seconds for which a request that found nobody is tried again.
RETRY_FOR_S: Final = 2.0
#: What the jobs of the page's readers are labelled with in place of a DAG.
PAGE: Final = "dashboard"
#: Queries of all readers that run at one time.
_AT_ONCE: Final = 8

_TYPES: Final[Mapping[type, str]] = {str: "STRING", date: "DATE", datetime: "TIMESTAMP"}

log = logging.getLogger(__name__)


class WarehouseSilent(Exception):
    """The warehouse did not answer in time, or not at all; its cause is the exception's own."""


class MartsAbsent(Exception):
    """The warehouse answers, and has no marts yet."""


@dataclass
class Marts:
    """Reads marts. ``connect`` gives a client, when first one is needed; it may take its time and fail.

    No query may read more than ``max_bytes``. For the jobs' labels, ``dataset`` is where the marts are and ``asked_by``
    the DAG that asks; without, it is the page.
    """

    connect: Callable[[], bigquery.Client]
    max_bytes: int
    dataset: str
    asked_by: str | None = None
    timeout_s: float = TIMEOUT_S
    _client: bigquery.Client | None = None
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_AT_ONCE, "dashboard-query"))

    def read(self, queries: Mapping[str, Query]) -> dict[str, pa.Table]:
        """The rows of each query, under its name.

        Raises:
            WarehouseSilent: one failed, or all together took longer than ``timeout_s``.
            MartsAbsent: a table is not there.
        """
        deadline = time.monotonic() + self.timeout_s
        running = {name: self._pool.submit(self._rows, name, query) for name, query in queries.items()}
        try:
            return {name: rows.result(deadline - time.monotonic()) for name, rows in running.items()}
        except NotFound as error:
            raise MartsAbsent(str(error)) from error
        except TimeoutError as error:
            raise WarehouseSilent(f"no answer within {self.timeout_s:g} s") from error
        except Exception as error:  # whatever way a connection, a network or a job has to fail
            raise WarehouseSilent(f"{type(error).__name__}: {error}") from error
        finally:
            for rows in running.values():
                rows.cancel()

    def _rows(self, name: str, query: Query) -> pa.Table:
        if self._client is None:
            self._client = self.connect()
        config = bigquery.QueryJobConfig(
            query_parameters=[
                bigquery.ScalarQueryParameter(parameter, _TYPES[type(value)], value)
                for parameter, value in query.parameters.items()
            ],
            maximum_bytes_billed=self.max_bytes,
            job_timeout_ms=int(self.timeout_s * 1000),
            labels=labels_of(self.asked_by or PAGE, name, self.dataset),
        )
        retry: Retry = DEFAULT_RETRY.with_timeout(RETRY_FOR_S)
        options: dict[str, Any] = {"api_timeout": self.timeout_s, "wait_timeout": self.timeout_s}
        rows = self._client.query_and_wait(query.sql, job_config=config, retry=retry, job_retry=None, **options)
        return rows.to_arrow(create_bqstorage_client=False)
