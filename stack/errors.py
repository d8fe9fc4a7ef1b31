"""Everything that can go wrong with the local servers; each error is three lines a person can act on.

StackError
├── ExtraMissing        Java runtime or jar fetcher not installed
├── DiskFull            too little room to start safely
├── JarFetchFailed      a jar could not be fetched       (retriable)
├── JarCorrupt          a jar is not the locked one
├── PortTaken           somebody else listens there
├── ServerDied          a process ended while starting
├── NotReadyInTime      a process runs but does not answer (retriable)
└── StopFailed          a process outlived SIGKILL
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar


class StackError(Exception):
    """`str()` is three lines: what failed, the likely cause with its evidence, the command that helps."""

    retriable: ClassVar[bool] = False

    def __init__(self, what: str, cause: str, remedy: str) -> None:
        super().__init__(f"{what}\n{cause}\n{remedy}")
        self.what = what
        self.cause = cause
        self.remedy = remedy


class ExtraMissing(StackError):
    """The optional dependencies of the stack are not installed."""

    def __init__(self, module: str) -> None:
        super().__init__(
            f"cannot run the servers: the Python module {module} is not installed",
            "the extra `stack` (Java runtime and jar fetcher) is missing from this environment",
            "run: pip install -e '.[stack]'",
        )


class DiskFull(StackError):
    """Too little free space under the data folder; nothing was started."""

    def __init__(self, path: Path, free_bytes: int, needed_bytes: int) -> None:
        super().__init__(
            f"not starting: the disk of {path} is nearly full",
            f"{free_bytes / 2**30:.2f} GiB free, {needed_bytes / 2**30:.0f} GiB wanted: "
            "Kafka and Cassandra stop with damaged files when a disk fills",
            f"free some space, or see what is in there: du -sh {path}/*",
        )


class JarFetchFailed(StackError):
    """A locked jar is not here and could not be fetched."""

    retriable = True

    def __init__(self, coordinate: str, reason: str) -> None:
        super().__init__(
            f"could not fetch the jar {coordinate}",
            f"network, proxy or mirror: {reason}",
            "run the same command again; jars that did arrive are kept",
        )


class JarCorrupt(StackError):
    """A jar does not have the locked checksum; the file has been removed."""

    def __init__(self, path: Path, expected_sha256: str, actual_sha256: str) -> None:
        super().__init__(
            f"the jar {path} is not the one in the lock file; it was removed",
            f"sha256 is {actual_sha256}, locked is {expected_sha256}: damaged on disk or on the way, or replaced",
            "run the same command again to fetch it anew; if it repeats, do not trust the source of the jars",
        )


class PortTaken(StackError):
    """Another process listens on a port this one needs."""

    def __init__(self, name: str, port: int, owner: str, setting: str) -> None:
        super().__init__(
            f"cannot start {name}: port {port} is taken",
            f"{owner} listens on it",
            f"stop that process, or choose another port with the setting {setting}",
        )
        self.port = port


class ServerDied(StackError):
    """A process ended before it was ready; the evidence is the end of its log."""

    def __init__(self, name: str, log_path: Path, last_lines: Sequence[str]) -> None:
        evidence = " | ".join(last_lines) if last_lines else "nothing: killed from outside, or no Java runtime"
        super().__init__(
            f"{name} ended while it was starting",
            f"its log ends with: {evidence}",
            f"read the whole log: less +G {log_path}",
        )


class NotReadyInTime(StackError):
    """A process runs but did not answer before the deadline; it is left running."""

    retriable = True

    def __init__(self, name: str, seconds: float, log_path: Path, last_lines: Sequence[str]) -> None:
        evidence = last_lines[-1] if last_lines else "nothing yet"
        super().__init__(
            f"{name} runs but was not ready within {seconds:.0f} s",
            f"a slow or busy machine, or a long replay after a crash; its log ends with: {evidence}",
            f"wait and run the same command again, or read the log: less +G {log_path}",
        )


class StopFailed(StackError):
    """A process is still there after SIGKILL."""

    def __init__(self, name: str, pids: Sequence[int]) -> None:
        listed = " ".join(map(str, pids))
        super().__init__(
            f"{name} is still there after SIGKILL",
            f"pid {listed}: the kernel is waiting for a disk or a debugger holds it",
            f"look at its state: ps -o pid,stat,wchan,args -p {listed}",
        )
