"""Runs a side in a process of its own, and keeps an environment of its own for each peer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

import psutil

from benchmarks.harness import Sample, SideFailed, Unavailable
from benchmarks.servers import Servers
from cli.system import ROOT

PEERS: Final = ROOT / "benchmarks" / "peers"
_TIMEOUT_SECONDS: Final = 1_200
_READY_SECONDS: Final = 60
_LAST_LINES: Final = 3


class Environments:
    """Virtual environments of the peers under `home`, made when they are first asked for."""

    def __init__(self, home: Path, say: Callable[[str], None]) -> None:
        self._home = home
        self._say = say

    def python(self, peer: str) -> Path:
        """The interpreter that has `peers/PEER/requirements.txt`. Raises Unavailable with pip's reason."""
        requirements = PEERS / peer / "requirements.txt"
        place = self._home / peer
        stamp = place / "installed.txt"
        python = place / "bin" / "python"
        if stamp.exists() and stamp.read_text() == requirements.read_text():
            return python
        self._say(f"installing {peer} into {place.relative_to(ROOT)}")
        for command in (
            [sys.executable, "-m", "venv", str(place)],
            [str(python), "-m", "pip", "install", "--disable-pip-version-check", "-q", "-r", str(requirements)],
        ):
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            if result.returncode:
                reason = " | ".join(result.stderr.strip().splitlines()[-_LAST_LINES:])
                raise Unavailable(f"{peer} could not be installed on Python {sys.version.split()[0]}: {reason}")
        stamp.write_text(requirements.read_text())
        return python


def run_side(
    module: str,
    arguments: Mapping[str, object],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    python: Path = Path(sys.executable),
    cwd: Path = ROOT,
) -> list[dict[str, Any]]:
    """Run `python -m MODULE '{arguments}'` to its end; returns the JSON objects that it printed.

    Raises SideFailed with the last lines of its log if it fails.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as errors:
        begin = errors.tell()
        result = subprocess.run(
            [python, "-m", module, json.dumps(arguments)],
            env=_side_environment(environment),
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=errors,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    if result.returncode:
        last = log.read_bytes()[begin:].decode(errors="replace").strip().splitlines()[-_LAST_LINES:]
        raise SideFailed(f"{module} ended with code {result.returncode}: {' | '.join(last)}; see {log}")
    return [json.loads(line) for line in result.stdout.decode().splitlines() if line.startswith("{")]


def sample_of(printed: Mapping[str, Any], servers_cpu_seconds: Mapping[str, float] | None = None) -> Sample:
    """The sample in a line that `meter.Meter.report` printed."""
    return Sample(
        printed["case"],
        printed["items"],
        printed["wallSeconds"],
        printed["cpuSeconds"],
        dict(servers_cpu_seconds or {}),
        printed.get("figures", {}),
    )


class ServersCpu:
    """What the servers spend from its making on."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._before = servers.cpu_seconds()

    def spent(self) -> dict[str, float]:
        """CPU seconds by server."""
        return {name: after - self._before[name] for name, after in self._servers.cpu_seconds().items()}


class ServerProcess:
    """A side that serves HTTP until it is left; `url` must answer before it is entered."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        port: int,
        log: Path,
        environment: Mapping[str, str] | None = None,
        ready_path: str = "/",
    ) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._argv = argv
        self._log = log
        self._environment = _side_environment(environment)
        self._ready = self.url + ready_path

    def __enter__(self) -> Self:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = psutil.Popen(
                self._argv, env=self._environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + _READY_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise SideFailed(f"{Path(self._argv[0]).name} did not serve; see {self._log}")
            time.sleep(0.1)
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(psutil.NoSuchProcess):
            tree = [self._process, *self._process.children(recursive=True)]
            self._process.terminate()
            for process in psutil.wait_procs(tree, timeout=10)[1]:
                process.kill()

    def cpu_seconds(self) -> float:
        """CPU of the process and its children so far."""
        tree = [self._process, *self._process.children(recursive=True)]
        return sum(sum(process.cpu_times()[:2]) for process in tree)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self._ready, timeout=5):
                return True
        except urllib.error.HTTPError as error:
            return error.code < 500  # it serves, and does not know that path
        except OSError:
            return False


def _side_environment(more: Mapping[str, str] | None) -> dict[str, str]:
    """Our variables without a developer's own settings."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    return {**variables, "PYTHONPATH": str(ROOT), **(more or {})}
