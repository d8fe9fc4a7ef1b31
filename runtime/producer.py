"""The supervised Kafka producer: idempotent, acknowledged by all in-sync replicas, bounded, replaced when it wedges.

ProducerError
├── SendFailed           the record may or may not be in the log; retriable, duplicates are told apart by their ids
│   └── ProducerStopped  and this producer will not send it again
└── RecordTooLarge       the record is not in the log and never will be
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar, Final, Protocol, cast

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError, ProducerClosed
from aiokafka.structs import RecordMetadata

log = structlog.get_logger()

# The largest record is a dead letter: the original of 1 MiB at most, plus headers.
MAX_RECORD_BYTES: Final = 2 << 20
# aiokafka has no bound on memory of its own.
_SENDS_IN_FLIGHT: Final = 20_000
_BATCH_BYTES: Final = 256 << 10
# How long one request may hang on a broker that went silent, before the next try.
_REQUEST_TIMEOUT_MS: Final = 5_000
_RECONNECT_SECONDS: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
# Unanswered for this long: not healthy. A killed broker is fenced and its partitions move within this time.
_UNHEALTHY_SECONDS: Final = 5.0
# Unanswered for this long: replaced. In an outage this changes nothing except that records whose senders gave up long
# ago are dropped instead of sent late; it heals the ways to wedge that raise no error (aiokafka #1017 has relatives).
_WEDGED_SECONDS: Final = 30.0
_WATCH_SECONDS: Final = 1.0
_STOP_SECONDS: Final = 5.0

Headers = Sequence[tuple[str, bytes]]


class ProducerError(Exception):
    """Base of what `send` raises."""

    retriable: ClassVar[bool]


class SendFailed(ProducerError):
    """The producer was replaced or stopped before the broker answered: the outcome is unknown."""

    retriable = True


class ProducerStopped(SendFailed):
    """The process is ending."""

    retriable = False


class RecordTooLarge(ProducerError, ValueError):
    """The record exceeds what the producer or the topic takes; nothing was written."""

    retriable = False


class Acknowledgement(Protocol):
    """Where the broker put a record."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...


class Producer(Protocol):
    """The way to Kafka."""

    async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> Acknowledgement:
        """Returns once all in-sync replicas have the record; waits while Kafka is away, so put a deadline around it.

        Giving up waiting leaves the outcome unknown. Raises SendFailed (unknown too) and RecordTooLarge.
        """
        ...


async def send_until_acknowledged(
    producer: Producer, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()
) -> None:
    """Send a record again for as long as its outcome is unknown; it may be in the log twice.

    Raises ProducerStopped and RecordTooLarge.
    """
    while True:
        try:
            await producer.send(topic, key, value, headers)
            return
        except SendFailed as error:
            if not error.retriable:
                raise
            await asyncio.sleep(_RECONNECT_SECONDS[0])


