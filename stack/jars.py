"""The jars of the servers: which ones, exactly, and how they get onto this machine.

The lock file decides. A jar reaches its folder only after its sha256 was checked, and is checked again at every start.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from stack.errors import ExtraMissing, JarCorrupt, JarFetchFailed
from stack.exclusive import exclusive

LOCK_FILE: Final = Path(__file__).with_name("jars.lock.json")
_THREADS: Final = 8
_TIMEOUT_SECONDS: Final = 30  # per request; the largest jar is 10 MB


@dataclass(frozen=True, slots=True)
class Jar:
    """One locked artifact; `coordinate` is group:artifact:version[:classifier]."""

    coordinate: str
    file: str
    sha256: str


@cache
def locked(server: str) -> tuple[Jar, ...]:
    """The jars of one server in class path order."""
    return read_lock(LOCK_FILE)[server]


def read_lock(path: Path) -> dict[str, tuple[Jar, ...]]:
    """All locked jars by server."""
    return msgspec.json.decode(path.read_bytes(), type=dict[str, tuple[Jar, ...]])


def sha256_of(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class JarFolder:
    """The folder of jars that all stacks of a checkout share."""

    def __init__(self, directory: Path, report: Callable[[str], None]) -> None:
        self._directory = directory
        self._report = report

    def path(self, server: str, jar: Jar) -> Path:
        """Where a jar lies once it is here."""
        return self._directory / server / jar.file

    def ensure(self, servers: Iterable[str]) -> None:
        """Fetch what is missing and check everything; raises `JarFetchFailed` or `JarCorrupt`."""
        wanted = [(server, jar) for server in servers for jar in locked(server)]
        with exclusive(self._directory / ".lock", lambda: self._report("waiting for another fetch of the jars")):
            self._fetch([(server, jar) for server, jar in wanted if not self.path(server, jar).exists()])
            self.check(wanted)

    def check(self, wanted: Iterable[tuple[str, Jar]]) -> None:
        """Compare every file with its locked sum; a wrong one is removed and raises `JarCorrupt`."""
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(lambda pair: _require_locked(self.path(*pair), pair[1]), wanted))

    def _fetch(self, missing: list[tuple[str, Jar]]) -> None:
        if not missing:
            return
        for cut_short in self._directory.glob("fetch-*"):
            shutil.rmtree(cut_short, ignore_errors=True)
        # A scratch repository of its own: a fetch that was cut short leaves half a file only where nobody looks.
        with (
            tempfile.TemporaryDirectory(prefix="fetch-", dir=self._directory) as scratch,
            ThreadPoolExecutor(_THREADS) as pool,
        ):
            futures = [pool.submit(self._fetch_one, Path(scratch), server, jar) for server, jar in missing]
            try:
                for done, future in enumerate(as_completed(futures), start=1):
                    future.result()
                    self._report(f"fetching jars {done}/{len(missing)}")
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _fetch_one(self, scratch: Path, server: str, jar: Jar) -> None:
        fetched = download(jar.coordinate, scratch / server)
        _require_locked(fetched, jar)
        target = self.path(server, jar)
        target.parent.mkdir(exist_ok=True)
        fetched.replace(target)


def download(coordinate: str, repository: Path) -> Path:
    """Fetch one artifact without its dependencies into a Maven-shaped folder and return its path."""
    try:
        from jgo.maven import MavenContext
    except ImportError as missing:
        raise ExtraMissing("jgo") from missing
    group, artifact, version, *rest = coordinate.split(":")
    context = MavenContext(repo_cache=repository, timeout=_TIMEOUT_SECONDS)
    component = context.project(group, artifact).at_version(version)
    try:
        return Path(component.artifact(classifier=rest[0] if rest else "", packaging="jar").resolve())
    except (OSError, RuntimeError) as failure:  # requests' errors are OSErrors
        raise JarFetchFailed(coordinate, type(failure).__name__) from failure


def _require_locked(path: Path, jar: Jar) -> None:
    actual = sha256_of(path)
    if actual != jar.sha256:
        path.unlink()
        raise JarCorrupt(path, jar.sha256, actual)
