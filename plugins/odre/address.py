"""Where the source is: the portal's address and an optional API key. Standard library only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

ODRE: Final = "https://odre.opendatasoft.com"
API_PATH: Final = "/api/explore/v2.1"
SCHEMES: Final = ("http", "https")
NO_ADDRESS: Final = f"it must begin with http:// or https://, as {ODRE} does"


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
            names = ("host", "conn_type", "schema", "port", "password")
            return cls.of(**{name: str(parts[name]) for name in names if parts.get(name)})
        split = urlsplit(text.strip())
        if split.scheme not in SCHEMES or not split.hostname:
            raise ValueError(NO_ADDRESS)
        # Taken apart as Airflow does it, which calls the path a schema.
        return cls.of(split.netloc, conn_type=split.scheme, schema=split.path.strip("/"))

    @classmethod
    def of(
        cls,
        host: str | None = None,
        *,
        conn_type: str | None = None,
        schema: str | None = None,
        port: str | int | None = None,
        password: str | None = None,
    ) -> Address:
        """From the fields of an Airflow connection.

        A host without a scheme takes ``schema`` for one, else the connection's type, else https; a schema that is no
        scheme is a path. A port in the host itself wins; a password there is the key where ``password`` is none.

        Raises:
            ValueError: they name no portal.
        """
        if not host:
            raise ValueError(f"it names no host, such as {ODRE}")
        if "://" not in host:
            host = f"{next((name for name in (schema, conn_type) if name in SCHEMES), 'https')}://{host}"
        split = urlsplit(host)
        if split.scheme not in SCHEMES or not split.hostname:
            raise ValueError(NO_ADDRESS)
        place = split.netloc.rpartition("@")[2]
        if split.port is None and port:
            place = f"{place.rstrip(':')}:{int(port)}"
        path = split.path.rstrip("/")
        if schema and schema not in SCHEMES:
            path = f"{path}/{schema.strip('/')}"
        base_url = f"{split.scheme}://{place}{path}".removesuffix(API_PATH)
        return cls(base_url, password or (unquote(split.password) if split.password else None))
