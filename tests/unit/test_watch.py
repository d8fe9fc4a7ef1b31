"""Watching over a fake feed: what is given, what is left out, and that nothing is missed."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import pytest

from graphql_api.errors import BadUserInput
from graphql_api.reads import Reads, UserRow
from graphql_api.watch import encode_token, watch
from runtime.settings import ApiSettings
from schemas.receipts import Position, encode_receipt
from storage.errors import StoreUnavailable
from tests.unit.api_world import CATALOGUE, NOW_MS, World, make_world

Rows = AsyncGenerator[UserRow, None]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = make_world()
    yield made
    await made.hub.close()


def watching(world: World, after: str | None = "", user_id: str = "ann") -> aclosing[Rows]:
    reads = Reads(world.store, CATALOGUE, ApiSettings(), clock=lambda: NOW_MS)  # type: ignore[call-arg]
    return aclosing(watch(world.hub, reads, user_id, after))


async def offset(rows: Rows) -> int:
    """That of the next row; -1 for one that is empty."""
    async with asyncio.timeout(10):
        row = await anext(rows)
    return -1 if row.state is None or row.state.position is None else row.state.position.offset


async def opened(world: World) -> None:
    """Returns once the feed is followed, and those who watch look for what came before."""
    await asyncio.wait_for(world.feed.followed.wait(), 10)


async def test_each_change_is_given(world: World) -> None:
    async with watching(world) as rows:
        assert await offset(rows) == -1
        await opened(world)
        for views in (1, 2, 3):
            await world.change("ann", views)
            assert await offset(rows) == views


async def test_a_slow_subscriber_gets_the_latest_row_and_none_in_between(world: World) -> None:
    async with watching(world) as rows:
        assert await offset(rows) == -1
        await opened(world)
        for views in range(1, 6):
            await world.change("ann", views)
        assert await offset(rows) == 5
        following = asyncio.create_task(offset(rows))
        await world.change("ann", 6)
        assert await following == 6


async def test_the_row_of_another_user_wakes_nobody(world: World) -> None:
    async with watching(world) as rows:
        assert await offset(rows) == -1
        await opened(world)
        following = asyncio.create_task(offset(rows))
        await world.change("bob", 7)
        await world.change("ann", 1)
        assert await following == 1


async def test_without_a_token_the_current_row_comes_first(world: World) -> None:
    await world.change("ann", 1)
    async with watching(world, after=None) as rows:
        assert await offset(rows) == 1
        await opened(world)
        await world.change("ann", 2)
        assert await offset(rows) == 2


async def test_behind_a_token_what_changed_meanwhile_is_given_at_once(world: World) -> None:
    await world.change("ann", 1)
    async with watching(world) as rows:
        token = encode_token(await anext(rows))
    await world.change("ann", 2)
    async with watching(world, after=token) as rows:
        row = await anext(rows)
        assert row.state is not None
        assert row.state.position == Position(7, 0, 2)
    async with watching(world, after=encode_token(row)) as rows:
        following = asyncio.create_task(offset(rows))
        await opened(world)
        await world.change("ann", 3)
        assert await following == 3


async def test_a_token_of_an_earlier_topic_is_behind_every_row_of_the_new_one(world: World) -> None:
    await world.seed("ann", Position(6, 0, 900))
    async with watching(world) as rows:
        token = encode_token(await anext(rows))
    await world.seed("ann", Position(7, 0, 3))
    async with watching(world, after=token) as rows:
        assert await offset(rows) == 3


async def test_an_erased_user_is_given_once_as_empty(world: World) -> None:
    await world.change("ann", 1)
    async with watching(world) as rows:
        assert await offset(rows) == 1
        await opened(world)
        del world.store._states["ann"]
        world.feed.announce("ann", None)
        assert await offset(rows) == -1
        following = asyncio.create_task(offset(rows))
        world.feed.announce("ann", None)
        await world.change("ann", 2)
        assert await following == 2


async def test_what_changes_while_the_feed_is_interrupted_is_not_missed(world: World) -> None:
    async with watching(world) as rows:
        assert await offset(rows) == -1
        await opened(world)
        world.feed.away = True
        world.feed.interrupt()
        following = asyncio.create_task(offset(rows))
        await asyncio.wait_for(world.feed.idle.wait(), 10)
        await world.change("ann", 1)
        world.feed.away = False
        assert await following == 1
        assert world.feed.openings == 2


async def test_a_change_that_is_announced_before_its_row_can_be_read_is_waited_for(world: World) -> None:
    async with watching(world) as rows:
        assert await offset(rows) == -1
        await opened(world)
        following = asyncio.create_task(offset(rows))
        world.feed.announce("ann", Position(7, 0, 1))
        await asyncio.sleep(0.01)
        assert not following.done()
        await world.seed("ann", Position(7, 0, 1))
        assert await following == 1


class Impatient(Reads):
    """Looks once where others wait for the row; `missed` is set once it was not there."""

    missed: asyncio.Event

    async def user_at(self, user_id: str, position: Position, seconds: float) -> UserRow:
        """See Reads.user_at."""
        row = await super().user_at(user_id, position, 0.0)
        if not row.fresh:
            self.missed.set()
        return row


async def test_a_row_that_comes_after_the_wait_for_it_is_not_missed(world: World) -> None:
    reads = Impatient(world.store, CATALOGUE, ApiSettings(), clock=lambda: NOW_MS)  # type: ignore[call-arg]
    reads.missed = asyncio.Event()
    async with aclosing(watch(world.hub, reads, "ann", "")) as rows:
        assert await offset(rows) == -1
        await opened(world)
        following = asyncio.create_task(offset(rows))
        world.feed.announce("ann", Position(7, 0, 1))
        await asyncio.wait_for(reads.missed.wait(), 10)
        await world.seed("ann", Position(7, 0, 1))
        assert await following == 1


async def test_a_store_that_is_away_is_waited_for(world: World) -> None:
    async with watching(world) as rows:
        assert await offset(rows) == -1
        await opened(world)
        await world.change("ann", 1)
        world.store.available = False
        following = asyncio.create_task(offset(rows))
        await asyncio.sleep(0.01)
        assert not following.done()
        world.store.available = True
        assert await following == 1


async def test_a_store_that_is_away_at_the_start_is_an_error(world: World) -> None:
    world.store.available = False
    with pytest.raises(StoreUnavailable):
        await offset(await watching(world).__aenter__())


async def test_all_subscribers_share_one_feed_which_is_let_go_with_the_last(world: World) -> None:
    async with watching(world) as first, watching(world, user_id="bob") as second, watching(world) as third:
        for rows in (first, second, third):
            assert await offset(rows) == -1
        await opened(world)
        await world.change("ann", 1)
        assert [await offset(first), await offset(third)] == [1, 1]
    await asyncio.wait_for(world.feed.idle.wait(), 10)
    assert world.feed.openings == 1


async def test_a_closed_hub_ends_those_who_watch_and_those_who_come_later(world: World) -> None:
    async with watching(world) as rows:
        token = encode_token(await anext(rows))
        await opened(world)
        await world.hub.close()
        assert [row async for row in rows] == []
    assert world.feed.idle.is_set()
    async with watching(world, after=token) as rows:
        assert [row async for row in rows] == []


BEYOND_64_BITS = base64.urlsafe_b64encode(b"f1.1.0.%d" % 2**63).decode()


@pytest.mark.parametrize("token", ["x", "é", "Zg", encode_receipt(Position(7, 0, 1)), "9" * 10_000, BEYOND_64_BITS])
async def test_what_is_not_a_token_is_bad_user_input(world: World, token: str) -> None:
    with pytest.raises(BadUserInput, match="not a token of featuresChanged"):
        await offset(await watching(world, after=token).__aenter__())
