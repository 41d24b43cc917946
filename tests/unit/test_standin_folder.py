"""A folder of extracts is served as one source: forms, overlaps, types, and a mark that follows the content."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
import requests

from emulators.odre.folder import FolderSource
from emulators.odre.odsql import kind
from emulators.odre.source import Dataset, UnreadableFile
from tests.waiting import PATIENCE

REAL_TIME = "eco2mix-national-tr"
CONSOLIDATED = "eco2mix-national-cons-def"
GAS = "stock-quotidien-stockages-gaz"
TEMPERATURE = "temperature-quotidienne-regionale"
REAL_DATA = Path(os.environ.get("REAL_DATA_DIR", "../shared/data"))

needs_real_data = pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"no real extracts at {REAL_DATA} (REAL_DATA_DIR)")


def write(folder: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def served(source: FolderSource, identifier: str) -> Dataset:
    dataset = source.dataset(identifier, refresh=True)
    assert dataset is not None
    return dataset


def rows(folder: Path, identifier: str = GAS) -> list[dict[str, object]]:
    table = served(FolderSource(folder), identifier).table
    return sorted(table.to_pylist(), key=lambda row: str(list(row.values())[-1]))


HEADER = "date;stock_fin_de_journee;source;pits"
STOCK = f"{HEADER}\r\n2022-11-01;26222.5;Storengy;Centre\r\n2022-11-01;100;Teréga;Teréga\r\n"


@pytest.mark.parametrize(
    "text",
    [
        STOCK,
        "\ufeff" + STOCK,
        STOCK.replace(";", ","),
        STOCK.replace("\r\n", "\n"),
        STOCK.replace("date;", '"date";').replace("Storengy", '"Storengy"'),
        "\ufeff" + STOCK.replace(HEADER, "Date;Stock fin de journée (GWh PCS 0°C);Source;PITS"),
        STOCK.replace(HEADER, "DATE;Stock en fin de journée;Opérateur;pits"),
    ],
    ids=["technical", "bom", "commas", "unix lines", "quoted", "labels", "other labels"],
)
def test_every_form_of_csv_gives_the_same_rows(tmp_path: Path, text: str) -> None:
    write(tmp_path, f"{GAS}.csv", text)
    day = datetime(2022, 11, 1).date()
    assert rows(tmp_path) == [
        {"date": day, "stock_fin_de_journee": 26_222.5, "source": "Storengy", "pits": "Centre"},
        {"date": day, "stock_fin_de_journee": 100.0, "source": "Teréga", "pits": "Teréga"},
    ]


def test_json_and_parquet_give_the_same_rows_as_csv(tmp_path: Path) -> None:
    by_form = {}
    for form in ("csv", "json", "results", "parquet"):
        folder = tmp_path / form
        folder.mkdir()
        write(folder, f"{GAS}.csv", STOCK)
        by_form[form] = served(FolderSource(folder), GAS)
        if form == "csv":
            continue
        (folder / f"{GAS}.csv").unlink()
        table = by_form["csv"].table
        if form == "parquet":
            pq.write_table(table, folder / f"{GAS}.PARQUET")
        else:
            records = [{**record, "date": str(record["date"])} for record in table.to_pylist()]
            content = {"total_count": 2, "results": records} if form == "results" else records
            write(folder, f"{GAS}.json", json.dumps(content))
        by_form[form] = served(FolderSource(folder), GAS)
    assert all(dataset.table.equals(by_form["csv"].table) for dataset in by_form.values())
    assert len({dataset.data_processed for dataset in by_form.values()}) == 1


def test_times_are_converted_to_utc(tmp_path: Path) -> None:
    write(
        tmp_path,
        f"{CONSOLIDATED}.csv",
        "Périmètre;Date;Heure;Date et Heure;Consommation (MW)\n"
        "France;2024-01-01;02:00;2024-01-01T02:00:00+01:00;52770\n"
        "France;2024-07-01;02:00;2024-07-01T02:00:00+0200;1\n"
        "France;2024-07-02;02:00;2024-07-02T00:00:00Z;2\n"
        "France;2024-07-03;02:00;2024-07-03 00:00:00;3\n",
    )
    table = served(FolderSource(tmp_path), CONSOLIDATED).table
    assert [moment.isoformat() for moment in table["date_heure"].to_pylist()] == [
        "2024-01-01T01:00:00+00:00",
        "2024-07-01T00:00:00+00:00",
        "2024-07-02T00:00:00+00:00",
        "2024-07-03T00:00:00+00:00",
    ]
    assert table["date"].to_pylist()[0] == "2024-01-01"
    assert table.column_names == ["perimetre", "date", "heure", "date_heure", "consommation"]


def test_types_are_those_of_the_source_today(tmp_path: Path) -> None:
    write(
        tmp_path,
        f"{REAL_TIME}.csv",
        "date;heure;date_heure;consommation;gaz;ech_comm_suisse;ech_comm_italie;eolien_terrestre;pompage;nouveau;ratio;mot\n"
        "2022-06-01;02:00;2022-06-01T00:00:00Z;43000;1.0;ND;-12;12;;7;0.5;x\n"
        "2022-06-01;02:15;2022-06-01T00:15:00Z;;2.0;15;;13;;;1;y\n",
    )
    table = served(FolderSource(tmp_path), REAL_TIME).table
    assert {field.name: kind(field.type) for field in table.schema} == {
        "date": "text",
        "heure": "text",
        "date_heure": "datetime",
        "consommation": "int",
        "gaz": "int",
        "pompage": "int",
        "ech_comm_italie": "int",
        "ech_comm_suisse": "text",
        "eolien_terrestre": "text",
        "nouveau": "int",
        "ratio": "double",
        "mot": "text",
    }


def test_a_key_in_several_files_is_served_once_from_the_last(tmp_path: Path) -> None:
    write(tmp_path, f"{GAS}.2.csv", STOCK.replace("26222.5", "2"))
    write(tmp_path, f"{GAS}.1.csv", STOCK.replace("26222.5", "1") + "2022-11-02;7;Storengy;Centre\r\n")
    write(tmp_path, f"{GAS}.3.json", json.dumps([{"date": "2022-11-01", "stock_fin_de_journee": 3, "pits": "Teréga"}]))
    stocks = {(str(row["date"]), row["pits"]): row["stock_fin_de_journee"] for row in rows(tmp_path)}
    assert stocks == {("2022-11-01", "Centre"): 2.0, ("2022-11-01", "Teréga"): 3.0, ("2022-11-02", "Centre"): 7.0}


def test_one_key_in_two_forms_is_one_key(tmp_path: Path) -> None:
    write(tmp_path, f"{CONSOLIDATED}.1.csv", "Date et Heure;Consommation (MW)\n2024-01-01T02:00:00+01:00;1\n")
    write(tmp_path, f"{CONSOLIDATED}.2.csv", "date_heure;consommation\n2024-01-01T01:00:00+00:00;2\n")
    assert [row["consommation"] for row in rows(tmp_path, CONSOLIDATED)] == [2]


def test_rows_of_one_file_are_served_as_they_are(tmp_path: Path) -> None:
    write(tmp_path, f"{GAS}.csv", STOCK + "2022-11-01;8;Storengy;Centre\r\n")
    assert len(rows(tmp_path)) == 3


def test_only_files_of_a_dataset_at_the_top_are_read(tmp_path: Path) -> None:
    write(tmp_path, f"{GAS}.csv", STOCK)
    write(tmp_path, "README.md", "nothing")
    write(tmp_path, f"{TEMPERATURE}.xlsx", "nothing")
    (tmp_path / "forms").mkdir()
    write(tmp_path / "forms", f"{REAL_TIME}.csv", "nothing")
    source = FolderSource(tmp_path)
    assert source.identifiers() == [GAS]
    assert source.dataset(REAL_TIME, refresh=True) is None


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (f"{GAS}.csv", b"", "it is empty"),
        (f"{GAS}.csv", b"<!DOCTYPE html><html></html>", "a web page"),
        (f"{GAS}.csv", b"date;stock_fin_de_journee\n2022-11-01;4\n", "lacks the column pits"),
        (f"{GAS}.csv", b"date;pits\n2022-11-01;Centre\n2022-11-02\n", "Expected 2 columns, got 1"),
        (f"{GAS}.csv", b"date;pits\n01/11/2022;Centre\n", "01/11/2022"),
        (f"{GAS}.csv", b"date;pits;Date\n2022-11-01;Centre;2022-11-01\n", "the column date more than once"),
        (f"{GAS}.csv", "date;pits\n2022-11-01;Teréga\n".encode("latin-1"), "UTF"),
        (f"{GAS}.json", b'{"error": "no"}', "not a list of records"),
        (f"{GAS}.json", b"[{", "Expecting"),
        (f"{GAS}.parquet", b"PAR", "Parquet"),
        (f"{REAL_TIME}.csv", b"date_heure;consommation\nyesterday;1\n", "yesterday"),
    ],
)
def test_a_bad_file_is_named_in_one_line_with_the_reason(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    source = FolderSource(tmp_path)
    with pytest.raises(UnreadableFile) as raised:
        source.dataset(source.identifiers()[0], refresh=True)
    assert str(tmp_path / name) in str(raised.value)
    assert reason in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_goes_bad_is_an_error_until_it_is_mended(tmp_path: Path, standin: Callable[..., str]) -> None:
    path = write(tmp_path, f"{GAS}.csv", STOCK)
    url = f"{standin(FolderSource(tmp_path))}/api/explore/v2.1/catalog/datasets/{GAS}"
    assert requests.get(url, timeout=PATIENCE).status_code == 200
    path.write_text("date;pits\nnonsense;Centre\n")
    broken = requests.get(url, timeout=PATIENCE)
    assert broken.status_code == 500
    assert path.name in broken.json()["message"]
    path.write_text(STOCK)
    assert requests.get(url, timeout=PATIENCE).status_code == 200


def test_the_mark_follows_the_content_and_nothing_else(tmp_path: Path) -> None:
    folder, state = tmp_path / "data", tmp_path / "state" / "marks.json"
    folder.mkdir()
    path = write(folder, f"{GAS}.csv", STOCK)
    first = served(FolderSource(folder, state), GAS).data_processed
    assert abs(datetime.now(UTC) - first) < timedelta(minutes=1)

    # Another order, form, file name and time of change: the same content.
    header, one, two = STOCK.splitlines()
    path.unlink()
    write(folder, f"{GAS}.renamed.csv", "\ufeff" + "\n".join([header, two, one]) + "\n")
    os.utime(folder / f"{GAS}.renamed.csv", (0, 0))
    source = FolderSource(folder, state)
    assert served(source, GAS).data_processed == first

    # One figure changed while it is served, then back again: each time a newer mark.
    write(folder, f"{GAS}.renamed.csv", STOCK.replace("26222.5", "26222.6"))
    second = served(source, GAS).data_processed
    assert second > first
    write(folder, f"{GAS}.renamed.csv", STOCK)
    third = served(source, GAS).data_processed
    assert third > second
    assert served(FolderSource(folder, state), GAS).data_processed == third


def test_without_a_state_file_a_restart_gives_the_same_mark(tmp_path: Path) -> None:
    path = write(tmp_path, f"{GAS}.csv", STOCK)
    source = FolderSource(tmp_path)
    first = served(source, GAS).data_processed
    assert served(FolderSource(tmp_path), GAS).data_processed == first
    path.write_text(STOCK.replace("26222.5", "26222.6"))
    assert served(source, GAS).data_processed > first
    assert served(FolderSource(tmp_path), GAS).data_processed != first


def test_content_is_read_again_at_metadata_requests_alone(tmp_path: Path) -> None:
    path = write(tmp_path, f"{GAS}.csv", STOCK)
    source = FolderSource(tmp_path)
    assert served(source, GAS).table.num_rows == 2
    path.write_text(STOCK + "2022-11-02;7;Storengy;Centre\r\n")
    kept = source.dataset(GAS, refresh=False)
    assert kept is not None
    assert kept.table.num_rows == 2
    assert served(source, GAS).table.num_rows == 3
    path.unlink()
    assert source.dataset(GAS, refresh=True) is None


def test_an_edit_within_a_tick_of_the_clock_is_seen(tmp_path: Path) -> None:
    path = write(tmp_path, f"{GAS}.csv", STOCK)
    written = path.stat().st_mtime_ns
    source = FolderSource(tmp_path)
    served(source, GAS)
    path.write_text(STOCK.replace("26222.5", "26222.6"), newline="")
    os.utime(path, ns=(written, written))
    assert 26_222.6 in served(source, GAS).table["stock_fin_de_journee"].to_pylist()


def test_a_state_file_of_something_else_is_refused(tmp_path: Path) -> None:
    state = write(tmp_path, "marks.json", '{"a": 1}')
    with pytest.raises(UnreadableFile, match="marks"):
        FolderSource(tmp_path, state)


@needs_real_data
def test_the_real_extracts_are_served_as_they_were_fetched(standin: Callable[..., str]) -> None:
    source = FolderSource(REAL_DATA)
    assert source.identifiers() == [REAL_TIME, GAS, TEMPERATURE]
    assert served(source, REAL_TIME).table.num_rows == 13_440 + 96
    datasets = standin(source) + "/api/explore/v2.1/catalog/datasets"

    def exported(dataset: str, **parameters: str) -> list[str]:
        answer = requests.get(
            f"{datasets}/{dataset}/exports/csv", params={"with_bom": "false", **parameters}, timeout=PATIENCE
        )
        return sorted(answer.content.decode().splitlines())

    def fetched(name: str) -> list[str]:
        return sorted((REAL_DATA / name).read_text(encoding="utf-8-sig").splitlines())

    then = exported(REAL_TIME, where="date_heure < date'2023-01-01'")
    assert then == fetched("eco2mix-national-tr.2022-06-01_2022-10-18.csv")
    assert exported(GAS) == fetched("stock-quotidien-stockages-gaz.2010-11-01_2024-07-31.csv")
    regions = exported(TEMPERATURE, use_labels="true")
    assert regions == fetched("temperature-quotidienne-regionale.2016-01-01_2026-02-27.csv")


@needs_real_data
def test_the_other_forms_of_odre_are_understood(tmp_path: Path) -> None:
    for path in (REAL_DATA / "forms").iterdir():
        shutil.copy(path, tmp_path)
    source = FolderSource(tmp_path)
    labelled = served(source, CONSOLIDATED).table
    assert (labelled.num_rows, labelled.num_columns) == (7, 37)
    assert sorted(labelled["consommation"].drop_null().to_pylist()) == [50_560, 51_863, 52_770, 54_098]
    parquet = served(source, TEMPERATURE).table
    assert parquet.num_rows == 46_332
    assert kind(parquet.schema.field("code_insee_region").type) == "int"
    again = tmp_path / "again"
    again.mkdir()
    pacsv.write_csv(parquet, again / f"{TEMPERATURE}.csv")
    from_csv = served(FolderSource(again), TEMPERATURE)
    assert from_csv.table.equals(parquet)
    assert from_csv.data_processed == served(source, TEMPERATURE).data_processed
    assert pa.types.is_date32(parquet.schema.field("date").type)
