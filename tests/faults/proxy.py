"""A stretch of network between the pipeline and one of its servers, where a request can be met by a crash.

Requests and answers pass whole. A :class:`Fault` picks one request and says at which moment of it something happens:
before the server sees it, while the server works on it, or once the server has answered and the caller has not heard.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

#: What belongs to one connection and not to the message.
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}

#: Seconds that a server has for one request.
PATIENCE = 300


@dataclass(frozen=True)
class Request:
    """One request as the caller sent it."""

    method: str
    path: str
    body: bytes

    @property
    def text(self) -> str:
        """Its body as text."""
        return self.body.decode(errors="replace")


@dataclass(frozen=True)
class Reply:
    """What the caller gets instead of the server's answer."""

    status: int
    body: bytes


@dataclass
class Fault:
    """What happens to the first request that ``picks`` accepts.

    ``act`` runs at ``moment``; its reply is sent, or, if it gives none, the connection is dropped without a word.
    """

    name: str
    picks: Callable[[Request], bool]
    moment: Literal["before", "during", "after"]
    act: Callable[[], Reply | None]
    fired: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None

    def run(self) -> Reply | None:
        """Does it; an error is kept for the test to show."""
        try:
            return self.act()
        except Exception as error:
            traceback.print_exc()
            self.error = error
            return None
        finally:
            self.fired.set()


class Proxy(ThreadingHTTPServer):
    """Passes requests on to ``port`` of this machine; ``seen`` has them all, and ``faults`` those that are to come."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        self.target = port
        self.seen: list[Request] = []
        self.faults: list[Fault] = []
        self._lock = threading.Lock()
        self._taken: set[int] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def take(self, request: Request) -> Fault | None:
        """Notes the request; the fault that is meant for it, if there is one, each fault once."""
        with self._lock:
            self.seen.append(request)
            left = [fault for fault in self.faults if id(fault) not in self._taken]
        for fault in left:
            if fault.picks(request):
                with self._lock:
                    if id(fault) not in self._taken:
                        self._taken.add(id(fault))
                        return fault
        return None


class _Handler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def _pass(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:  # from one that was killed as it asked: no server takes that for a request
            self.close_connection = True
            return
        request = Request(self.command, self.path, body)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        fault = self.server.take(request)
        if fault is None:
            answer = self._forward(request, headers)
            if answer is None:
                self.close_connection = True
            else:
                self._send(answer[0].status, answer[1], answer[0])
            return
        worker = threading.Thread(target=self._forward, args=(request, headers), daemon=True)
        if fault.moment != "before":
            worker.start()
        if fault.moment == "after":
            worker.join(PATIENCE)
        reply = fault.run()
        if reply is None:
            self.close_connection = True
        else:
            self._send(reply.status, reply.body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _pass

    def _forward(self, request: Request, headers: dict[str, str]) -> tuple[HTTPResponse, bytes] | None:
        """The server's answer; nothing if it is not there, or ends before it has answered."""
        connection = HTTPConnection("127.0.0.1", self.server.target, timeout=PATIENCE)
        try:
            connection.request(request.method, request.path, request.body, headers)
            answer = connection.getresponse()
            return answer, answer.read()
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()

    def _send(self, status: int, body: bytes, answer: HTTPResponse | None = None) -> None:
        try:
            self.send_response(status)
            for name, value in answer.getheaders() if answer else [("Content-Type", "application/json")]:
                if name.lower() not in _HOP:
                    self.send_header(name, value)
            if status not in (204, 304):
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
        except OSError:
            # The caller is gone: killed, as often as not, by a fault.
            self.close_connection = True


@contextmanager
def proxy(port: int) -> Iterator[Proxy]:
    """A proxy in front of a port, until the block ends."""
    with Proxy(port) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.05), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
