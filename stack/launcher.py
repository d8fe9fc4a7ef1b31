"""Runs the servers of one stack: the room's front door."""

import shutil
import threading
import time
from collections.abc import Callable, Container, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager
from typing import Final

from stack import logs
from stack.cassandra import Cassandra
from stack.config import StackConfig
from stack.errors import DiskFull, NotReadyInTime, ServerDied
from stack.exclusive import exclusive
from stack.jars import JarFolder
from stack.kafka import Kafka
from stack.processes import ProcessKeeper, RunningProcess
from stack.server import Server

FREE_BYTES_WANTED: Final = 2 * 2**30
READY_TIMEOUT_SECONDS: Final = 120.0  # seen: 10 s; a replay after a crash or a loaded machine takes longer
_POLL_SECONDS: Final = 0.1
# After SIGTERM Cassandra flushes its memtables and Kafka writes its snapshots: seconds, not tens of them.
_STOP_TIMEOUT_SECONDS: Final = 30.0


def silent(line: str) -> None:
    """Report nothing."""


class Stack:
    """A real Kafka and a real Cassandra on this machine.

    Every method may be repeated, also by another launcher at the same moment: changes take turns.
    """

    def __init__(self, config: StackConfig, report: Callable[[str], None] = silent) -> None:
        self.config = config
        self.keeper = ProcessKeeper(config.data_dir)
        self._report_lock = threading.Lock()
        self._report_to = report
        self._jars = JarFolder(config.jars_dir.absolute(), self._report)
        servers: list[Server] = [
            *(Kafka(config, node, self._jars) for node in config.kafka_nodes()),
            *(Cassandra(config, node, self._jars) for node in config.cassandra_nodes()),
        ]
        self._servers = {server.name: server for server in servers}

    def up(self) -> None:
        """Start what does not run, all at once, and return when everything is ready; raises a `StackError`."""
        self._start(self._servers, wait=True)

    def start(self, name: str, *, wait: bool = True) -> None:
        """Start one server, by default until it is ready; raises a `StackError`."""
        self._start([name], wait=wait)

    def stop(self, name: str, *, kill: bool = False) -> None:
        """Stop one server and return when its process is gone; `kill` is the power cord."""
        with self._turn():
            self.keeper.stop(self._servers[name].name, timeout_seconds=_STOP_TIMEOUT_SECONDS, kill=kill)

    def down(self, kept: Container[str] = ()) -> None:
        """Stop the servers but those called `kept`, orderly and at once. Other roles in `keeper` are the caller's."""
        names = [name for name in self._servers if name not in kept]
        with self._turn(), ThreadPoolExecutor() as pool:
            for name in names:
                self._report(f"stopping {name}")
            list(pool.map(lambda n: self.keeper.stop(n, timeout_seconds=_STOP_TIMEOUT_SECONDS), names))

    def ready(self, name: str) -> bool:
        """Whether that server answers its clients now."""
        process = self.keeper.running(name)
        return process is not None and self._servers[name].ready(process)

    def _start(self, names: Iterable[str], *, wait: bool) -> None:
        servers = [self._servers[name] for name in names]
        missing = [server for server in servers if self.keeper.running(server.name) is None]
        if missing:
            self._require_disk()  # before anything is written
        with self._turn():
            missing = [server for server in servers if self.keeper.running(server.name) is None]
            if missing:
                self._jars.ensure(server.name for server in missing)
            self._start_together(servers, wait=wait)

    def _start_together(self, servers: Sequence[Server], *, wait: bool) -> None:
        given_up = threading.Event()  # one failure, or Ctrl-C, ends the waiting for the others; they keep running
        with ThreadPoolExecutor() as pool:
            starts = [pool.submit(self._start_one, server, given_up, wait=wait) for server in servers]
            try:
                for start in as_completed(starts):
                    start.result()
            except BaseException:
                given_up.set()
                raise

    def _start_one(self, server: Server, given_up: threading.Event, *, wait: bool) -> None:
        began = time.monotonic()
        process = self.keeper.running(server.name)
        if process is None:
            self._report(f"starting {server.name}")
            process = self.keeper.start(server.prepare())
        if wait and self._await_ready(server, process, given_up):
            self._report(f"{server.name} is ready (pid {process.pid}, {time.monotonic() - began:.1f} s)")

    def _await_ready(self, server: Server, process: RunningProcess, given_up: threading.Event) -> bool:
        """True once ready, False if given up."""
        deadline = time.monotonic() + READY_TIMEOUT_SECONDS
        while not server.ready(process):
            evidence = logs.last_lines(process.log_path, process.log_offset)
            if not process.alive:
                raise ServerDied(server.name, process.log_path, evidence)
            if time.monotonic() > deadline:
                raise NotReadyInTime(server.name, READY_TIMEOUT_SECONDS, process.log_path, evidence)
            if given_up.wait(_POLL_SECONDS):
                return False
        return True

    def _require_disk(self) -> None:
        existing = next(path for path in (self.config.data_dir, *self.config.data_dir.parents) if path.exists())
        free = shutil.disk_usage(existing).free
        if free < FREE_BYTES_WANTED:
            raise DiskFull(self.config.data_dir, free, FREE_BYTES_WANTED)

    def _turn(self) -> AbstractContextManager[None]:
        waiting = "waiting for another launcher of this stack"
        return exclusive(self.config.data_dir / "launcher.lock", lambda: self._report(waiting))

    def _report(self, line: str) -> None:
        with self._report_lock:  # servers start in threads, and their lines must not mix
            self._report_to(line)
