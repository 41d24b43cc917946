"""Processes of the local stack: nothing is left behind, and nothing of somebody else is ended."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.basics import ROOT, LocalError
from local.processes import Processes, end_recorded, is_free, processes
from tests.waiting import PATIENCE, wait_until

#: A server that has a child in a session of its own, and takes no notice of SIGTERM; prints the child's id.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.processes.GRACE", 0.5)


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """Somebody else's process."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], cwd=ROOT, start_new_session=True)
    yield process
    process.kill()
    process.wait()


def alive(pid: int) -> bool:
    return pid in processes()


def wait_for_line(log: Path) -> str:
    wait_until(lambda: log.is_file() and log.read_text().endswith("\n"), f"a line in {log}", pause=0.05)
    return log.read_text().strip()


def test_end_takes_children_in_other_sessions_and_the_stubborn(tmp_path: Path) -> None:
    started = Processes(tmp_path)
    started.start("odd server", [sys.executable, "-c", STUBBORN], dict(os.environ))
    child = int(wait_for_line(started.log("odd server")))
    leader = json.loads((tmp_path / "processes.json").read_text())[0]["pid"]
    assert alive(child)
    assert alive(leader)
    started.end()
    assert not alive(child)
    assert not alive(leader)
    assert not (tmp_path / "processes.json").exists()


def test_a_server_that_ends_is_named_with_its_last_line_and_log(tmp_path: Path) -> None:
    started = Processes(tmp_path)
    started.start(
        "scheduler", [sys.executable, "-c", "import sys; print('no database'); sys.exit(3)"], dict(os.environ)
    )
    server = json.loads((tmp_path / "processes.json").read_text())[0]["pid"]
    os.waitid(os.P_PID, server, os.WEXITED | os.WNOWAIT)
    with pytest.raises(LocalError, match=r"scheduler ended by itself \(exit 3\): no database .*scheduler\.log"):
        started.check()
    started.end()


def test_a_disk_that_fills_while_servers_run_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = Processes(tmp_path)
    started.check()
    monkeypatch.setattr("local.processes.DISK_RESERVE", 10**18)
    with pytest.raises(LocalError, match=r"are free in .* make room"):
        started.check()
    started.end()


def test_what_a_killed_command_left_is_ended_by_the_next(tmp_path: Path) -> None:
    command = (
        "import os, sys, pathlib, local.processes as p;"
        "s = p.Processes(pathlib.Path(sys.argv[1]));"
        f"s.start('odd server', [sys.executable, '-c', {STUBBORN!r}], dict(os.environ));"
        "print('up', flush=True); import time; time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", command, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    parent.stdout.readline()
    child = int(wait_for_line(tmp_path / "logs" / "odd-server.log"))
    leader = json.loads((tmp_path / "processes.json").read_text())[0]["pid"]
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert alive(leader)
    Processes(tmp_path).end()
    assert not alive(leader)
    assert not alive(child)


def test_an_id_that_was_given_to_another_process_is_left_alone(
    tmp_path: Path, bystander: subprocess.Popen[bytes]
) -> None:
    entry = {"name": "scheduler", "pid": bystander.pid, "start": "1", "boot": boot()}
    (tmp_path / "processes.json").write_text(json.dumps([entry]))
    Processes(tmp_path).end()
    assert bystander.poll() is None


def test_a_record_of_another_boot_is_left_alone(tmp_path: Path, bystander: subprocess.Popen[bytes]) -> None:
    entry = {"pid": bystander.pid, "start": processes()[bystander.pid].start, "boot": "another"}
    (tmp_path / "processes.json").write_text(json.dumps([entry]))
    Processes(tmp_path).end()
    assert bystander.poll() is None


def test_the_same_record_of_this_boot_ends_it(tmp_path: Path, bystander: subprocess.Popen[bytes]) -> None:
    entry = {"pid": bystander.pid, "start": processes()[bystander.pid].start, "boot": boot()}
    (tmp_path / "processes.json").write_text(json.dumps([entry]))
    Processes(tmp_path).end()
    bystander.wait(PATIENCE)


def test_records_anywhere_in_a_folder_are_found(tmp_path: Path, bystander: subprocess.Popen[bytes]) -> None:
    state = tmp_path / "worker" / "stack0"
    state.mkdir(parents=True)
    entry = {"pid": bystander.pid, "start": processes()[bystander.pid].start, "boot": boot()}
    (state / "processes.json").write_text(json.dumps([entry]))
    end_recorded(tmp_path)
    bystander.wait(PATIENCE)


def test_one_command_at_a_time_works_in_a_folder(tmp_path: Path) -> None:
    first = Processes(tmp_path)
    with pytest.raises(LocalError, match=rf"Another command \(process {os.getpid()}\)"):
        Processes(tmp_path)
    first.end()
    Processes(tmp_path).end()


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)


def boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


#: Runs a program, into a log, that has a child and waits for it.
LOGGED = """
import os, signal, sys
from pathlib import Path
from local.processes import run_logged

def stop(*_):
    raise SystemExit(1)

signal.signal(signal.SIGTERM, stop)
child = "import time; print('ready', flush=True); time.sleep(600)"
parent = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {child!r}]); "
parent += "print(p.pid, flush=True); p.wait()"
with Path(sys.argv[1]).open("w") as log:
    run_logged([sys.executable, "-c", parent], dict(os.environ), log)
"""


def test_a_command_with_a_log_ends_with_all_of_its_children(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = subprocess.Popen([sys.executable, "-c", LOGGED, str(log)], cwd=ROOT)
    wait_until(lambda: log.is_file() and "ready" in log.read_text(), "the child is there", pause=0.05)
    child = next(int(line) for line in log.read_text().splitlines() if line.isdigit())
    assert alive(child)
    command.send_signal(signal.SIGTERM)
    command.wait()
    wait_until(lambda: not alive(child), "the child ends", pause=0.05)


#: A command of ours, on a terminal if it is handed one, that runs a program which counts how often it is interrupted.
FOREGROUND = """
import fcntl, signal, sys, termios
from pathlib import Path
from local import __main__ as command
from local.environments import run_in

if sys.stdin.isatty():
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
program = '''
import pathlib, signal, sys, time
times = []
signal.signal(signal.SIGINT, lambda *_: times.append(1))
print("ready", flush=True)
while not times:
    time.sleep(0.05)
time.sleep(1)
pathlib.Path(sys.argv[1]).write_text(str(len(times)))
'''
python = Path(sys.executable)
command.COMMANDS["count"] = lambda: run_in(python, python.name, "-c", program, sys.argv[2])
sys.exit(command.main())
"""


@pytest.mark.parametrize(
    ("number", "on_terminal"),
    [(signal.SIGINT, True), (signal.SIGTERM, True), (signal.SIGINT, False), (signal.SIGTERM, False)],
)
def test_a_program_in_the_foreground_is_interrupted_once_and_ends_before_the_command_does(
    tmp_path: Path, number: signal.Signals, on_terminal: bool
) -> None:
    note = tmp_path / "note"
    keyboard, terminal = os.openpty()
    command = subprocess.Popen(
        [sys.executable, "-c", FOREGROUND, "count", str(note)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "plugins")},
        stdin=terminal if on_terminal else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert command.stdout is not None
    try:
        assert command.stdout.readline() == b"ready\n"
        if on_terminal and number == signal.SIGINT:
            os.write(keyboard, b"\x03")
        else:
            command.send_signal(number)
        assert command.wait(PATIENCE) == 128 + number
        assert note.read_text() == "1"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(command.pid, signal.SIGKILL)
        command.wait()
        command.stdout.close()
    os.close(keyboard)
    os.close(terminal)
