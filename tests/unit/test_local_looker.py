"""The link to a new report, as Looker Studio's Linking API reads it, and the period of a file."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from local import __main__ as commands
from local import environments
from local.basics import LocalError
from local.looker import report_url
from odre.settings import Settings


def test_the_link_opens_a_report_on_a_view_of_the_marts() -> None:
    url = report_url(Settings.from_environment({"GOOGLE_CLOUD_PROJECT": "my-project", "DATASET_PREFIX": "me_"}))
    assert url.startswith("https://lookerstudio.google.com/reporting/create?")
    assert parse_qs(urlsplit(url).query) == {
        "c.mode": ["edit"],
        "r.reportName": ["Énergie"],
        "ds.ds0.connector": ["bigQuery"],
        "ds.ds0.datasourceName": ["looker_days"],
        "ds.ds0.type": ["TABLE"],
        "ds.ds0.projectId": ["my-project"],
        "ds.ds0.datasetId": ["me_energy"],
        "ds.ds0.tableId": ["looker_days"],
    }


def test_the_link_needs_a_project(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    with pytest.raises(LocalError, match="Which project"):
        commands.looker_url()
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "my-project")
    assert commands.looker_url() == 0
    assert "projectId=my-project" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "period"),
    [
        ({}, "last-365"),
        ({"PERIOD": "2026-winter"}, "2026-winter"),
        ({"START": "2026-01-15", "END": "2026-03-02"}, "2026-01-15_2026-03-02"),
    ],
)
def test_the_period_of_a_file(monkeypatch: pytest.MonkeyPatch, given: dict[str, str], period: str) -> None:
    for name in ("PERIOD", "START", "END"):
        monkeypatch.setenv(name, given.get(name, ""))
    assert commands._period() == period


@pytest.mark.parametrize("given", [("START",), ("END",), ("PERIOD", "START"), ("PERIOD", "START", "END")])
def test_half_a_period_is_refused(monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...]) -> None:
    for name in ("PERIOD", "START", "END"):
        monkeypatch.setenv(name, "2026-01-15" if name in given else "")
    with pytest.raises(LocalError, match="START=<day> and END=<day>"):
        commands._period()


def test_a_file_needs_a_warehouse(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(commands, "LOCAL", tmp_path)
    monkeypatch.setattr(environments, "ensure_airflow", lambda: tmp_path)
    for name in ("DATA", "PERIOD", "START", "END", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    for source, message in (("", "no warehouse yet"), ("google", "Which warehouse")):
        monkeypatch.setenv("SOURCE", source)
        with pytest.raises(LocalError, match=message):
            commands.dashboard()
