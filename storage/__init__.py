"""Where rows rest: Cassandra in earnest, memory in tests. The only room that knows the driver."""

from storage.cassandra_store import CassandraUserStore
from storage.errors import StoreError, StoreUnavailable
from storage.memory import MemoryUserStore
from storage.rows import Deployment, StateRow, TimelineCursor, TimelineEntry, TimelineRow, UserStore

__all__ = [
    "CassandraUserStore",
    "Deployment",
    "MemoryUserStore",
    "StateRow",
    "StoreError",
    "StoreUnavailable",
    "TimelineCursor",
    "TimelineEntry",
    "TimelineRow",
    "UserStore",
]
