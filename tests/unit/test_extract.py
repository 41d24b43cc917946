"""Whole extractions from the stand-in, which answers the query that it is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emulators.odre.generate import generate
from emulators.odre.server import serve
from emulators.odre.source import MemorySource
from odre.client import DatasetAbsent, OdreClient, RequestRefused
from odre.contracts import Contract, read_contracts
from odre.convert import Conversion
from odre.drift import detect_drift
from odre.extract import extract_chunk
from odre.windows import Window, ordinary_window

ANCHOR = datetime(2026, 9, 15, 10, 20, tzinfo=UTC)
CONTRACTS = read_contracts()
POWER, DEFINITIVE = CONTRACTS["eco2mix-national-tr"], CONTRACTS["eco2mix-national-cons-def"]
GAS = CONTRACTS["stock-quotidien-stockages-gaz"]


@pytest.fixture(scope="module")
def client() -> Iterator[OdreClient]:
    with serve(MemorySource(generate(ANCHOR, years=3))) as url:
        yield OdreClient(url, sleep=lambda _: pytest.fail("nothing needs a second try"))


def extract(client: OdreClient, contract: Contract, window: Window, directory: Path) -> Conversion:
    columns = detect_drift(contract, client.metadata(contract.dataset).fields).columns(contract)
    return extract_chunk(client, contract, columns, window, directory, now=ANCHOR)


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)
def test_a_first_load_in_chunks_is_the_whole_source_with_each_key_once(
    client: OdreClient, contract: Contract, tmp_path: Path
) -> None:
    first = client.first_time(contract.dataset, contract.time_column)
    tables, sent, reasons = [], 0, Counter[str]()
    for window in Window().chunks(12, first, ANCHOR):
        conversion = extract(client, contract, window, tmp_path)
        tables.append(pq.read_table(conversion.path))
        sent += conversion.rows_source
        reasons.update(conversion.quarantine["reason"].to_pylist())
        assert conversion.rows_quarantined == 0
        assert conversion.first_time is not None
        assert window.start is None or conversion.first_time >= window.start
        assert conversion.last_time is not None
        assert window.end is None or conversion.last_time < window.end
    assert len(tables) >= (1 if contract is POWER else 4)
    assert sent == client.count(contract.dataset, "")
    keys = pa.concat_tables(tables).select(list(contract.key))
    assert keys.group_by(list(contract.key)).aggregate([]).num_rows == keys.num_rows == sent - reasons.total()
    # Each March publishes four rows of an hour that does not exist.
    assert set(reasons) <= {"local time does not exist"}
    assert reasons.total() % 4 == 0
    assert (reasons.total() > 0) == (contract is DEFINITIVE)


def test_an_ordinary_run_asks_for_its_window_alone(client: OdreClient, tmp_path: Path) -> None:
    window = ordinary_window(POWER, ANCHOR, None, ANCHOR)
    conversion = extract(client, POWER, window, tmp_path)
    assert window.start is not None
    assert conversion.first_time == window.start + timedelta(minutes=10)
    assert conversion.last_time is not None
    assert conversion.high_water is not None
    assert window.start < conversion.high_water < ANCHOR < conversion.last_time


def test_the_gas_mark_is_that_of_the_operator_who_publishes_last(client: OdreClient, tmp_path: Path) -> None:
    conversion = extract(client, GAS, Window(ANCHOR - timedelta(days=90)), tmp_path)
    stock = pq.read_table(conversion.path).filter(pa.compute.field("stock_fin_de_journee").is_valid())
    last = stock.group_by("pits").aggregate([("date", "max")])["date_max"].to_pylist()
    assert conversion.high_water is not None
    assert conversion.high_water.date() == min(last) < max(last)


def test_a_window_without_rows_lands_an_empty_file(client: OdreClient, tmp_path: Path) -> None:
    conversion = extract(client, GAS, Window(None, datetime(1990, 1, 1, tzinfo=UTC)), tmp_path)
    assert (conversion.rows_source, pq.read_metadata(conversion.path).num_rows) == (0, 0)


def test_the_source_explains_what_it_refuses_and_what_it_does_not_have(client: OdreClient) -> None:
    with pytest.raises(RequestRefused, match="heures"):
        client.count(POWER.dataset, "heures >= date'2022-01-01'")
    with pytest.raises(DatasetAbsent):
        client.metadata("eco2mix-regional-tr")
