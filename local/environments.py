"""The environments of the local stack, each made from one fully pinned and hashed list.

``airflow`` holds Airflow, dbt and, for tests and checks, the developers' tools. ``emulators``, the outside world, and
``checks``, which looks for known weaknesses, have pins that cannot live with Airflow's. An environment is known by the
hash of the list it was made from, which is written last: one half made, moved, or of another list is made again.
"""

from __future__ import annotations

import ast
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from local.basics import LOCAL, ROOT, LocalError, check_disk, clean_environment, python_version, step
from local.processes import run_in_foreground, run_logged

REQUIREMENTS: Final = ROOT / "requirements"
ENVIRONMENTS: Final = LOCAL / "venv"
INSTALL_LOG: Final = LOCAL / "install.log"

#: What the two environments take on the disk once they have run, with the packages' cache, in bytes.
DISK_NEEDED: Final = 5 * 10**9

#: pip's setting → uv's variable: uv does not read pip's configuration. Additional indexes are left out: uv takes a
#: release from one index alone, and one that holds a part of its files would hide the rest.
PIP_TO_UV: Final = {
    "index-url": "UV_DEFAULT_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
}


def interpreter(name: str) -> Path:
    """The Python of an environment."""
    return ENVIRONMENTS / name / "bin" / "python"


def stamp_of(requirements: Path) -> str:
    """What an environment made from this list, in this place and by this Python, is known by."""
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    return f"{requirements.stem} {digest} {python_version()} {ROOT}\n"


def ensure_airflow(*, tools: bool = False) -> Path:
    """Make or reuse the Airflow environment, with the developers' tools if asked, and return its Python."""
    lists = [REQUIREMENTS / "dev.txt"] if tools else [REQUIREMENTS / "airflow.txt", REQUIREMENTS / "dev.txt"]
    return _ensure("airflow", "Airflow and dbt", lists)


def ensure_checks() -> Path:
    """Make or reuse the environment of what looks for known weaknesses and return its Python."""
    return _ensure("checks", "the checks", [REQUIREMENTS / "checks.txt"])


def ensure_pinned(requirements: Path) -> Path:
    """The Airflow environment if it is made from a list like this one, else one of its own; returns its Python."""
    if requirements.read_bytes() == (REQUIREMENTS / "airflow.txt").read_bytes():
        return ensure_airflow()
    return _ensure("deploy", "Airflow and dbt of that tag", [requirements])


def ensure_emulators() -> Path:
    """Make or reuse the emulators' environment and return its Python."""
    return _ensure("emulators", "the emulators", [REQUIREMENTS / "emulators.txt"])


def ensure_uv() -> Path:
    """Make or reuse the environment that installs the others and return its ``uv``."""
    _ensure("tools", "the installer", [REQUIREMENTS / "tools.txt"])
    return ENVIRONMENTS / "tools" / "bin" / "uv"


def _ensure(name: str, title: str, lists: list[Path]) -> Path:
    """Make the environment from the first of ``lists``, unless it was made from one of them."""
    folder = ENVIRONMENTS / name
    stamp = folder / "made-from"
    with _locked():
        made_from = stamp.read_text() if stamp.is_file() else ""
        if interpreter(name).exists() and made_from in [stamp_of(requirements) for requirements in lists]:
            return interpreter(name)
        _check_machine()
        # The developers' list holds all of Airflow's: the tools are added to what is there.
        if not (name == "airflow" and made_from == stamp_of(REQUIREMENTS / "airflow.txt")):
            shutil.rmtree(folder, ignore_errors=True)
        stamp.unlink(missing_ok=True)
        if name != "tools":
            ensure_uv()
        with step(f"Installing {title} ({_packages(lists[0])})"):
            if not folder.is_dir():
                _create(folder, with_pip=name == "tools")
            _install(name, lists[0])
            stamp.write_text(stamp_of(lists[0]))
    return interpreter(name)


_depth = 0


@contextmanager
def _locked() -> Iterator[None]:
    """One command at a time makes environments; another one waits. Re-entrant within the command."""
    global _depth
    LOCAL.mkdir(exist_ok=True)
    with (LOCAL / "environments.lock").open("w") as file:
        if _depth == 0:
            fcntl.flock(file, fcntl.LOCK_EX)
        _depth += 1
        try:
            yield
        finally:
            _depth -= 1


