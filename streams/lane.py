"""A lane: what handles a partition. It takes what is pending, up to a bound, and folds it as one batch; while one batch
is being written the next one gathers, and while one is being finished (published) the next one is folded. A lane that
is far behind the log waits a moment for a batch to fill."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from features.duplicates import MAX_IDS
from runtime.delivery import LogRecord
from streams.records import events_by_key, value_bytes

Finish = Callable[[], Awaitable[None]]
"""What remains to be done for a batch whose rows are durable, before it may be acknowledged."""
FoldBatch = Callable[[Sequence[LogRecord]], Awaitable[Finish]]

# One that is being folded and one that is being finished.
_UNACKNOWLEDGED_BATCHES: Final = 2
# A flush of the largest events would otherwise be 8 GiB by default.
_FLUSH_BYTES: Final = 16 << 20
# All are packed at a stretch, and then their features are derived: some 50 us for each, in which nothing else runs.
_FLUSH_USERS: Final = 2_000
# So a flush evicts by their number none of its own event ids from what the duplicate guard remembers of a user.
_FLUSH_EVENTS_OF_A_USER: Final = MAX_IDS
# A flush that lacks records waits for them where the log holds all of them, or at least 1 000: to read those takes
# milliseconds, and what lies that far behind is late by more already.
_FAR_BEHIND: Final = 1_000
# So long at most. Twelve lanes that all wait read 96 000 records meanwhile, or the budget is full.
_PATIENCE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """Records of one partition as the consumer fetched them, and how to acknowledge them all.

    `behind`: by how many offsets they lie behind the end of the log, as far as that is known.
    """

    records: Sequence[LogRecord]
    acknowledge: Callable[[], None]
    behind: int = 0
    size_bytes: int = field(init=False)
    events_of: dict[bytes | None, int] = field(init=False)
    """How many records there are of each key, that is, of each user."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "size_bytes", value_bytes(self.records))
        object.__setattr__(self, "events_of", events_by_key(self.records))


class Budget:
    """Bounds what waits in all lanes together, in records and in bytes; beyond it the reader stops reading."""

    def __init__(self, records: int, size_bytes: int) -> None:
        self._most_records = records
        self._most_bytes = size_bytes
        self.records = 0
        self.size_bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._told: set[asyncio.Event] = set()

    @property
    def has_room(self) -> bool:
        """Whether less than both limits is used."""
        return self._room.is_set()

    @contextmanager
    def telling(self, event: asyncio.Event) -> Iterator[None]:
        """Within it, set the event when there is no room any more."""
        self._told.add(event)
        try:
            yield
        finally:
            self._told.discard(event)

    async def wait_for_room(self) -> None:
        """Returns as soon as there is room."""
        await self._room.wait()

    def take(self, delivery: Delivery) -> None:
        """Count a delivery in; may overshoot by one."""
        self._count(len(delivery.records), delivery.size_bytes)

    def give_back(self, delivery: Delivery) -> None:
        """Count a delivery out."""
        self._count(-len(delivery.records), -delivery.size_bytes)

    def _count(self, records: int, size_bytes: int) -> None:
        self.records += records
        self.size_bytes += size_bytes
        if self.records < self._most_records and self.size_bytes < self._most_bytes:
            self._room.set()
        else:
            self._room.clear()
            for event in self._told:
                event.set()


class _Folded(NamedTuple):
    deliveries: list[Delivery]
    finish: Finish


class _Flush:
    """What the next flush takes of what is pending: the first deliveries that have room in it, at least one."""

    def __init__(self, most_records: int) -> None:
        self.deliveries = 0
        self._is_full = False
        self._most_records = most_records
        self._records = 0
        self._size_bytes = 0
        self._events_of: dict[bytes | None, int] = {}

    @property
    def lacking(self) -> int:
        """How many records more it may take; whether they are of too many users shows when they come."""
        return 0 if self._is_full or self._size_bytes >= _FLUSH_BYTES else self._most_records - self._records

    def take(self, delivery: Delivery) -> bool:
        """Count the next delivery in, unless it has no room; those behind it have none either then."""
        if self._is_full:
            return False
        known = self._events_of
        records, size_bytes = self._records + len(delivery.records), self._size_bytes + delivery.size_bytes
        users = len(known) + sum(key not in known for key in delivery.events_of)
        events_of = {key: known.get(key, 0) + events for key, events in delivery.events_of.items()}
        has_room = (
            records <= self._most_records
            and size_bytes <= _FLUSH_BYTES
            and users <= _FLUSH_USERS
            and max(events_of.values(), default=0) <= _FLUSH_EVENTS_OF_A_USER
        )
        if self.deliveries and not has_room:
            self._is_full = True
            return False
        self.deliveries += 1
        self._records, self._size_bytes = records, size_bytes
        known |= events_of
        return True


