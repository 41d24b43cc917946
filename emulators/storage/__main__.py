"""``python -m emulators.storage``: serve the Cloud Storage emulator, with its own options, its files written whole."""

from __future__ import annotations

import inspect
import sys
from typing import Any

from emulators.files import write_whole


def install() -> None:
    """Have the emulator write its files so.

    Raises:
        SystemExit: it is of a version that writes them in another way.
    """
    from gcp_storage_emulator import storage

    files = storage._FileStore
    if inspect.getsource(files.write_bytes).count("path.write_bytes(content)") != 1:
        raise SystemExit("gcp-storage-emulator is not the version that emulators/storage corrects")

    def write_bytes(self: Any, rel: str, content: bytes) -> None:
        write_whole(self._disk_path(rel), content)

    files.write_bytes = write_bytes


def main() -> None:
    """Serve until a signal ends it."""
    install()
    from gcp_storage_emulator.__main__ import main as serve

    serve(sys.argv[1:])


if __name__ == "__main__":
    main()
