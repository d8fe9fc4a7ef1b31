"""What a client hears when more events wait for Kafka than may."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from runtime.room import Room
from schemas import topics
from tests.asgi import graphql
from tests.unit.api_world import TRACK, TRACK_JSON, event, make_world


@pytest.mark.parametrize(("query", "wrapped"), [(TRACK, True), (TRACK_JSON, False)])
@pytest.mark.parametrize("limits", [(5, 1 << 20), (1000, 1000)], ids=["events", "bytes"])
async def test_a_request_without_room_is_refused_whole_and_welcome_again_later(
    query: str, wrapped: bool, limits: tuple[int, int]
) -> None:
    world = make_world(track_deadline_ms=20)
    world.producer.room = Room(*limits)
    world.producer.stalled = True

    async def track(*users: str) -> Any:
        events = [event(user) for user in users]
        answer = await graphql(world.app, query, {"input": {"events": events}} if wrapped else {"events": events})
        return answer.json()

    assert "errors" not in await track("ann", "ann", "ann")  # their outcome stays open
    body = await track("bob", "bob", "bob")
    assert body["data"] is None
    [error] = body["errors"]
    assert error["extensions"]["code"] == "OVERLOADED"
    assert error["extensions"]["retryAfterMs"] > 0
    world.producer.stalled = False
    while world.producer.room.records:  # noqa: ASYNC110  # what is under way tells nobody that it has arrived
        await asyncio.sleep(0)
    assert "errors" not in await track("cid", "cid", "cid")
    keys = [record.key or b"" for record in world.producer.of(topics.EVENTS.name)]
    assert sorted(keys) == [b"ann"] * 3 + [b"cid"] * 3, "nothing of a refused request was sent"
