"""featuresChanged over graphql-transport-ws and graphql-sse, and what these protocols refuse."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from graphql_api import view
from graphql_api.scalars import format_moment, moment
from schemas.receipts import Position
from tests.asgi import events, graphql, socket
from tests.unit.api_world import NOW_MS, World, make_world

WATCH = """subscription($id: ID!, $names: [String!], $after: String = "") {
    featuresChanged(userId: $id, names: $names, after: $after) {
        userId version token asOf featureValues { name value } } }"""
VIEWS = ["viewCount1h"]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = make_world()
    yield made
    await made.hub.close()


def views(change: Any) -> Any:
    return {entry["name"]: entry["value"] for entry in change["featureValues"]}["viewCount1h"]


async def idle() -> None:
    """Let the application do what it can do now."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_a_socket_gets_every_change_of_the_users_it_asked_for(world: World) -> None:
    async with socket(world.app) as client:
        assert client.accepted["subprotocol"] == "graphql-transport-ws"
        acknowledged = await client.init()
        assert acknowledged["type"] == "connection_ack"
        assert acknowledged["payload"]["traceId"]
        for user_id in ("ann", "bob"):
            await client.subscribe(user_id, WATCH, id=user_id, names=VIEWS)
            assert views(await client.changed()) is None
        for number, user_id in enumerate(("ann", "bob", "ann"), start=1):
            await world.change(user_id, number)
            change = await client.changed()
            assert (change["userId"], views(change)) == (user_id, number)
        await client.send({"type": "complete", "id": "ann"})
        await client.send({"type": "ping"})
        assert await client.receive() == {"type": "pong"}
        await world.change("ann", 4)
        await world.change("bob", 5)
        assert (await client.changed())["userId"] == "bob"


async def test_server_sent_events_are_framed_as_their_protocol_says(world: World) -> None:
    async with events(world.app, WATCH, {"id": "ann", "names": VIEWS}) as stream:
        assert views(await stream.changed()) is None
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream"
        assert stream.headers["cache-control"] == "no-cache, no-transform"
        assert stream.headers["x-trace-id"]
        await world.change("ann", 3)
        assert views(await stream.changed()) == 3


async def test_any_operation_may_be_asked_for_as_server_sent_events(world: World) -> None:
    async with events(world.app, "{ __typename }") as stream:
        assert await stream.event() == ("next", {"data": {"__typename": "Query"}})
        assert await stream.event() == ("complete", None)
        assert await stream.event() == ("end", None)


async def test_a_token_resumes_over_another_protocol(world: World) -> None:
    async with events(world.app, WATCH, {"id": "ann"}) as stream:
        token = (await stream.changed())["token"]
    await world.change("ann", 2)
    async with socket(world.app) as client:
        await client.init()
        await client.subscribe("1", WATCH, id="ann", after=token)
        assert views(await client.changed()) == 2


async def test_a_change_of_other_features_than_those_asked_for_is_left_out(world: World) -> None:
    async with events(world.app, WATCH, {"id": "ann", "names": ["firstSeenAt"]}) as stream:
        await stream.changed()
        await world.change("ann", 1)
        first = await stream.changed()
        for number in range(2, 6):
            await world.change("ann", number)
            await idle()
        await world.seed("ann", Position(7, 0, 9), times_ms=(NOW_MS - 60_000, *(NOW_MS,) * 8))
        world.feed.announce("ann", Position(7, 0, 9))
        second = await stream.changed()
    assert first["featureValues"][0]["value"] == format_moment(moment(NOW_MS))
    assert second["featureValues"][0]["value"] == format_moment(moment(NOW_MS - 60_000))


async def test_from_now_on_means_changes_of_the_features_that_were_asked_for(world: World) -> None:
    await world.change("ann", 1)
    async with events(world.app, WATCH, {"id": "ann", "names": ["firstSeenAt"], "after": None}) as stream:
        await asyncio.wait_for(world.feed.followed.wait(), 10)
        await idle()
        await world.change("ann", 2)
        await idle()
        await world.seed("ann", Position(7, 0, 9), times_ms=(NOW_MS - 60_000, *(NOW_MS,) * 8))
        world.feed.announce("ann", Position(7, 0, 9))
        change = await stream.changed()
    assert change["featureValues"][0]["value"] == format_moment(moment(NOW_MS - 60_000))