class Lane:
    """Folds and finishes the deliveries of one partition, in order, and acknowledges what is finished."""

    def __init__(self, fold: FoldBatch, budget: Budget, flush_records: int) -> None:
        self._fold = fold
        self._budget = budget
        self._flush_records = flush_records
        self._pending: deque[Delivery] = deque()
        self._next = _Flush(flush_records)
        self._arrived = asyncio.Event()
        self._held: deque[Delivery] = deque()  # offered and not acknowledged, in order
        self._stopping = False
        self._task = asyncio.create_task(self._run())

    @property
    def task(self) -> asyncio.Task[None]:
        """Ends with the error of `fold` or of its finish, if there was one; a lane never goes on after an error."""
        return self._task

    def offer(self, delivery: Delivery) -> None:
        """Queue a delivery. Callers wait for room in the budget first."""
        self._budget.take(delivery)
        self._held.append(delivery)
        self._pending.append(delivery)
        self._next.take(delivery)
        self._arrived.set()

    async def stop(self, grace_seconds: float) -> None:
        """Finish the batches in hand, drop what is pending (it will be delivered again), and end.

        Batches that are not finished in time are cancelled and stay unacknowledged.
        """
        self._stopping = True
        self._arrived.set()
        _, unfinished = await asyncio.wait([self._task], timeout=grace_seconds)
        if unfinished:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._let_go()

    async def _run(self) -> None:
        folded: asyncio.Queue[_Folded | None] = asyncio.Queue()
        room = asyncio.Semaphore(_UNACKNOWLEDGED_BATCHES)
        try:
            async with asyncio.TaskGroup() as stages:
                stages.create_task(self._fold_batches(folded, room))
                stages.create_task(self._finish_batches(folded, room))
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        finally:
            self._let_go()

    def _let_go(self) -> None:
        """Nothing of what is held will be acknowledged."""
        while self._held:
            self._budget.give_back(self._held.popleft())
        self._pending.clear()
        self._next = _Flush(self._flush_records)

    async def _fold_batches(self, folded: asyncio.Queue[_Folded | None], room: asyncio.Semaphore) -> None:
        while True:
            await room.acquire()
            await self._arrived.wait()
            await self._wait_for_a_full_flush()
            if self._stopping:
                folded.put_nowait(None)
                return
            deliveries = self._take()
            finish = await self._fold([record for delivery in deliveries for record in delivery.records])
            folded.put_nowait(_Folded(deliveries, finish))

    async def _finish_batches(self, folded: asyncio.Queue[_Folded | None], room: asyncio.Semaphore) -> None:
        while (batch := await folded.get()) is not None:
            await batch.finish()
            for delivery in batch.deliveries:
                delivery.acknowledge()
                self._budget.give_back(self._held.popleft())
            room.release()

    async def _wait_for_a_full_flush(self) -> None:
        """Wait for more while the log holds enough of it: each flush packs and writes every user it touches."""
        with suppress(TimeoutError), self._budget.telling(self._arrived):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while not self._stopping and self._budget.has_room and self._is_worth_waiting():
                    self._arrived.clear()
                    await self._arrived.wait()

    def _is_worth_waiting(self) -> bool:
        """Whether the next flush lacks records, and the log holds enough of them to wait for."""
        lacking = self._next.lacking
        return lacking > 0 and self._pending[-1].behind >= min(lacking, _FAR_BEHIND)

    def _take(self) -> list[Delivery]:
        taken = [self._pending.popleft() for _ in range(self._next.deliveries)]
        self._next = _Flush(self._flush_records)
        for delivery in self._pending:
            if not self._next.take(delivery):
                break
        if self._pending:
            self._arrived.set()
        else:
            self._arrived.clear()
        return taken
