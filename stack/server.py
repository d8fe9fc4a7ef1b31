"""The seam between the launcher and one server process: what to prepare, what to run, and when it is ready."""

from typing import Protocol

from stack.processes import ProcessSpec, RunningProcess


class Server(Protocol):
    """One server of the stack."""

    @property
    def name(self) -> str:
        """Name of its process."""
        ...

    def prepare(self) -> ProcessSpec:
        """Write its configuration, format its storage if need be, and say how it is run."""
        ...

    def ready(self, process: RunningProcess) -> bool:
        """Whether clients of this start get answers now."""
        ...
