"""Whole conversions: the file, its figures, and that no row is lost."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odre import convert as convert_module
from odre.contracts import Contract, normalise_label, read_contract
from odre.quarantine import ContractBroken
from tests.unit.conversions import (
    GAS,
    NOW,
    PARIS,
    POWER,
    Row,
    convert,
    gas_row,
    landed,
    power_row,
    power_rows,
    to_csv,
)

TEMPERATURE = read_contract("temperature-quotidienne-regionale")
REAL_DATA = Path(os.environ.get("REAL_DATA_DIR", Path(__file__).resolve().parents[3] / "shared" / "data"))
#: A contract that never fails for its share of bad rows.
TOLERANT = replace(POWER, max_bad_share=1.0)
needs_real_data = pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"no real extracts in {REAL_DATA}")


def test_every_column_has_the_contracts_type_and_absent_ones_are_null(tmp_path: Path) -> None:
    asked = [name for name in POWER.by_name if name != "eolien_offshore"]
    rows = [{name: row[name] for name in asked} for row in power_rows(3)]
    conversion = convert(rows, tmp_path, columns=asked)
    table = pq.read_table(conversion.path)
    assert table.schema.equals(POWER.arrow_schema)
    assert table["gaz"].to_pylist() == [0, 1, 2]
    assert table["eolien_offshore"].null_count == 3
    first = table.to_pylist()[0]
    assert first["date_heure"] == datetime(2022, 8, 2, tzinfo=UTC)
    assert (first["date"], first["heure"]) == (date(2022, 8, 2), "02:00")


def test_the_file_is_zstd_and_named_by_what_is_in_it(tmp_path: Path) -> None:
    conversion = convert(power_rows(3), tmp_path)
    content = conversion.path.read_bytes()
    assert conversion.sha256 == hashlib.sha256(content).hexdigest()
    assert conversion.size_bytes == len(content)
    metadata = pq.ParquetFile(conversion.path).metadata
    assert {metadata.row_group(0).column(index).compression for index in range(metadata.num_columns)} == {"ZSTD"}


def test_an_empty_window_gives_an_empty_file_whether_or_not_the_source_writes_a_header(tmp_path: Path) -> None:
    for content in (b"", to_csv([gas_row("2022-11-01", "A")]).splitlines(keepends=True)[0]):
        conversion = convert(content, tmp_path, GAS)
        assert (conversion.rows_source, conversion.high_water, conversion.first_time) == (0, None, None)
        assert pq.read_table(conversion.path).schema.equals(GAS.arrow_schema)


def test_the_same_rows_give_the_same_file_however_the_stream_is_cut(tmp_path: Path) -> None:
    rows = power_rows(70_000, datetime(2020, 1, 1, tzinfo=UTC))
    for number in (5, 30_000, 69_999):
        rows[number]["gaz"] = "bad"
    content = to_csv(rows)
    conversions = [convert(content, tmp_path, block_bytes=size) for size in (100_000, 3 << 20, 1 << 30)]
    assert len({conversion.sha256 for conversion in conversions}) == 1
    assert conversions[0].rows_landed == 69_997
    groups = [pq.ParquetFile(conversions[0].path).metadata.row_group(group).num_rows for group in range(3)]
    assert groups == [32768, 32768, 4461]


CELLS = {
    "STRING": ["", "ND", "France", " x ", 'a "b"', "c;d", "é"],
    "INT64": ["", "ND", "-", "0", "-5", "42", "43.0", " 44", "1e2", "12,5", "x", "7.5", "nan", "123456789012345678901"],
    "DATE": ["", "-", "2022-08-02", "2022-08-02T00:00:00+00:00", "2022-13-01"],
}
CLEAN = {"STRING": ["", "France"], "INT64": ["", "0", "-5", "42", "4e2"], "DATE": ["", "2022-08-02"]}


@st.composite
def tables(draw: st.DrawFn) -> list[Row]:
    """Rows ordered by instant, some of them bad, repeated, out of the calendar or with a key that repeats."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    dirty = draw(st.sampled_from([0.0, 0.02, 0.3]))
    instant, rows = datetime(2022, 3, 26, 22, tzinfo=UTC), []
    for _ in range(draw(st.integers(0, 40))):
        instant += timedelta(minutes=rng.choice([0, 15, 15, 15, 30]) if rng.random() < dirty else 15)
        row = power_row(instant)
        for column in POWER.columns:
            if column.name in ("date", "heure", "date_heure"):
                continue
            row[column.name] = rng.choice((CELLS if rng.random() < dirty else CLEAN)[column.type])
        if rng.random() < dirty:
            row["heure"] = rng.choice(["02:15", "", "nope", row["heure"]])
        if rng.random() < dirty:
            row["date"] = rng.choice(CELLS["DATE"])
        if rng.random() < dirty:
            row["date_heure"] = rng.choice(["", "x"])
        rows += [row] * (2 if rng.random() < dirty else 1)
    return rows


def read_cell(text: str, kind: str) -> tuple[bool, Any]:
    """An independent reading of a cell: whether it is good, and its value."""
    if text.strip() in POWER.null_markers and kind != "STRING":
        return True, None
    if kind == "STRING":
        return True, None if text in POWER.null_markers else text
    try:
        if kind == "INT64":
            number = float(text)
            return (number.is_integer() and abs(number) < 2**63, int(number)) if abs(number) < 1e300 else (False, None)
        if kind == "DATE":
            moment = datetime.fromisoformat(text)
            return moment.time() == datetime.min.time(), moment.date()
        return True, datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return False, None


