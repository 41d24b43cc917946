"""The dashboard's routes, as an app that Airflow's API server mounts: see docs/dashboard.md.

Every route asks for a login, and so does every address that is none: there is nothing to look at from outside.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from energy_dashboard import build
from energy_dashboard.dashboard import Dashboard
from energy_dashboard.marts import TIMEOUT_S, MartsAbsent, WarehouseSilent
from energy_dashboard.periods import DEFAULT, BadPeriod

#: Readers that wait for the warehouse at one time, on threads of their own: those of Airflow's API are not theirs.
_READERS: Final = 4
#: Seconds after which a reader is told that the warehouse is silent, whatever goes on.
_PATIENCE_S: Final = TIMEOUT_S + 2

#: What every answer has that does not say otherwise, refusals and failures too.
_HEADERS: Final = {
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": build.CONTENT_SECURITY_POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_FOR_EVER: Final = {"Cache-Control": "private, max-age=31536000, immutable"}

_READING: Final = ["GET", "HEAD"]
_METHODS: Final = [*_READING, "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

#: Status and message, in English and French, of each code.
_ERRORS: Final = {
    "period": (
        400,
        "This is not a period. Choose one again.",
        "Ce n’est pas une période. Choisissez-en une autre.",
    ),
    "warehouse": (
        503,
        "The data warehouse does not answer. Try again in a moment.",
        "L’entrepôt de données ne répond pas. Réessayez dans un instant.",
    ),
    "no_marts": (
        503,
        "There are no data yet. They come with the first complete run of the three DAGs.",
        "Il n’y a pas encore de données. Elles arrivent avec la première exécution complète des trois DAG.",
    ),
}

log = logging.getLogger(__name__)


def create_app(dashboard: Dashboard, authenticated: Callable[..., Any]) -> ASGIApp:
    """The app; ``authenticated`` is the dependency that refuses who is not logged in."""
    app = FastAPI(
        title="Énergie", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(authenticated)]
    )
    readers = ThreadPoolExecutor(_READERS, "dashboard-reader")

    @app.api_route("/", methods=_READING)
    def page() -> Response:
        return Response(build.page("."), media_type="text/html; charset=utf-8")

    @app.api_route("/assets/{name}", methods=_READING)
    def asset(name: str) -> Response:
        try:
            found = build.asset(name)
        except KeyError:
            raise HTTPException(404) from None
        return Response(found.content, media_type=found.content_type, headers=_FOR_EVER)

    @app.api_route("/data", methods=_READING)
    async def data(request: Request) -> Response:
        query = request.query_params.multi_items()
        if any(name != "period" for name, _ in query) or len(query) > 1:
            return _error("period")
        text = query[0][1] if query else DEFAULT
        try:
            reading = asyncio.get_running_loop().run_in_executor(readers, dashboard.answer, text)
            found = await asyncio.wait_for(reading, _PATIENCE_S)
        except BadPeriod:
            return _error("period")
        except MartsAbsent as absent:
            log.warning("The dashboard found no marts, which the first run of the DAGs makes: %s", absent)
            return _error("no_marts")
        except (WarehouseSilent, TimeoutError) as silent:
            log.warning("The dashboard's warehouse does not answer, see docs/dashboard.md#the-identity: %r", silent)
            return _error("warehouse")
        headers = {"ETag": f'"{found.etag}"'}
        if found.etag in request.headers.get("If-None-Match", ""):
            return Response(status_code=304, headers=headers)
        return Response(found.body, media_type="application/json", headers=headers)

    @app.api_route("/{path:path}", methods=_METHODS)
    def nothing(path: str) -> Response:
        raise HTTPException(404)

    return _with_headers(app)


def _with_headers(app: ASGIApp) -> ASGIApp:
    """The app, whose answers all have :data:`_HEADERS`: outermost, so that no error is answered without."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await app(scope, receive, send_with_headers)

    return answer


def _error(code: str) -> JSONResponse:
    status, english, french = _ERRORS[code]
    told = {"error": {"code": code, "message_en": english, "message_fr": french}}
    return JSONResponse(told, status, headers={"Retry-After": "10"} if status == 503 else {})
