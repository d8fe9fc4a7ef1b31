"""A lane: the one task that handles a partition. It takes everything that is pending, handles it as one batch,
acknowledges it, and begins again; while one batch is being written the next one gathers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from streams.records import Record

HandleBatch = Callable[[Sequence[Record]], Awaitable[None]]


class Delivery(NamedTuple):
    """Records of one partition as the consumer fetched them, and how to acknowledge them all."""

    records: Sequence[Record]
    acknowledge: Callable[[], None]


class Budget:
    """Bounds the records that wait in all lanes together; beyond it the reader stops reading."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._room = asyncio.Event()
        self._room.set()

    @property
    def used(self) -> int:
        """Records that are pending or being handled."""
        return self._used

    async def wait_for_room(self) -> None:
        """Returns as soon as less than the limit is used."""
        await self._room.wait()

    def take(self, count: int) -> None:
        """Count records in; may overshoot by one delivery."""
        self._used += count
        if self._used >= self._limit:
            self._room.clear()

    def give_back(self, count: int) -> None:
        """Count records out."""
        self._used -= count
        if self._used < self._limit:
            self._room.set()


class Lane:
    """Handles the deliveries of one partition, in order, acknowledging only what `handle` has finished."""

    def __init__(self, handle: HandleBatch, budget: Budget, flush_records: int) -> None:
        self._handle = handle
        self._budget = budget
        self._flush_records = flush_records
        self._pending: deque[Delivery] = deque()
        self._arrived = asyncio.Event()
        self._stopping = False
        self._task = asyncio.create_task(self._run())

    @property
    def task(self) -> asyncio.Task[None]:
        """Ends with the error of `handle`, if it had one; a lane never goes on after an error."""
        return self._task

    def offer(self, delivery: Delivery) -> None:
        """Queue a delivery. Callers wait for room in the budget first."""
        self._budget.take(len(delivery.records))
        self._pending.append(delivery)
        self._arrived.set()

    async def stop(self, grace_seconds: float) -> None:
        """Finish the batch in hand, drop what is pending (it will be delivered again), and end.

        A batch that does not finish in time is cancelled and stays unacknowledged.
        """
        self._stopping = True
        self._arrived.set()
        _, unfinished = await asyncio.wait([self._task], timeout=grace_seconds)
        if unfinished:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._budget.give_back(sum(len(delivery.records) for delivery in self._pending))
        self._pending.clear()

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            if self._stopping:
                return
            deliveries = self._take()
            if not self._pending:
                self._arrived.clear()
            records = [record for delivery in deliveries for record in delivery.records]
            try:
                await self._handle(records)
                for delivery in deliveries:
                    delivery.acknowledge()
            finally:
                self._budget.give_back(len(records))

    def _take(self) -> list[Delivery]:
        """Everything pending, up to the most records of one flush; at least one delivery."""
        taken: list[Delivery] = []
        count = 0
        while self._pending and (not taken or count + len(self._pending[0].records) <= self._flush_records):
            delivery = self._pending.popleft()
            count += len(delivery.records)
            taken.append(delivery)
        return taken
