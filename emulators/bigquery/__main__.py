"""``python -m emulators.bigquery``: serve the BigQuery emulator.

It is ready when ``GET /bigquery/v2/projects/<project>/datasets`` answers 200: the port opens only then, since a first
request that comes while it initialises could break it.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from pathlib import Path

from emulators import access
from emulators.bigquery import catalogue, corrections


def main() -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser("emulators.bigquery", description="Serve the BigQuery emulator.")
    parser.add_argument("--data-dir", type=Path, required=True, help="where the warehouse is kept")
    parser.add_argument("--storage-dir", type=Path, required=True, help="data folder of the Cloud Storage emulator")
    parser.add_argument("--project", default="odre-local", help="the project (default: %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=9050, help="port of the REST API (default: %(default)s)")
    parser.add_argument("--grpc-port", type=int, default=9060, help="port of the Storage API (default: %(default)s)")
    arguments = parser.parse_args()

    data_dir = arguments.data_dir.resolve()
    # gs:// loads read the Cloud Storage emulator's files; the emulator reads its settings as it is imported.
    os.environ["GCS_LOCAL_ROOT"] = str(arguments.storage_dir.resolve() / ".cloudstorage")
    os.environ["DATA_DIR"] = str(data_dir)
    os.environ["DEFAULT_PROJECT_ID"] = arguments.project
    os.environ.pop("STORAGE_EMULATOR_HOST", None)

    corrections.install()
    # DuckDB looks for it at each parameter of a query: what is not installed is not to be searched for each time.
    sys.modules.setdefault("pandas", None)  # type: ignore[arg-type]
    try:
        import uvicorn
        from local_bigquery.app import app
        from local_bigquery.engine import database
        from local_bigquery.grpc import server
    except corrections.CorrectionFailed as error:
        raise SystemExit(str(error)) from None
    database.connection()
    catalogue.remember()
    # Each query makes thousands of nodes that refer to each other: the collector comes seldom, and not to the imports.
    gc.freeze()
    gc.set_threshold(50_000)
    grpc_server, _ = server.start(arguments.host, arguments.grpc_port)
    uvicorn.run(access.guarded(app), host=arguments.host, port=arguments.port, log_level="warning", access_log=False)
    grpc_server.stop(None)


if __name__ == "__main__":
    main()
