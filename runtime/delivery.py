"""What a producer promises, and how it fails. The producers themselves are in `producer` and `memory_producer`.

ProducerError
├── SendFailed           the record may or may not be in the log; retriable, duplicates are told apart by their ids
│   └── ProducerStopped  and this producer will not send it again
├── Overloaded           too much is in flight already: nothing of the request was sent; retriable
└── RecordTooLarge       the record is not in the log and never will be
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar, Final, Protocol

import msgspec

# The largest record is a dead letter: the original of 1 MiB at most, plus headers.
MAX_RECORD_BYTES: Final = 2 << 20
_RETRY_SECONDS: Final = 0.1

Headers = Sequence[tuple[str, bytes]]
KeyedRecord = tuple[bytes | None, bytes | None]
"""Key and value."""


class ProducerError(Exception):
    """Base of what sending raises."""

    retriable: ClassVar[bool]


class SendFailed(ProducerError):
    """The producer was replaced or stopped before the broker answered: the outcome is unknown."""

    retriable = True


class ProducerStopped(SendFailed):
    """The process is ending."""

    retriable = False


class Overloaded(ProducerError):
    """More waits for Kafka than may; nothing of the request was sent. Try again after `retry_after_ms`."""

    retriable = True

    def __init__(self, retry_after_ms: int) -> None:
        super().__init__(f"too many events wait for Kafka; try again in {retry_after_ms} ms")
        self.retry_after_ms = retry_after_ms


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


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where a record lies."""

    topic: str
    partition: int
    offset: int


class LogRecord(msgspec.Struct, frozen=True, gc=False):
    """A record as the log holds it. `timestamp` is the append time in ms."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Portion(msgspec.Struct, frozen=True):
    """Records of one request that are flushed together, in order.

    The record at `indices[i]` of the request lies `first + i` behind the record of which `flushed` tells the place.
    `flushed` may be shared with other requests, so it must not be cancelled; it raises SendFailed or RecordTooLarge,
    which then hold for all these records.
    """

    indices: list[int]
    first: int
    flushed: asyncio.Future[Acknowledgement]

    def last_place(self) -> Place:
        """Where the last of these records lies, once they are flushed."""
        start = self.flushed.result()
        return Place(start.topic, start.partition, start.offset + self.first + len(self.indices) - 1)


class Producer(Protocol):
    """The way to Kafka."""

    async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> Acknowledgement:
        """Returns once all in-sync replicas have the record; waits while Kafka is away, so put a deadline around it.

        Giving up waiting leaves the outcome unknown. Raises SendFailed (unknown too) and RecordTooLarge.
        """
        ...

    async def send_many(
        self, topic: str, records: Sequence[KeyedRecord], *, in_line: bool = False, give_up_at: float | None = None
    ) -> list[Portion]:
        """Returns once all records are on their way; each belongs to one portion, which tells when it is flushed.
        `records` may be changed then: they have been copied.

        Waits while there is no connection, until the event loop's time is `give_up_at`: then nothing is sent, and
        TimeoutError raised. If there is no room for all of them, waits `in_line` for it, however long, or raises
        Overloaded at once. Raises SendFailed.
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
            await asyncio.sleep(_RETRY_SECONDS)


async def send_all_until_acknowledged(producer: Producer, topic: str, records: Sequence[KeyedRecord]) -> None:
    """Like `send_until_acknowledged`, for many records at once, of which no two share a key."""
    left = list(records)
    while left:
        unsure: list[int] = []
        try:
            portions = await producer.send_many(topic, left, in_line=True)
        except SendFailed as error:
            if not error.retriable:
                raise
            unsure = [*range(len(left))]
        else:
            for portion in portions:
                try:
                    await asyncio.shield(portion.flushed)
                except SendFailed as error:
                    if not error.retriable:
                        raise
                    unsure += portion.indices
        left = [left[index] for index in sorted(unsure)]
        if left:
            await asyncio.sleep(_RETRY_SECONDS)
