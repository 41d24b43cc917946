"""``make check-source`` passes on a source as we assume it, and names each assumption that does not hold."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from emulators.odre.generate import CONSOLIDATED, GAS, REAL_TIME, TEMPERATURE, generate
from emulators.odre.server import Answer, Behaviour, Request, honest
from emulators.odre.source import Dataset, MemorySource
from odre.address import Address
from odre.check_source import Report, check, find_address, main

NOW = datetime.now(UTC)
DATASETS = 4


@cache
def generated() -> list[Dataset]:
    return generate(NOW, years=1)


class Checked:
    """A source that is checked: its lines and its exit code."""

    def __init__(self, standin: Callable[..., str]) -> None:
        self.standin = standin
        self.source = MemorySource(generated())
        self.lines: list[str] = []

    def change(self, identifier: str, column: str, change: Callable[[pa.ChunkedArray], Any]) -> None:
        """Serve a dataset with one column changed, under the same mark."""
        dataset = self.source.dataset(identifier, refresh=False)
        assert dataset is not None
        at = dataset.table.column_names.index(column)
        table = dataset.table.set_column(at, column, change(dataset.table[column]))
        self.source.put(replace(dataset, table=table.combine_chunks()))

    def run(self, behaviour: Behaviour = honest) -> int:
        base_url = self.standin(self.source, behaviour=behaviour)
        return check(Address(base_url), report=Report(self.lines.append), now=NOW, sleep=lambda _: None)

    def failures(self, behaviour: Behaviour = honest) -> list[str]:
        code = self.run(behaviour)
        failed = [line.removeprefix("FAIL  ") for line in self.lines if line.startswith("FAIL")]
        assert code == bool(failed)
        return failed


@pytest.fixture
def checked(standin: Callable[..., str]) -> Checked:
    return Checked(standin)


def test_a_source_as_we_assume_it_passes(checked: Checked) -> None:
    seen: list[Request] = []

    def counted(request: Request, given: Answer) -> Answer:
        seen.append(request)
        return given

    assert checked.failures(counted) == []
    assert len(seen) <= 25
    assert checked.lines[-1].startswith(
        f"{len(checked.lines) - 1} hold, 0 do not; {len(seen)} requests to http://127.0.0.1:"
    )
    for identifier in (REAL_TIME, CONSOLIDATED, GAS, TEMPERATURE):
        assert f"pass  {identifier}: its metadata can be read" in checked.lines


def test_an_optional_dataset_may_be_absent_and_another_may_not(checked: Checked) -> None:
    checked.source.withdraw(CONSOLIDATED)
    assert checked.failures() == []
    assert f"note  {CONSOLIDATED}: the source does not have it, which its contract allows" in checked.lines
    checked.source.withdraw(GAS)
    assert [line.partition(" (")[0] for line in checked.failures()] == [f"{GAS}: its metadata can be read"]


def test_drift_that_is_borne_is_a_note(checked: Checked) -> None:
    dataset = checked.source.dataset(TEMPERATURE, refresh=False)
    assert dataset is not None
    table = dataset.table.drop_columns(["id"]).append_column("humidite", dataset.table["tmoy"])
    checked.source.put(replace(dataset, table=table))
    assert checked.failures() == []
    notes = [line for line in checked.lines if line.startswith("note")]
    assert notes == [
        f"note  {TEMPERATURE}: optional columns that are absent and load as null: id",
        f"note  {TEMPERATURE}: columns that the contract does not know and that are ignored: humidite",
    ]


def test_an_absent_required_column_fails(checked: Checked) -> None:
    dataset = checked.source.dataset(GAS, refresh=False)
    assert dataset is not None
    checked.source.put(replace(dataset, table=dataset.table.drop_columns(["source"])))
    assert checked.failures() == [f"{GAS}: every required column is there (absent: source)"]


def test_a_retyped_column_fails(checked: Checked) -> None:
    checked.change(TEMPERATURE, "tmin", lambda column: pa.array(range(len(column)), pa.date32()))
    assert (
        f"{TEMPERATURE}: every column has a type that casts to the contract's (tmin is date, not castable to FLOAT64)"
        in (checked.failures())
    )


def test_another_label_fails(checked: Checked) -> None:
    dataset = checked.source.dataset(GAS, refresh=False)
    assert dataset is not None
    checked.source.put(replace(dataset, labels={**dataset.labels, "pits": "Point de stockage"}))
    assert checked.failures() == [f"{GAS}: labels are those of the contract (pits is labelled 'Point de stockage')"]


def test_a_stale_source_fails(checked: Checked) -> None:
    dataset = checked.source.dataset(REAL_TIME, refresh=False)
    assert dataset is not None
    checked.source.put(replace(dataset, data_processed=NOW - timedelta(hours=7)))
    (failure,) = checked.failures()
    assert failure.startswith(f"{REAL_TIME}: the freshness mark is at most 6 h old")
    assert "7.0 h" in failure


def test_values_that_break_the_contract_fail(checked: Checked) -> None:
    checked.change(REAL_TIME, "eolien_offshore", lambda column: pc.if_else(pc.is_valid(column), "plenty", column))
    (failure,) = checked.failures()
    assert failure.startswith(f"{REAL_TIME}: every value keeps the contract")
    assert "eolien_offshore is 'plenty'" in failure


def test_a_local_time_that_is_not_that_of_the_instant_fails(checked: Checked) -> None:
    checked.change(REAL_TIME, "heure", lambda column: pc.replace_substring(column, "0:", "1:"))
    (failure,) = checked.failures()
    assert "the local time is that of the instant" in failure


def test_a_repeated_key_fails(checked: Checked) -> None:
    checked.change(GAS, "pits", lambda column: pc.if_else(pc.equal(column, "Serene"), "Centre", column))
    failed = checked.failures()
    assert any(line.startswith(f"{GAS}: rows come in the order of date, pits, each key once") for line in failed)


def without(*names: str, put: dict[str, str] | None = None) -> Behaviour:
    """A source that ignores these parameters of its exports and records, or has its own way."""

    def behave(request: Request, given: Answer) -> Answer:
        from emulators.odre.server import answer

        parameters = {name: value for name, value in request.parameters.items() if name not in names}
        parameters |= {name: value for name, value in (put or {}).items() if name in request.parameters}
        if parameters == request.parameters or given.status != 200:
            return given
        changed = answer(SOURCE[0], replace(request, parameters=parameters))
        return replace(changed, headers={**given.headers, **changed.headers})

    return behave


SOURCE: list[MemorySource] = []


@pytest.fixture(autouse=True)
def served_source(checked: Checked) -> Iterator[None]:
    SOURCE.append(checked.source)
    yield
    SOURCE.clear()


@pytest.mark.parametrize(
    ("behaviour", "assumption"),
    [
        (without("where"), f"{GAS}: the filter holds at both ends"),
        (without("order_by"), f"{GAS}: rows come in the order of date, pits"),
        (without("order_by"), f"{GAS}: records give the newest measured date, in descending order"),
        (without("with_bom"), f"{REAL_TIME}: with_bom=false leaves the byte order mark out"),
        (without("timezone"), f"{REAL_TIME}: timezone=Europe/Paris writes the same instant in Paris time"),
        (without("use_labels"), f"{REAL_TIME}: use_labels=true writes a label of the contract"),
        (without("limit"), f"{REAL_TIME}: an export's limit holds"),
        (without("limit"), f"{REAL_TIME}: records with limit=0 count alone"),
        (without(put={"select": "date"}), f"{GAS}: the export's header is the columns asked for"),
    ],
)
def test_a_source_that_ignores_a_parameter_fails(checked: Checked, behaviour: Behaviour, assumption: str) -> None:
    assert any(assumption in line for line in checked.failures(behaviour))


def on(endpoint: str, change: Callable[[Answer], Answer]) -> Behaviour:
    """A source whose answers to one kind of request are changed."""
    return lambda request, given: change(given) if request.endpoint == endpoint and given.status == 200 else given


def body(change: Callable[[Any], object]) -> Callable[[Answer], Answer]:
    def changed(given: Answer) -> Answer:
        assert isinstance(given.body, bytes)
        content = json.loads(given.body)
        change(content)
        return replace(given, body=json.dumps(content).encode())

    return changed


def without_last_row(given: Answer) -> Answer:
    assert not isinstance(given.body, bytes)
    whole = b"".join(given.body)
    return replace(given, body=whole[: whole.rstrip(b"\r\n").rfind(b"\n") + 1])


def accept(given: Answer) -> Answer:
    return replace(given, status=200, body=b'{"total_count": 0, "results": []}')


@pytest.mark.parametrize(
    ("behaviour", "assumption"),
    [
        (on("exports/csv", without_last_row), "as many rows are exported as are counted (95 and 96)"),
        (
            on("records", body(lambda content: content.update(total_count=7))),
            "as many rows are exported as are counted (96 and 7)",
        ),
        (on("metadata", body(lambda content: content.update(fields="none"))), "its metadata can be read"),
        (
            on("metadata", body(lambda content: content["metas"]["default"].update(data_processed="soon"))),
            "the freshness mark data_processed is an instant ('soon')",
        ),
        (
            on("exports/csv", lambda given: replace(given, body=b"<html>", headers={"Content-Type": "text/html"})),
            "exports as CSV",
        ),
        (lambda request, given: replace(given, headers={}), "every answer: carries the quota headers"),
        (lambda request, given: accept(given) if given.status == 400 else given, "a limit of 101 is refused"),
        (
            lambda request, given: accept(given) if given.status == 400 else given,
            "offset + limit beyond 10,000 is refused",
        ),
        (
            lambda request, given: accept(given) if given.status == 400 else given,
            "a range filter on the text date is refused",
        ),
        (lambda request, given: accept(given) if given.status == 400 else given, "a malformed where is refused"),
        (
            lambda request, given: replace(given, body=b"no") if given.status == 400 else given,
            "a limit of 101 is refused (400:",
        ),
        (lambda request, given: accept(given) if given.status == 404 else given, "unknown dataset: is a 404"),
        (
            lambda request, given: Answer(503, b"closed for the night"),
            "its metadata can be read (503: closed for the night)",
        ),
    ],
)
def test_a_source_that_answers_otherwise_fails(checked: Checked, behaviour: Behaviour, assumption: str) -> None:
    failed = checked.failures(behaviour)
    assert any(assumption in line for line in failed), failed


def test_a_source_that_fails_for_a_moment_is_asked_again(checked: Checked) -> None:
    def every_third(request: Request, given: Answer) -> Answer:
        return Answer(500, b"") if request.number % 3 == 1 else given

    assert checked.failures(every_third) == []


def test_an_unreachable_source_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert main([f"http://127.0.0.1:{port}"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"FAIL  http://127.0.0.1:{port} cannot be reached: [Errno 111] Connection refused\n"


@pytest.mark.parametrize(
    ("arguments", "connection", "expected"),
    [
        ([], "", Address("https://odre.opendatasoft.com")),
        (["http://127.0.0.1:1/"], "https://other", Address("http://127.0.0.1:1")),
        (["https://odre.opendatasoft.com/api/explore/v2.1"], "", Address("https://odre.opendatasoft.com")),
        ([], "https://portal.example", Address("https://portal.example")),
        ([], "https://:s%2Fecret@portal.example/?timeout=5", Address("https://portal.example", "s/ecret")),
        ([], '{"conn_type": "http", "host": "http://127.0.0.1:8090"}', Address("http://127.0.0.1:8090")),
        (
            [],
            '{"host": "portal.example", "schema": "http", "port": 81, "password": "k"}',
            Address("http://portal.example:81", "k"),
        ),
    ],
)
def test_where_the_source_is(arguments: list[str], connection: str, expected: Address) -> None:
    assert find_address(arguments, {"AIRFLOW_CONN_ODRE_DEFAULT": connection}) == expected


@pytest.mark.parametrize("connection", ["{", '{"conn_type": "http"}', "odre.opendatasoft.com"])
def test_a_connection_that_cannot_be_read_is_one_line(
    connection: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ODRE_DEFAULT", connection)
    for arguments, subject in ([], "the connection odre_default"), ([connection], "the address given"):
        assert main(arguments) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"FAIL  {subject} cannot be read: ")


def test_the_key_is_sent_and_never_shown(checked: Checked, standin: Callable[..., str]) -> None:
    base_url = standin(checked.source)
    check(Address(base_url, "a-secret-key"), report=Report(checked.lines.append), now=NOW)
    assert not any("a-secret-key" in line for line in checked.lines)
