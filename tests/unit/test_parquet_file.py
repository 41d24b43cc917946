"""Row groups that a thread writes: all of them, always the same, and nothing that fails there is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from odre.contracts import read_contract
from odre.parquet_file import ROW_GROUP_ROWS, HashedFile, RowGroupWriter

CONTRACT = read_contract("stock-quotidien-stockages-gaz")


def rows(count: int) -> pa.Table:
    """A table of gas storage, a day a row."""
    first = datetime(1900, 1, 1, tzinfo=UTC)
    schema = CONTRACT.arrow_schema
    values = {
        "date": pa.array([(first + timedelta(days=day)).date() for day in range(count)]),
        "stock_fin_de_journee": pa.array([float(day) for day in range(count)]),
        "source": pa.array(["Storengy"] * count),
        "pits": pa.array(["Centre"] * count),
    }
    return pa.table({field.name: values.get(field.name, pa.nulls(count, field.type)) for field in schema}, schema)


def written(path: Path, table: pa.Table, piece: int) -> str:
    with HashedFile(path) as file, RowGroupWriter(file, CONTRACT) as writer:
        for start in range(0, table.num_rows, piece):
            writer.write(table.slice(start, piece))
    return file.sha256


def test_the_same_rows_give_the_same_bytes_in_pieces_of_any_size(tmp_path: Path) -> None:
    table = rows(2 * ROW_GROUP_ROWS + 5)
    hashes = {written(tmp_path / f"{piece}.parquet", table, piece) for piece in (7_000, ROW_GROUP_ROWS, 1 << 20)}
    assert len(hashes) == 1
    file = pq.ParquetFile(tmp_path / "7000.parquet")
    assert [file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)] == [
        ROW_GROUP_ROWS,
        ROW_GROUP_ROWS,
        5,
    ]
    assert file.read().equals(table)


@pytest.mark.parametrize("count", [5, ROW_GROUP_ROWS + 5])
def test_a_disk_that_is_full_fails_the_conversion(count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: RowGroupWriter, table: pa.Table) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RowGroupWriter, "_encode", full)
    with pytest.raises(OSError, match="No space left"):
        written(tmp_path / "full.parquet", rows(count), 1 << 20)


def test_what_fails_between_two_groups_is_what_is_raised(tmp_path: Path) -> None:
    def convert() -> None:
        with HashedFile(tmp_path / "broken.parquet") as file, RowGroupWriter(file, CONTRACT) as writer:
            writer.write(rows(ROW_GROUP_ROWS))
            raise KeyError("the parser")

    with pytest.raises(KeyError, match="the parser"):
        convert()
