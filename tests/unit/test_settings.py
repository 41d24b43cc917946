from __future__ import annotations

from pathlib import Path

import pytest

from odre.settings import Settings, find_folder


def test_defaults_are_those_of_one_machine() -> None:
    assert Settings.from_environment({}) == Settings("odre-local", "EU", "odre-lake", "", "")


def test_everything_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "GOOGLE_CLOUD_PROJECT": "p",
        "BIGQUERY_LOCATION": "europe-west9",
        "LAKE_BUCKET": "b",
        "LAKE_PREFIX": "me/",
        "DATASET_PREFIX": "me_",
        "DASHBOARD_CONN_ID": "readers",
    }.items():
        monkeypatch.setenv(name, value)
    assert Settings.from_environment() == Settings("p", "europe-west9", "b", "me/", "me_", "readers")


def test_a_prefix_gives_each_developer_a_full_set_of_datasets() -> None:
    settings = Settings.from_environment({"DATASET_PREFIX": "me_"})
    assert settings.datasets == ("me_odre_load", "me_odre_raw", "me_energy_ops", "me_energy_staging", "me_energy")
    assert settings.datasets == (
        settings.load_dataset,
        settings.raw_dataset,
        settings.ops_dataset,
        settings.staging_dataset,
        settings.marts_dataset,
    )


def test_a_folder_that_is_absent_is_an_error_and_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*absent: deploy again"):
        find_folder("contracts", str(tmp_path / "absent"))
    with pytest.raises(FileNotFoundError, match=r"include/nothing or .*plugins/include/nothing or .*dags/inc"):
        find_folder("nothing", None)
