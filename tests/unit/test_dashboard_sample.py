"""Whether the dashboard says that its data are generated: the source's connection knows."""

from __future__ import annotations

import pytest

from energy_dashboard import airflow_app
from local.stack import Source
from odre.settings import Settings


@pytest.mark.parametrize(
    ("connection", "sample"),
    [
        (Source.generated().airflow_connection("http://127.0.0.1:8090"), True),
        (Source.live({}).airflow_connection(""), False),
        ("https://odre.opendatasoft.com", False),
        (None, False),
    ],
)
def test_the_connection_says_it(monkeypatch: pytest.MonkeyPatch, connection: str | None, sample: bool) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_ODRE_DEFAULT", raising=False)
    if connection:
        monkeypatch.setenv("AIRFLOW_CONN_ODRE_DEFAULT", connection)
    assert airflow_app.dashboard(Settings.from_environment({})).is_sample() is sample
