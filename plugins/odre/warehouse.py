"""The warehouse's raw and ops tables, and the SQL that keeps them: derived from the contracts.

Pure: text and schemas only; nothing here talks to BigQuery.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from odre.contracts import Contract
from odre.settings import Settings

Field = dict[str, str]


def _field(name: str, field_type: str, description: str) -> Field:
    return {"name": name, "type": field_type, "mode": "NULLABLE", "description": description}


#: What the pipeline adds to each row of a raw table.
LINEAGE: Final = (
    _field("_loaded_at", "TIMESTAMP", "When the row's present values were committed"),
    _field("_run_id", "STRING", "Airflow run that committed them"),
)

#: What a superseded row carries besides.
SUPERSEDED: Final = (
    _field("_replaced_at", "TIMESTAMP", "When the row's values were replaced"),
    _field("_replaced_by_run_id", "STRING", "Airflow run that replaced them"),
)

#: The ledger: one row a committed (dataset, run, chunk, content).
LOADS: Final = (
    _field("dataset", "STRING", "Dataset of the source"),
    _field("dag_id", "STRING", "DAG of the run"),
    _field("run_id", "STRING", "Airflow run"),
    _field("chunk", "INT64", "Number of the chunk within the run, from 0"),
    _field("chunks", "INT64", "How many chunks the run's window has"),
    _field("ordinary", "BOOL", "The run chose its window itself; only such runs move the marks"),
    _field("run_window_start", "TIMESTAMP", "Start of the run's window, null for the source's first row"),
    _field("run_window_end", "TIMESTAMP", "End of the run's window (excluded), null for the source's last row"),
    _field("window_start", "TIMESTAMP", "Start of the chunk's window"),
    _field("window_end", "TIMESTAMP", "End of the chunk's window (excluded)"),
    _field("source_mark", "TIMESTAMP", "The source's freshness mark before the run's first data request"),
    _field("rows_source", "INT64", "Rows that the source sent"),
    _field("rows_landed", "INT64", "Rows in the lake object"),
    _field("rows_quarantined", "INT64", "Rows that break the contract"),
    _field("rows_excluded", "INT64", "Rows dropped by a rule of the source"),
    _field("first_time", "TIMESTAMP", "Least time landed"),
    _field("last_time", "TIMESTAMP", "Greatest time landed"),
    _field("high_water", "TIMESTAMP", "Greatest measured time landed"),
    _field("object_uri", "STRING", "Lake object with the rows"),
    _field("content_sha256", "STRING", "SHA-256 of that object"),
    _field("manifest_uri", "STRING", "Lake object that describes the extraction"),
    _field("unknown_columns", "STRING", "Columns at the source that the contract does not know, comma separated"),
    _field("absent_columns", "STRING", "Optional columns that the source does not have, comma separated"),
    _field("extracted_at", "TIMESTAMP", "When the chunk was requested; what was requested later wins"),
    _field("loaded_at", "TIMESTAMP", "When the chunk was committed"),
)

QUARANTINE: Final = (
    _field("dataset", "STRING", "Dataset of the source"),
    _field("key", "STRING", "Key of the row as the source sent it"),
    _field("column", "STRING", "Column that breaks the contract"),
    _field("raw_value", "STRING", "What the source sent there"),
    _field("reason", "STRING", "Why it was not accepted"),
    _field("is_rule", "BOOL", "A known rule of the source: does not count as bad"),
    _field("run_id", "STRING", "Airflow run that met it first"),
    _field("chunk", "INT64", "Chunk of that run"),
    _field("object_uri", "STRING", "Lake object with the accepted rows of the same chunk"),
    _field("quarantined_at", "TIMESTAMP", "When it was committed"),
)

BUILDS: Final = (
    _field("dag_id", "STRING", "DAG of the run"),
    _field("run_id", "STRING", "Airflow run"),
    _field("project_hash", "STRING", "Hash of the dbt project that was built"),
    _field("started_at", "TIMESTAMP", "When the build's inputs were fixed: later loads are not in it"),
    _field("finished_at", "TIMESTAMP", "When the build was complete"),
    _field("data_tests", "STRING", "Data tests that it ran: all, or those of keys alone"),
)

#: A row a dataset, which every merge of it changes: of two that overlap only one can commit.
TURNS: Final = (
    _field("dataset", "STRING", "Dataset of the source"),
    _field("run_id", "STRING", "Airflow run that merged last"),
    _field("taken_at", "TIMESTAMP", "When it did"),
)

RUNS: Final = (
    _field("dag_id", "STRING", "DAG of the run"),
    _field("run_id", "STRING", "Airflow run without a window that ended with current marts"),
    _field("succeeded_at", "TIMESTAMP", "When it did"),
    _field("expected_by", "TIMESTAMP", "When the DAG's next success is due at the latest"),
)

ALERTS: Final = (
    _field("subject", "STRING", "What the alert is about: a DAG or a dataset"),
    _field("state", "STRING", "What it is: late"),
    _field("since", "TIMESTAMP", "Since when"),
    _field("notified_at", "TIMESTAMP", "When the message was sent"),
)

#: Hours after the first load of any dataset by which every dataset is to be loaded: each DAG has had a run by then.
FIRST_LOADS_WITHIN_HOURS: Final = 30

#: The ledger's columns that a merge takes from the manifest; ``loaded_at`` is the moment of the commit.
LEDGER_COLUMNS: Final = tuple(field["name"] for field in LOADS if field["name"] != "loaded_at")


@dataclass(frozen=True)
class Table:
    """A table that the pipeline owns: where, its schema, and how it is partitioned (by month, on one column)."""

    dataset: str
    name: str
    schema: tuple[Field, ...]
    partition_column: str
    description: str
    require_partition_filter: bool = False


def tables(contracts: Iterable[Contract], settings: Settings) -> Iterator[Table]:
    """Every raw and ops table, of all datasets, so that whichever DAG runs first finds all that dbt reads."""
    for contract in contracts:
        schema = (*contract.bigquery_schema, *LINEAGE)
        yield Table(
            settings.raw_dataset,
            contract.table,
            schema,
            contract.time_column,
            f"{contract.title}. Source: ODRÉ, {contract.dataset} ({contract.producer})",
            contract.partition_filter,
        )
        yield Table(
            settings.raw_dataset,
            f"{contract.table}_replaced",
            (*schema, *SUPERSEDED),
            contract.time_column,
            f"Earlier values of rows that the source restated: {contract.title}",
        )
    yield Table(settings.ops_dataset, "loads", LOADS, "loaded_at", "Ledger: what was landed, when and from where")
    yield Table(
        settings.ops_dataset, "quarantine", QUARANTINE, "quarantined_at", "Rows that were not accepted, and why"
    )
    yield Table(settings.ops_dataset, "builds", BUILDS, "finished_at", "Successful builds of the dbt project")
    yield Table(settings.ops_dataset, "turns", TURNS, "taken_at", "What keeps two merges of one dataset apart")
    yield Table(settings.ops_dataset, "runs", RUNS, "succeeded_at", "Successful runs, and when the next is due")
    yield Table(settings.ops_dataset, "alerts", ALERTS, "notified_at", "Messages that were sent")


def run_table(contract: Contract, run_id: str, chunk: int) -> str:
    """Name of the table that holds one chunk of one run until its merge."""
    digest = hashlib.sha256(run_id.encode()).hexdigest()[:12]
    return f"{contract.table}__{digest}_{chunk}"


def _names(names: Iterable[str], prefix: str = "") -> str:
    return ", ".join(f"{prefix}`{name}`" for name in names)


def merge_sql(contract: Contract, settings: Settings, incoming: str, committed_at: str = "CURRENT_TIMESTAMP()") -> str:
    """The script that commits one chunk: replaced rows, raw rows, quarantine and ledger in one transaction.

    ``incoming`` is the run's table in the load dataset. Parameters: ``@manifest`` (the manifest as JSON, with its
    quarantined rows), ``@first_time`` and ``@last_time`` (constant bounds on the partition column). ``committed_at`` is
    the SQL of the commit's instant: now, but for a commit that is made again.

    What was extracted later wins, whichever is committed first: where a later extraction of the same times is in the
    ledger, this chunk only adds the keys that are absent, and its other values join the replaced ones.

    Running it again changes nothing. A try that finds the run's table gone has nothing to do if the ledger has the
    chunk (an earlier try committed and its answer was lost), and fails otherwise.
    """
    raw = f"`{settings.project}.{settings.raw_dataset}.{contract.table}`"
    replaced = f"`{settings.project}.{settings.raw_dataset}.{contract.table}_replaced`"
    loads = f"`{settings.project}.{settings.ops_dataset}.loads`"
    quarantine = f"`{settings.project}.{settings.ops_dataset}.quarantine`"
    turns = f"`{settings.project}.{settings.ops_dataset}.turns`"
    staged = f"`{settings.project}.{settings.load_dataset}.{incoming}`"
    columns = [column.name for column in contract.columns]
    values = [name for name in columns if name not in contract.key]
    lineage = [field["name"] for field in LINEAGE]
    superseded = [field["name"] for field in SUPERSEDED]
    in_bounds = f"target.`{contract.time_column}` BETWEEN @first_time AND @last_time"
    same_key = " AND ".join(f"target.`{name}` = incoming.`{name}`" for name in contract.key)
    restated = "\n    OR ".join(f"target.`{name}` IS DISTINCT FROM incoming.`{name}`" for name in values)
    ledger_values = ",\n    ".join(_from_manifest(field) for field in LOADS if field["name"] in LEDGER_COLUMNS)
    ledger_key = " AND ".join(
        f"loads.{name} = {_from_manifest_value(name, field_type)}"
        for name, field_type in (
            ("dataset", "STRING"),
            ("run_id", "STRING"),
            ("chunk", "INT64"),
            ("content_sha256", "STRING"),
        )
    )
    extracted_at = _from_manifest_value("extracted_at", "TIMESTAMP")
    is_later = f"later.dataset = '{contract.dataset}' AND later.extracted_at > {extracted_at}"
    spans_later = _within_window("@first_time", "@last_time", contract)
    moment = f"staged.`{contract.time_column}`"
    overtaken = f"""\
