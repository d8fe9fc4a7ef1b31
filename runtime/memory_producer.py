"""The producer's fake: records in lists. Shipped, because it passes the same contract tests as the real one."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import partial

from runtime.delivery import (
    MAX_RECORD_BYTES,
    Acknowledgement,
    Headers,
    KeyedRecord,
    LogRecord,
    Overloaded,
    Portion,
    ProducerStopped,
    RecordTooLarge,
)
from runtime.partitioning import partition_of
from runtime.record_sizes import record_bytes
from runtime.room import Room


class MemoryProducer:
    """Producer over lists. While `stalled` is true it behaves like a Kafka that does not answer: what is sent waits.

    While `away` is true it behaves as without a connection: nothing can be sent.
    """

    def __init__(
        self, *, partitions: int = 12, in_flight_records: int = 20_000, in_flight_bytes: int = 32 << 20
    ) -> None:
        self._partitions = partitions
        self.room = Room(in_flight_records, in_flight_bytes)
        self._sending: set[asyncio.Task[Acknowledgement]] = set()
        self._keyless = 0
        self._running = asyncio.Event()
        self._running.set()
        self._stopped = False
        self._connected = asyncio.Event()
        self._connected.set()
        self.records: dict[tuple[str, int], list[LogRecord]] = defaultdict(list)

    @property
    def stalled(self) -> bool:
        """Whether sends wait."""
        return not self._running.is_set()

    @stalled.setter
    def stalled(self, stalled: bool) -> None:
        if stalled:
            self._running.clear()
        else:
            self._running.set()

    @property
    def away(self) -> bool:
        """Whether there is no connection."""
        return not self._connected.is_set()

    @away.setter
    def away(self, away: bool) -> None:
        if away:
            self._connected.clear()
        else:
            self._connected.set()

    @property
    def healthy(self) -> bool:
        """Neither away nor stalled."""
        return not self.away and not self.stalled

    @property
    def last_error(self) -> str | None:
        """What a stalled Kafka is reported as."""
        return "stalled" if self.stalled else None

    async def start(self) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        """Later sends, and those that wait, raise ProducerStopped."""
        self._stopped = True
        self._running.set()
        self._connected.set()

    async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> LogRecord:
        """See Producer.send."""
        if len(key or b"") + len(value or b"") > MAX_RECORD_BYTES:
            raise RecordTooLarge(f"larger than {MAX_RECORD_BYTES} bytes")
        await self._running.wait()
        if self._stopped:
            raise ProducerStopped("the producer is stopped")
        partition = self._partition(key)
        log = self.records[topic, partition]
        record = LogRecord(topic, partition, len(log), time.time_ns() // 1_000_000, key, value, tuple(headers))
        log.append(record)
        return record

    async def send_many(
        self, topic: str, records: Sequence[KeyedRecord], *, in_line: bool = False, give_up_at: float | None = None
    ) -> list[Portion]:
        """See Producer.send_many. Each record is a portion of its own, by way of `send`."""
        sizes = [record_bytes(key, value) for key, value in records]
        if in_line:
            await self.room.take(len(records), sum(sizes))
        elif not self.room.try_take(len(records), sum(sizes)):
            raise Overloaded(retry_after_ms=200)
        try:
            async with asyncio.timeout_at(give_up_at):
                await self._connected.wait()
        except BaseException:
            self.room.give_back(len(records), sum(sizes))
            raise
        portions = []
        for index, ((key, value), size) in enumerate(zip(records, sizes, strict=True)):
            task = asyncio.create_task(self._send(topic, key, value))
            self._sending.add(task)
            task.add_done_callback(partial(self._sent, size))
            portions.append(Portion([index], 0, task))
        return portions

    async def _send(self, topic: str, key: bytes | None, value: bytes | None) -> Acknowledgement:
        return await self.send(topic, key, value)

    def _sent(self, size_bytes: int, task: asyncio.Task[Acknowledgement]) -> None:
        self._sending.discard(task)
        self.room.give_back(1, size_bytes)
        if not task.cancelled():
            task.exception()  # marks it as seen

    def of(self, topic: str) -> list[LogRecord]:
        """All records of a topic, partition by partition."""
        return [record for partition in range(self._partitions) for record in self.records[topic, partition]]

    def _partition(self, key: bytes | None) -> int:
        if key is None:
            self._keyless += 1
            return self._keyless % self._partitions
        return partition_of(key, self._partitions)
