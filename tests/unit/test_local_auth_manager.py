"""Whose turn it is in the local API server; that it stands still without is shown in tests/e2e."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import Receive, Scope, Send

from local.auth_manager import OneChangeAtATime


def test_changes_wait_for_each_other_and_nothing_waits_to_read() -> None:
    inside: list[str] = []
    end = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        inside.append(scope.get("method", scope["type"]))
        await end.wait()

    async def ask() -> None:
        served: Any = OneChangeAtATime(app)
        scopes = [{"type": "http", "method": method} for method in ("POST", "PATCH", "GET", "HEAD")]
        asked = [asyncio.create_task(served(scope, None, None)) for scope in [*scopes, {"type": "lifespan"}]]
        await asyncio.sleep(0.01)
        assert inside == ["POST", "GET", "HEAD", "lifespan"]
        end.set()
        await asyncio.gather(*asked)
        assert inside[-1] == "PATCH"

    asyncio.run(ask())


def test_a_change_that_breaks_gives_its_turn_back() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ConnectionError

    async def ask() -> list[Any]:
        served: Any = OneChangeAtATime(app)
        scope = {"type": "http", "method": "POST"}
        return await asyncio.wait_for(
            asyncio.gather(*(served(scope, None, None) for _ in range(2)), return_exceptions=True), 5
        )

    assert [type(error) for error in asyncio.run(ask())] == [ConnectionError, ConnectionError]
