"""What an entry is handed: how much to do, where to write, the servers and the environments of the peers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from benchmarks import servers
from benchmarks.processes import Environments


class Bench:
    """One run of the benchmarks under `home`; the servers are started when first asked for, and stopped at the end."""

    def __init__(self, home: Path, *, quick: bool, runs: int, say: Callable[[str], None]) -> None:
        self.home = home
        self.quick = quick
        self.runs = runs
        self.say = say
        self.environments = Environments(home / "envs", say)
        self.work = home / "work" / str(os.getpid())
        """For the files of the sides; removed at the end."""
        self._open = ExitStack()
        self._servers: servers.Servers | None = None

    def __enter__(self) -> Self:
        self.work.mkdir(parents=True)
        self._open.callback(shutil.rmtree, self.work, ignore_errors=True)
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    @property
    def servers(self) -> servers.Servers:
        """A real Kafka and a real Cassandra."""
        if self._servers is None:
            self._servers = self._open.enter_context(servers.running(self.home / "stacks", self.say))
        return self._servers

    def size(self, full: int, quick: int) -> int:
        """How many, at full size or quickly."""
        return quick if self.quick else full

    def say_of(self, case: str, line: str) -> None:
        """Progress within a case."""
        self.say(f"{case}: {line}")

    def log(self, name: str) -> Path:
        """Where a side writes what it has to say."""
        return self.home / "logs" / f"{name}.log"