SELECT DISTINCT {moment} AS moment
      FROM {staged} AS staged
      INNER JOIN {loads} AS later ON {_within_window(moment, moment, contract)}
      WHERE {is_later}"""
    return f"""\
DECLARE committed_at TIMESTAMP DEFAULT {committed_at};
DECLARE is_staged BOOL DEFAULT (
  SELECT COUNT(*) > 0
  FROM `{settings.project}.{settings.load_dataset}.INFORMATION_SCHEMA.TABLES`
  WHERE table_name = '{incoming}'
);

IF is_staged THEN
  IF NOT EXISTS (SELECT 1 FROM {turns} WHERE dataset = '{contract.dataset}') THEN
    INSERT INTO {turns} (dataset, taken_at) VALUES ('{contract.dataset}', committed_at);
  END IF;

  BEGIN TRANSACTION;

  -- A merge whose task was killed may still go on. Two that only add rows do not conflict, and each would find a key
  -- absent: so each changes this row, and the second of two at once fails and is tried again.
  UPDATE {turns} SET run_id = JSON_VALUE(@manifest, '$.run_id'), taken_at = committed_at
  WHERE dataset = '{contract.dataset}';

  -- A later extraction of these times was committed first: its values stay, this chunk's join the earlier ones.
  IF EXISTS (SELECT 1 FROM {loads} AS later WHERE {is_later} AND {spans_later}) THEN
    INSERT INTO {replaced} ({_names(columns)}, {_names(lineage)}, {_names(superseded)})
    WITH overtaken AS (
      {overtaken}
    )
    SELECT {_names(columns, "incoming.")}, committed_at, JSON_VALUE(@manifest, '$.run_id'),
      committed_at, target._run_id
    FROM {raw} AS target
    INNER JOIN {staged} AS incoming ON {same_key}
    INNER JOIN overtaken ON incoming.`{contract.time_column}` = overtaken.moment
    WHERE {in_bounds} AND (
      {restated}
    ) AND NOT EXISTS (SELECT 1 FROM {loads} AS loads WHERE {ledger_key});

    DELETE FROM {staged} AS incoming
    WHERE incoming.`{contract.time_column}` IN (
      {overtaken}
    ) AND EXISTS (SELECT 1 FROM {raw} AS target WHERE {in_bounds} AND {same_key});
  END IF;

  -- Keep what is about to be replaced.
  INSERT INTO {replaced} ({_names(columns)}, {_names(lineage)}, {_names(superseded)})
  SELECT {_names(columns, "target.")}, {_names(lineage, "target.")},
    committed_at, JSON_VALUE(@manifest, '$.run_id')
  FROM {raw} AS target
  INNER JOIN {staged} AS incoming ON {same_key}
  WHERE {in_bounds} AND (
    {restated}
  );

  -- The last state that the source showed wins; rows that did not change are not touched.
  DELETE FROM {raw} AS target
  WHERE {in_bounds} AND EXISTS (
    SELECT 1 FROM {staged} AS incoming
    WHERE {same_key} AND (
    {restated}
    )
  );

  INSERT INTO {raw} ({_names(columns)}, {_names(lineage)})
  SELECT {_names(columns, "incoming.")}, committed_at, JSON_VALUE(@manifest, '$.run_id')
  FROM {staged} AS incoming
  WHERE NOT EXISTS (SELECT 1 FROM {raw} AS target WHERE {in_bounds} AND {same_key});

  INSERT INTO {quarantine} (
    dataset, key, `column`, raw_value, reason, is_rule, run_id, chunk, object_uri, quarantined_at
  )
  WITH refused AS (
    SELECT DISTINCT
      JSON_VALUE(@manifest, '$.dataset') AS dataset,
      JSON_VALUE(entry, '$.key') AS key,
      JSON_VALUE(entry, '$.column') AS column_name,
      JSON_VALUE(entry, '$.raw_value') AS raw_value,
      JSON_VALUE(entry, '$.reason') AS reason,
      CAST(JSON_VALUE(entry, '$.is_rule') AS BOOL) AS is_rule
    FROM UNNEST(JSON_QUERY_ARRAY(@manifest, '$.quarantine')) AS entry
  )
  SELECT
    refused.dataset, refused.key, refused.column_name, refused.raw_value, refused.reason, refused.is_rule,
    JSON_VALUE(@manifest, '$.run_id'), CAST(JSON_VALUE(@manifest, '$.chunk') AS INT64),
    JSON_VALUE(@manifest, '$.object_uri'), committed_at
  FROM refused
  WHERE NOT EXISTS (
    SELECT 1 FROM {quarantine} AS known
    WHERE known.dataset = refused.dataset
      AND known.reason = refused.reason
      AND known.key IS NOT DISTINCT FROM refused.key
      AND known.`column` IS NOT DISTINCT FROM refused.column_name
      AND known.raw_value IS NOT DISTINCT FROM refused.raw_value
  );

  -- The same content again, extracted anew: the ledger keeps one row, of the last extraction.
  DELETE FROM {loads} AS loads
  WHERE {ledger_key} AND loads.extracted_at < {extracted_at};

  INSERT INTO {loads} ({", ".join(LEDGER_COLUMNS)}, loaded_at)
  SELECT
    {ledger_values},
    committed_at
  FROM (SELECT 1)
  WHERE NOT EXISTS (SELECT 1 FROM {loads} AS loads WHERE {ledger_key});

  COMMIT TRANSACTION;
  DROP TABLE IF EXISTS {staged};
