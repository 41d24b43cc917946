"""``python -m emulators.storage``: serve the Cloud Storage emulator, with its own options, its files written whole."""

from __future__ import annotations

import inspect
import re
import sys
from http import HTTPStatus
from typing import Any, Final

from emulators.access import GuardedHandler
from emulators.files import write_whole

#: What Cloud Storage has as the name of a bucket: here it becomes a folder.
_BUCKET: Final = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9._-]*")


def install() -> None:
    """Have the emulator write its files so, and answer only whom it serves.

    Raises:
        SystemExit: it is of a version that writes them in another way.
    """
    from gcp_storage_emulator import server, storage

    files = storage._FileStore
    if inspect.getsource(files.write_bytes).count("path.write_bytes(content)") != 1:
        raise SystemExit("gcp-storage-emulator is not the version that emulators/storage corrects")

    def write_bytes(self: Any, rel: str, content: bytes) -> None:
        write_whole(self._disk_path(rel), content)

    create = storage.Storage.create_bucket

    def create_bucket(self: Any, bucket_name: str, bucket_obj: Any) -> Any:
        if not _BUCKET.fullmatch(bucket_name):
            raise ValueError(f"{bucket_name!r} is not the name of a bucket")
        return create(self, bucket_name, bucket_obj)

    class Handler(GuardedHandler, server.RequestHandler):  # type: ignore[misc]
        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except ValueError as error:  # no JSON, or a name that leads out of the folder
                self.refuse(HTTPStatus.BAD_REQUEST, str(error))

    files.write_bytes = write_bytes
    storage.Storage.create_bucket = create_bucket
    server.RequestHandler = Handler
    # A GET that deletes everything is none of Cloud Storage's.
    server.HANDLERS = tuple(route for route in server.HANDLERS if route[0] != r"^/wipe$")


def main() -> None:
    """Serve until a signal ends it."""
    install()
    from gcp_storage_emulator.__main__ import main as serve

    serve(sys.argv[1:])


if __name__ == "__main__":
    main()
