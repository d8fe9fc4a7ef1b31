"""A real Kafka and a real Cassandra as local processes, and the keeper of all background processes.

Nothing else in the project may know how a server is run; this room knows nothing of events or features.
"""

from stack.config import StackConfig
from stack.errors import (
    DiskFull,
    ExtraMissing,
    JarCorrupt,
    JarFetchFailed,
    NotReadyInTime,
    PortTaken,
    ServerDied,
    StackError,
    StopFailed,
)
from stack.launcher import Stack
from stack.processes import ProcessKeeper, ProcessSpec, Role, RunningProcess

__all__ = [
    "DiskFull",
    "ExtraMissing",
    "JarCorrupt",
    "JarFetchFailed",
    "NotReadyInTime",
    "PortTaken",
    "ProcessKeeper",
    "ProcessSpec",
    "Role",
    "RunningProcess",
    "ServerDied",
    "Stack",
    "StackConfig",
    "StackError",
    "StopFailed",
]
