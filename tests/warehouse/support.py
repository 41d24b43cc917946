"""A warehouse of a test's own on the emulators: tables from the contracts, rows landed as a run lands them, dbt."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from dbt.adapters.base import impl
from dbt.cli.main import dbtRunner
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from emulators.odre import encode, odsql
from emulators.odre.source import Dataset
from odre import warehouse
from odre.contracts import Contract, read_contract, read_contracts
from odre.convert import Conversion, convert_csv
from odre.manifest import Manifest
from odre.settings import Settings
from odre.tables import ensure_tables
from tests.environment import variables

ROOT: Final = Path(__file__).resolve().parents[2]
DBT_PROJECT: Final = ROOT / "include" / "dbt"
PARIS: Final = ZoneInfo("Europe/Paris")

REAL_TIME: Final = "eco2mix-national-tr"
CONSOLIDATED: Final = "eco2mix-national-cons-def"
GAS: Final = "stock-quotidien-stockages-gaz"
TEMPERATURE: Final = "temperature-quotidienne-regionale"

#: DAG → the datasets that it fetches.
FETCHES: Final = {
    "eco2mix_hourly": (REAL_TIME, CONSOLIDATED),
    "gas_storage_daily": (GAS,),
    "temperature_monthly": (TEMPERATURE,),
}

MARTS: Final = (
    "power_steps",
    "power_revisions",
    "energy_mix_daily",
    "energy_mix_detail_daily",
    "energy_mix_period",
    "energy_mix_season",
    "gas_stock_daily",
    "temperature_daily",
    "energy_climate_daily",
    "relationships",
    "thermosensitivity",
    "exchanges_by_fullness",
    "answers",
    "looker_days",
    "looker_mix",
    "looker_exchanges",
)

#: The eight productions, as the source calls them.
PRODUCTIONS: Final = ("nucleaire", "eolien", "solaire", "hydraulique", "gaz", "charbon", "fioul", "bioenergies")

Row = Mapping[str, object]

#: dbt's adapter adds its own flags to this list whenever one is made, and looks through the stack for the source of
#: each: in one process a command would take longer than the one before.
_FLAGS: Final = tuple(impl.DEFAULT_BASE_BEHAVIOR_FLAGS)


class DbtFailed(AssertionError):
    """A dbt command that did not succeed; the message has what failed."""


@dataclass
class TestWarehouse:
    """One set of datasets behind a prefix of its own, empty tables included once it is created."""

    __test__ = False

    prefix: str
    bigquery_url: str
    workdir: Path
    settings: Settings = field(init=False)
    client: bigquery.Client = field(init=False)
    _runs: int = 0

    def __post_init__(self) -> None:
        self.settings = Settings.from_environment(self.environment)
        self.client = bigquery.Client(
            project=self.settings.project,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": self.bigquery_url},
        )

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point dbt and the settings at this warehouse."""
        return {
            "GOOGLE_CLOUD_PROJECT": "odre-local",
            "BIGQUERY_LOCATION": "US",
            "BIGQUERY_EMULATOR_HOST": self.bigquery_url,
            "DATASET_PREFIX": self.prefix,
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "False",
            "DO_NOT_TRACK": "1",
        }

    def create(self) -> TestWarehouse:
        """Create the datasets and every raw and ops table."""
        for name in self.settings.datasets:
            dataset = bigquery.Dataset(f"{self.settings.project}.{name}")
            dataset.location = "US"
            self.client.create_dataset(dataset, exists_ok=True)
        ensure_tables(self.client, self.settings, warehouse.tables(read_contracts().values(), self.settings))
        return self

    def drop(self) -> None:
        """Delete the datasets and all that is in them."""
        for name in self.settings.datasets:
            self.client.delete_dataset(f"{self.settings.project}.{name}", delete_contents=True, not_found_ok=True)

    # Landing.

    def land(
        self,
        dataset: str,
        rows: Iterable[Row] | bytes,
        window: tuple[datetime | None, datetime | None] = (None, None),
        run_id: str | None = None,
    ) -> Conversion:
        """Convert and commit rows (dictionaries, or a CSV export in the key's order) as one chunk of a run."""
        contract = read_contract(dataset)
        body = rows if isinstance(rows, bytes) else csv_export(contract, rows)
        self._runs += 1
        run_id = run_id or f"test-{self._runs}"
        with tempfile.TemporaryDirectory(dir=self.workdir) as folder:
            names = body.split(b"\n", 1)[0].decode("utf-8-sig").strip().split(";")
            conversion = convert_csv(_pieces(body), contract, names, Path(folder) / "chunk.parquet")
            run_table = warehouse.run_table(contract, run_id, 0)
            with conversion.path.open("rb") as file:
                self.client.load_table_from_file(
                    file,
                    f"{self.settings.project}.{self.settings.load_dataset}.{run_table}",
                    job_config=bigquery.LoadJobConfig(
                        source_format="PARQUET",
                        schema=[bigquery.SchemaField.from_api_repr(dict(entry)) for entry in contract.bigquery_schema],
                    ),
                ).result()
        manifest = Manifest(
            dataset=dataset,
            dag_id="test",
            run_id=run_id,
            chunk=0,
            chunks=1,
            ordinary=True,
            run_window_start=window[0],
            run_window_end=window[1],
            window_start=window[0],
            window_end=window[1],
            source_mark=datetime.now(UTC),
            object_uri="gs://test/object.parquet",
            manifest_uri="gs://test/manifest.json",
            unknown_columns="",
            absent_columns="",
            extracted_at=datetime.now(UTC),
            **conversion.ledger_values(),
        )
        assert conversion.first_time is not None
        assert conversion.last_time is not None
        first, last = conversion.first_time, conversion.last_time
        is_day = contract.time_type == "DATE"
        self.merge(
            contract,
            {
                "run_table": run_table,
                "manifest": json.dumps({**manifest.to_dict(), "quarantine": conversion.quarantine.to_pylist()}),
                "first_time": first.date() if is_day else first,
                "last_time": last.date() if is_day else last,
            },
        )
        return conversion

    def merge(self, contract: Contract, extracted: Mapping[str, Any], **how: Any) -> None:
        """Commit a chunk by what its extraction gave, and wait; ``how`` the client is to try again."""
        types = {"manifest": "STRING", "first_time": contract.time_type, "last_time": contract.time_type}
        self.client.query(
            warehouse.merge_sql(contract, self.settings, extracted["run_table"]),
            job_config=bigquery.QueryJobConfig(
                query_parameters=[
                    bigquery.ScalarQueryParameter(name, kind, extracted[name]) for name, kind in types.items()
                ]
            ),
            **how,
        ).result(**how)

    def land_all_of(
        self, served: Dataset, window: tuple[datetime | None, datetime | None] = (None, None)
    ) -> Conversion:
        """Land every row of a dataset that the stand-in serves, as one chunk of this window."""
        contract = read_contract(served.identifier)
        names = [column.name for column in contract.columns if column.name in served.table.column_names]
        order = odsql.ordered(served.table, np.arange(served.table.num_rows), ",".join(contract.key))
        rows = encode.Rows(served.table, order, odsql.parse_select(served.table, ",".join(names)))
        return self.land(
            served.identifier, b"".join(encode.csv(rows, names, delimiter=";", with_bom=False, timezone="UTC")), window
        )

    # dbt.

    def dbt(self, *arguments: str) -> None:
        """Run a dbt command in this process.

        Raises:
            DbtFailed: it failed; names each node that did, with its message.
        """
        common = ["--quiet", "--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)]
        common += ["--target-path", str(self.target), "--log-path", str(self.workdir / f"{self.prefix}logs")]
        if "parse" not in arguments:
            # The manifest, which takes longer to write than to read, is what somebody asks for who has it parsed.
            common.append("--no-write-json")
        impl.DEFAULT_BASE_BEHAVIOR_FLAGS[:] = _FLAGS
        with variables(self.environment):
            done = dbtRunner().invoke([*arguments, *common])
        if not done.success:
            results: Any = done.result or []
            failed = [
                f"{result.node.name}: {result.message}" for result in results if result.failures or result.message
            ]
            bad = [line for line in failed if not line.endswith("processed)")]
            raise DbtFailed(f"dbt {' '.join(arguments)} failed: {done.exception or bad}")

    @property
    def target(self) -> Path:
        """Where dbt writes what it compiled."""
        return self.workdir / f"{self.prefix}target"

    def plan(self, table: str = "power_steps") -> dict[str, Any]:
        """The plan that a table's last compiled query carries."""
        sql = (self.target / f"compiled/energy/models/marts/{table}.sql").read_text()
        plan: dict[str, Any] = json.loads(sql.split("/* plan: ", 1)[1].split(" */", 1)[0])
        return plan

    # Asking.

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query; ``{raw}``, ``{ops}``, ``{staging}`` and ``{marts}`` are the datasets."""
        text = sql.format(
            raw=self.settings.raw_dataset,
            ops=self.settings.ops_dataset,
            staging=self.settings.staging_dataset,
            marts=self.settings.marts_dataset,
        )
        return [tuple(row.values()) for row in self.client.query(text).result()]

    def value(self, sql: str) -> Any:
        """The one value of a query."""
        ((value,),) = self.query(sql)
        return value

    def state(self, marts: Sequence[str] = MARTS) -> dict[str, tuple[int, int]]:
        """Rows and a hash of all values, of each mart."""
        return {
            mart: self.query(
                f"select count(*), coalesce(bit_xor(farm_fingerprint(to_json_string(t))), 0) from {{marts}}.{mart} as t"
            )[0]
            for mart in marts
        }


#: Makes a warehouse: the fixture ``new_warehouse``.
NewWarehouse = Callable[[], TestWarehouse]


def _pieces(body: bytes) -> Iterator[bytes]:
    """A body as a connection hands it over."""
    for start in range(0, len(body), 1 << 16):
        yield body[start : start + (1 << 16)]


def csv_export(contract: Contract, rows: Iterable[Row]) -> bytes:
    """Rows as the source exports them: all columns of the contract, in the key's order, nulls empty."""
    names = [column.name for column in contract.columns]
    lines = [";".join(names)]
    for row in sorted(rows, key=lambda row: tuple(str(row[name]) for name in contract.key)):
        unknown = set(row) - set(names)
        assert not unknown, f"{contract.dataset} has no column {unknown}"
        lines.append(";".join("" if row.get(name) is None else str(row[name]) for name in names))
    return ("\n".join(lines) + "\n").encode()


# Rows made by hand.


def seeded(seed: str) -> list[dict[str, str]]:
    """The rows of a dbt seed."""
    with (DBT_PROJECT / "seeds" / f"{seed}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def power_row(instant: datetime, consumption: int | None, nature: str = "Données temps réel", /, **mw: object) -> Row:
    """A row of eco2mix at a true instant: what is consumed is nuclear, and what else is not given is empty."""
    local = instant.astimezone(PARIS)
    balance = dict.fromkeys((*PRODUCTIONS, "pompage", "ech_physiques"), 0) | {"nucleaire": consumption}
    return {
        "perimetre": "France",
        "nature": nature,
        "date": local.date().isoformat(),
        "heure": local.strftime("%H:%M"),
        "date_heure": instant.astimezone(UTC).isoformat(),
        "consommation": consumption,
        **({} if consumption is None else balance),
        **mw,
    }


def source_day(day: date, consumption: int, minutes: int = 15) -> list[Row]:
    """A civil day as the source publishes it: 96 local rows, those that do not exist in March included.

    Real time of the clock's first pass in October: its second 02:xx is not published.
    """
    rows: list[Row] = []
    for step in range(0, 24 * 60, minutes):
        naive = datetime(day.year, day.month, day.day) + timedelta(minutes=step)
        instant = naive.replace(tzinfo=PARIS, fold=0).astimezone(UTC)
        rows.append(
            {
                **power_row(instant, consumption),
                "date": day.isoformat(),
                "heure": naive.strftime("%H:%M"),
            }
        )
    return rows


def every(minutes: int, start: datetime, end: datetime) -> Iterator[datetime]:
    """Instants from ``start`` to before ``end``."""
    while start < end:
        yield start
        start += timedelta(minutes=minutes)