ELSEIF NOT EXISTS (SELECT 1 FROM {loads} AS loads WHERE {ledger_key}) THEN
  SELECT ERROR(CONCAT(
    '{contract.dataset}, ',
    IFNULL(JSON_VALUE(@manifest, '$.window_start'), 'the beginning'), ' to ',
    IFNULL(JSON_VALUE(@manifest, '$.window_end'), 'the end'),
    ': table {incoming} is gone and its chunk is not in the ledger. Clear the load task.'
  ));
END IF;
"""


def commit_time_sql(settings: Settings) -> str:
    """When the extraction of ``@manifest_uri`` was committed: a row ``committed_at``, null if the ledger lacks it."""
    return f"""\
SELECT MAX(loaded_at) AS committed_at
FROM `{settings.project}.{settings.ops_dataset}.loads`
WHERE manifest_uri = @manifest_uri
"""


def _within_window(first: str, last: str, contract: Contract) -> str:
    """Condition: something between two values of the time column lies in the window of the load ``later``."""
    as_instant = "TIMESTAMP({})" if contract.time_type == "DATE" else "{}"
    return (
        f"(later.window_start IS NULL OR later.window_start <= {as_instant.format(last)})"
        f" AND (later.window_end IS NULL OR later.window_end > {as_instant.format(first)})"
    )


def _from_manifest_value(name: str, field_type: str) -> str:
    value = f"JSON_VALUE(@manifest, '$.{name}')"
    return value if field_type == "STRING" else f"CAST({value} AS {field_type})"


def _from_manifest(field: Field) -> str:
    return f"{_from_manifest_value(field['name'], field['type'])} AS {field['name']}"


def source_state_sql(contract: Contract, settings: Settings) -> str:
    """What the ledger and the raw table say of a dataset: one row ``source_mark, high_water, landed_at, unsettled``.

    Only runs that chose their window themselves and committed every chunk count, and only where the source sent
    rows: a consolidation can be announced before its export has any.
    """
    unsettled = "CAST(NULL AS TIMESTAMP)"
    if contract.lookback_until_column:
        unsettled = f"""(
    SELECT MIN(raw.{contract.time_column})
    FROM `{settings.project}.{settings.raw_dataset}.{contract.table}` AS raw
    WHERE raw.{contract.time_column} >= TIMESTAMP '1970-01-01'
      AND raw.{contract.lookback_until_column} IS DISTINCT FROM '{contract.lookback_until_value}'
  )"""
    return f"""\
