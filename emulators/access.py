"""Which requests the servers of this machine answer: those of programs, by a name that is served, and of no web page.

A browser sends the requests of any page to 127.0.0.1 too, and a page's own name can be made to point there (DNS
rebinding). Such a request is known by its headers, and is refused before the server reads its body. Standard library
only.
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

#: Names that hold on every machine.
LOCAL_NAMES: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})

#: The environment variable with further names, separated by spaces: in Compose those of the services.
NAMES_VARIABLE: Final = "EMULATOR_NAMES"

_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(?::[0-9]+)?")


def served_names(environment: Mapping[str, str] = os.environ) -> frozenset[str]:
    """The host names that requests may give, in lower case."""
    return LOCAL_NAMES | frozenset(environment.get(NAMES_VARIABLE, "").lower().split())


def refusal(headers: Iterable[tuple[str, str]], names: frozenset[str] | None = None) -> str | None:
    """Why a request with these headers is refused, in one sentence; ``None`` if it is not.

    ``names`` are the names that are served (:func:`served_names` by default), at any port.
    """
    names = served_names() if names is None else names
    given: dict[str, list[str]] = {}
    for name, value in headers:
        given.setdefault(name.lower(), []).append(value.strip().lower())
    hosts = given.get("host", [])
    host = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if host is None or host[1] not in names:
        return (
            f"The host name {', '.join(hosts) or '(none)'} is not served here: ask by one of "
            f"{', '.join(sorted(names))}, or add it to {NAMES_VARIABLE} and start the server again."
        )
    for origin in given.get("origin", []):
        if origin != f"http://{hosts[0]}":
            return f"The request comes from a web page of {origin}: only programs may ask this server."
    for site in given.get("sec-fetch-site", []):
        if site not in ("none", "same-origin"):
            return f"The request comes from a web page of another site ({site}): only programs may ask this server."
    return None


def _body(status: int, message: str) -> bytes:
    return json.dumps({"error": {"code": status, "message": message}}).encode()


class GuardedHandler(BaseHTTPRequestHandler):
    """A handler that answers 403 to what :func:`refusal` refuses, whatever the method, and reads no more of it."""

    def parse_request(self) -> bool:
        """Whether a request was read that is to be answered."""
        if not super().parse_request():
            return False
        refused = refusal(self.headers.items())
        if refused is None:
            return True
        self.refuse(HTTPStatus.FORBIDDEN, refused)
        return False

    def refuse(self, status: HTTPStatus, message: str) -> None:
        """Answer with an error as Google's APIs word theirs, and close the connection."""
        body = _body(status, message)
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        # What the client still sends is dropped for a moment: closed on it, the connection would be reset, and the
        # answer lost.
        deadline = time.monotonic() + 1
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(1)
            while time.monotonic() < deadline and self.connection.recv(65536):
                pass


_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_Application = Callable[[_Message, _Receive, _Send], Awaitable[None]]


def guarded(application: _Application) -> _Application:
    """An ASGI application that answers 403 to what :func:`refusal` refuses, and has the rest answered by another."""

    async def answer(scope: _Message, receive: _Receive, send: _Send) -> None:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope.get("headers", ())]
        refused = refusal(headers) if scope["type"] == "http" else None
        if refused is None:
            await application(scope, receive, send)
            return
        while (await receive()).get("more_body"):
            pass
        start = {"status": HTTPStatus.FORBIDDEN.value, "headers": [(b"content-type", b"application/json")]}
        await send({"type": "http.response.start", **start})
        await send({"type": "http.response.body", "body": _body(HTTPStatus.FORBIDDEN, refused)})

    return answer
