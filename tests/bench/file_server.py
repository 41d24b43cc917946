"""``python -m tests.bench.file_server <csv> <rows> <port>``: a source that only sends, so that nobody waits for it.

It answers an export with the bytes of the file, whatever is asked, and a count with ``rows``.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def serve(csv: Path, rows: int, port: int) -> None:
    """Serve on 127.0.0.1 until the process is ended."""
    size = csv.stat().st_size

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Count or export."""
            exported = self.path.partition("?")[0].endswith("/exports/csv")
            count = json.dumps({"total_count": rows, "results": []}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/csv" if exported else "application/json")
            self.send_header("Content-Length", str(size if exported else len(count)))
            self.end_headers()
            if not exported:
                self.wfile.write(count)
                return
            self.wfile.flush()
            with csv.open("rb") as file:
                self.connection.sendfile(file)

        def log_message(self, format: str, *args: object) -> None:
            """No access log."""

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