WITH complete_extractions AS (
  SELECT
    source_mark,
    MAX(extracted_at) AS extracted_at,
    MAX(high_water) AS high_water,
    MAX(loaded_at) AS landed_at
  FROM `{settings.project}.{settings.ops_dataset}.loads`
  WHERE dataset = '{contract.dataset}' AND ordinary
  GROUP BY run_id, source_mark, run_window_start, run_window_end, chunks
  HAVING COUNT(DISTINCT chunk) = chunks AND SUM(rows_source) > 0
)
SELECT
  MAX_BY(source_mark, extracted_at) AS source_mark,
  MAX(high_water) AS high_water,
  MAX(landed_at) AS landed_at,
  {unsettled} AS unsettled
FROM complete_extractions
"""


def build_state_sql(contracts: Iterable[Contract], settings: Settings) -> str:
    """Whether a DAG's marts are behind: one row ``is_current, tested_at`` for ``@dag_id`` and ``@project_hash``.

    Current means: the last build of this DAG was made from the same dbt project, and began after the last load of
    the DAG's datasets. ``tested_at``: when all data tests of this project last passed, null if they never did.
    """
    datasets = ", ".join(f"'{contract.dataset}'" for contract in contracts)
    return f"""\
WITH last_build AS (
  SELECT project_hash, started_at
  FROM `{settings.project}.{settings.ops_dataset}.builds`
  WHERE dag_id = @dag_id
  ORDER BY started_at DESC
  LIMIT 1
),

