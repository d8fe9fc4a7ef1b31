"""Group commit: one open batch per partition, shared by all requests, so that many of them wait for one answer.

A partition has one flush under way at a time. What comes meanwhile gathers in the next one, which leaves as soon as
the answer is there; a partition that was idle lingers a moment, so that concurrent requests find each other.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Final, Protocol

from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from runtime import partitioning, record_sizes
from runtime.clock import now_ms
from runtime.delivery import (
    Acknowledgement,
    Headers,
    KeyedRecord,
    Place,
    Portion,
    ProducerError,
    RecordTooLarge,
    SendFailed,
)
from runtime.record_batch import HEADER_BYTES, RecordBatch
from runtime.record_sizes import header_bytes
from runtime.room import Room

BATCH_BYTES: Final = 256 << 10
"""The most that is sent as one batch, unless its first record alone is larger."""
_RETRY_SECONDS: Final = 0.1


class BatchSender(Protocol):
    """The part of AIOKafkaProducer that is needed here."""

    async def send_batch(self, batch: RecordBatch, topic: str, *, partition: int) -> asyncio.Future[Any]: ...


class Flush:
    """Records of one partition that are sent and acknowledged together. `flushed` as in Portion."""

    def __init__(self, flushed: asyncio.Future[Acknowledgement]) -> None:
        self.batch = RecordBatch(now_ms())
        self.flushed = flushed
        self.size_bytes = 0
        self.task: asyncio.Task[None] | None = None

    def fail(self, error: ProducerError) -> None:
        """Tell all who wait; nobody has to."""
        if not self.flushed.done():
            self.flushed.set_exception(error)
            self.flushed.exception()  # marks it as seen


class _Partition:
    """The flushes of one partition: one under way, full ones behind it, and one that takes records."""

    def __init__(self, topic: str, number: int) -> None:
        self.topic = topic
        self.number = number
        self.batch_bytes = BATCH_BYTES - HEADER_BYTES
        self.sending: Flush | None = None
        self.full: deque[Flush] = deque()
        self.open: Flush | None = None

    def next(self) -> Flush | None:
        if self.full:
            return self.full.popleft()
        flush, self.open = self.open, None
        return flush

    def unsent(self) -> list[Flush]:
        return [*self.full, *([self.open] if self.open else [])]


class GroupCommit:
    """Gathers records and sends them through whichever producer is connected."""

    def __init__(self, room: Room, *, linger_seconds: float, on_error: Callable[[Exception], None]) -> None:
        self._room = room
        self._linger_seconds = linger_seconds
        self._on_error = on_error
        self._producer: BatchSender | None = None
        self._partitions: dict[str, list[_Partition]] = {}
        self._lingering: list[_Partition] = []
        self._sending = 0
        self._waiting_since: float | None = None

    def seconds_unanswered(self) -> float:
        """For how long something has been under way without any answer."""
        return 0.0 if self._waiting_since is None else time.monotonic() - self._waiting_since

    def resume(self, producer: BatchSender) -> None:
        """Send through `producer` from now on, first of all what has gathered."""
        self._producer = producer
        for partition in self._all():
            self._send_next(partition)

    def abandon(self, error: SendFailed) -> None:
        """Fail what is under way, for its producer is given up; what has not been sent waits for the next one."""
        self._producer = None
        for partition in self._all():
            flush, partition.sending = partition.sending, None
            if flush is not None:
                assert flush.task is not None
                flush.task.cancel()
                self._settle(flush, error)
        self._sending = 0
        self._waiting_since = None

    def fail_all(self, error: SendFailed) -> None:
        """Fail everything, also what has not been sent."""
        self.abandon(error)
        for partition in self._all():
            for flush in partition.unsent():
                self._settle(flush, error)
            partition.full.clear()
            partition.open = None

    async def drain(self, timeout_seconds: float) -> None:
        """Send without lingering; returns when all is answered or the time is up."""
        self._linger_over()
        waiting = [f.flushed for p in self._all() for f in [p.sending, *p.unsent()] if f is not None]
        if waiting and self._producer is not None:
            await asyncio.wait(waiting, timeout=timeout_seconds)

    def add(self, topic: str, partitions: int, record: KeyedRecord, headers: Headers) -> tuple[Flush, int]:
        """Put one record, whose room has been taken, into a flush; that flush, and the record's index in it."""
        key, value = record
        size = record_sizes.record_bytes(key, value) + header_bytes(headers)
        flush = self._with_room(self._of(topic, partitions)[_number(key, partitions)], size)
        flush.batch.append(key, value, headers)
        flush.size_bytes += size
        return flush, flush.batch.count - 1

    def add_many(self, topic: str, partitions: int, records: Sequence[KeyedRecord]) -> list[Portion]:
        """Put records, whose room has been taken, into flushes."""
        by_partition: list[list[int]] = [[] for _ in range(partitions)]
        for index, (key, _) in enumerate(records):
            by_partition[_number(key, partitions)].append(index)
        portions: list[Portion] = []
        own = self._of(topic, partitions)
        for number in range(partitions):
            indices = by_partition[number]
            while indices:
                portion = self._fill(own[number], records, indices)
                portions.append(portion)
                indices = indices[len(portion.indices) :]
        return portions

    def _fill(self, partition: _Partition, records: Sequence[KeyedRecord], indices: list[int]) -> Portion:
        """Append as many of the records at `indices` as fit into one flush, at least one."""
        key, value = records[indices[0]]
        flush = self._with_room(partition, record_sizes.record_bytes(key, value))
        batch = flush.batch
        first = batch.count
        for index in indices:
            key, value = records[index]
            size = record_sizes.record_bytes(key, value)
            if batch.count and flush.size_bytes + size > partition.batch_bytes:
                break
            batch.append(key, value)
            flush.size_bytes += size
        return Portion(indices[: batch.count - first], first, flush.flushed)

    def _with_room(self, partition: _Partition, size: int) -> Flush:
        """The flush that takes the partition's next record; a single record always fits."""
        flush = partition.open
        if flush is None:
            return self._open(partition)
        return self._turn_over(partition, flush) if flush.size_bytes + size > partition.batch_bytes else flush

    def _turn_over(self, partition: _Partition, full: Flush) -> Flush:
        """Put a full flush in line, send it if it is its turn, and open the next one."""
        partition.full.append(full)
        partition.open = None
        self._send_next(partition)
        return self._open(partition)

    def _open(self, partition: _Partition) -> Flush:
        loop = asyncio.get_running_loop()
        flush = Flush(loop.create_future())
        partition.open = flush
        if partition.sending is None:
            if not self._lingering:
                loop.call_later(self._linger_seconds, self._linger_over)
            self._lingering.append(partition)
        return flush

    def _linger_over(self) -> None:
        partitions, self._lingering = self._lingering, []
        for partition in partitions:
            self._send_next(partition)

    def _send_next(self, partition: _Partition) -> None:
        if self._producer is None or partition.sending is not None:
            return
        flush = partition.next()
        if flush is None:
            return
        partition.sending = flush
        if self._waiting_since is None:
            self._waiting_since = time.monotonic()
        self._sending += 1
        flush.task = asyncio.create_task(self._send(self._producer, partition, flush))

    async def _send(self, producer: BatchSender, partition: _Partition, flush: Flush) -> None:
        try:
            answer = await producer.send_batch(flush.batch, partition.topic, partition=partition.number)
        except KafkaError as error:
            self._not_sent(partition, flush, error)
            return
        try:
            first = await answer
        except KafkaError as error:
            # aiokafka retries what can be retried; what arrives here leaves its sequence numbers in doubt, even a
            # record that the topic refuses as too large: the next batch would be out of order.
            self._answered(partition, flush)
            self._settle(flush, _failure(partition, flush, error))
            self._on_error(error)
            return
        self._answered(partition, flush)
        self._settle(flush, _place(first))
        self._send_next(partition)

    def _not_sent(self, partition: _Partition, flush: Flush, error: KafkaError) -> None:
        """Keep the order and try again: soon, or with the next producer."""
        self._answered(partition, flush)
        partition.full.appendleft(flush)
        if error.retriable:
            asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._send_next, partition)
        else:
            self._on_error(error)

    def _answered(self, partition: _Partition, flush: Flush) -> None:
        partition.sending = flush.task = None
        self._sending -= 1
        self._waiting_since = time.monotonic() if self._sending else None

    def _settle(self, flush: Flush, outcome: Place | ProducerError) -> None:
        self._room.give_back(flush.batch.count, flush.size_bytes)
        if isinstance(outcome, ProducerError):
            flush.fail(outcome)
        elif not flush.flushed.done():
            flush.flushed.set_result(outcome)

    def _of(self, topic: str, partitions: int) -> list[_Partition]:
        own = self._partitions.setdefault(topic, [])
        while len(own) < partitions:
            own.append(_Partition(topic, len(own)))
        return own

    def _all(self) -> list[_Partition]:
        return list(chain.from_iterable(self._partitions.values()))


def _number(key: bytes | None, partitions: int) -> int:
    return random.randrange(partitions) if key is None else partitioning.partition_of(key, partitions)


def _place(first: Acknowledgement) -> Place | SendFailed:
    if first.offset < 0:  # a repetition of what the broker has, but no longer remembers the place of
        return SendFailed("unknown place: Kafka has the records already")
    return Place(first.topic, first.partition, first.offset)


def _failure(partition: _Partition, flush: Flush, error: KafkaError) -> ProducerError:
    if not isinstance(error, MessageSizeTooLargeError):
        return SendFailed(f"unknown outcome: {describe(error)}")
    if flush.batch.count == 1:
        return RecordTooLarge(str(error) or "larger than the topic allows")
    # The topic takes less than we put together. Which record is too large by itself shows when they come again.
    partition.batch_bytes = flush.size_bytes // 2
    return SendFailed("refused: the batch was larger than the topic allows")


def describe(error: Exception) -> str:
    """For logs and checks."""
    return f"{type(error).__name__}: {error}"[:300]
