"""What the proxies of these tests take for a request."""

from __future__ import annotations

import socket
from http.client import HTTPConnection
from urllib.parse import urlsplit

from emulators.odre.source import MemorySource
from tests.conftest import ServeSource
from tests.faults.proxy import proxy
from tests.waiting import wait_until


def test_a_request_whose_sender_died_is_none(standin: ServeSource) -> None:
    target = urlsplit(standin(MemorySource([]))).port
    assert target
    with proxy(target) as between:
        port = between.server_address[1]
        with socket.create_connection(("127.0.0.1", port)) as dying:
            dying.sendall(b"POST /bigquery/v2/projects/p/jobs HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        whole = HTTPConnection("127.0.0.1", port)
        for _ in range(2):
            whole.request("GET", "/api/explore/v2.1/catalog/datasets")
            assert whole.getresponse().read()
        whole.close()
        wait_until(lambda: len(between.seen) >= 2, "both are noted")
        assert [request.method for request in between.seen] == ["GET", "GET"]