last_load AS (
  SELECT MAX(loaded_at) AS loaded_at
  FROM `{settings.project}.{settings.ops_dataset}.loads`
  WHERE dataset IN ({datasets})
)

SELECT
  COUNTIF(
    last_build.project_hash = @project_hash
    AND (last_load.loaded_at IS NULL OR last_load.loaded_at < last_build.started_at)
  ) > 0 AS is_current,
  (
    SELECT MAX(finished_at)
    FROM `{settings.project}.{settings.ops_dataset}.builds`
    WHERE dag_id = @dag_id AND project_hash = @project_hash AND data_tests = 'all'
  ) AS tested_at
FROM last_build
CROSS JOIN last_load
"""


def record_run_sql(settings: Settings) -> str:
    """Notes a successful run; parameters ``@dag_id, @run_id, @expected_by`` (text; empty: the run does not count)."""
    return f"""\
INSERT INTO `{settings.project}.{settings.ops_dataset}.runs` (dag_id, run_id, succeeded_at, expected_by)
SELECT @dag_id, @run_id, CURRENT_TIMESTAMP(), TIMESTAMP(@expected_by)
FROM (SELECT 1)
WHERE @expected_by != '';
"""


def record_build_sql(settings: Settings) -> str:
    """Notes a successful build, once a (run, start), and its run.

    Parameters ``@dag_id, @run_id, @project_hash, @started_at, @data_tests``, and those of :func:`record_run_sql`.
    """
    builds = f"`{settings.project}.{settings.ops_dataset}.builds`"
    return f"""\
