"""``python -m local.health <service>``: whether a service of ``docker-compose.yaml`` works, asked in its container.

Exit code 0 if it does; else 1, and one line that says why. With the standard library alone, and quick: it is asked
every few seconds (``python -S`` leaves the installed packages out).
"""

from __future__ import annotations

import json
import os
import sys
from http.client import HTTPException
from typing import Final
from urllib.request import ProxyHandler, build_opener

API: Final = "http://{host}:8080/api/v2"

#: Service → the address that answers 200 when it works.
ADDRESSES: Final = {
    "api-server": f"{API.format(host='127.0.0.1')}/version",
    "scheduler": "http://127.0.0.1:8974/health",
    "storage": "http://127.0.0.1:9023/storage/v1/b?project={project}",
    "bigquery": "http://127.0.0.1:9050/bigquery/v2/projects/{project}/datasets",
    "odre": "http://127.0.0.1:8090/api/explore/v2.1/catalog/datasets",
}
#: Service → its name in the api-server's account of who gave a sign of life: it has no address of its own.
REPORTED: Final = {"dag-processor": "dag_processor", "triggerer": "triggerer"}


def problem(service: str) -> str:
    """What is wrong with a service; empty if nothing is."""
    try:
        if service in ADDRESSES:
            _get(ADDRESSES[service].format(project=os.environ.get("GOOGLE_CLOUD_PROJECT", "odre-local")))
            return ""
        status = json.loads(_get(f"{API.format(host='api-server')}/monitor/health"))[REPORTED[service]]["status"]
        return "" if status == "healthy" else f"{service} is {status}"
    except (OSError, HTTPException, ValueError) as error:
        return f"{service}: {error}"


def _get(url: str) -> bytes:
    with build_opener(ProxyHandler({})).open(url, timeout=8) as answer:
        body: bytes = answer.read()
        return body


if __name__ == "__main__":
    sys.exit(problem(sys.argv[1]) or 0)
