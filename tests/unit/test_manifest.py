from __future__ import annotations

import itertools
import json
import re
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odre.manifest import Manifest, clean_run_id, manifest_name, object_name, quarantine_name
from odre.warehouse import LEDGER_COLUMNS

SHA256 = "0123456789abcdef" * 4
INSTANT = datetime(2026, 9, 15, 10, 20, 30, 123456, tzinfo=UTC)
MANIFEST = Manifest(
    dataset="eco2mix-national-tr",
    dag_id="eco2mix_hourly",
    run_id="manual__2026-09-15T10:20:00+00:00",
    chunk=1,
    chunks=3,
    ordinary=False,
    run_window_start=datetime(2022, 1, 1, tzinfo=UTC),
    run_window_end=None,
    window_start=None,
    window_end=datetime(2023, 1, 1, tzinfo=UTC),
    source_mark=INSTANT,
    rows_source=10,
    rows_landed=7,
    rows_quarantined=2,
    rows_excluded=1,
    first_time=INSTANT - timedelta(days=3),
    last_time=INSTANT,
    high_water=None,
    object_uri="gs://odre-lake/raw/x.parquet",
    content_sha256=SHA256,
    manifest_uri="gs://odre-lake/raw/x.manifest.json",
    unknown_columns="hydrogène,été",
    absent_columns="",
    extracted_at=INSTANT,
)


def test_objects_of_a_run_lie_together_and_are_named_by_content() -> None:
    folder = "dev/raw/eco2mix-national-tr/run=scheduled__1"
    assert object_name("dev/", "eco2mix-national-tr", "scheduled__1", SHA256) == f"{folder}/{SHA256}.parquet"
    assert quarantine_name("dev/", "eco2mix-national-tr", "scheduled__1", SHA256) == (
        f"{folder}/{SHA256}.quarantine.parquet"
    )
    assert manifest_name(
        "dev/", "eco2mix-national-tr", "scheduled__1", extracted_at=INSTANT, chunk=2, sha256=SHA256
    ) == (f"{folder}/20260915T102030123456Z-2-0123456789ab.manifest.json")


def test_manifests_sort_by_the_time_of_extraction_whatever_its_zone() -> None:
    paris = timezone(timedelta(hours=2))
    moments = [INSTANT, (INSTANT + timedelta(microseconds=1)).astimezone(paris), INSTANT + timedelta(days=400)]
    names = [manifest_name("", "d", "r", extracted_at=moment, chunk=0, sha256=SHA256) for moment in moments]
    assert names == sorted(names)
    assert len(set(names)) == 3


@pytest.mark.parametrize("run_id", ["scheduled__2026-09-15", "a", "A.b_c-1", "x-1234567"])
def test_an_id_that_fits_stays(run_id: str) -> None:
    assert clean_run_id(run_id) == run_id


@pytest.mark.parametrize("run_id", ["", ".", "..", "é", "a/b", "../../etc", "manual__2026-09-15T10:20:00+00:00"])
def test_any_other_id_is_made_to_fit(run_id: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_.-]*-[0-9a-f]{8}", clean_run_id(run_id))


def test_ids_that_would_clean_to_the_same_stay_distinct() -> None:
    ids = ["a:b", "a+b", "a-b", clean_run_id("a:b"), clean_run_id("a+b"), clean_run_id(clean_run_id("a:b"))]
    assert all(clean_run_id(one) != clean_run_id(other) for one, other in itertools.combinations(dict.fromkeys(ids), 2))


@given(one=st.text(max_size=20), other=st.text(max_size=20))
def test_distinct_ids_stay_distinct(one: str, other: str) -> None:
    assert (clean_run_id(one) == clean_run_id(other)) == (one == other)
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", clean_run_id(one))


def test_a_manifest_comes_back_as_it_was_stored() -> None:
    with_quarantine = replace(MANIFEST, quarantine_rows=3, quarantine_uri="gs://q", quarantine_sha256=SHA256)
    for manifest in (MANIFEST, with_quarantine):
        assert Manifest.from_json(manifest.to_json()) == manifest
        assert Manifest.from_dict(json.loads(json.dumps(manifest.to_dict()))) == manifest
    stored = json.loads(MANIFEST.to_json())
    assert stored["extracted_at"] == "2026-09-15T10:20:30.123456+00:00"
    assert "hydrogène" in MANIFEST.to_json()


def test_instants_are_stored_in_utc() -> None:
    there = INSTANT.astimezone(timezone(timedelta(hours=2)))
    assert replace(MANIFEST, extracted_at=there).to_json() == MANIFEST.to_json()


def test_a_manifest_with_other_fields_is_refused() -> None:
    with pytest.raises(TypeError, match="unexpected"):
        Manifest.from_dict(MANIFEST.to_dict() | {"surprise": 1})


def test_a_manifest_has_every_column_of_the_ledger() -> None:
    of_quarantine = {"quarantine_rows", "quarantine_uri", "quarantine_sha256"}
    assert {field.name for field in fields(Manifest)} - of_quarantine == set(LEDGER_COLUMNS)