def expected_outcome(rows: Sequence[Row]) -> tuple[list[Mapping[str, Any]], int]:
    """What must land, read row by row in plain Python, and how many rows are bad."""
    good: dict[datetime, Mapping[str, Any]] = {}
    bad = 0
    for row in rows:
        cells = {name: read_cell(row[name], POWER.by_name[name].type) for name in row}
        values = {name: value for name, (_, value) in cells.items()}
        if not all(is_good for is_good, _ in cells.values()) or values["date_heure"] is None:
            bad += 1
            continue
        instant = values["date_heure"]
        local = instant.astimezone(PARIS)
        published = (values["date"], values["heure"])
        if None not in published and published != (local.date(), f"{local:%H:%M}"):
            bad += not (values["date"] == date(2022, 3, 27) and values["heure"].startswith("02:"))
            continue
        if instant in good:
            bad += good[instant] != values
        good[instant] = values
    return list(good.values()), bad


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=tables(), size=st.sampled_from([1, 300, 2000, 1 << 20]))
def test_no_row_is_lost_and_every_value_is_the_sources(tmp_path: Path, rows: list[Row], size: int) -> None:
    content = to_csv(rows or [power_row(NOW)])
    if not rows:
        content = content.splitlines(keepends=True)[0]
    conversion = convert(content, tmp_path, TOLERANT, block_bytes=size)
    expected, bad = expected_outcome(rows)
    assert landed(conversion) == expected
    assert (conversion.rows_source, conversion.rows_landed) == (len(rows), len(expected))
    assert conversion.rows_quarantined == bad
    assert conversion.rows_excluded == len(rows) - len(expected) - bad
    whole = convert(content, tmp_path, TOLERANT)
    assert whole.sha256 == conversion.sha256
    assert whole.quarantine.equals(conversion.quarantine)


def sorted_extract(name: str, contract: Contract) -> tuple[bytes, pd.DataFrame]:
    frame = pd.read_csv(REAL_DATA / name, sep=";", dtype=str, keep_default_na=False, encoding="utf-8-sig")
    frame.columns = pd.Index([contract.by_label[normalise_label(label)].name for label in frame.columns])
    frame = frame.sort_values(list(contract.key), kind="stable").reset_index(drop=True)
    return frame.to_csv(sep=";", index=False, lineterminator="\r\n").encode(), frame


@needs_real_data
@pytest.mark.parametrize(
    ("name", "contract", "rows"),
    [
        ("eco2mix-national-tr.2022-06-01_2022-10-18.csv", POWER, 13_440),
        ("stock-quotidien-stockages-gaz.2010-11-01_2024-07-31.csv", GAS, 30_132),
        ("temperature-quotidienne-regionale.2016-01-01_2026-02-27.csv", TEMPERATURE, 47_840),
    ],
)
def test_real_extracts_land_whole_and_as_pandas_reads_them(
    tmp_path: Path, name: str, contract: Contract, rows: int
) -> None:
    content, texts = sorted_extract(name, contract)
    conversion = convert(content, tmp_path, contract, block_bytes=500_000)
    assert (conversion.rows_source, conversion.rows_landed) == (rows, rows)
    assert conversion.quarantine.num_rows == 0
    table = pq.read_table(conversion.path)
    for column in contract.columns:
        text = texts[column.name].replace(list(contract.null_markers), None)
        values = table[column.name].to_pandas()
        assert (values.isna() == text.isna()).all()
        if column.type in ("INT64", "FLOAT64"):
            assert (values.dropna() == pd.to_numeric(text.dropna())).all()
        elif column.type == "TIMESTAMP":
            assert (values == pd.to_datetime(text, utc=True)).all()
        else:
            assert (values.dropna().astype(str) == text.dropna()).all()


@needs_real_data
def test_the_future_rows_of_a_real_extract_move_no_mark(tmp_path: Path) -> None:
    content, texts = sorted_extract("eco2mix-national-tr.2022-06-01_2022-10-18.csv", POWER)
    conversion = convert(content, tmp_path)
    measured = texts[texts["consommation"] != ""]
    assert len(texts) - len(measured) == 136
    assert conversion.high_water == datetime.fromisoformat(measured["date_heure"].max())
    assert conversion.last_time is not None
    assert conversion.high_water < conversion.last_time


@needs_real_data
def test_a_real_extract_in_no_order_is_refused(tmp_path: Path) -> None:
    content = (REAL_DATA / "eco2mix-national-tr.2022-06-01_2022-10-18.csv").read_bytes()
    with pytest.raises(ContractBroken, match="ignored order_by"):
        convert(content, tmp_path)


def test_what_the_source_usually_sends_does_not_import_pandas(tmp_path: Path) -> None:
    """Arrow would, to look at any Python value: a quarter of a second and 60 MB of a task that does not need it."""
    skipped_hour = power_row(datetime(2026, 3, 29, 1, 15, tzinfo=UTC), heure="02:15")
    (tmp_path / "in.csv").write_bytes(to_csv([*power_rows(3), skipped_hour]))
    script = (
        "import sys; from pathlib import Path; from odre.contracts import read_contract; from odre.convert import *\n"
        "contract = read_contract('eco2mix-national-tr')\n"
        "rows = [Path('in.csv').read_bytes()]\n"
        "done = convert_csv(rows, contract, list(contract.by_name), Path('out.parquet'))\n"
        "assert done.rows_excluded == done.quarantine.num_rows == 1\n"
        "sys.exit('pandas' in sys.modules)"
    )
    plugins = str(Path(convert_module.__file__).parents[1])
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=os.environ | {"PYTHONPATH": plugins}, check=True)
