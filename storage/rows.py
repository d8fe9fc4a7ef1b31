"""The rows of a user, and the port through which every other room reaches them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import msgspec

from schemas.receipts import Position

DAY_MS: Final = 86_400_000
TIMELINE_DAYS: Final = 35
"""So long an event stays in the timeline after it was written: see the migrations."""


class StateRow(msgspec.Struct, frozen=True, gc=False):
    """One user's packed state. `version` (us) is the write timestamp: a lower one never replaces a higher one."""

    user_id: str
    state: bytes
    version: int
    position: Position


class TimelineRow(msgspec.Struct, frozen=True, gc=False):
    """One event of a user's timeline; `payload` is its JSON as in Kafka. Writing it again changes nothing.

    `version` is its append time in us.
    """

    user_id: str
    event_time_ms: int
    event_id: str
    type: str
    payload: bytes
    version: int


class TimelineCursor(NamedTuple):
    """The place of one timeline event; pages go on strictly before it."""

    event_time_ms: int
    event_id: str


class TimelineEntry(NamedTuple):
    """One event as read back; `version` as it was written."""

    event_time_ms: int
    event_id: str
    payload: bytes
    version: int


@dataclass(frozen=True, slots=True)
class Deployment:
    """What `migrate` knows: this store's identity, and how often the events topic has been made anew.

    Committed offsets are only valid together with the rows they stand for, so the consumer group carries `store_id`;
    offsets of different epochs cannot be compared, so every position carries `events_epoch`.
    """

    store_id: str
    events_epoch: int

    def consumer_group(self, prefix: str) -> str:
        """The group of the workers whose rows lie in this store."""
        return f"{prefix}-{self.store_id}"


class UserStore(Protocol):
    """Durable rows of users. Every method raises StoreUnavailable where there is no answer."""

    async def load_states(self, user_ids: Sequence[str]) -> dict[str, bytes]:
        """Packed states by user id; unknown users are absent."""
        ...

    async def write(self, states: Sequence[StateRow], events: Iterable[TimelineRow]) -> None:
        """Write all rows; returns when each is durable. Where it raises, any of them may have been written.
        `events` can be iterated over again: a write is repeated with the same.

        Events come first: whoever reads a state finds in the timeline everything that the state has folded.
        """
        ...

    async def timeline(
        self,
        user_id: str,
        *,
        newest_day: int,
        oldest_day: int,
        first: int,
        before: TimelineCursor | None = None,
        types: frozenset[str] | None = None,
    ) -> list[TimelineEntry]:
        """At most `first` events, newest first by (event time, event id). Days are event_time_ms // DAY_MS."""
        ...

    async def deployment(self) -> Deployment:
        """Identity and epoch. Raises NotMigrated."""
        ...

    async def load_manifest(self) -> bytes | None:
        """The manifest of the catalogue that folds this store's states; None before the first worker."""
        ...

    async def replace_manifest(self, expected: bytes | None, manifest: bytes) -> bool:
        """Store a manifest if `expected` is the one that is stored; False if it is another one."""
        ...

    async def ping(self) -> None:
        """Returns if the store answers."""
        ...
