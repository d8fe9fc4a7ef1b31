"""Keeps named background processes of any role: start once, find again after a crash of the launcher, stop for sure.

Knows processes, their logs and ports, and nothing of what they serve.
"""

import contextlib
import os
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec
import psutil

from stack import logs
from stack.errors import StopFailed
from stack.exclusive import exclusive
from stack.ports import require_free

Role = Literal["kafka", "cassandra", "api", "worker"]

# In the environment of every kept process, so that one whose launcher died before noting its pid is found again.
MARK: Final = "KEPT_PROCESS"
_ROLE: Final = "KEPT_ROLE"
_LOG_OFFSET: Final = "KEPT_LOG_OFFSET"
_SAME_START_SECONDS: Final = 2.0  # psutil derives start times from the boot time, which NTP may shift a little
_KILL_GRACE_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.005


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """What to run. `env` is added to the launcher's own; `ports` must be free on `host` before the start."""

    name: str
    role: Role
    argv: tuple[str, ...]
    env: dict[str, str] | None = None
    cwd: Path | None = None
    ports: tuple[int, ...] = ()
    port_settings: tuple[str, ...] = ()  # the setting behind each port, for the message when it is taken
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class RunningProcess:
    """A live process of ours. `started_at` is in seconds since the epoch; its log begins at `log_offset`."""

    name: str
    role: Role
    pid: int
    started_at: float
    argv: tuple[str, ...]
    log_path: Path
    log_offset: int

    @property
    def rss_bytes(self) -> int:
        """Resident memory; 0 once the process is gone."""
        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return 0

    @property
    def uptime_seconds(self) -> float:
        """Wall-clock time since the start."""
        return max(0.0, time.time() - self.started_at)

    @property
    def alive(self) -> bool:
        """Whether this very process, not one that got its pid later, still runs."""
        return _live(self.pid, self.started_at) is not None