def _packages(requirements: Path) -> str:
    number = sum(line[:1].isalnum() for line in requirements.read_text().splitlines())
    return "1 package" if number == 1 else f"{number} packages"


def _check_machine() -> None:
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        raise LocalError(
            f"{sys.executable} has no venv module: install it (Debian: apt install python{python_version()}-venv)"
        ) from None
    check_disk(LOCAL, DISK_NEEDED)


def _create(folder: Path, *, with_pip: bool) -> None:
    import venv  # here, where its absence has been told in one line

    try:
        venv.create(folder, with_pip=with_pip, symlinks=True)
    except (OSError, subprocess.CalledProcessError) as error:
        check_disk(LOCAL, DISK_NEEDED)  # it was when this began, and is the likely reason
        raise LocalError(f"The environment {folder} could not be made by {sys.executable}: {error}") from error


def _install(name: str, requirements: Path) -> None:
    tools = ENVIRONMENTS / "tools" / "bin"
    if name == "tools":
        command = [str(tools / "python"), "-m", "pip", "install"]
    elif name == "emulators":
        # The BigQuery emulator asks for a newer Python (emulators/bigquery): pip can overlook that, uv cannot. The
        # list is complete, so nothing is resolved.
        command = [str(tools / "python"), "-m", "pip", f"--python={interpreter(name)}", "install"]
        command += ["--no-deps", "--ignore-requires-python", "--no-compile"]
    else:
        command = [str(tools / "uv"), "pip", "install", f"--python={interpreter(name)}", "--no-config"]
    command += ["--require-hashes", "-r", str(requirements)]
    with INSTALL_LOG.open("w") as log:
        failed = run_logged(command, installer_environment(), log)
    if failed:
        raise LocalError(f"{requirements.name} could not be installed: {_reason(INSTALL_LOG)} (see {INSTALL_LOG})")


def _reason(log: Path) -> str:
    """Why an installation failed, in the installer's words."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    for cause, words in {
        "no space is left on the disk": ("No space left", "os error 28"),
        "the package index cannot be reached": (
            "NewConnectionError",
            "dns error",
            "Name or service",
            "Failed to fetch",
            "client error (Connect)",
            "Could not connect",
            "Max retries",
        ),
    }.items():
        if any(word in line for word in words for line in lines):
            return cause
    errors = [line for line in lines if line.lower().startswith(("error", "×"))]
    return (errors or lines or ["no reason was given"])[-1]


def installer_environment() -> dict[str, str]:
    """The environment of pip and uv: uv is told what pip's configuration says of index and certificates."""
    environment = clean_environment()
    environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    environment["UV_NO_PROGRESS"] = "1"
    tools = ENVIRONMENTS / "tools" / "bin" / "python"
    if tools.exists():
        listed = subprocess.run(
            [str(tools), "-m", "pip", "config", "list"], capture_output=True, text=True, env=environment, check=False
        )
        for variable, value in uv_settings(listed.stdout).items():
            environment.setdefault(variable, value)
    return environment


def uv_settings(pip_config_list: str) -> dict[str, str]:
    """What ``pip config list`` prints, as uv's variables; the environment wins over ``install``, that over ``global``.

    >>> uv_settings("global.index-url='https://mirror.example/simple'")
    {'UV_DEFAULT_INDEX': 'https://mirror.example/simple'}
    """
    settings: dict[str, str] = {}
    for section in ("global.", "install.", ":env:."):
        for line in pip_config_list.splitlines():
            name, _, value = line.partition("=")
            key = name.removeprefix(section)
            if name.startswith(section) and key in PIP_TO_UV:
                settings[PIP_TO_UV[key]] = " ".join(str(ast.literal_eval(value)).split())
    return settings


def run_in(python: Path, *arguments: str, environment: dict[str, str] | None = None) -> int:
    """Run a program of an environment in the foreground and return its exit code; ``arguments[0]`` is its name."""
    command = [str(python.parent / arguments[0]), *arguments[1:]]
    base = clean_environment() if environment is None else environment
    return run_in_foreground(command, with_path(base, python))


def with_path(environment: dict[str, str], python: Path) -> dict[str, str]:
    """The environment with an environment's programs first on the path."""
    return {**environment, "PATH": f"{python.parent}{os.pathsep}{environment.get('PATH', os.defpath)}"}