async def test_a_client_that_does_not_read_holds_a_few_messages_and_then_gets_the_latest(world: World) -> None:
    async with events(world.app, WATCH, {"id": "ann", "names": VIEWS}) as stream:
        assert views(await stream.changed()) is None
        stream.reading.clear()
        for number in range(1, 51):
            await world.change("ann", number)
            await idle()
        stream.reading.set()
        seen = [views(await stream.changed())]
        while seen[-1] != 50:
            seen.append(views(await stream.changed()))
        assert len(seen) <= 5, seen


async def test_a_client_that_leaves_is_forgotten(world: World) -> None:
    async with events(world.app, WATCH, {"id": "ann"}) as stream, socket(world.app) as client:
        await client.init()
        await client.subscribe("1", WATCH, id="ann")
        await stream.changed()
        await client.changed()
    await asyncio.wait_for(world.feed.idle.wait(), 10)


async def test_a_client_that_leaves_without_reading_is_forgotten(world: World) -> None:
    gc.disable()  # what is left to a collection may take minutes
    try:
        async with events(world.app, WATCH, {"id": "ann", "names": VIEWS}) as stream:
            await stream.changed()
            stream.reading.clear()
            for number in range(1, 6):
                await world.change("ann", number)
                await idle()
        await asyncio.wait_for(world.feed.idle.wait(), 10)
    finally:
        gc.enable()


async def test_when_the_api_stops_streams_are_cut_and_not_completed_so_that_clients_come_again(world: World) -> None:
    async with events(world.app, WATCH, {"id": "ann"}) as stream, socket(world.app) as client:
        await client.init()
        for number in range(2):
            await client.subscribe(str(number), WATCH, id="ann")
            await client.changed()
        await stream.changed()
        await world.hub.close()
        assert await stream.event() == ("end", None)
        assert (await client.receive())[0] == 1012
        assert client.from_app.empty()


@pytest.mark.parametrize("protocols", [("graphql-ws",), ("soap",)])
async def test_the_legacy_protocol_and_unknown_ones_are_refused(world: World, protocols: tuple[str, ...]) -> None:
    async with socket(world.app, *protocols) as client:
        assert client.accepted["subprotocol"] is None
        assert await client.receive() == (4406, "Subprotocol not acceptable")


async def test_a_page_of_another_origin_is_refused(world: World) -> None:
    async with socket(world.app, headers={"origin": "https://elsewhere.example"}) as client:
        assert client.accepted["type"] == "websocket.close"


async def test_a_socket_runs_ten_operations_at_a_time(world: World) -> None:
    async with socket(world.app) as client:
        trace_id = (await client.init())["payload"]["traceId"]
        for number in range(10):
            await client.subscribe(str(number), WATCH, id="ann", names=VIEWS)
            await client.changed()
        await client.subscribe("one too many", WATCH, id="ann", names=VIEWS)
        refused = await client.receive()
        assert (refused["type"], refused["id"]) == ("error", "one too many")
        (error,) = refused["payload"]
        assert "10 operations already" in error["message"]
        assert error["extensions"] == {"code": "BAD_USER_INPUT", "traceId": trace_id}
        await client.send({"type": "complete", "id": "3"})
        await client.subscribe("again", WATCH, id="ann", names=VIEWS)
        assert views(await client.changed()) is None


