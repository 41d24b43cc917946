"""``python -m odre.check_source``: hold every assumption that the pipeline makes of the source against what it answers.

Some two dozen small requests; nothing is written. One line an assumption, ``pass`` or ``FAIL`` with what was found, and
a non-zero exit on a failure. The source is the address given, or that of ``AIRFLOW_CONN_ODRE_DEFAULT``, or ODRÉ itself.

Pure: no Airflow import.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import requests

from odre.address import API_PATH, ODRE, Address
from odre.client import parse_instant
from odre.contracts import SOURCE_TYPES, Contract, normalise_label, read_contracts
from odre.convert import convert_csv
from odre.paris import PARIS
from odre.quarantine import ContractBroken
from odre.windows import Window

TIMEOUT_S: Final = (10.0, 60.0)
TRIES: Final = 3
#: The rows that are exported and counted: enough to see order and bounds.
SPAN: Final = {"TIMESTAMP": timedelta(days=1), "DATE": timedelta(days=7)}
#: The general assumptions are tried on this dataset: it has text dates and instants.
GENERAL: Final = "eco2mix-national-tr"
QUOTA_HEADERS: Final = tuple(
    f"x-ratelimit-{scope}{figure}" for scope in ("", "dataset-") for figure in ("limit", "remaining", "reset")
)


class Unreachable(Exception):
    """The source gives no answer at all."""


def find_address(arguments: list[str], environment: Mapping[str, str]) -> Address:
    """From the command line, else the connection ``odre_default``, else ODRÉ.

    Raises:
        ValueError: it is neither an address nor a connection as JSON.
    """
    text = arguments[0] if arguments else environment.get("AIRFLOW_CONN_ODRE_DEFAULT", "").strip()
    return Address.parse(text or ODRE)


@dataclass
class Report:
    """The lines, printed as they come."""

    write: Callable[[str], object] = print
    passed: int = 0
    failed: int = 0

    def line(self, holds: bool, subject: str, assumption: str, found: str = "") -> bool:
        """One assumption and whether it holds; gives that back."""
        self.passed += holds
        self.failed += not holds
        self.write(f"{'pass' if holds else 'FAIL'}  {subject}: {assumption}{f' ({found})' if found else ''}")
        return holds

    def note(self, subject: str, text: str) -> None:
        """Something to know that is no failure."""
        self.write(f"note  {subject}: {text}")


@dataclass
class Portal:
    """Requests to the source; those that fail for a moment are made again."""

    address: Address
    sleep: Callable[[float], object] = time.sleep
    requests_made: int = 0
    answered: bool = False
    lacking_quota: set[str] = field(default_factory=set)

    def get(self, dataset: str, path: str = "", **parameters: str) -> requests.Response:
        """The answer, whatever its status.

        Raises:
            Unreachable: there is none after a few tries.
        """
        url = f"{self.address.base_url}{API_PATH}/catalog/datasets/{dataset}{path}"
        headers = {"Authorization": f"Apikey {self.address.api_key}"} if self.address.api_key else {}
        for attempt in range(1, TRIES + 1):
            self.requests_made += 1
            try:
                answer = requests.get(url, params=parameters, headers=headers, timeout=TIMEOUT_S, allow_redirects=False)
            except (requests.RequestException, UnicodeError) as error:
                if attempt == TRIES or not isinstance(error, requests.ConnectionError | requests.Timeout):
                    raise Unreachable(_root_cause(error)) from error
            else:
                if answer.status_code < 500 or attempt == TRIES:
                    self.answered |= answer.status_code == 200
                    if answer.status_code < 500 and any(header not in answer.headers for header in QUOTA_HEADERS):
                        self.lacking_quota.add(f"{dataset}{path} {answer.status_code}")
                    return answer
            self.sleep(float(attempt))
        raise AssertionError("unreachable: the last try returns or raises")


def _root_cause(error: BaseException) -> str:
    """What went wrong first, without the layers of names around it."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__


