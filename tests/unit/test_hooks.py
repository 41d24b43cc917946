"""The connection to the source: address, key and patience."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from odre import hooks
from odre.address import Address
from odre.client import OdreClient
from odre.hooks import PATIENCE, OdreHook


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the client is made with."""
    seen: dict[str, Any] = {}

    def client(host: str, key: str | None, **options: Any) -> None:
        seen.update(host=host, key=key, **options)

    monkeypatch.setattr(hooks, "OdreClient", client)
    return seen


def connect(monkeypatch: pytest.MonkeyPatch, connection: str | dict[str, Any]) -> str:
    text = connection if isinstance(connection, str) else json.dumps({"conn_type": "http", **connection})
    monkeypatch.setenv("AIRFLOW_CONN_ODRE_DEFAULT", text)
    OdreHook().get_conn()
    return text


@pytest.mark.parametrize(
    ("connection", "host", "key"),
    [
        ("https://odre.example", "https://odre.example", None),
        ({"host": "https://odre.example", "password": "k"}, "https://odre.example", "k"),
        ({"host": "odre.example", "port": 8443}, "http://odre.example:8443", None),
        ({"host": "localhost", "port": 8090, "conn_type": "https"}, "https://localhost:8090", None),
        ({"host": "odre.example", "conn_type": "odre"}, "https://odre.example", None),
        ({"host": "odre.example", "schema": "https"}, "https://odre.example", None),
        ({"host": "http://odre.example:1", "port": 2}, "http://odre.example:1", None),
        ({"host": "[::1]", "port": 2}, "http://[::1]:2", None),
        ({"host": "https://user:k%2F@odre.example/"}, "https://odre.example", "k/"),
        ({"host": "https://user:other@odre.example", "password": "k"}, "https://odre.example", "k"),
        ("https://user:k%2F@odre.example:8443/api/explore/v2.1?read_timeout=120", "https://odre.example:8443", "k/"),
        ("http://odre.example/https", "https://odre.example", None),
        ("https://proxy.example/odre/", "https://proxy.example/odre", None),
    ],
)
def test_a_connection_names_the_portal_to_airflow_and_to_all_others(
    monkeypatch: pytest.MonkeyPatch,
    made: dict[str, Any],
    connection: str | dict[str, Any],
    host: str,
    key: str | None,
) -> None:
    text = connect(monkeypatch, connection)
    assert made == {"host": host, "key": key, "timeout": (10, 120)}
    assert Address.parse(text) == Address(host, key)
    assert OdreClient(host).base_url == host


def test_the_extra_sets_how_patient_requests_are(monkeypatch: pytest.MonkeyPatch, made: dict[str, Any]) -> None:
    patience = {name: number for number, name in enumerate(PATIENCE, start=1)}
    connect(monkeypatch, {"host": "https://odre.example", "extra": {**patience, "verify": False}})
    assert made.pop("host")
    assert made == {
        "key": None,
        "timeout": (1, 2),
        "max_tries": 3,
        "back_off_s": 4,
        "deadline_s": 5,
        "grace_s": 6,
    }
    connect(monkeypatch, "https://odre.example/?read_timeout=0.5")
    assert made["timeout"] == (10, 0.5)


@pytest.mark.parametrize(
    ("connection", "cause"),
    [
        ({"host": ""}, "names no host"),
        ({"host": "ftp://odre.example"}, "must begin with http"),
        ({"host": "https://odre.example:http"}, "'http'"),
        (
            {"host": "https://odre.example", "extra": {"max_tries": 0}},
            "max_tries in its extra is 0, not a number of at",
        ),
        ({"host": "https://odre.example", "extra": {"read_timeout": "soon"}}, "read_timeout in its extra is 'soon'"),
        ({"host": "https://odre.example", "extra": {"deadline": "inf"}}, "deadline in its extra is 'inf'"),
        ({"host": "https://odre.example", "extra": {"grace": "nan"}}, "grace in its extra is 'nan'"),
    ],
)
def test_a_connection_that_cannot_be_used_fails_at_once(
    monkeypatch: pytest.MonkeyPatch, connection: dict[str, Any], cause: str
) -> None:
    with pytest.raises(AirflowFailException, match=f"odre_default cannot be used: .*{cause}.*Correct it"):
        connect(monkeypatch, connection)
