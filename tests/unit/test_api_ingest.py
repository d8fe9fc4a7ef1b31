"""Both mutations over ASGI: verdicts, indices, deadlines and receipts."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from runtime.producer import RecordTooLarge, SendFailed
from schemas import topics
from schemas.events import decode_record
from schemas.receipts import Position, decode_receipt
from tests.asgi import graphql
from tests.unit.api_world import TRACK, TRACK_JSON, World, event, make_world

BOTH = pytest.mark.parametrize("mutation", ["trackEvents", "trackEventsJson"])


async def track(world: World, mutation: str, events: list[Any]) -> Any:
    if mutation == "trackEvents":
        answer = await graphql(world.app, TRACK, {"input": {"events": events}})
    else:
        answer = await graphql(world.app, TRACK_JSON, {"events": events})
    assert answer.status == 200
    body = answer.json()
    return body["data"][mutation] if "errors" not in body else body["errors"]


@BOTH
async def test_accepted_events_lie_in_kafka_under_their_user(mutation: str) -> None:
    world = make_world()
    sent = [event("ann", properties={"a": [1, None]}), event("ann", type="purchase", value=12.5, currency="EUR")]
    payload = await track(world, mutation, sent)
    assert payload["acceptedCount"] == 2
    assert payload["rejected"] == payload["retry"] == []
    records = world.producer.of(topics.EVENTS.name)
    assert [record.key for record in records] == [b"ann", b"ann"]
    decoded = [decode_record(record.value or b"") for record in records]
    assert [one.event_id for one in decoded] == [one["eventId"] for one in sent]
    assert decoded[1].value == 12.5
    assert orjson.loads(records[0].value or b"")["properties"] == {"a": [1, None]}


@BOTH
async def test_an_undo_names_what_it_takes_back(mutation: str) -> None:
    world = make_world()
    order = event("ann", type="purchase", value=12.5)
    undo = {**order, "eventId": event()["eventId"], "type": "undo", "undoes": order["eventId"]}
    payload = await track(world, mutation, [order, undo, {**undo, "eventId": event()["eventId"], "undoes": None}])
    assert payload["acceptedCount"] == 2
    assert [(entry["code"], entry["path"]) for entry in payload["rejected"]] == [("MISSING_FIELD", "undoes")]
    decoded = [decode_record(record.value or b"") for record in world.producer.of(topics.EVENTS.name)]
    assert [(one.type, one.undoes, one.value) for one in decoded] == [
        ("purchase", None, 12.5),
        ("undo", order["eventId"], 12.5),
    ]


@BOTH
async def test_one_bad_event_never_refuses_its_neighbours(mutation: str) -> None:
    world = make_world()
    events = [
        event(),
        event(eventId="no-uuid"),
        event(type="view_itm"),
        event(occurredAt="2099-01-01T00:00:00Z"),
        event(occurredAt="2001-01-01T00:00:00Z"),
        event(properties=orjson.loads("[" * 100 + "]" * 100)),
        event(),
    ]
    payload = await track(world, mutation, events)
    assert payload["acceptedCount"] == 2
    assert [(entry["index"], entry["code"], entry["path"]) for entry in payload["rejected"]] == [
        (1, "INVALID_TYPE", "eventId"),
        (2, "UNKNOWN_EVENT_TYPE", "type"),
        (3, "IN_THE_FUTURE", "occurredAt"),
        (4, "TOO_OLD", "occurredAt"),
        (5, "TOO_LARGE", "properties"),
    ]
    assert "view_item" in payload["rejected"][1]["message"]
    assert len(world.producer.of(topics.EVENTS.name)) == 2


async def test_shape_errors_are_rejections_of_one_event_in_the_json_mutation() -> None:
    world = make_world()
    without_user = event()
    del without_user["userId"]
    events = [
        5,
        without_user,
        event(userId=7),
        event(colour="red"),
        event(occurredAt="0001-01-01T00:00:00+23:59"),
        event(),
    ]
    payload = await track(world, "trackEventsJson", events)
    assert payload["acceptedCount"] == 1
    assert [(entry["index"], entry["code"], entry["path"]) for entry in payload["rejected"]] == [
        (0, "INVALID_TYPE", ""),
        (1, "MISSING_FIELD", "userId"),
        (2, "INVALID_TYPE", "userId"),
        (3, "INVALID_TYPE", "colour"),
        (4, "VALUE_OUT_OF_RANGE", "occurredAt"),
    ]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"userId": None}, "input.events[1].userId"),
        ({"userId": 1.5}, "input.events[1].userId"),
        ({"value": "12"}, "input.events[1].value"),
        ({"colour": "red"}, "input.events[1].colour"),
        ({"occurredAt": "2026-01-31T12:00:00"}, "input.events[1].occurredAt"),
        ({"occurredAt": "0001-01-01T00:00:00+23:59"}, "input.events[1].occurredAt"),
    ],
)
async def test_what_graphql_cannot_coerce_fails_the_request_with_the_path(change: dict[str, Any], path: str) -> None:
    world = make_world()
    (error,) = await track(world, "trackEvents", [event(), event(**change)])
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert error["extensions"]["path"] == path
    assert world.producer.of(topics.EVENTS.name) == []


async def test_a_missing_user_id_fails_the_request_with_the_path() -> None:
    without_user = event()
    del without_user["userId"]
    (error,) = await track(make_world(), "trackEvents", [event(), without_user])
    assert error["extensions"]["path"] == "input.events[1].userId"


@BOTH
async def test_the_second_of_two_equal_ids_is_rejected_whatever_its_case(mutation: str) -> None:
    world = make_world()
    first = event()
    payload = await track(world, mutation, [first, event(eventId=first["eventId"].upper())])
    assert payload["acceptedCount"] == 1
    assert [(entry["index"], entry["code"]) for entry in payload["rejected"]] == [(1, "DUPLICATE_IN_BATCH")]


@BOTH
async def test_an_id_whose_first_event_was_rejected_is_no_duplicate(mutation: str) -> None:
    first = event(type="nonsense")
    payload = await track(make_world(), mutation, [first, event(eventId=first["eventId"])])
    assert payload["acceptedCount"] == 1
    assert [entry["code"] for entry in payload["rejected"]] == ["UNKNOWN_EVENT_TYPE"]


@BOTH
async def test_an_empty_request_accepts_nothing(mutation: str) -> None:
    payload = await track(make_world(), mutation, [])
    assert (payload["acceptedCount"], payload["rejected"], payload["retry"]) == (0, [], [])
    assert payload["receipt"] is None


@BOTH
async def test_more_than_the_most_events_is_a_request_error(mutation: str) -> None:
    world = make_world()
    (error,) = await track(world, mutation, [event() for _ in range(1001)])
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "1001" in error["message"]
    assert "1000" in error["message"]
    assert world.producer.of(topics.EVENTS.name) == []


@BOTH
async def test_events_without_an_answer_in_time_are_to_be_sent_again(mutation: str) -> None:
    world = make_world(track_deadline_ms=50)
    world.producer.hanging = {"bob"}
    world.producer.failures = {"cid": SendFailed("replaced"), "dan": RecordTooLarge("big"), "eve": RuntimeError("bug")}
    events = [event("ann"), event("bob"), event("cid"), event("dan"), event("eve")]
    payload = await track(world, mutation, events)
    assert payload["acceptedCount"] == 1
    assert [(entry["index"], entry["eventId"]) for entry in payload["retry"]] == [
        (index, events[index]["eventId"]) for index in (1, 2, 4)
    ]
    assert "50 ms" in payload["retry"][0]["reason"]
    assert "bug" not in payload["retry"][2]["reason"]
    assert [(entry["index"], entry["code"]) for entry in payload["rejected"]] == [(3, "TOO_LARGE")]


async def test_while_kafka_is_away_every_event_is_to_be_sent_again_and_later_it_works() -> None:
    world = make_world(track_deadline_ms=20)
    world.producer.stalled = True
    events = [event(), event()]
    payload = await track(world, "trackEvents", events)
    assert (payload["acceptedCount"], len(payload["retry"]), payload["receipt"]) == (0, 2, None)
    world.producer.stalled = False
    assert (await track(world, "trackEvents", events))["acceptedCount"] == 2


async def test_without_a_connection_to_kafka_every_event_is_to_be_sent_again_and_nothing_was_sent() -> None:
    world = make_world(track_deadline_ms=20)
    world.producer.away = True
    payload = await track(world, "trackEvents", [event(), event()])
    assert (payload["acceptedCount"], [entry["index"] for entry in payload["retry"]]) == (0, [0, 1])
    world.producer.away = False
    assert world.producer.of(topics.EVENTS.name) == []
    assert world.producer.room.records == 0


async def test_the_receipt_is_the_place_of_the_last_event_of_the_only_user() -> None:
    world = make_world()
    payload = await track(world, "trackEvents", [event("ann"), event("ann"), event("ann")])
    last = world.producer.of(topics.EVENTS.name)[-1]
    assert decode_receipt(payload["receipt"]) == Position(7, last.partition, 2)


async def test_several_users_get_no_receipt() -> None:
    assert (await track(make_world(), "trackEvents", [event("ann"), event("bob")]))["receipt"] is None


async def test_sent_at_corrects_a_clock_that_is_wrong() -> None:
    world = make_world()
    query = "mutation($i: TrackEventsInput!) { trackEvents(input: $i) { acceptedCount } }"
    wrong = event(occurredAt="2031-01-01T00:00:00Z")
    answer = await graphql(world.app, query, {"i": {"events": [wrong], "sentAt": "2031-01-01T02:00:05+02:00"}})
    assert answer.json() == {"data": {"trackEvents": {"acceptedCount": 1}}}
    (record,) = world.producer.of(topics.EVENTS.name)
    decoded = decode_record(record.value or b"")
    assert decoded.received_at - decoded.event_time == 5_000
