"""Airflow's SimpleAuthManager, whose API server on SQLite lets one request change something at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

if TYPE_CHECKING:
    from starlette.middleware import _MiddlewareFactory
    from starlette.types import ASGIApp, Receive, Scope, Send

#: Methods of HTTP that change nothing.
SAFE: Final = ("GET", "HEAD", "OPTIONS")


class OneChangeAtATime:
    """Has each request that may change something wait until the one before it has ended.

    SQLite has one writer. A request that has written holds it until its commit, which is asked for in the server's
    event loop; and the line of the audit log of another request is written in that loop, which then waits for the
    first: both, and with them every task and page, stand still until SQLite's time-out.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.turn = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, in its turn."""
        if scope["type"] != "http" or scope["method"] in SAFE:
            await self.app(scope, receive, send)
            return
        async with self.turn:
            await self.app(scope, receive, send)


class OneChangeAuthManager(SimpleAuthManager):
    """Brings :class:`OneChangeAtATime` into the API server: Airflow takes middleware from its auth manager."""

    def get_fastapi_middlewares(self) -> list[tuple[_MiddlewareFactory[Any], dict[str, Any]]]:
        """The simple auth manager's, and ours."""
        return [*super().get_fastapi_middlewares(), (OneChangeAtATime, {})]
