"""HTTP with the standard library; never through a proxy to the servers on this machine."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_proxied = urllib.request.build_opener()


class HttpError(Exception):
    """An answer other than 2xx; ``status`` is its code and ``body`` its text."""

    def __init__(self, status: int, body: str) -> None:
        """Keep both."""
        super().__init__(f"HTTP {status}: {body[:500]}")
        self.status = status
        self.body = body


def request(
    method: str,
    url: str,
    body: object | None = None,
    headers: dict[str, str] | None = None,
    *,
    timeout: float = 60,
    proxies: bool = False,
) -> Any:
    """Send JSON, return the JSON of the answer (``None`` if it is empty or no JSON). ``timeout`` in seconds;
    ``proxies``: as the environment says, for what is not on this machine.

    Raises:
        HttpError: the server refused.
        TimeoutError: it did not answer in time.
        OSError: nobody answered, or not in whole and readable HTTP.
    """
    data = None if body is None else json.dumps(body).encode()
    sent = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": "application/json"})
    for name, value in (headers or {}).items():
        sent.add_unredirected_header(name, value)  # a key is for the server asked, not for where it points to
    try:
        try:
            with (_proxied if proxies else _direct).open(sent, timeout=timeout) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            raise HttpError(error.code, error.read().decode(errors="replace")) from None
    except (HTTPException, UnicodeError) as error:
        raise OSError(f"no HTTP as it should be: {error!r}") from error
    except OSError as error:
        if isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError):
            raise TimeoutError(f"no answer within {timeout:.0f} s") from error
        raise
    try:
        return json.loads(text)
    except ValueError:
        return None


def answers(url: str) -> bool:
    """Whether the server answers 200 to a GET of ``url``."""
    try:
        request("GET", url, timeout=30)
    except (HttpError, OSError):
        return False
    return True