BAD = [
    ({"names": ["viewCount1"]}, "unknown feature `viewCount1`; did you mean viewCount1h"),
    ({"after": "x"}, "`after` is not a token of featuresChanged"),
    ({"id": ""}, "a user's id must have 1 to"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
async def test_wrong_arguments_are_named_before_anything_is_streamed(
    world: World, change: dict[str, Any], message: str
) -> None:
    variables = {"id": "ann", **change}
    async with events(world.app, WATCH, variables) as stream:
        name, body = await stream.event()
        assert name == "next"
        assert message in body["errors"][0]["message"]
        assert body["errors"][0]["extensions"] == {
            "code": "BAD_USER_INPUT", "traceId": stream.headers["x-trace-id"]
        }  # fmt: skip
        assert "data" not in body
        assert await stream.event() == ("complete", None)
    async with socket(world.app) as client:
        await client.init()
        await client.subscribe("1", WATCH, **variables)
        refused = await client.receive()
        assert refused["type"] == "error"
        assert message in refused["payload"][0]["message"]


@pytest.mark.parametrize(("query", "code"), [
    ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
    ("subscription {", "GRAPHQL_PARSE_FAILED"),
    ("subscription " + "x" * 300 + "(", "GRAPHQL_PARSE_FAILED"),
    ("fragment F on Query { __typename }", "BAD_USER_INPUT"),
    (WATCH, "BAD_USER_INPUT"),
])  # fmt: skip
async def test_request_errors_are_told_in_the_stream_and_leave_the_socket_open(
    world: World, query: str, code: str
) -> None:
    async with events(world.app, query) as stream:
        name, body = await stream.event()
        assert (name, body["errors"][0]["extensions"]["code"]) == ("next", code)
        assert await stream.event() == ("complete", None)
    async with socket(world.app) as client:
        await client.init()
        await client.subscribe("1", query)
        refused = await client.receive()
        assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", code)
        await client.subscribe("1", "{ __typename }")
        assert (await client.receive())["payload"] == {"data": {"__typename": "Query"}}


async def test_failures_are_masked_and_traceable(capsys: pytest.CaptureFixture[str]) -> None:
    world = make_world(clock=lambda: 1 // 0)
    async with events(world.app, WATCH, {"id": "ann"}) as stream, socket(world.app) as client:
        trace_id = (await client.init())["payload"]["traceId"]
        await client.subscribe("1", WATCH, id="ann")
        for body in ((await stream.event())[1], (await client.receive())["payload"]):
            (error,) = body["errors"]
            assert error["extensions"]["code"] == "INTERNAL"
            assert "division" not in error["message"]
    logged = "".join(capsys.readouterr())
    assert trace_id in logged
    assert stream.headers["x-trace-id"] in logged
    await world.hub.close()


@pytest.mark.parametrize("message", [
    "{", "[" * 100_000, "5", "null", "[]", '"x"', "{}", '{"type":"subscribe"}', '{"type":"subscribe","id":["x"]}',
    '{"type":"subscribe","id":"1","payload":"x"}', '{"type":"subscribe","id":"1","payload":{"query":5}}',
    '{"type":"subscribe","id":"1","payload":{"query":"{a}","variables":[]}}', '{"type":"complete","id":{}}',
    '{"type":"' + "é" * 500 + '"}',
])  # fmt: skip
async def test_a_message_that_is_none_of_the_protocol_closes_the_socket(world: World, message: str) -> None:
    async with socket(world.app) as client:
        await client.init()
        await client.send(message)
        code, reason = await client.receive()
        assert code == 4400
        assert 0 < len(reason.encode()) <= 123


async def test_a_socket_must_say_hello_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with socket(world.app) as client:
        await client.subscribe("1", WATCH, id="ann")
        assert (await client.receive())[0] == 4401
    monkeypatch.setattr(view, "_INIT_SECONDS", 0.01)
    async with socket(make_world().app) as client:
        assert await client.receive() == (4408, "Connection initialisation timeout")


async def test_a_subscription_as_a_plain_request_is_refused_with_what_to_do(world: World) -> None:
    answer = await graphql(world.app, WATCH, {"id": "ann"})
    assert answer.status == 406
    (error,) = answer.json()["errors"]
    assert "Accept: text/event-stream" in error["message"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_mutation_by_get_is_refused_as_server_sent_events_too(world: World) -> None:
    mutation = "mutation { trackEventsJson(events: []) { acceptedCount } }"
    async with events(world.app, mutation, method="GET") as stream:
        name, body = await stream.event()
    assert (name, body["errors"][0]["message"]) == ("next", "mutations are not allowed")
    assert body["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_an_event_source_of_a_browser_subscribes_by_get(world: World) -> None:
    query = 'subscription { featuresChanged(userId: "ann", after: "") { userId } }'
    async with events(world.app, query, method="GET") as stream:
        assert await stream.changed() == {"userId": "ann"}
