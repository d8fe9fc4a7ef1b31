"""Reading your own writes, exactly: by receipt, not by waiting for a while."""

from __future__ import annotations

import uuid

from loadgen.client import Client
from tests.integration.world import World, view

READ = """query($id: ID!, $after: String, $deadlineMs: Int) { user(id: $id, after: $after, deadlineMs: $deadlineMs) {
    fresh features { viewCount1h { value } recentItems { value } }
    timeline(first: 2) { edges { cursor node { eventId itemId } } pageInfo { hasNextPage } } } }"""


async def test_a_read_with_a_receipt_holds_the_events_it_stands_for(world: World) -> None:
    await world.start(world.api, world.worker)
    async with Client(world.api.url) as client:
        for round_ in range(1, 21):
            user_id = f"own-writes-{uuid.uuid4()}"
            events = [{**view(user_id), "itemId": f"sku-{n}"} for n in range(round_)]
            tracked = await client.track("trackEvents", events)
            user = (await world.graphql(READ, id=user_id, after=tracked.receipt, deadlineMs=10_000))["data"]["user"]
            assert user["fresh"]
            assert user["features"]["viewCount1h"]["value"] == round_


async def test_a_receipt_that_is_not_reached_in_time_gives_what_was_there_before_and_says_so(world: World) -> None:
    await world.start(world.api)
    user_id = f"unread-{uuid.uuid4()}"
    async with Client(world.api.url) as client:
        tracked = await client.track("trackEvents", [view(user_id)])
        assert tracked.receipt is not None
        stale = (await world.graphql(READ, id=user_id, after=tracked.receipt, deadlineMs=50))["data"]["user"]
        assert (stale["fresh"], stale["features"]["viewCount1h"]["value"]) == (False, None)
        await world.start(world.worker)
        assert await client.wait_until_fresh(user_id, tracked.receipt)


async def test_the_timeline_is_newest_first_and_goes_on_behind_a_cursor(world: World) -> None:
    await world.start(world.api, world.worker)
    user_id = f"timeline-{uuid.uuid4()}"
    day_ms = 86_400_000
    base = view(user_id)["eventTime"]
    events = [{**view(user_id), "eventTime": base - n * day_ms // 2} for n in (3, 0, 2, 1, 4)]
    async with Client(world.api.url) as client:
        tracked = await client.track("trackEventsJson", events)
        served = await client.user(user_id, tracked.receipt)
    newest_first = sorted(events, key=lambda event: -event["eventTime"])
    assert served.timeline == [event["eventId"] for event in newest_first]
    user = (await world.graphql(READ, id=user_id))["data"]["user"]
    assert [edge["node"]["eventId"] for edge in user["timeline"]["edges"]] == served.timeline[:2]
    assert user["timeline"]["pageInfo"]["hasNextPage"]
