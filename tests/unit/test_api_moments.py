"""Features of another moment, of many users, and of users nobody knows."""

from __future__ import annotations

from typing import Any

import pytest

from features.fold import Folder
from features.packing import pack
from features.state import new_state
from graphql_api.scalars import format_moment, moment
from schemas.events import Event
from schemas.receipts import Position
from storage.rows import StateRow
from tests.asgi import graphql
from tests.unit.api_world import CATALOGUE, NOW_MS, World, make_world

HOUR_MS = 3_600_000


async def seed(world: World, user_id: str, *hours_ago: float) -> None:
    """Fold one view at each of these moments."""
    state, folder = new_state(CATALOGUE), Folder(CATALOGUE)
    for offset, hours in enumerate(hours_ago):
        time_ms = NOW_MS - round(hours * HOUR_MS)
        event_id = f"00000000-0000-4000-8000-{offset:012}"
        viewed = Event(event_id, "view_item", user_id, time_ms, time_ms, item_id=f"sku-{offset}")
        folder.fold(state, viewed, Position(1, 3, offset), NOW_MS)
    assert state.position is not None
    await world.store.write([StateRow(user_id, pack(state, CATALOGUE), state.version, state.position)], [])


async def ask(world: World, query: str, **variables: Any) -> Any:
    answer = (await graphql(world.app, query, variables)).json()
    assert "errors" not in answer, answer
    return answer["data"]


@pytest.mark.parametrize(("hours_ago", "expected"), [(0, 3), (2, 2), (50, 1)])
async def test_a_window_ends_at_the_moment_that_was_asked_for(hours_ago: int, expected: int) -> None:
    world = make_world()
    await seed(world, "ann", 60, 3.5, 2.5, 0.5)
    at = format_moment(moment(NOW_MS - hours_ago * HOUR_MS))
    query = """query($at: DateTime) { user(id: "ann") {
        features(at: $at) { viewCount1h { value } viewCount24h { value asOf } }
        featureValues(names: ["viewCount24h"], at: $at) { value asOf } } }"""
    user = (await ask(world, query, at=at))["user"]
    day = user["features"]["viewCount24h"]
    assert day["asOf"] == at
    assert user["featureValues"] == [day]
    assert day["value"] == expected


async def test_what_the_state_cannot_tell_any_more_is_null_with_a_reason() -> None:
    world = make_world()
    await seed(world, "ann", 0.5)
    at = format_moment(moment(NOW_MS - 40 * 24 * HOUR_MS))
    query = 'query($at: DateTime) { user(id: "ann") { features(at: $at) { viewCount1h { value reason } } } }'
    feature = (await ask(world, query, at=at))["user"]["features"]["viewCount1h"]
    assert feature["value"] is None
    assert feature["reason"]


async def test_users_come_in_the_order_of_their_ids_and_unknown_ones_have_no_values_and_a_reason() -> None:
    world = make_world()
    await seed(world, "ann", 0.5)
    await seed(world, "ben", 0.5, 0.4)
    query = "query($ids: [ID!]!) { users(ids: $ids) { id features { viewCount1h { value reason } } } }"
    users = (await ask(world, query, ids=["ben", "nobody", "ann", "ben"]))["users"]
    assert [user["id"] for user in users] == ["ben", "nobody", "ann", "ben"]
    assert [user["features"]["viewCount1h"]["value"] for user in users] == [2, None, 1, 2]
    assert users[1]["features"]["viewCount1h"]["reason"] == "nothing is known of this user"


async def test_more_than_100_users_are_refused_with_the_limit() -> None:
    world = make_world()
    query = "query($ids: [ID!]!) { users(ids: $ids) { id } }"
    assert len((await ask(world, query, ids=[f"u{n}" for n in range(100)]))["users"]) == 100
    answer = (await graphql(world.app, query, {"ids": [f"u{n}" for n in range(101)]})).json()
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert "100" in answer["errors"][0]["message"]


async def test_explaining_an_unknown_feature_names_the_nearest() -> None:
    answer = (
        await graphql(make_world().app, '{ user(id: "ann") { explain(name: "viewCount2h") { formula } } }')
    ).json()
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert "viewCount1h" in answer["errors"][0]["message"]


async def test_explaining_a_user_nobody_knows_says_so() -> None:
    query = """{ user(id: "nobody") { explain(name: "viewCount1h") {
        feature { value reason } position { offset } differs } } }"""
    explained = (await ask(make_world(), query))["user"]["explain"]
    assert explained == {
        "feature": {"value": None, "reason": "nothing is known of this user"},
        "position": None,
        "differs": False,
    }


@pytest.mark.parametrize("query", [
    '{ users(ids: ["ann"]) { explain(name: "viewCount1h") { formula } } }',
    '{ user(id: "ann") { explain(name: "viewCount1h") { formula } b: explain(name: "viewCount1h") { formula } } }',
    '{ user(id: "ann") { ...E } b: user(id: "ben") { ... { ...E } } } '
    'fragment E on User { explain(name: "viewCount1h") { formula } }',
])  # fmt: skip
async def test_one_feature_of_one_user_is_explained_in_a_request(query: str) -> None:
    (error,) = (await graphql(make_world().app, query)).json()["errors"]
    assert error["message"] == "explain one feature of one `user` in a request: it folds the whole timeline again"
    assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z"])
@pytest.mark.parametrize("field", [
    "features(at: $at) { secondsSinceLastPurchase { value coveredFrom } }",
    "featureValues(at: $at) { value coveredFrom }",
    'explain(name: "viewCount30d", at: $at) { formula }',
])  # fmt: skip
async def test_a_moment_of_which_nothing_can_be_told_is_bad_user_input(at: str, field: str) -> None:
    world = make_world()
    await seed(world, "ann", 0.5)
    query = f'query($at: DateTime) {{ user(id: "ann") {{ {field} }} }}'
    for _ in range(3):  # the text is compiled meanwhile
        (error,) = (await graphql(world.app, query, {"at": at})).json()["errors"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert error["message"] == "`at` must lie between 1970-01-01T00:00:00Z and a year from now"


@pytest.mark.parametrize(
    "at", ["1970-01-01T00:00:00Z", format_moment(moment(NOW_MS + 366 * 24 * HOUR_MS))], ids=["first", "last"]
)
async def test_the_first_and_the_last_moment_that_can_be_asked_for_are_answered(at: str) -> None:
    world = make_world()
    await seed(world, "ann", 0.5)
    query = 'query($at: DateTime) { user(id: "ann") { featureValues(at: $at) { name coveredFrom } } }'
    assert (await ask(world, query, at=at))["user"]["featureValues"]
