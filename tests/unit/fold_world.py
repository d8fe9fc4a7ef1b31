"""The fold of one partition over a store and a producer in memory, which crash at the moment they are told."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from features.default import CATALOGUE
from features.derive import derive
from features.fold import Folder
from features.packing import unpack
from features.state import UserState
from runtime.delivery import LogRecord
from runtime.memory_producer import MemoryProducer
from schemas.topics import DEAD_LETTERS, EVENTS, FEATURES
from storage import MemoryUserStore, StateRow, StoreUnavailable, TimelineRow
from storage.rows import DAY_MS
from streams.announcer import FeatureAnnouncer
from streams.dead_letters import DeadLetterOffice
from streams.partition import PartitionFold, Pipeline
from streams.state_cache import CacheRoom

PARTITION = 3
START_MS = 20_000 * DAY_MS + DAY_MS // 2
Moment = Literal["before the write", "between the tables", "after the write", "before the answer"]


class Crash(Exception):
    """The process is gone at this point."""


class CrashingStore(MemoryUserStore):
    """Crashes once at the moment it is told; counts and remembers what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.crash_at: Moment | None = None
        self.refused = asyncio.Event()
        self.written = asyncio.Event()
        self.rows_written: list[TimelineRow] = []
        self.loads: list[list[str]] = []

    async def load_states(self, user_ids: Sequence[str]) -> dict[str, bytes]:
        self.loads.append(list(user_ids))
        return await super().load_states(user_ids)

    async def write(self, states: Sequence[StateRow], events: Iterable[TimelineRow]) -> None:
        moment, self.crash_at = self.crash_at, None
        if moment == "before the write":
            raise Crash
        if moment == "between the tables":
            await super().write(states, [])
            raise Crash
        await super().write(states, events)
        self.rows_written += events
        self.written.set()
        if moment == "after the write":
            raise Crash
        if moment == "before the answer":
            raise StoreUnavailable("the answer was lost")

    def _check(self) -> None:
        if not self.available:
            self.refused.set()
        super()._check()


class Worker(PartitionFold):
    """A fold whose batches are finished one by one."""

    async def handle(self, records: Sequence[LogRecord]) -> None:
        """Fold a batch and publish what it changed."""
        finish = await self.fold(records)
        await finish()


@dataclass
class World:
    """A partition of the log, and a worker's half that folds it."""

    store: CrashingStore = field(default_factory=CrashingStore)
    producer: MemoryProducer = field(default_factory=MemoryProducer)
    folder: Folder = field(default_factory=lambda: Folder(CATALOGUE))
    cache_bytes: int = 1 << 20
    events_epoch: int = 1
    partitions: dict[str, int] = field(default_factory=dict)
    most_excess: int = 1000
    log: list[LogRecord] = field(default_factory=list)

    def worker(self) -> Worker:
        """A fold that knows nothing yet, as after a start or a rebalance."""
        return Worker(
            Pipeline(
                catalogue=CATALOGUE,
                folder=self.folder,
                store=self.store,
                announcer=FeatureAnnouncer(self.producer, CATALOGUE),
                dead_letters=DeadLetterOffice(self.producer, most_excess=self.most_excess),
                events_epoch=self.events_epoch,
                partition_of=lambda user_id: self.partitions.get(user_id, PARTITION),
                cache_room=CacheRoom(self.cache_bytes),
            )
        )

    def append(self, value: bytes | None, key: str = "user-1") -> LogRecord:
        """Append a record as the broker does, a second after the one before it."""
        offset = len(self.log)
        record = LogRecord(
            EVENTS.name, PARTITION, offset, START_MS + offset * 1000, key.encode(), value, (("trace", b"1"),)
        )
        self.log.append(record)
        return record

    def view(self, user_id: str = "user-1", event_id: str | None = None, **changes: Any) -> LogRecord:
        """Append an event, by default a view of a moment ago."""
        now_ms = START_MS + len(self.log) * 1000
        event = {
            "eventId": event_id or str(uuid.uuid4()),
            "type": "view_item",
            "userId": user_id,
            "eventTime": now_ms - 5,
            "receivedAt": now_ms - 3,
            "itemId": f"item-{len(self.log)}",
        }
        return self.append(json.dumps({**event, **changes}).encode(), user_id)

    async def state(self, user_id: str = "user-1") -> UserState:
        return unpack((await self.store.load_states([user_id]))[user_id], CATALOGUE)

    async def feature(self, name: str, user_id: str = "user-1") -> object:
        state = await self.state(user_id)
        [feature] = derive(CATALOGUE, state, state.append_ms, [name])
        return feature.value

    async def timeline(self, user_id: str = "user-1") -> list[bytes]:
        day = START_MS // DAY_MS
        entries = await self.store.timeline(user_id, newest_day=day + 1, oldest_day=day - 60, first=10_000)
        return [entry.payload for entry in entries]

    def letters(self) -> list[tuple[bytes | None, str]]:
        """Value and code of each dead letter."""
        return [(record.value, dict(record.headers)["code"].decode()) for record in self.producer.of(DEAD_LETTERS.name)]

    def announced(self) -> list[bytes | None]:
        return [record.value for record in self.producer.of(FEATURES.name)]
