"""The features topic as a signal: whose features have changed, and up to where in the events topic.

FeedInterrupted   Kafka is away or the topic was made anew; changes in between may not have been told
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Container, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import ClassVar, Final, NamedTuple, Protocol

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from schemas.receipts import Position
from schemas.topics import FEATURES

# How long one request may hang on a broker that went silent; the producer has the same.
_REQUEST_TIMEOUT_MS: Final = 5_000
# What a broker collects before it answers: a watcher wants to know at once, a busy topic still comes in batches.
_FETCH_WAIT_MS: Final = 500
_STOP_SECONDS: Final = 5.0
_IDLE_MS: Final = 60_000  # how long one call waits for records; it only has to be long, without it the call spins


class FeedInterrupted(Exception):
    """The feed ended; whoever follows again must look for itself at what has changed meanwhile."""

    retriable: ClassVar[bool] = True


class Change(NamedTuple):
    """The features of `user_id` now hold the events up to `position`; None if the user was erased."""

    user_id: str
    position: Position | None


class ChangeFeed(Protocol):
    """Where changes come from."""

    def follow(self, wanted: Container[str]) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Change]]]:
        """From the moment of entry on, every change of a user who is in `wanted` as it comes in; repeats are possible.

        Raises FeedInterrupted, on entry and while iterating.
        """
        ...


class KafkaChangeFeed:
    """Reads all partitions of the features topic from their end, without a group: every process sees every change."""

    def __init__(self, bootstrap_servers: str, *, client_id: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._client_id = client_id

    @asynccontextmanager
    async def follow(self, wanted: Container[str]) -> AsyncIterator[AsyncIterator[Sequence[Change]]]:
        """See ChangeFeed.follow."""
        consumer = AIOKafkaConsumer(
            FEATURES.name,
            bootstrap_servers=self._bootstrap_servers,
            client_id=self._client_id,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
        )
        try:
            await consumer.start()
            if not await consumer.seek_to_end():
                raise FeedInterrupted("the ends of the features topic were not found in time")
            yield _changes(consumer, wanted)
        except (KafkaError, OSError) as error:
            raise FeedInterrupted(f"{type(error).__name__}: {error}"[:300]) from error
        finally:
            with suppress(KafkaError, OSError, TimeoutError):
                await asyncio.wait_for(consumer.stop(), _STOP_SECONDS)


async def _changes(consumer: AIOKafkaConsumer, wanted: Container[str]) -> AsyncIterator[Sequence[Change]]:
    reached: dict[int, int] = {}
    while True:
        changes: list[Change] = []
        for place, records in (await consumer.getmany(timeout_ms=_IDLE_MS)).items():
            # The client goes to the new end by itself if its place in the log is gone, and does not say so.
            if records[0].offset <= reached.get(place.partition, -1):
                raise FeedInterrupted("the features topic was cut or made anew")
            reached[place.partition] = records[-1].offset
            for record in records:
                user_id = (record.key or b"").decode(errors="replace")
                if user_id in wanted:
                    changes.append(Change(user_id, position_of(record.value)))
        if changes:
            yield changes


class _Record(msgspec.Struct):
    epoch: int
    partition: int
    offset: int


_decode: Final = msgspec.json.Decoder(_Record).decode


def position_of(value: bytes | None) -> Position | None:
    """Up to where the features of a record hold the events. None for an erased user, or if it does not say."""
    try:
        record = _decode(value or b"")
        return Position(record.epoch, record.partition, record.offset)
    except (msgspec.DecodeError, OverflowError):
        return None
