"""Where the source is: the portal's address and an optional API key. Standard library only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

ODRE: Final = "https://odre.opendatasoft.com"
API_PATH: Final = "/api/explore/v2.1"


@dataclass(frozen=True)
class Address:
    """A portal: its address without the API's path, and the API key, if there is one."""

    base_url: str
    api_key: str | None = None

    @classmethod
    def parse(cls, text: str) -> Address:
        """From an address, or from an Airflow connection as JSON; the password of either is the key.

        Raises:
            ValueError: it is neither.
        """
        if text.lstrip().startswith("{"):
            parts = json.loads(text)
            host = str(parts.get("host") or "")
            if not host:
                raise ValueError("it names no host")
            if "://" not in host:
                host = f"{parts.get('schema') or 'https'}://{host}"
            if parts.get("port") and not host.rpartition(":")[2].isdigit():
                host = f"{host}:{parts['port']}"
            return cls(_base(host), parts.get("password") or None)
        split = urlsplit(text.strip())
        password = unquote(split.password) if split.password else None
        return cls(_base(f"{split.scheme}://{split.netloc.rpartition('@')[2]}{split.path}"), password)


def _base(address: str) -> str:
    split = urlsplit(address)
    if split.scheme not in ("http", "https") or not split.hostname:
        raise ValueError(f"it must begin with http:// or https://, as {ODRE} does")
    return address.rstrip("/").removesuffix(API_PATH)
