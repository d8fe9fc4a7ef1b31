"""Features, timeline and read-your-own-writes over ASGI."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from graphql_api.scalars import format_moment, moment
from schemas.receipts import Position, encode_receipt
from schemas.topics import DAY_MS
from tests.asgi import graphql
from tests.unit.api_world import CATALOGUE, NOW_MS, World, make_world

FRESH = 'query($after: String, $ms: Int) { user(id: "ann", after: $after, deadlineMs: $ms) { fresh } }'
PAGE = """query($first: Int, $after: String, $types: [String!]) { user(id: "ann") {
    timeline(first: $first, after: $after, types: $types) {
        edges { cursor node { eventId type userId occurredAt eventTime receivedAt itemId properties } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }"""


async def ask(world: World, query: str, **variables: Any) -> Any:
    body = (await graphql(world.app, query, variables)).json()
    assert "errors" not in body, body
    return body["data"]["user"]


async def fail(world: World, query: str, **variables: Any) -> Any:
    (error,) = (await graphql(world.app, query, variables)).json()["errors"]
    return error


async def test_an_unknown_user_has_every_feature_as_null_with_the_reason() -> None:
    query = '{ user(id: "nobody") { id fresh featureValues { name value reason } timeline { edges { cursor } } } }'
    user = await ask(make_world(), query)
    values = {feature["name"]: (feature["value"], feature["reason"]) for feature in user["featureValues"]}
    assert values == {feature.name: (None, "nothing is known of this user") for feature in CATALOGUE.features}
    assert (user["id"], user["fresh"], user["timeline"]["edges"]) == ("nobody", True, [])


async def test_typed_fields_and_the_list_agree() -> None:
    world = make_world()
    await world.seed("ann", Position(7, 0, 10))
    fields = "version window coveredFrom asOf approximate countsFrom reason"
    values = {feature.name: "value" for feature in CATALOGUE.features}
    values |= {feature.name: "value { key score }" for feature in CATALOGUE.features if feature.kind == "scored_list"}
    typed = " ".join(f"{name} {{ {value} {fields} }}" for name, value in values.items())
    query = f'{{ user(id: "ann") {{ features {{ {typed} }} featureValues {{ name value {fields} }} }} }}'
    user = await ask(world, query)
    assert {feature.pop("name"): feature for feature in user["featureValues"]} == user["features"]
    assert user["features"]["lastSeenAt"]["value"] == format_moment(moment(NOW_MS))
    assert user["features"]["viewCount1h"]["asOf"] == format_moment(moment(NOW_MS))


async def test_only_the_named_features_are_listed() -> None:
    user = await ask(make_world(), '{ user(id: "a") { featureValues(names: ["revenue30d"]) { name } } }')
    assert user["featureValues"] == [{"name": "revenue30d"}]


async def test_an_unknown_feature_name_is_answered_with_the_nearest() -> None:
    error = await fail(make_world(), '{ user(id: "a") { featureValues(names: ["viewCont1h"]) { name } } }')
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "viewCount1h" in error["message"]


async def test_a_receipt_that_is_reached_is_fresh_at_once() -> None:
    world = make_world()
    await world.seed("ann", Position(7, 0, 10))
    assert (await ask(world, FRESH, after=encode_receipt(Position(7, 0, 10)), ms=0))["fresh"] is True


async def test_a_read_with_a_receipt_waits_for_the_row() -> None:
    world = make_world()
    await world.seed("ann", Position(7, 0, 10))
    waiting = asyncio.create_task(ask(world, FRESH, after=encode_receipt(Position(7, 0, 11)), ms=5000))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await world.seed("ann", Position(7, 0, 11))
    assert (await waiting)["fresh"] is True


async def test_a_receipt_that_is_not_reached_in_time_is_not_fresh() -> None:
    assert (await ask(make_world(), FRESH, after=encode_receipt(Position(7, 0, 11)), ms=30))["fresh"] is False


async def test_the_settings_bound_the_wait() -> None:
    world = make_world(max_deadline_ms=20)
    async with asyncio.timeout(5):
        answer = await ask(world, FRESH, after=encode_receipt(Position(7, 0, 11)), ms=2_000_000_000)
    assert answer["fresh"] is False


@pytest.mark.parametrize("query", [
    '{ user(id: "") { id } }',
    '{ user(id: "a", after: "zz") { id } }',
    '{ user(id: "a", deadlineMs: -1) { id } }',
    '{ user(id: "a") { timeline(first: 0) { edges { cursor } } } }',
    '{ user(id: "a") { timeline(first: 501) { edges { cursor } } } }',
    '{ user(id: "a") { timeline(after: "zz") { edges { cursor } } } }',
    '{ user(id: "a") { timeline(after: "é") { edges { cursor } } } }',
    '{ user(id: "a") { timeline(types: ["nope"]) { edges { cursor } } } }',
])  # fmt: skip
async def test_arguments_out_of_bounds_are_bad_user_input(query: str) -> None:
    assert (await fail(make_world(), query))["extensions"]["code"] == "BAD_USER_INPUT"


async def test_pages_follow_each_other_newest_first_without_gap_or_repetition() -> None:
    world = make_world()
    times = tuple(NOW_MS - days * DAY_MS - part for days in (0, 1, 9, 20) for part in (0, 1000))
    await world.seed("ann", Position(7, 0, 10), times_ms=times)
    seen: list[str] = []
    after: str | None = None
    for page_number in range(3):
        page = (await ask(world, PAGE, first=3, after=after))["timeline"]
        seen += [edge["node"]["eventTime"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        assert page["pageInfo"]["hasNextPage"] is (page_number < 2)
        assert page["pageInfo"]["hasPreviousPage"] is (page_number > 0)
    assert seen == [format_moment(moment(time_ms)) for time_ms in times]


async def test_null_arguments_mean_the_defaults() -> None:
    world = make_world()
    await world.seed("ann", Position(7, 0, 10))
    page = (await ask(world, PAGE, first=None, after=None, types=None))["timeline"]
    (edge,) = page["edges"]
    assert edge["node"]["itemId"] == "sku-1"
    assert page["pageInfo"]["startCursor"] == page["pageInfo"]["endCursor"] == edge["cursor"]
    assert (await ask(world, FRESH, after=None, ms=None))["fresh"] is True


async def test_types_filter_the_timeline() -> None:
    world = make_world()
    await world.seed("ann", Position(7, 0, 10))
    assert (await ask(world, PAGE, types=["purchase"]))["timeline"]["edges"] == []
    assert len((await ask(world, PAGE, types=["purchase", "view_item"]))["timeline"]["edges"]) == 1


async def test_a_store_that_is_away_is_an_upstream_error_without_its_text() -> None:
    world = make_world()
    world.store.available = False
    error = await fail(world, '{ user(id: "a") { id } }')
    assert error["extensions"]["code"] == "UPSTREAM_UNAVAILABLE"
    assert "switched off" not in error["message"]
    assert error["path"] == ["user"]
