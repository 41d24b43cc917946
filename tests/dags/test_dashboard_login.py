"""The dashboard in Airflow's own app: whether it is there, and who may see it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from energy_dashboard.airflow_app import PREFIX

#: Every route, and addresses that are none.
PATHS = [
    "/",
    "/data",
    "/data?period=2026-11-23",
    "/assets/app.js",
    "/assets/",
    "/docs",
    "/redoc",
    "/openapi.json",
    "/nothing",
]


@pytest.fixture(scope="module")
def airflow_app() -> Iterator[Any]:
    """Airflow's API server as it is deployed, on a database of its own."""
    from airflow.utils.db import initdb

    initdb()
    from airflow.api_fastapi.app import create_app, purge_cached_app

    with pytest.MonkeyPatch.context() as patch:
        # Nobody listens there: a route that answered without a login would have had to ask.
        patch.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:9")
        yield create_app()
    purge_cached_app()


@pytest.fixture
def client(airflow_app: Any) -> TestClient:
    return TestClient(airflow_app, raise_server_exceptions=False)


@pytest.fixture
def token() -> str:
    """What a user's browser has after the login."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    user = SimpleAuthManagerUser(username="admin", role="viewer")
    return get_auth_manager().generate_jwt(user)  # type: ignore[attr-defined,no-any-return,unused-ignore]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_no_address_answers_who_is_not_logged_in(client: TestClient, path: str, method: str) -> None:
    answer = client.request(method, f"{PREFIX}{path}")
    assert answer.status_code == 401
    assert answer.text in ("", '{"detail":"Not authenticated"}')


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [{"Authorization": "Bearer x.y.z"}, {"Cookie": "_token=x.y.z"}])
def test_a_login_that_is_none_is_refused(client: TestClient, path: str, headers: dict[str, str]) -> None:
    answer = client.get(f"{PREFIX}{path}", headers=headers)
    assert (answer.status_code, answer.text) == (403, '{"detail":"Invalid JWT token"}')


def test_who_is_logged_in_sees_the_page(client: TestClient, token: str) -> None:
    for credentials in ({"Authorization": f"Bearer {token}"}, {"Cookie": f"_token={token}"}):
        answer = client.get(f"{PREFIX}/", headers={**credentials, "Accept-Encoding": "gzip"})
        assert (answer.status_code, answer.headers["content-encoding"]) == (200, "gzip")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "Énergie" in answer.text


def test_what_the_page_links_to_is_there(client: TestClient, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    links = re.findall(r'(?:src|href)="(\./assets/[^"]+)"', client.get(f"{PREFIX}/", headers=headers).text)
    assert len(links) == 3
    for link in links:
        answer = client.get(f"{PREFIX}/{link.removeprefix('./')}", headers=headers)
        assert answer.status_code == 200, link
        assert "max-age=31536000" in answer.headers["cache-control"]
        assert answer.headers["content-encoding"] == "gzip"


def test_the_page_is_an_entry_of_the_navigation(client: TestClient, token: str) -> None:
    plugins = client.get("/api/v2/plugins", headers={"Authorization": f"Bearer {token}"}).json()["plugins"]
    (view,) = [view for plugin in plugins for view in plugin["external_views"] if view["name"] == "Énergie"]
    assert (view["destination"], view["href"], view["nav_top_level"]) == ("nav", f"{PREFIX}/", True)
    assert client.get("/api/v2/plugins/importErrors", headers={"Authorization": f"Bearer {token}"}).json() == {
        "import_errors": [],
        "total_entries": 0,
    }
