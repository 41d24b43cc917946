"""Secrets that are made once and kept in files: those of ``make demo`` in its state folder, Compose's in volumes."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

#: Secret → how it is made.
MAKERS: Final[Mapping[str, Callable[[], str]]] = {
    "password": lambda: secrets.token_urlsafe(12),
    "fernet-key": lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    "secret-key": secrets.token_hex,
    "jwt-secret": secrets.token_hex,
    "database-password": secrets.token_hex,
}


def secret(folder: Path, name: str, mode: int = 0o600) -> str:
    """The secret of this name in a folder, made there if it is absent, in a file of this mode."""
    file = folder / name
    if not file.is_file():
        folder.mkdir(mode=0o700, exist_ok=True)
        write_private(file, MAKERS[name](), mode)
    return file.read_text()


def write_private(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file that only those whom ``mode`` names may read, from its first byte on; it is there whole or not."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(descriptor, mode)
        file.write(text)
    partial.replace(path)