class ProcessKeeper:
    """Processes by name: `processes/<name>.json` says which pid since when, `logs/<name>.log` what it printed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute() / "processes"
        self._logs = directory.absolute() / "logs"

    def start(self, spec: ProcessSpec) -> RunningProcess:
        """Start it detached, or return the one that already runs; raises `PortTaken`."""
        with self._turn(spec.name):
            existing = self._find(spec.name)
            if existing is not None:
                return existing
            self._last_thread_ends(spec.name)  # if it does not, `require_free` says which port is held
            settings = dict(zip(spec.ports, spec.port_settings, strict=False))
            require_free(spec.name, spec.host, {p: settings.get(p, f"for {spec.name}'s port") for p in spec.ports})
            return self._spawn(spec)

    def stop(self, name: str, *, timeout_seconds: float = 20.0, kill: bool = False) -> None:
        """Ask it to end (`kill`: SIGKILL at once) and return when it and its children are gone; raises `StopFailed`."""
        running = self._find(name)
        process = _live(running.pid, running.started_at) if running else None
        if process is not None:
            tree = _tree(process)
            if not kill:
                _signal([process], force=False)
                _, tree = psutil.wait_procs(tree, timeout=timeout_seconds)
            _signal(tree, force=True)
            _, tree = psutil.wait_procs(tree, timeout=_KILL_GRACE_SECONDS)
            if tree:
                raise StopFailed(name, [one.pid for one in tree])
        if not self._last_thread_ends(name):
            raise StopFailed(name, [running.pid] if running else [])
        self.forget(name)

    def forget(self, name: str) -> None:
        """Report it no longer, unless it lives: in turn, or it could be one that is just being started."""
        with self._turn(name):
            if self._noted(name) is None:
                self._file(name).unlink(missing_ok=True)

    def running(self, name: str) -> RunningProcess | None:
        """The live process of that name."""
        return self._noted(name)

    def all(self) -> list[RunningProcess]:
        """Every live process, by name."""
        return [found for name in self._names() if (found := self.running(name)) is not None]

    def died(self) -> list[str]:
        """Names of processes that ended without being stopped, since they were started last."""
        return [name for name in self._names() if self.running(name) is None]

    def log_path(self, name: str) -> Path:
        """Where the output of that process goes, whether it runs or not."""
        return self._logs / f"{name}.log"

    def _spawn(self, spec: ProcessSpec) -> RunningProcess:
        self._logs.mkdir(parents=True, exist_ok=True)
        log_path = self.log_path(spec.name)
        offset = logs.rotate(log_path)
        mark = {MARK: self._mark(spec.name), _ROLE: spec.role, _LOG_OFFSET: str(offset)}
        with log_path.open("ab") as log:
            child = subprocess.Popen(
                spec.argv,
                env={**os.environ, **(spec.env or {}), **mark},
                cwd=spec.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            started_at = psutil.Process(child.pid).create_time()
        finally:
            # Detached, yet a child until the launcher exits: without a wait it would stay behind as a zombie.
            threading.Thread(target=child.wait, name=f"reap {spec.name}", daemon=True).start()
        return self._note(RunningProcess(spec.name, spec.role, child.pid, started_at, spec.argv, log_path, offset))

    def _find(self, name: str) -> RunningProcess | None:
        return self._noted(name) or self._adopt(name)

    def _adopt(self, name: str) -> RunningProcess | None:
        """A process that was started here and never noted: its launcher was killed in between."""
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) != process.pid or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                environment = process.environ()
                if environment.get(MARK) == self._mark(name):
                    return self._note(self._describe(name, process, environment))
            except (psutil.Error, OSError):
                continue
        return None

    def _describe(self, name: str, process: psutil.Process, environment: dict[str, str]) -> RunningProcess:
        return RunningProcess(
            name,
            msgspec.convert(environment[_ROLE], Role),
            process.pid,
            process.create_time(),
            tuple(process.cmdline()),
            self.log_path(name),
            int(environment[_LOG_OFFSET]),
        )

    def _noted(self, name: str) -> RunningProcess | None:
        last = self._last(name)
        return last if last and last.alive else None

    def _last(self, name: str) -> RunningProcess | None:
        try:
            return _decode(self._file(name).read_bytes())
        except (FileNotFoundError, msgspec.DecodeError):  # the latter: cut short by a power-off
            return None

    def _last_thread_ends(self, name: str) -> bool:
        """The main thread of a killed process ends first; its ports and locks are free when the last one has ended."""
        last = self._last(name)
        deadline = time.monotonic() + _KILL_GRACE_SECONDS
        while last and _threads(last.pid, last.started_at) > 1:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _names(self) -> list[str]:
        return sorted(path.stem for path in self._directory.glob("*.json"))

    def _turn(self, name: str) -> contextlib.AbstractContextManager[None]:
        return exclusive(self._directory / f"{name}.lock")

    def _note(self, running: RunningProcess) -> RunningProcess:
        file = self._file(running.name)
        fresh = file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(running, enc_hook=str))
        fresh.replace(file)
        return running

    def _file(self, name: str) -> Path:
        return self._directory / f"{name}.json"

    def _mark(self, name: str) -> str:
        return str(self._file(name))


def _decode(encoded: bytes) -> RunningProcess:
    return msgspec.json.decode(encoded, type=RunningProcess, dec_hook=lambda kind, value: kind(value))


def _live(pid: int, started_at: float) -> psutil.Process | None:
    """The process of that pid if it is the one that was started then, and has not ended."""
    try:
        process = psutil.Process(pid)
        return process if _same(process, started_at) and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


def _threads(pid: int, started_at: float) -> int:
    """How many threads it has: 0 once it is gone, 1 when it has ended and nobody has asked for its exit code yet."""
    try:
        process = psutil.Process(pid)
        return process.num_threads() if _same(process, started_at) else 0
    except psutil.Error:
        return 0


def _same(process: psutil.Process, started_at: float) -> bool:
    return abs(process.create_time() - started_at) < _SAME_START_SECONDS


def _tree(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return [process]


def _signal(processes: list[psutil.Process], *, force: bool) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            # psutil compares start times itself before it sends anything
            process.kill() if force else process.terminate()
