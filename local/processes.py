"""The processes of one state folder: started in sessions of their own, recorded, and ended to the last child.

The record names each process by its id and start time, so that an id that the system gave to somebody else since is
never touched. A command that was killed outright leaves its record, and the next one ends what it finds there.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path

from local.basics import ROOT, LocalError, Stopped, check_disk

#: Seconds that a process has to end by itself.
GRACE = 8.0

#: The file of a state folder that names its processes.
RECORD = "processes.json"

#: What must stay free on the disk while servers write to it, in bytes: most say little that helps once it is full.
DISK_RESERVE = 300 * 10**6


@dataclass(frozen=True)
class Snapshot:
    """One process as the system lists it; ``start``, an opaque mark of when it started, tells ids given twice."""

    pid: int
    parent: int = field(compare=False)
    session: int = field(compare=False)
    start: str


def processes() -> dict[int, Snapshot]:
    """All processes that can be seen, by id."""
    if Path("/proc/self/stat").exists():
        found = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with contextlib.suppress(OSError):
                    # The name, in parentheses, may hold anything: fields are counted after it.
                    fields = (folder / "stat").read_text().rpartition(")")[2].split()
                    if fields[0] != "Z":
                        pid = int(folder.name)
                        found[pid] = Snapshot(pid, int(fields[1]), int(fields[3]), fields[19])
        return found
    listed = subprocess.run(["ps", "-axo", "pid=,ppid=,pgid=,lstart="], capture_output=True, text=True, check=True)
    rows = [line.split(maxsplit=3) for line in listed.stdout.splitlines()]
    return {int(row[0]): Snapshot(int(row[0]), int(row[1]), int(row[2]), row[3].strip()) for row in rows}


def _boot() -> str:
    """What tells one boot of the machine from another: start times count from it."""
    file = Path("/proc/sys/kernel/random/boot_id")
    return file.read_text().strip() if file.exists() else ""


def _is_ours(pid: int) -> bool:
    """Whether a process works in the project's folder, as all of ours do; taken as so where that cannot be seen."""
    try:
        return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(ROOT)
    except FileNotFoundError:
        return not Path("/proc").exists()
    except OSError:
        return False


class Processes:
    """The processes of one state folder. Holds the folder's lock while it is open."""

    def __init__(self, state: Path) -> None:
        """Take the folder.

        Raises:
            LocalError: another command works on it.
        """
        state.mkdir(parents=True, exist_ok=True)
        self.logs = state / "logs"
        self.logs.mkdir(exist_ok=True)
        self._record = state / RECORD
        self._started: dict[int, tuple[str, subprocess.Popen[bytes]]] = {}
        self._recorded: list[dict[str, str | int]] = []
        self._lock: TextIOWrapper = (state / "lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            holder = self._lock.read().strip() or "unknown"
            self._lock.close()
            raise LocalError(
                f"Another command (process {holder}) works in {state}: end it with Ctrl-C, or wait until it is done"
            ) from None
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()
        self._end_leftovers()

    def start(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        """Start a server in the background; its output goes to the log of its name."""
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        # A server that is started again takes the place of the one of its name that has ended.
        self._started = {
            pid: known for pid, known in self._started.items() if known[0] != name or known[1].poll() is None
        }
        self._started[process.pid] = (name, process)
        seen = processes().get(process.pid)
        self._recorded.append({"name": name, "pid": process.pid, "start": seen.start if seen else "", "boot": _boot()})
        self._write()

    def log(self, name: str) -> Path:
        """Where the output of what has this name goes."""
        return self.logs / f"{name.lower().replace(' ', '-')}.log"

    def check(self) -> None:
        """Raise if one of the servers has ended, or will because the disk is full.

        Raises:
            LocalError: names the disk; or the server, its last line and its log.
        """
        check_disk(self.logs.parent, DISK_RESERVE)
        for name, process in self._started.values():
            if process.poll() is not None:
                log = self.log(name)
                lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
                last = lines[-1] if lines else "it said nothing"
                raise LocalError(f"The {name} ended by itself (exit {process.returncode}): {last} (see {log})")

    def end(self) -> None:
        """End all that was started, children included, and let the folder go."""
        members = self.members(processes(), set(self._started))
        # Servers that others depend on are told last: they are needed to end well.
        for pid in reversed(self._started):
            _signal(pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        for _, process in self._started.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
        now = processes()
        members |= self.members(now, set(self._started))
        _kill(members, now)
        for _, process in self._started.values():
            process.wait()
        self._started.clear()
        self._record.unlink(missing_ok=True)
        self._lock.close()

    @staticmethod
    def members(now: dict[int, Snapshot], leaders: set[int]) -> set[Snapshot]:
        """The leaders, what is in their sessions, and what descends from them."""
        members = {seen.pid for seen in now.values() if seen.pid in leaders or seen.session in leaders}
        while True:
            children = {seen.pid for seen in now.values() if seen.parent in members} - members
            if not children:
                return {now[pid] for pid in members}
            members |= children

    def _end_leftovers(self) -> None:
        """End what a command that was killed outright left behind."""
        try:
            recorded = json.loads(self._record.read_text())
        except (FileNotFoundError, ValueError):
            return
        now = processes()
        leaders = set()
        for entry in recorded:
            pid = int(entry["pid"])
            if entry["boot"] == _boot() and (pid not in now or now[pid].start == entry["start"]):
                leaders.add(pid)
        members = {seen for seen in self.members(now, leaders) if _is_ours(seen.pid)}
        for seen in members:
            _signal(seen.pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        while members & set(processes().values()) and time.monotonic() < deadline:
            time.sleep(0.2)
        _kill(members, processes())
        self._record.unlink(missing_ok=True)

    def _write(self) -> None:
        partial = self._record.with_suffix(".partial")
        partial.write_text(json.dumps(self._recorded, indent=1))
        partial.replace(self._record)


def end_recorded(folder: Path) -> None:
    """End what the records anywhere in a folder name: what commands that were killed, or did not get to it, left.

    Raises:
        LocalError: another command works in one of the folders.
    """
    for record in folder.rglob(RECORD):
        Processes(record.parent).end()


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _kill(members: set[Snapshot], now: dict[int, Snapshot]) -> None:
    """Kill those that are still there, and wait until they are gone."""
    left = members & set(now.values())
    for seen in left:
        _signal(seen.pid, signal.SIGKILL)
    deadline = time.monotonic() + GRACE
    while left & set(processes().values()) and time.monotonic() < deadline:
        time.sleep(0.05)


def run_logged(command: list[str], environment: dict[str, str], log: TextIOWrapper) -> int:
    """Run a command to its end, its output to ``log``, and return its exit code.

    Interrupted, it ends with all of its children.
    """
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    ) as process:
        try:
            return process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise


def run_in_foreground(command: list[str], environment: Mapping[str, str], folder: Path = ROOT) -> int:
    """Run a command to its end on the user's terminal and return its exit code.

    Interrupted, it ends by itself: it may have servers of its own to end, or be in the middle of a change.
    """
    with subprocess.Popen(command, cwd=folder, env=environment) as process:
        try:
            return process.wait()
        except BaseException as reason:
            # Interrupted, not killed, and waited for. Once: a second interrupt would break that off.
            if not (isinstance(reason, Stopped) and reason.number == signal.SIGINT and _in_foreground()):
                process.send_signal(signal.SIGINT)
            process.wait()
            raise


def _in_foreground() -> bool:
    """Whether Ctrl-C on the terminal reaches this process, and with it those that it started."""
    try:
        with Path("/dev/tty").open() as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


def is_free(port: int) -> bool:
    """Whether nobody listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
