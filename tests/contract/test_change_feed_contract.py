"""What every change feed promises, the fake and the real one alike."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import orjson
import pytest

from runtime.change_feed import Change, ChangeFeed, FeedInterrupted, KafkaChangeFeed
from runtime.memory_change_feed import MemoryChangeFeed
from runtime.producer import EventProducer
from schemas.receipts import Position
from schemas.topics import FEATURES


class Bench(Protocol):
    """A feed, and the worker's side of it."""

    @property
    def feed(self) -> ChangeFeed: ...

    async def announce(self, user_id: str, position: Position | None) -> None: ...

    async def stop(self) -> None: ...


class MemoryBench:
    def __init__(self) -> None:
        self.feed = MemoryChangeFeed()

    async def announce(self, user_id: str, position: Position | None) -> None:
        self.feed.announce(user_id, position)

    async def stop(self) -> None:
        pass


class KafkaBench:
    def __init__(self, bootstrap_servers: str) -> None:
        self.feed = KafkaChangeFeed(bootstrap_servers, client_id="contract-feed")
        self._producer = EventProducer(bootstrap_servers, client_id="contract")

    async def start(self) -> None:
        await self._producer.start()

    async def announce(self, user_id: str, position: Position | None) -> None:
        value = None if position is None else orjson.dumps({"userId": user_id, **dataclasses.asdict(position)})
        await self._producer.send(FEATURES.name, user_id.encode(), value)

    async def stop(self) -> None:
        await self._producer.stop()


@pytest.fixture(params=["memory", "kafka"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    made: MemoryBench | KafkaBench
    if request.param == "memory":
        made = MemoryBench()
    else:
        made = KafkaBench(request.getfixturevalue("kafka_bootstrap"))
        await made.start()
    yield made
    await made.stop()


@pytest.fixture
def ann() -> str:
    """A user of this test only."""
    return f"ann-{uuid.uuid4()}"


async def take(batches: AsyncIterator[Sequence[Change]], count: int) -> list[Change]:
    """The next changes, `count` of them."""
    taken: list[Change] = []
    async with asyncio.timeout(30):
        while len(taken) < count:
            taken += await anext(batches)
    return taken


async def test_changes_of_a_user_come_in_their_order(bench: Bench, ann: str) -> None:
    async with bench.feed.follow({ann}) as batches:
        changes = [Change(ann, Position(1, 3, offset)) for offset in range(5)]
        for change in changes:
            await bench.announce(*change)
        assert await take(batches, 5) == changes


async def test_only_wanted_users_are_told_also_those_that_are_wanted_later(bench: Bench, ann: str) -> None:
    wanted: set[str] = set()
    async with bench.feed.follow(wanted) as batches:
        wanted.add(ann)
        await bench.announce(f"not-{ann}", Position(1, 0, 7))
        await bench.announce(ann, Position(1, 0, 8))
        assert await take(batches, 1) == [Change(ann, Position(1, 0, 8))]


async def test_it_begins_at_the_moment_of_entry(bench: Bench, ann: str) -> None:
    await bench.announce(ann, Position(1, 0, 1))
    async with bench.feed.follow({ann}) as batches:
        await bench.announce(ann, Position(1, 0, 2))
        assert await take(batches, 1) == [Change(ann, Position(1, 0, 2))]


async def test_an_erased_user_has_no_position(bench: Bench, ann: str) -> None:
    async with bench.feed.follow({ann}) as batches:
        await bench.announce(ann, None)
        assert await take(batches, 1) == [Change(ann, None)]


async def test_every_follower_sees_every_change(bench: Bench, ann: str) -> None:
    async with bench.feed.follow({ann}) as first, bench.feed.follow({ann}) as second:
        await bench.announce(ann, Position(1, 0, 1))
        assert await take(first, 1) == await take(second, 1)


async def test_a_broker_that_is_away_interrupts_on_entry() -> None:
    memory = MemoryChangeFeed()
    memory.away = True
    for feed in (memory, KafkaChangeFeed("127.0.0.1:1", client_id="contract")):  # nobody listens on port 1
        with pytest.raises(FeedInterrupted):
            async with feed.follow({"ann"}):
                pass