def _object(answer: requests.Response) -> dict[str, Any]:
    """An answer's JSON object; empty when it is none."""
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _summary(answer: requests.Response) -> str:
    body = _object(answer)
    parts = [body.get("error_code"), body.get("message") or answer.text[:80]]
    return f"{answer.status_code}: {' '.join(str(part) for part in parts if part)}"


def _check_metadata(report: Report, portal: Portal, contract: Contract, now: datetime) -> dict[str, str] | None:
    """The fields of a dataset, name → type; ``None`` where it is not there or cannot be used."""
    name = contract.dataset
    answer = portal.get(name)
    if answer.status_code == 404 and contract.optional:
        report.note(name, "the source does not have it, which its contract allows")
        return None
    body = _object(answer)
    readable = (
        answer.status_code == 200 and isinstance(body.get("fields"), list) and isinstance(body.get("metas"), dict)
    )
    if not report.line(readable, name, "its metadata can be read", "" if readable else _summary(answer)):
        return None
    mark = body["metas"].get("default", {}).get("data_processed")
    try:
        processed = parse_instant(mark)
    except (TypeError, ValueError, AttributeError):
        report.line(False, name, "the freshness mark data_processed is an instant", repr(mark))
    else:
        age = (now - processed) / timedelta(hours=1)
        recent = -1 <= age <= contract.freshness_hours
        assumption = f"the freshness mark is at most {contract.freshness_hours} h old"
        report.line(recent, name, assumption, f"{mark}, {age:.1f} h")
    fields = {entry["name"]: entry for entry in body["fields"]}
    types = {field_name: str(entry.get("type")) for field_name, entry in fields.items()}
    missing = [column.name for column in contract.columns if column.required and column.name not in fields]
    report.line(not missing, name, "every required column is there", f"absent: {', '.join(missing)}" if missing else "")
    absent = [column.name for column in contract.columns if not column.required and column.name not in fields]
    unknown = [field_name for field_name in fields if field_name not in contract.by_name]
    if absent:
        report.note(name, f"optional columns that are absent and load as null: {', '.join(absent)}")
    if unknown:
        report.note(name, f"columns that the contract does not know and that are ignored: {', '.join(unknown)}")
    present = [column for column in contract.columns if column.name in fields]
    retyped = [
        f"{column.name} is {types[column.name]}, not castable to {column.type}"
        for column in present
        if types[column.name] not in SOURCE_TYPES[column.type]
    ]
    report.line(not retyped, name, "every column has a type that casts to the contract's", "; ".join(retyped))
    relabelled = [
        f"{column.name} is labelled {fields[column.name].get('label')!r}"
        for column in present
        if contract.by_label.get(normalise_label(str(fields[column.name].get("label")))) is not column
    ]
    report.line(not relabelled, name, "labels are those of the contract", "; ".join(relabelled))
    return None if missing else types


def _newest(report: Report, portal: Portal, contract: Contract) -> datetime | None:
    """The newest measured instant, by a descending order."""
    column = contract.time_column
    answer = portal.get(
        contract.dataset,
        "/records",
        select=column,
        where=f"{contract.measured_column} is not null",
        order_by=f"{column} desc",
        limit="10",
    )
    results = _object(answer).get("results")
    try:
        instants = [parse_instant(record[column]) for record in results or []]
    except (KeyError, TypeError, ValueError, AttributeError):
        instants = []
    ordered = len(instants) > 1 and all(before >= after for before, after in itertools.pairwise(instants))
    found = f"newest {instants[0]:%Y-%m-%dT%H:%M:%SZ}" if instants else _summary(answer)
    report.line(ordered, contract.dataset, f"records give the newest measured {column}, in descending order", found)
    return instants[0] if instants else None


