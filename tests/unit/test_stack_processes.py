"""The process keeper over real `sleep` processes."""

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from stack import PortTaken, ProcessKeeper, ProcessSpec
from stack.processes import MARK

SLEEP = ("sleep", "60")
SLOW_TO_END = """
import socket, sys, threading, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
memory = bytearray(b"touched!" * (50 << 20))
for _ in range(20):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
print("listening", flush=True)
time.sleep(60)
"""


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[ProcessKeeper]:
    keeper = ProcessKeeper(tmp_path)
    yield keeper
    for process in keeper.all():
        keeper.stop(process.name, kill=True)


def sleeper(name: str = "api-1", argv: tuple[str, ...] = SLEEP, ports: tuple[int, ...] = ()) -> ProcessSpec:
    return ProcessSpec(name=name, role="api", argv=argv, ports=ports, port_settings=("api_port",) if ports else ())


def await_text(path: Path, text: str) -> None:
    deadline = time.monotonic() + 10
    while text not in path.read_text():
        assert time.monotonic() < deadline, path.read_text()
        time.sleep(0.02)


def test_a_started_process_is_found_by_another_keeper(keeper: ProcessKeeper, tmp_path: Path) -> None:
    started = keeper.start(sleeper())
    assert ProcessKeeper(tmp_path).running("api-1") == started
    assert [one.pid for one in keeper.all()] == [started.pid]
    assert started.rss_bytes > 0
    assert started.uptime_seconds < 10


def test_starting_twice_returns_the_one_that_runs(keeper: ProcessKeeper) -> None:
    assert keeper.start(sleeper()) == keeper.start(sleeper())


def test_a_process_leads_its_own_session_so_it_outlives_the_terminal(keeper: ProcessKeeper) -> None:
    started = keeper.start(sleeper())
    assert os.getsid(started.pid) == started.pid


def test_stop_returns_when_the_pid_is_gone_and_may_be_repeated(keeper: ProcessKeeper) -> None:
    started = keeper.start(sleeper())
    keeper.stop("api-1")
    assert not psutil.pid_exists(started.pid)
    assert keeper.running("api-1") is None
    keeper.stop("api-1")


def test_a_process_that_ignores_sigterm_is_killed_after_the_timeout(keeper: ProcessKeeper) -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    started = keeper.start(sleeper(argv=(sys.executable, "-c", deaf)))
    await_text(started.log_path, "deaf")
    keeper.stop("api-1", timeout_seconds=0.3)
    assert not psutil.pid_exists(started.pid)


def test_children_go_with_their_parent(keeper: ProcessKeeper) -> None:
    started = keeper.start(sleeper(argv=("sh", "-c", "sleep 60 & echo child $!; wait")))
    await_text(started.log_path, "child")
    child = int(started.log_path.read_text().split()[1])
    keeper.stop("api-1", timeout_seconds=0.3)
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_a_killed_process_is_noticed_and_started_anew(keeper: ProcessKeeper) -> None:
    first = keeper.start(sleeper())
    psutil.Process(first.pid).kill()
    deadline = time.monotonic() + 5
    while first.alive and time.monotonic() < deadline:
        time.sleep(0.01)
    assert keeper.running("api-1") is None
    assert keeper.start(sleeper()).pid != first.pid


@pytest.mark.parametrize("stopped", [True, False])
def test_a_killed_process_is_followed_only_when_its_last_thread_has_let_go_of_the_port(
    keeper: ProcessKeeper, stopped: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    spec = sleeper(argv=(sys.executable, "-c", SLOW_TO_END, str(port)), ports=(port,))
    first = keeper.start(spec)
    await_text(first.log_path, "listening")
    os.kill(first.pid, signal.SIGKILL)
    while first.alive:
        pass  # as soon as it counts as dead, for the port is free a few hundredths of a second later
    if stopped:
        keeper.stop("api-1")
    assert keeper.start(spec).pid != first.pid


def test_a_recycled_pid_is_never_touched(keeper: ProcessKeeper, tmp_path: Path) -> None:
    stranger = psutil.Popen(SLEEP)
    try:
        write_note(tmp_path, pid=stranger.pid, started_at=stranger.create_time() - 3600)
        keeper.stop("api-1", kill=True)
        assert stranger.is_running()
        assert not (tmp_path / "processes" / "api-1.json").exists()
    finally:
        stranger.kill()
        stranger.wait()


def test_what_died_is_told_until_it_is_stopped_or_started(keeper: ProcessKeeper, tmp_path: Path) -> None:
    write_note(tmp_path, pid=2**22 - 1, started_at=1.0)
    (tmp_path / "processes" / "worker-1.json").write_text('{"name":"wor')
    assert keeper.all() == []
    assert keeper.died() == ["api-1", "worker-1"], "the power went off: one file is whole, the other is cut short"
    keeper.stop("worker-1")
    keeper.start(sleeper())
    assert keeper.died() == []


def test_a_process_whose_launcher_died_before_noting_it_is_adopted(keeper: ProcessKeeper, tmp_path: Path) -> None:
    started = keeper.start(sleeper())
    deadline = time.monotonic() + 5
    while MARK not in psutil.Process(started.pid).environ() and time.monotonic() < deadline:
        time.sleep(0.01)  # the kernel shows it a moment after the start
    (tmp_path / "processes" / "api-1.json").unlink()
    assert keeper.start(sleeper()).pid == started.pid


def test_output_is_appended_and_each_start_knows_where_its_own_begins(keeper: ProcessKeeper) -> None:
    for word in ("first", "second"):
        started = keeper.start(sleeper(argv=("sh", "-c", f"echo {word}; exec sleep 60")))
        await_text(started.log_path, word)
        keeper.stop("api-1")
    assert started.log_path.read_text() == "first\nsecond\n"
    assert started.log_offset == len("first\n")


def test_a_taken_port_names_its_owner_and_the_setting(keeper: ProcessKeeper) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            keeper.start(sleeper(ports=(port,)))
    what, cause, remedy = str(caught.value).splitlines()
    assert what == f"cannot start api-1: port {port} is taken"
    assert cause.startswith(f"pid {os.getpid()} (")
    assert "api_port" in remedy
    assert keeper.running("api-1") is None


def write_note(directory: Path, *, pid: int, started_at: float) -> None:
    note = {
        "name": "api-1",
        "role": "api",
        "pid": pid,
        "started_at": started_at,
        "argv": SLEEP,
        "log_path": str(directory / "api-1.log"),
        "log_offset": 0,
    }
    notes = directory / "processes"
    notes.mkdir(exist_ok=True)
    (notes / "api-1.json").write_bytes(msgspec.json.encode(note))