class EventProducer:
    """Producer over aiokafka. One producer at a time; a broken one is replaced in the background."""

    def __init__(self, bootstrap_servers: str, *, client_id: str, linger_ms: int = 2) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._client_id = client_id
        self._linger_ms = linger_ms
        self._producer: AIOKafkaProducer | None = None
        self._connected = asyncio.Event()
        self._broken = asyncio.Event()
        self._room = asyncio.Semaphore(_SENDS_IN_FLIGHT)
        self._unanswered: set[asyncio.Future[RecordMetadata]] = set()
        self._waiting_since: float | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._stopped = False
        self._last_error: str | None = None

    @property
    def healthy(self) -> bool:
        """Connected, and the broker answers what is sent."""
        return self._producer is not None and self._seconds_unanswered() < _UNHEALTHY_SECONDS

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
        self._supervisor = asyncio.create_task(self._supervise())

    async def connected(self) -> None:
        """Returns when there is a connection, however long that takes."""
        await self._connected.wait()

    async def stop(self) -> None:
        """Wait a few seconds for the answers to what is in flight, then fail the rest with SendFailed."""
        self._stopped = True
        if self._supervisor is not None:
            self._supervisor.cancel()
            with suppress(asyncio.CancelledError):
                await self._supervisor
        producer, self._producer = self._producer, None
        self._connected.set()  # wakes senders that wait for a connection; they see that we stopped
        if producer is not None:
            await _close(producer)
        self._fail_unanswered(ProducerStopped("unknown outcome: the producer was stopped"))

    async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> RecordMetadata:
        """See Producer.send."""
        async with self._room:
            answer = await self._enqueue(topic, key, value, headers)
            self._unanswered.add(answer)
            if self._waiting_since is None:
                self._waiting_since = time.monotonic()
            answer.add_done_callback(self._on_answer)
            try:
                # Shielded: a caller that gives up must not hide from us whether the broker answers.
                return await asyncio.shield(answer)
            except MessageSizeTooLargeError as error:
                raise RecordTooLarge(str(error) or "larger than the topic allows") from error
            except KafkaError as error:
                raise SendFailed(f"unknown outcome: {_describe(error)}") from error

    async def _enqueue(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Headers
    ) -> asyncio.Future[RecordMetadata]:
        """Put the record into aiokafka's batch of its partition; until that succeeds nothing can have been sent."""
        while True:
            await self._connected.wait()
            if self._stopped:
                raise ProducerStopped("the producer is stopped")
            producer = self._producer
            if producer is None:
                continue
            try:
                answer = await producer.send(topic, value=value, key=key, headers=list(headers))
            except MessageSizeTooLargeError as error:
                raise RecordTooLarge(str(error)) from error
            except (KafkaTimeoutError, ProducerClosed) as error:
                # The batch is full because the broker is away, or the producer has just been replaced.
                self._last_error = _describe(error)
                await asyncio.sleep(0)
            except KafkaError as error:
                if not error.retriable:
                    self._give_up(error)
                self._last_error = _describe(error)
                await asyncio.sleep(_RECONNECT_SECONDS[0])
            else:
                return cast("asyncio.Future[RecordMetadata]", answer)

    def _on_answer(self, answer: asyncio.Future[RecordMetadata]) -> None:
        self._unanswered.discard(answer)
        if answer.cancelled():
            return
        error = answer.exception()
        if isinstance(error, KafkaError):
            # aiokafka retries what can be retried; what arrives here leaves its sequence numbers in doubt, even a
            # record that the topic refuses as too large: the next batch would be out of order.
            self._give_up(error)
        if not isinstance(error, SendFailed):
            self._waiting_since = time.monotonic() if self._unanswered else None

    def _seconds_unanswered(self) -> float:
        return 0.0 if self._waiting_since is None else time.monotonic() - self._waiting_since

    def _give_up(self, error: Exception) -> None:
        self._last_error = _describe(error)
        self._broken.set()

    async def _supervise(self) -> None:
        closing: set[asyncio.Task[None]] = set()
        while True:
            self._producer = await self._connect()
            self._broken.clear()
            self._connected.set()
            await self._until_broken()
            log.warning("replacing the Kafka producer", reason=self._last_error)
            self._connected.clear()
            producer, self._producer = self._producer, None
            self._fail_unanswered(SendFailed("unknown outcome: the producer had to be replaced"))
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
                compression_type="lz4",
                linger_ms=self._linger_ms,
                max_batch_size=_BATCH_BYTES,
                max_request_size=MAX_RECORD_BYTES,
                request_timeout_ms=_REQUEST_TIMEOUT_MS,
            )
            try:
                await producer.start()
                return producer
            except (KafkaError, OSError) as error:
                await _close(producer)
                self._last_error = _describe(error)
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
            if self._seconds_unanswered() > _WEDGED_SECONDS:
                self._last_error = f"no answer from Kafka for {_WEDGED_SECONDS:.0f} s"
                return

    def _fail_unanswered(self, error: SendFailed) -> None:
        for answer in self._unanswered:
            if not answer.done():  # aiokafka leaves alone what is done already
                answer.set_exception(error)
        self._unanswered.clear()
        self._waiting_since = None


async def _close(producer: AIOKafkaProducer) -> None:
    """Stop a producer, by force if its broker does not answer: an idempotent batch never expires by itself."""
    try:
        await asyncio.wait_for(producer.stop(), _STOP_SECONDS)
    except (TimeoutError, KafkaError, OSError):
        with suppress(KafkaError, OSError, asyncio.CancelledError):
            await producer._sender.close()
        await producer.client.close()


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
