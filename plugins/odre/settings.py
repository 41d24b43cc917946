"""Where things are, from environment variables alone: the one place that names datasets, bucket and prefixes.

Pure: no Airflow import.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True)
class Pool:
    """A pool of Airflow: its tasks together hold at most ``slots``."""

    name: str
    slots: int
    purpose: str


#: A merge waits for a merge and never for a dbt build, which may be a backfill's.
MERGE_POOL: Final = Pool("warehouse", 1, "Who changes raw tables: one at a time")
#: A build takes all slots; the tasks of single models, which follow one another within their DAG, take one each.
DBT_POOL: Final = Pool("dbt", 4, "Who writes marts: one build, or the models of builds that are done")
POOLS: Final = (MERGE_POOL, DBT_POOL)

#: Where contracts and dbt project are: in a checkout; and on Cloud Composer, whose web server has plugins and no DAGs.
INCLUDE_FOLDERS: Final = ("include", "plugins/include", "dags/include")


def find_folder(name: str, configured: str | None) -> Path:
    """A folder of ``include``: the one that is configured, else the first of :data:`INCLUDE_FOLDERS` that has it.

    Raises:
        FileNotFoundError: there is none; the message names where it was looked for.
    """
    root = Path(__file__).resolve().parents[2]
    places = [Path(configured)] if configured else [root / parent / name for parent in INCLUDE_FOLDERS]
    for place in places:
        if place.is_dir():
            return place
    raise FileNotFoundError(
        f"There is no folder {' or '.join(map(str, places))}: deploy again, or correct the variable that names it "
        "(README, Configuration)"
    )


#: dbt's profile, and its outputs: profiles.yml has what they are.
DBT_PROFILE: Final = "energy"


def dbt_target(environment: Mapping[str, str] = os.environ) -> str:
    """The output of dbt's profile that the environment chooses, as profiles.yml does by itself."""
    return "emulator" if environment.get("BIGQUERY_EMULATOR_HOST") else "google"


@dataclass(frozen=True)
class Settings:
    """Project, lake and warehouse of this deployment."""

    project: str
    location: str
    bucket: str
    lake_prefix: str
    dataset_prefix: str
    #: Airflow's connection with which the dashboard reads.
    dashboard_conn_id: str = "google_cloud_default"
    #: A query that would read more bytes is refused by BigQuery.
    maximum_bytes_billed: int = 10 * 2**30

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """The settings that the environment names, with the defaults of the README.

        Raises:
            ValueError: the bound on bytes is not a number.
        """
        bytes_billed = environment.get("MAXIMUM_BYTES_BILLED") or str(cls.maximum_bytes_billed)
        if not re.fullmatch(r"[1-9][0-9]*", bytes_billed):
            raise ValueError(f"MAXIMUM_BYTES_BILLED={bytes_billed} is no number of bytes: give one such as 10737418240")
        return cls(
            project=environment.get("GOOGLE_CLOUD_PROJECT", "odre-local"),
            location=environment.get("BIGQUERY_LOCATION", "EU"),
            bucket=environment.get("LAKE_BUCKET", "odre-lake"),
            lake_prefix=environment.get("LAKE_PREFIX", ""),
            dataset_prefix=environment.get("DATASET_PREFIX", ""),
            dashboard_conn_id=environment.get("DASHBOARD_CONN_ID", cls.dashboard_conn_id),
            maximum_bytes_billed=int(bytes_billed),
        )

    @property
    def load_dataset(self) -> str:
        """Dataset of the tables of one run; its tables expire after a day."""
        return f"{self.dataset_prefix}odre_load"

    @property
    def raw_dataset(self) -> str:
        """Dataset of the raw tables."""
        return f"{self.dataset_prefix}odre_raw"

    @property
    def ops_dataset(self) -> str:
        """Dataset of ledger, quarantine and builds."""
        return f"{self.dataset_prefix}energy_ops"

    @property
    def staging_dataset(self) -> str:
        """Dataset of dbt's staging and intermediate models."""
        return f"{self.dataset_prefix}energy_staging"

    @property
    def marts_dataset(self) -> str:
        """Dataset of the marts."""
        return f"{self.dataset_prefix}energy"

    @property
    def datasets(self) -> tuple[str, ...]:
        """All datasets, in the order in which data flow."""
        return (self.load_dataset, self.raw_dataset, self.ops_dataset, self.staging_dataset, self.marts_dataset)
