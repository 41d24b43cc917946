"""Which requests the servers of this machine refuse by their headers, and what Compose calls them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from emulators.access import LOCAL_NAMES, NAMES_VARIABLE, refusal, served_names

COMPOSE = yaml.safe_load((Path(__file__).parents[2] / "docker-compose.yaml").read_text())

Headers = list[tuple[str, str]]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:9050", "LOCALHOST:1", "localhost", "[::1]", "[::1]:9050"])
def test_a_program_on_this_machine_is_answered_at_any_port(host: str) -> None:
    assert refusal([("Host", host)], LOCAL_NAMES) is None


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:9050", "127.0.0.1.evil.example", "evil.example.localhost", "localhost.", ""),
        *("127.1", "0.0.0.0:9050", "[::]", "::1", "127.0.0.1:", "127.0.0.1:9050:1", "127.0.0.1:9050@evil.example"),
        *("127.0.0.1 evil.example", "127.0.0.1, evil.example", "bigquery:9050", "user@127.0.0.1", "127.0.0.1/"),
    ],
)
def test_a_name_that_is_not_served_is_refused(host: str) -> None:
    refused = refusal([("Host", host)], LOCAL_NAMES)
    assert refused is not None
    assert NAMES_VARIABLE in refused


@pytest.mark.parametrize("headers", [[], [("Host", "localhost"), ("host", "evil.example")]])
def test_one_host_name_is_given(headers: Headers) -> None:
    assert refusal(headers, LOCAL_NAMES) is not None


@pytest.mark.parametrize(
    "headers",
    [
        [("Origin", "https://evil.example")],
        [("Origin", "null")],
        [("origin", "http://127.0.0.1:8080")],  # another server of this machine, another user's perhaps
        [("Origin", "https://127.0.0.1:9050")],
        [("Origin", "http://127.0.0.1:9050.evil.example")],
        [("Origin", "")],
        [("Origin", "http://127.0.0.1:9050"), ("Origin", "http://evil.example")],
        [("Sec-Fetch-Site", "cross-site")],
        [("Sec-Fetch-Site", "same-site")],
    ],
)
def test_a_web_page_of_another_site_is_refused(headers: Headers) -> None:
    assert refusal([("Host", "127.0.0.1:9050"), *headers], LOCAL_NAMES) is not None


@pytest.mark.parametrize(
    "headers",
    [
        [("Origin", "http://127.0.0.1:9050")],
        [("Sec-Fetch-Site", "same-origin")],
        [("Sec-Fetch-Site", "none")],  # typed into the address bar
    ],
)
def test_what_the_server_itself_shows_is_answered(headers: Headers) -> None:
    assert refusal([("Host", "127.0.0.1:9050"), *headers], LOCAL_NAMES) is None


def test_further_names_are_given_by_the_environment() -> None:
    names = served_names({NAMES_VARIABLE: "BigQuery  storage"})
    assert names == {*LOCAL_NAMES, "bigquery", "storage"}
    assert refusal([("Host", "bigquery:9050")], names) is None
    assert refusal([("Host", "odre:9050")], names) is not None
    assert served_names({}) == LOCAL_NAMES


def test_containers_call_the_emulators_by_names_that_those_serve() -> None:
    """The names in the addresses that Airflow is given, and the services' own."""
    services = {
        name: service for name, service in COMPOSE["services"].items() if "emulators." in str(service.get("command"))
    }
    assert set(services) == {"storage", "bigquery", "odre"}
    airflow = COMPOSE["x-airflow"]["environment"]
    called = {urlsplit(airflow[name]).hostname for name in ("STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST")}
    for service in services.values():
        assert {*called, *services} <= served_names(service["environment"])
