"""The supervised Kafka producer: idempotent, acknowledged by all in-sync replicas, bounded, replaced when it wedges."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from runtime import metrics
from runtime.delivery import (
    MAX_RECORD_BYTES,
    Acknowledgement,
    Headers,
    KeyedRecord,
    Overloaded,
    Place,
    Portion,
    Producer,
    ProducerError,
    ProducerStopped,
    RecordTooLarge,
    SendFailed,
    send_until_acknowledged,
)
from runtime.group_commit import GroupCommit, describe
from runtime.record_sizes import header_bytes, record_bytes, total_and_largest
from runtime.room import Room

__all__ = [
    "MAX_RECORD_BYTES",
    "Acknowledgement",
    "EventProducer",
    "Headers",
    "KeyedRecord",
    "Overloaded",
    "Place",
    "Portion",
    "Producer",
    "ProducerError",
    "ProducerStopped",
    "RecordTooLarge",
    "SendFailed",
    "send_until_acknowledged",
]

log = structlog.get_logger()

# aiokafka has no bound on memory of its own.
IN_FLIGHT_RECORDS: Final = 20_000
IN_FLIGHT_BYTES: Final = 32 << 20
# How long one request may hang on a broker that went silent, before the next try.
_REQUEST_TIMEOUT_MS: Final = 5_000
_RECONNECT_SECONDS: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
# Unanswered for this long: not healthy. A killed broker is fenced and its partitions move within this time.
_UNHEALTHY_SECONDS: Final = 5.0
# Unanswered for this long: replaced. In an outage this only means that what was under way is dropped and not sent late;
# it heals the ways to wedge that raise no error (aiokafka #1017 has relatives).
_WEDGED_SECONDS: Final = 30.0
_WATCH_SECONDS: Final = 1.0
_STOP_SECONDS: Final = 5.0
# A healthy Kafka empties a full room within some hundred milliseconds; one that is away takes seconds at least.
_RETRY_AFTER_MS: Final = 200
_RETRY_AFTER_OUTAGE_MS: Final = 2_000


class EventProducer:
    """Group commit over aiokafka. One aiokafka producer at a time; a broken one is replaced in the background."""

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        client_id: str,
        linger_ms: int = 1,
        in_flight_records: int = IN_FLIGHT_RECORDS,
        in_flight_bytes: int = IN_FLIGHT_BYTES,
    ) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._client_id = client_id
        self._room = Room(in_flight_records, in_flight_bytes)
        self._commit = GroupCommit(self._room, linger_seconds=linger_ms / 1000, on_error=self._give_up)
        self._producer: AIOKafkaProducer | None = None
        self._connected = asyncio.Event()
        self._broken = asyncio.Event()
        self._supervisor: asyncio.Task[None] | None = None
        self._stopped = False
        self._last_error: str | None = None

    @property
    def healthy(self) -> bool:
        """Connected, and the broker answers what is sent."""
        return self._producer is not None and self._commit.seconds_unanswered() < _UNHEALTHY_SECONDS

    @property
    def last_error(self) -> str | None:
        """Why the last connection or producer was given up; None if none ever was."""
        return self._last_error

    async def ping(self) -> None:
        """Returns if a broker answers. Raises KafkaError or SendFailed, and waits where nothing answers at all."""
        producer = self._producer
        if producer is None:
            raise SendFailed(self._last_error or "not connected yet")
        await producer.client.fetch_all_metadata()

    async def start(self) -> None:
        """Returns at once; connects in the background and never stops trying."""
        metrics.IN_FLIGHT_RECORDS.set_function(lambda: self._room.records)
        self._supervisor = asyncio.create_task(self._supervise())

    async def connected(self) -> None:
        """Returns when there is a connection, however long that takes."""
        await self._connected.wait()

    async def stop(self) -> None:
        """Wait a few seconds for the answers to what is in flight, then fail the rest with SendFailed."""
        self._stopped = True
        while self._supervisor is not None and not self._supervisor.done():
            self._supervisor.cancel()  # more than once: aiokafka may swallow a cancellation while it closes
            await asyncio.wait([self._supervisor], timeout=_WATCH_SECONDS)
        if self._producer is not None:
            await self._commit.drain(_STOP_SECONDS)
        self._commit.fail_all(ProducerStopped("unknown outcome: the producer was stopped"))
        producer, self._producer = self._producer, None
        self._connected.set()  # wakes senders that wait for a connection; they see that we stopped
        if producer is not None:
            await _close(producer)

    async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> Place:
        """See Producer.send."""
        size = record_bytes(key, value) + header_bytes(headers)
        if size > MAX_RECORD_BYTES:
            raise RecordTooLarge(f"{size} bytes; the most is {MAX_RECORD_BYTES}")
        await self._room.take(1, size)
        partitions = await self._partitions(topic, 1, size)
        flush, index = self._commit.add(topic, partitions, (key, value), headers)
        # Shielded: others share this answer.
        first = await asyncio.shield(flush.flushed)
        return Place(topic, first.partition, first.offset + index)

    async def send_many(
        self, topic: str, records: Sequence[KeyedRecord], *, in_line: bool = False, give_up_at: float | None = None
    ) -> list[Portion]:
        """See Producer.send_many."""
        total, largest = total_and_largest(records)
        if largest > MAX_RECORD_BYTES:
            return await self._send_what_fits(topic, records, in_line=in_line, give_up_at=give_up_at)
        if in_line:
            await self._room.take(len(records), total)
        elif not self._room.try_take(len(records), total):
            raise Overloaded(_RETRY_AFTER_MS if self.healthy else _RETRY_AFTER_OUTAGE_MS)
        partitions = await self._partitions(topic, len(records), total, give_up_at)
        return self._commit.add_many(topic, partitions, records)

    async def _send_what_fits(
        self,
        topic: str,
        records: Sequence[KeyedRecord],
        *,
        in_line: bool,
        give_up_at: float | None,
    ) -> list[Portion]:
        fit = [index for index, record in enumerate(records) if record_bytes(*record) <= MAX_RECORD_BYTES]
        kept = [records[index] for index in fit]
        portions = await self.send_many(topic, kept, in_line=in_line, give_up_at=give_up_at)
        for portion in portions:
            portion.indices[:] = [fit[index] for index in portion.indices]
        refused: asyncio.Future[Acknowledgement] = asyncio.get_running_loop().create_future()
        refused.set_exception(RecordTooLarge(f"the most is {MAX_RECORD_BYTES} bytes"))
        refused.exception()  # marks it as seen
        return [*portions, Portion(sorted({*range(len(records))} - {*fit}), 0, refused)]

    async def _partitions(self, topic: str, records: int, size_bytes: int, give_up_at: float | None = None) -> int:
        """How many partitions the topic has; gives back the room of the records if there is no telling in time."""
        try:
            known = self._known_partitions(topic)
            if not known:
                async with asyncio.timeout_at(give_up_at):
                    known = await self._learned_partitions(topic)
            return known
        except BaseException:
            self._room.give_back(records, size_bytes)
            raise

    def _known_partitions(self, topic: str) -> int:
        """0 while nothing is known, or while there is no connection."""
        if self._stopped:
            raise ProducerStopped("the producer is stopped")
        if self._producer is None:
            return 0
        return len(self._producer.client.cluster.partitions_for_topic(topic) or ())

    async def _learned_partitions(self, topic: str) -> int:
        while not (known := self._known_partitions(topic)):
            if self._producer is None:
                await self._connected.wait()
            else:
                await self._learn(topic, self._producer)
        return known

    async def _learn(self, topic: str, producer: AIOKafkaProducer) -> None:
        try:
            await producer.partitions_for(topic)
        except KafkaError as error:
            self._last_error = describe(error)
            await asyncio.sleep(_RECONNECT_SECONDS[0])

    def _give_up(self, error: Exception) -> None:
        self._last_error = describe(error)
        self._broken.set()

    async def _supervise(self) -> None:
        closing: set[asyncio.Task[None]] = set()
        while True:
            self._producer = await self._connect()
            self._broken.clear()
            self._connected.set()
            self._commit.resume(self._producer)
            await self._until_broken()
            log.warning("replacing the Kafka producer", reason=self._last_error)
            self._connected.clear()
            producer, self._producer = self._producer, None
            self._commit.abandon(SendFailed("unknown outcome: the producer had to be replaced"))
            # In the background: closing waits for a broker that may be away.
            task = asyncio.create_task(_close(producer))
            closing.add(task)
            task.add_done_callback(closing.discard)

    async def _connect(self) -> AIOKafkaProducer:
        attempts = 0
        while True:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap_servers,
                client_id=self._client_id,
                acks="all",
                enable_idempotence=True,
                request_timeout_ms=_REQUEST_TIMEOUT_MS,
            )
            try:
                await producer.start()
                return producer
            except (KafkaError, OSError) as error:
                await _close(producer)
                self._last_error = describe(error)
                delay = _RECONNECT_SECONDS[min(attempts, len(_RECONNECT_SECONDS) - 1)]
                attempts += 1
                log.warning("waiting for Kafka", attempts=attempts, reason=self._last_error)
                await asyncio.sleep(delay)
            except asyncio.CancelledError:
                await _close(producer)
                raise

    async def _until_broken(self) -> None:
        while not self._broken.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._broken.wait(), _WATCH_SECONDS)
            if self._commit.seconds_unanswered() > _WEDGED_SECONDS:
                self._last_error = f"no answer from Kafka for {_WEDGED_SECONDS:.0f} s"
                return


async def _close(producer: AIOKafkaProducer) -> None:
    """Stop a producer, by force if its broker does not answer: an idempotent batch never expires by itself."""
    try:
        await asyncio.wait_for(producer.stop(), _STOP_SECONDS)
    except (TimeoutError, KafkaError, OSError):
        with suppress(KafkaError, OSError, asyncio.CancelledError):
            await producer._sender.close()
        await producer.client.close()
