"""The stand-in misbehaves as its script says, and only then."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
import requests

from emulators.odre.faults import KINDS, Fault, Script, ScriptFile, read_script, write_script
from emulators.odre.source import MemorySource
from tests.conftest import ServeSource
from tests.waiting import PATIENCE, wait_until

GAS = "stock-quotidien-stockages-gaz"
TEMPERATURE = "temperature-quotidienne-regionale"
ROOT = Path(__file__).resolve().parents[2]
MARK = datetime(2025, 3, 4, 8, tzinfo=UTC)
HEADER = "date;stock_fin_de_journee;source;pits"
ROWS = ["2025-03-01;100.5;Storengy;Centre", "2025-03-02;99.5;Storengy;Centre", "2025-03-03;98.5;Storengy;Centre"]


def stocks() -> pa.Table:
    days = [date(2025, 3, 1) + timedelta(days=n) for n in range(3)]
    rows = [
        {"date": day, "stock_fin_de_journee": 100.5 - n, "source": "Storengy", "pits": "Centre"}
        for n, day in enumerate(days)
    ]
    return pa.Table.from_pylist(rows)


class Served:
    """A source whose script a test sets."""

    def __init__(self, standin: ServeSource) -> None:
        self.source = MemorySource()
        self.source.publish(GAS, stocks(), MARK)
        self.script = Script(self.source)
        self.url = standin(self.source, behaviour=self.script) + "/api/explore/v2.1/catalog/datasets/"

    def get(self, path: str, dataset: str = GAS, **options: object) -> requests.Response:
        return requests.get(f"{self.url}{dataset}{path}", timeout=PATIENCE, **options)  # type: ignore[arg-type]

    def csv(self) -> list[str]:
        answer = self.get("/exports/csv?order_by=date,pits&with_bom=false")
        assert answer.status_code == 200
        return answer.content.decode().splitlines()

    def count(self) -> int:
        count: int = self.get("/records?limit=0").json()["total_count"]
        return count

    def metadata(self) -> dict[str, object]:
        body = self.get("").json()
        return {
            "mark": datetime.fromisoformat(body["metas"]["default"]["data_processed"]),
            "fields": {field["name"]: field["type"] for field in body["fields"]},
        }


@pytest.fixture
def served(standin: ServeSource) -> Served:
    return Served(standin)


# When a fault strikes.


def statuses(served: Served, *paths: str) -> list[int]:
    return [served.get(path).status_code for path in paths]


def test_a_script_without_faults_is_an_honest_source(served: Served) -> None:
    assert (served.csv(), served.count(), served.metadata()["mark"]) == ([HEADER, *ROWS], 3, MARK)


def test_a_fault_strikes_from_its_first_request_on_and_as_often_as_it_says(served: Served) -> None:
    served.script.set([Fault("unavailable", first=2, times=2)])
    assert statuses(served, "", "", "", "") == [200, 503, 503, 200]
    served.script.set([Fault("unavailable", times=None)])
    assert statuses(served, "", "", "") == [503] * 3


def test_a_fault_strikes_its_dataset_and_its_endpoint_alone(served: Served) -> None:
    served.script.set([Fault("server_error", GAS, "records", times=None), Fault("not_found", "another", times=None)])
    assert statuses(served, "", "/records", "/exports/csv", "/records?limit=0") == [200, 500, 200, 500]
    served.script.set([Fault("server_error", endpoint="count", times=None)])
    assert statuses(served, "/records", "/records?limit=0") == [200, 500]


def test_a_fault_for_a_time_ends(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("emulators.odre.faults.time.monotonic", lambda: now)
    served.script.set([Fault("unavailable", times=None, seconds=30)])
    assert statuses(served, "") == [503]
    now += 29
    assert statuses(served, "") == [503]
    now += 2
    assert statuses(served, "") == [200]


def test_a_fault_that_stays_in_the_script_goes_on_counting(served: Served) -> None:
    once = Fault("unavailable")
    served.script.set([once])
    assert statuses(served, "") == [503]
    served.script.set([once, Fault("server_error", endpoint="records")])
    assert statuses(served, "", "/records") == [200, 500]


def test_a_fault_of_the_data_is_a_state_that_every_endpoint_shows_once_it_began(served: Served) -> None:
    served.script.set([Fault("republished", times=None)])
    assert (served.count(), served.metadata()["mark"]) == (3, MARK)
    assert served.csv() == [HEADER, *ROWS[:2]]
    assert (served.count(), served.metadata()["mark"]) == (2, MARK + timedelta(seconds=1))


def test_faults_of_the_data_and_of_the_wire_add_up(served: Served) -> None:
    script = [Fault("vanished", times=None), Fault("decimal_comma", times=None), Fault("bom")]
    served.script.set(script)
    assert served.csv() == ["\ufeff" + HEADER, ROWS[0], ROWS[1].replace("99.5", "12,5")]


# What each does.


@pytest.mark.parametrize(
    ("kind", "status"), [("bad_request", 400), ("not_found", 404), ("server_error", 500), ("unavailable", 503)]
)
def test_a_status_is_answered_with_the_quota_of_every_answer(served: Served, kind: str, status: int) -> None:
    served.script.set([Fault(kind)])
    answer = served.get("")
    assert answer.status_code == status
    assert int(answer.headers["X-RateLimit-Limit"]) > 0
    assert answer.json()["message"]


@pytest.mark.parametrize(("wait", "hours"), [("short", 0), ("long", 5)])
def test_a_used_up_quota_says_when_it_frees_in_a_header_or_in_its_body(served: Served, wait: str, hours: int) -> None:
    served.script.set([Fault(f"quota_header_{wait}")])
    answer = served.get("")
    assert answer.status_code == 429
    assert abs(int(answer.headers["Retry-After"]) - 3600 * hours) <= 1
    assert "reset_time" not in answer.json()
    served.script.set([Fault(f"quota_body_{wait}")])
    before = datetime.now(UTC)
    answer = served.get("")
    asked = datetime.fromisoformat(answer.json()["reset_time"]) - timedelta(hours=hours)
    assert before <= asked <= datetime.now(UTC) + timedelta(seconds=1)  # a short wait is a second
    assert "Retry-After" not in answer.headers


def test_silence_answers_nothing_and_ends_with_its_client(served: Served) -> None:
    served.script.set([Fault("silence")])
    with pytest.raises(requests.ReadTimeout):
        requests.get(served.url + GAS, timeout=(PATIENCE, 0.3))
    assert statuses(served, "") == [200]


def test_a_drip_gives_a_kilobyte_a_second(served: Served) -> None:
    served.script.set([Fault("drip")])
    started = time.monotonic()
    assert served.csv() == [HEADER, *ROWS]
    assert time.monotonic() - started > 0.2


def test_a_reset_comes_in_mid_stream(served: Served) -> None:
    served.source.publish(GAS, pa.concat_tables([stocks()] * 100))
    served.script.set([Fault("reset")])
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="reset by peer"):
        served.get("/exports/csv")
    assert len(served.csv()) == 301


def test_a_stream_that_is_cut_at_a_rows_end_ends_cleanly(served: Served) -> None:
    served.script.set([Fault("cut_at_row_end", rows=2)])
    assert served.csv() == [HEADER, ROWS[0]]


def test_a_count_can_be_wrong(served: Served) -> None:
    served.script.set([Fault("wrong_count", rows=-2)])
    assert [served.count(), served.count()] == [1, 3]


def test_a_web_page_comes_instead_of_csv(served: Served) -> None:
    served.script.set([Fault("web_page")])
    answer = served.get("/exports/csv")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert answer.text.startswith("<!DOCTYPE html>")


def test_columns_can_come_in_another_order(served: Served) -> None:
    served.script.set([Fault("columns_reordered")])
    assert served.csv()[:2] == ["pits;source;stock_fin_de_journee;date", "Centre;Storengy;100.5;2025-03-01"]


def spoilt(served: Served, kind: str, **more: object) -> list[str]:
    """The rows that a fault of the data leaves, and that the count agrees with them."""
    served.script.set([Fault(kind, times=None, **more)])  # type: ignore[arg-type]
    rows = served.csv()[1:]
    assert served.count() == len(rows)
    return rows


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("text_in_number", [*ROWS[:2], ROWS[2].replace("98.5", "douze")]),
        ("no_data_marker", [*ROWS[:2], ROWS[2].replace("98.5", "ND")]),
        ("decimal_comma", [*ROWS[:2], ROWS[2].replace("98.5", "12,5")]),
        ("repeated_rows", [*ROWS, ROWS[2]]),
        ("repeated_keys", [*ROWS, ROWS[2].replace("98.5", "99.5")]),
        ("unknown_storage_point", [*ROWS, ROWS[2].replace("Centre", "Nulle part")]),
        ("restated", [*ROWS[:2], ROWS[2].replace("98.5", "99.5")]),
        ("vanished", ROWS[:2]),
        ("republished", ROWS[:2]),
        ("empty_window", []),
        ("announced", []),
    ],
)
def test_rows_can_be_spoilt(served: Served, kind: str, expected: list[str]) -> None:
    assert spoilt(served, kind) == expected
    newer = kind in ("restated", "vanished", "republished", "announced")
    assert served.metadata()["mark"] == MARK + timedelta(seconds=newer)


def test_as_many_rows_are_spoilt_as_the_fault_says(served: Served) -> None:
    assert spoilt(served, "text_in_number", rows=2, column="source") == [
        ROWS[0],
        *(row.replace("Storengy", "douze") for row in ROWS[1:]),
    ]


def test_columns_can_come_go_and_change_their_type(served: Served) -> None:
    fields = dict(served.metadata()["fields"])  # type: ignore[call-overload]
    served.script.set([Fault("column_added", times=None)])
    assert served.metadata()["fields"] == {**fields, "maree": "int"}
    served.script.set([Fault("column_retyped", times=None)])
    assert served.metadata()["fields"] == {**fields, "stock_fin_de_journee": "datetime"}
    served.script.set([Fault("column_removed", times=None)])
    fields.pop("stock_fin_de_journee")
    assert served.metadata()["fields"] == fields
    row = {"id": "1", "date": date(2025, 3, 1), "code_insee_region": "11", "region": "Île-de-France", "tmoy": 9.5}
    served.source.publish(TEMPERATURE, pa.Table.from_pylist([row]))
    served.script.set([Fault("optional_column_removed", TEMPERATURE, times=None)])
    assert [field["name"] for field in served.get("", TEMPERATURE).json()["fields"]] == list(row)[1:]


def test_regions_and_natures_can_be_unknown(served: Served) -> None:
    row = {"date": date(2025, 3, 1), "code_insee_region": "11", "region": "Île-de-France", "nature": "x"}
    served.source.publish(TEMPERATURE, pa.Table.from_pylist([row]))
    served.script.set([Fault("unknown_region", times=None)])
    records = served.get("/records?order_by=code_insee_region", TEMPERATURE).json()["results"]
    assert [record["code_insee_region"] for record in records] == ["11", "99"]
    served.script.set([Fault("unknown_nature", times=None)])
    assert served.get("/records", TEMPERATURE).json()["results"][0]["nature"] == "Données provisoires"


# Scripts in files.


def test_a_fault_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match=f"no fault 'flood'; there are: {KINDS[0]}"):
        Fault("flood")


def test_a_script_is_read_as_it_was_written(tmp_path: Path) -> None:
    faults = [Fault("unavailable", GAS, "records", 2, None, 1.5), Fault("text_in_number", rows=5, column="source")]
    write_script(tmp_path / "faults.json", faults)
    assert read_script(tmp_path / "faults.json") == faults
    (tmp_path / "faults.yaml").write_text("- {kind: unavailable, first: 3, times: null}\n")
    assert read_script(tmp_path / "faults.yaml") == [Fault("unavailable", first=3, times=None)]
    (tmp_path / "empty.yaml").write_text("")
    assert read_script(tmp_path / "empty.yaml") == []


@pytest.mark.parametrize("text", ["- {kind: flood}", "- {kind: silence, colour: red}", "[", "12", None])
def test_a_file_that_is_no_script_is_refused_with_its_name(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "faults.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"faults\.yaml cannot be read as a list of faults"):
        ScriptFile(MemorySource(), tmp_path / "faults.yaml")


def test_a_stand_in_of_its_own_follows_the_file_as_it_changes(tmp_path: Path) -> None:
    script = tmp_path / "faults.json"
    write_script(script, [])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api/explore/v2.1/catalog/datasets/{GAS}"

    def status() -> int:
        try:
            return requests.get(url, timeout=PATIENCE).status_code
        except requests.ConnectionError:
            return 0

    (tmp_path / f"{GAS}.csv").write_text("\n".join([HEADER, *ROWS]))
    process = subprocess.Popen(
        [sys.executable, "-m", "emulators.odre", f"--data={tmp_path}", f"--port={port}", f"--faults={script}"],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: status() == 200, "the stand-in answers", pause=0.05)
        write_script(script, [Fault("unavailable", times=2)])
        assert [status() for _ in range(3)] == [503, 503, 200]
        script.write_text("- {kind: flood}")
        assert status() == 200
        write_script(script, [Fault("server_error", times=None)])
        assert [status(), status()] == [500, 500]
    finally:
        process.terminate()
        _, errors = process.communicate()
    assert "the faults stay as they were" in errors


def test_a_stand_in_with_a_wrong_script_does_not_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from emulators.odre.__main__ import main

    (tmp_path / "faults.yaml").write_text("- {kind: flood}")
    assert main(["--generated", "--years=1", "--port=0", f"--faults={tmp_path / 'faults.yaml'}"]) == 1
    assert "there are: bad_request" in capsys.readouterr().err