def _window(contract: Contract, newest: datetime) -> Window:
    """A short window that ends with the newest measure, or a little earlier."""
    span = SPAN[contract.time_type]
    if contract.time_type == "DATE":
        return Window(newest + timedelta(days=1) - span, newest + timedelta(days=1))
    end = newest + timedelta(minutes=15)
    while end.astimezone(PARIS).utcoffset() != (end - span).astimezone(PARIS).utcoffset():
        # The day on which the clocks change repeats keys at the source, which is known and no failure.
        end -= span
    return Window(end - span, end)


def _check_rows(report: Report, portal: Portal, contract: Contract, fields: Mapping[str, str]) -> None:
    """Count, export, filter, order and values of a short window."""
    name = contract.dataset
    newest = _newest(report, portal, contract)
    if newest is None:
        return
    window = _window(contract, newest)
    where = window.where(contract)
    columns = [column.name for column in contract.columns if column.name in fields]
    counted = _object(portal.get(name, "/records", limit="0", where=where))
    count = counted.get("total_count")
    alone = isinstance(count, int) and counted.get("results") == []
    report.line(alone, name, "records with limit=0 count alone", f"{count}")
    answer = portal.get(
        name,
        "/exports/csv",
        select=",".join(columns),
        where=where,
        order_by=",".join(contract.key),
        with_bom="false",
        timezone="UTC",
    )
    kind = answer.headers.get("content-type", "")
    exported = answer.status_code == 200 and "csv" in kind
    if not report.line(exported, name, "a window exports as CSV", "" if exported else f"{kind} {_summary(answer)}"):
        return
    text = answer.content.decode("utf-8", errors="replace")
    lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=";"))
    header, rows = (lines[0], lines[1:]) if lines else ([], [])
    unlike = f"{','.join(header)[:80]}" if header != columns else ""
    if not report.line(header == columns, name, "the export's header is the columns asked for, separated by ;", unlike):
        return
    report.line(len(rows) == count, name, "as many rows are exported as are counted", f"{len(rows)} and {count}")
    positions = [columns.index(column) for column in contract.key]
    keys = [tuple(row[position] for position in positions) for row in rows if len(row) == len(columns)]
    rising = all(before < after for before, after in itertools.pairwise(keys))
    report.line(
        rising, name, f"rows come in the order of {', '.join(contract.key)}, each key once", f"{len(keys)} rows"
    )
    try:
        instants = [parse_instant(key[contract.key.index(contract.time_column)]) for key in keys]
    except ValueError as error:
        report.line(False, name, "times are written as ISO 8601", str(error))
        return
    start, end = window.start, window.end
    outside = [moment for moment in instants if (start and moment < start) or (end and moment >= end)]
    found = f"{outside[0]:%Y-%m-%dT%H:%M:%SZ} is outside {window}" if outside else f"{window}"
    report.line(bool(instants) and not outside, name, "the filter holds at both ends", found)
    _check_values(report, contract, columns, answer.content)


def _check_values(report: Report, contract: Contract, columns: list[str], body: bytes) -> None:
    """The conversion of the pipeline itself takes the rows."""
    assumption = "every value keeps the contract, and the local time is that of the instant"
    broken = ""
    with tempfile.TemporaryDirectory() as folder:
        try:
            quarantine = convert_csv([body], contract, columns, Path(folder) / "rows.parquet").quarantine
        except ContractBroken as error:
            quarantine, broken = error.quarantine, str(error)
    bad = [row for row in quarantine.to_pylist() if not row["is_rule"]]
    if bad:
        broken = f"{bad[0]['key']}: {bad[0]['column']} is {bad[0]['raw_value']!r}, {bad[0]['reason']}"
    report.line(not broken, contract.dataset, assumption, broken)


