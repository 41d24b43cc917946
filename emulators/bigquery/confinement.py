"""What the BigQuery emulator may touch: files of its own folder and of the Cloud Storage emulator's, and no other.

Its SQL reaches DuckDB, which by itself reads and writes every file of the user who started it. The emulator's own code
opens files too: those that a load or an export names.
"""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import duckdb

#: What a project's catalogue and time zones need. Not ``spatial``: PROJ, in it, opens files past DuckDB's rules.
EXTENSIONS: Final = ("ducklake", "icu")

_PROJECT: Final = re.compile(r"[a-z0-9](?:[a-z0-9.:-]*[a-z0-9])?")


def is_project(name: str) -> bool:
    """Whether a project may have this name, which becomes that of a file and a part of statements."""
    return _PROJECT.fullmatch(name) is not None


def _extension(name: str) -> Path:
    """The file of an extension, from the package that brings it; nothing is fetched.

    Raises:
        SystemExit: the package is not installed, or of another version than DuckDB.
    """
    import duckdb

    package = importlib.util.find_spec(f"duckdb_extension_{name}")
    version = f"v{duckdb.__version__}"
    for folder in (package and package.submodule_search_locations) or ():
        file = Path(folder, "extensions", version, f"{name}.duckdb_extension")
        if file.is_file():
            return file
    raise SystemExit(f"duckdb-extension-{name} is not installed for DuckDB {version}; see requirements/emulators.in")


def _text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def connect(*folders: Path) -> duckdb.DuckDBPyConnection:
    """A database in memory that reads and writes files of ``folders`` alone, the first of which takes what it spills.

    No statement, of any connection to it, can widen that: its configuration is locked, no further extension is loaded,
    and no secret is kept in a file.
    """
    import duckdb

    connection = duckdb.connect(
        config={
            "allow_persistent_secrets": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "temp_directory": str(folders[0] / "spilled"),
        }
    )
    for name in EXTENSIONS:
        connection.execute(f"LOAD {_text(_extension(name))}")
    # The emulator's own settings: none can be changed later.
    connection.execute(
        "SET GLOBAL TimeZone = 'UTC'; SET GLOBAL ducklake_max_retry_count = 100; "
        "SET GLOBAL ducklake_retry_wait_ms = 20; SET GLOBAL ducklake_retry_backoff = 1.05"
    )
    # In this order: what is allowed cannot be said once access is off.
    connection.execute(f"SET GLOBAL allowed_directories = [{', '.join(map(_text, folders))}]")
    connection.execute("SET GLOBAL enable_external_access = false")
    connection.execute("SET GLOBAL lock_configuration = true")
    return connection


def object_path(uri: str, root: Path | None) -> str:
    """The file of the Cloud Storage emulator, whose files are below ``root``, that holds ``gs://<bucket>/<object>``.

    Raises:
        ValueError: it is another kind of address, or leads out of its bucket.
    """
    if root is None or not uri.startswith("gs://"):
        raise ValueError(f"{uri} is not in Cloud Storage: give gs://<bucket>/<object>")
    bucket = uri.removeprefix("gs://").partition("/")[0]
    path = os.path.realpath(f"{root}/{uri.removeprefix('gs://')}")
    if not re.fullmatch(r"[a-z0-9*][a-z0-9._*-]*", bucket) or not path.startswith(f"{root}/{bucket}/"):
        raise ValueError(f"{uri} is not the address of an object: give gs://<bucket>/<object>, without '..'")
    return path