INSERT INTO {builds} (dag_id, run_id, project_hash, started_at, finished_at, data_tests)
SELECT @dag_id, @run_id, @project_hash, @started_at, CURRENT_TIMESTAMP(), @data_tests
FROM (SELECT 1)
WHERE NOT EXISTS (
  SELECT 1 FROM {builds} WHERE dag_id = @dag_id AND run_id = @run_id AND started_at = @started_at
);

{record_run_sql(settings)}"""


def due_runs_sql(contracts: Iterable[Contract], settings: Settings) -> str:
    """The view ``energy_ops.due_runs``: a row a DAG that ever succeeded, and one a dataset that was never loaded.

    Columns ``name, succeeded_at, expected_by, is_late, notified_at`` (of the message about this lateness).
    """
    ops = f"{settings.project}.{settings.ops_dataset}"
    required = ", ".join(f"'{contract.dataset}'" for contract in contracts if not contract.optional)
    return f"""\
WITH dags AS (
  SELECT dag_id AS name, MAX(succeeded_at) AS succeeded_at, MAX_BY(expected_by, succeeded_at) AS expected_by
  FROM `{ops}.runs`
  GROUP BY dag_id
),

never_loaded AS (
  SELECT
    required AS name,
    CAST(NULL AS TIMESTAMP) AS succeeded_at,
    TIMESTAMP_ADD(first_load.loaded_at, INTERVAL {FIRST_LOADS_WITHIN_HOURS} HOUR) AS expected_by
  FROM UNNEST([{required}]) AS required
  CROSS JOIN (SELECT MIN(loaded_at) AS loaded_at FROM `{ops}.loads`) AS first_load
  WHERE NOT EXISTS (SELECT 1 FROM `{ops}.loads` AS loads WHERE loads.dataset = required)
),

due AS (
  SELECT name, succeeded_at, expected_by FROM dags
  UNION ALL
  SELECT name, succeeded_at, expected_by FROM never_loaded
),

messages AS (
  SELECT subject, since, MAX(notified_at) AS notified_at
  FROM `{ops}.alerts`
  WHERE state = 'late'
  GROUP BY subject, since
)

SELECT
  due.name,
  due.succeeded_at,
  due.expected_by,
  COALESCE(due.expected_by < CURRENT_TIMESTAMP(), FALSE) AS is_late,
  messages.notified_at
FROM due
LEFT JOIN messages ON messages.subject = due.name AND messages.since = due.expected_by
"""


def record_alert_sql(settings: Settings) -> str:
    """Notes that a message was sent; parameters ``@subject, @state, @since``."""
    return f"""\
INSERT INTO `{settings.project}.{settings.ops_dataset}.alerts` (subject, state, since, notified_at)
SELECT @subject, @state, @since, CURRENT_TIMESTAMP()
"""