def _check_refusals(report: Report, portal: Portal, contract: Contract) -> None:
    """What the source refuses, and how."""

    def refused(assumption: str, code: str | None, path: str = "/records", **parameters: str) -> None:
        answer = portal.get(contract.dataset, path, **parameters)
        body = _object(answer)
        alike = answer.status_code == 400 and bool(body.get("message")) and code in (None, body.get("error_code"))
        report.line(alike, contract.dataset, assumption, _summary(answer)[:120])

    refused("a limit of 101 is refused", "InvalidRESTParameterError", limit="101")
    refused("offset + limit beyond 10,000 is refused", "InvalidRESTParameterError", limit="10", offset="9995")
    refused("a malformed where is refused", "ODSQLError", limit="0", where="date_heure >=")
    if contract.local_date_column:
        where = f"{contract.local_date_column} >= date'2022-01-01'"
        code = "IncompatibleTypesInComparisonFilter"
        refused("a range filter on the text date is refused", code, limit="0", where=where)
    absent = portal.get(f"{contract.dataset}-of-nobody")
    report.line(absent.status_code == 404, "unknown dataset", "is a 404", _summary(absent)[:80])


def _check_forms(report: Report, portal: Portal, contract: Contract) -> None:
    """Byte order mark, time zones, labels."""
    name, column = contract.dataset, contract.time_column
    plain = {"select": column, "order_by": column, "limit": "1"}

    def export(**parameters: str) -> tuple[bool, list[str]]:
        body = portal.get(name, "/exports/csv", **{**plain, **parameters}).content
        return body.startswith(codecs.BOM_UTF8), body.decode("utf-8-sig", errors="replace").splitlines()

    with_bom, default = export()
    report.line(with_bom, name, "an export begins with a byte order mark unless asked otherwise")
    report.line(len(default) == 2, name, "an export's limit holds", f"{len(default) - 1} rows of 1")
    written = default[-1] if default else ""
    report.line(written.endswith("+00:00"), name, "instants are in UTC unless asked otherwise", written)
    with_bom, local = export(with_bom="false", timezone="Europe/Paris", use_labels="true")
    report.line(not with_bom, name, "with_bom=false leaves the byte order mark out")
    written_locally = local[-1] if local else ""
    try:
        same = parse_instant(written_locally) == parse_instant(written)
    except ValueError:
        same = False
    shifted = same and not written_locally.endswith("+00:00")
    report.line(shifted, name, "timezone=Europe/Paris writes the same instant in Paris time", written_locally)
    header = local[0] if local else ""
    found = contract.by_label.get(normalise_label(header))
    labelled = header != column and found is not None and found.name == column
    report.line(labelled, name, "use_labels=true writes a label of the contract in the header", header)


def check(
    address: Address, *, report: Report, now: datetime | None = None, sleep: Callable[[float], object] = time.sleep
) -> int:
    """Check a source; 0 when every assumption holds, else 1.

    Raises:
        Unreachable: the source does not answer.
    """
    portal = Portal(address, sleep)
    for contract in read_contracts().values():
        fields = _check_metadata(report, portal, contract, now or datetime.now(UTC))
        if fields is None:
            continue
        _check_rows(report, portal, contract, fields)
        if contract.dataset == GENERAL:
            _check_refusals(report, portal, contract)
            _check_forms(report, portal, contract)
    # The quota of a dataset cannot be named where there is no such dataset.
    lacking = sorted(answer for answer in portal.lacking_quota if not answer.endswith(" 404"))
    if portal.answered:
        report.line(
            not lacking,
            "every answer",
            "carries the quota headers x-ratelimit-* and x-ratelimit-dataset-*",
            f"not in: {', '.join(lacking[:3])}" if lacking else "",
        )
    report.write(f"{report.passed} hold, {report.failed} do not; {portal.requests_made} requests to {address.base_url}")
    return 1 if report.failed else 0


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        address = find_address(given, os.environ)
    except ValueError as error:
        subject = "the address given" if given else "the connection odre_default"
        print(f"FAIL  {subject} cannot be read: {error}", file=sys.stderr)
        return 1
    try:
        return check(address, report=Report(), sleep=time.sleep)
    except Unreachable as error:
        print(f"FAIL  {address.base_url} cannot be reached: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
