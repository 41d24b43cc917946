"""What jobs carry: labels that BigQuery takes, and one bound on bytes for operators, hooks and dbt."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from jinja2 import Environment

from odre.jobs import label, labels_of, query_job, query_parameter
from odre.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("eco2mix_hourly", "eco2mix_hourly"),
        ("eco2mix_national_tr.chunks.merge", "eco2mix_national_tr-chunks-merge"),
        ("Été", "-t-"),
        ("x" * 70, "x" * 63),
    ],
)
def test_a_label_is_one_that_bigquery_takes(text: str, value: str) -> None:
    assert label(text) == value
    assert re.fullmatch(r"[a-z0-9_-]{0,63}", value)


def test_a_query_has_its_bound_and_says_whose_it_is() -> None:
    settings = Settings.from_environment({"MAXIMUM_BYTES_BILLED": "1000000"})
    labels = labels_of("eco2mix_hourly", "dbt.record", "energy_ops")
    job = query_job("SELECT @day", settings, labels, query_parameter("day", "DATE", "2026-01-01"))
    assert job["query"]["maximumBytesBilled"] == "1000000"
    assert job["labels"] == {"dag": "eco2mix_hourly", "task": "dbt-record", "dataset": "energy_ops"}
    (parameter,) = job["query"]["queryParameters"]
    assert parameter["name"] == "day"


@pytest.mark.parametrize("text", ["10GB", "-1", "0", "1e9"])
def test_a_bound_that_is_no_number_of_bytes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"MAXIMUM_BYTES_BILLED={text} is no number of bytes"):
        Settings.from_environment({"MAXIMUM_BYTES_BILLED": text})


def test_dbt_and_the_pipeline_have_one_default() -> None:
    profiles = (ROOT / "include" / "dbt" / "profiles.yml").read_text()
    defaults = re.findall(r"maximum_bytes_billed: .*env_var\('MAXIMUM_BYTES_BILLED', ''\) or '(\d+)'", profiles)
    assert defaults == [str(Settings.from_environment({"MAXIMUM_BYTES_BILLED": ""}).maximum_bytes_billed)] * 2


@pytest.mark.parametrize(
    ("location", "listed"),
    [("EU", "`a-project`.`region-eu`.INFORMATION_SCHEMA.JOBS"), ("europe-west9", "`a-project`.`region-europe-west9`.")],
)
def test_bytes_are_read_from_the_list_of_the_region(location: str, listed: str) -> None:
    """The emulator's list has no bytes: what is asked of BigQuery's own is held as a text."""
    macros = Environment(extensions=["jinja2.ext.do"]).from_string(
        (ROOT / "include" / "dbt" / "macros" / "jobs.sql").read_text(),
        globals={"target": SimpleNamespace(name="google", project="a-project", location=location)},
    )
    assert macros.module.bigquery_jobs().strip().startswith(listed)  # type: ignore[attr-defined]
