"""The judgement of one event, every rejection code, and the record that a worker reads back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import (
    EVENT_TYPES,
    MAX_AHEAD_MS,
    MAX_DEPTH,
    AcceptedEvent,
    Rejection,
    decode_record,
    depth_exceeds,
    epoch_ms,
    judge_json,
)

ID = "0190b5a0-0000-7000-8000-000000000001"
RECEIVED = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RECEIVED_MS = epoch_ms(RECEIVED)


def fit(**changes: Any) -> dict[str, Any]:
    event = {"eventId": ID, "type": "view_item", "userId": "ann", "occurredAt": "2026-03-01T12:00:00Z"}
    return {name: value for name, value in {**event, **changes}.items() if value is not ...}


def judged(value: object, sent_at_ms: int | None = None) -> AcceptedEvent | Rejection:
    return judge_json(value, received_at_ms=RECEIVED_MS, sent_at_ms=sent_at_ms)


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


def test_an_accepted_event_is_the_clients_json_with_both_times_spliced_in() -> None:
    sent = fit(itemId="sku", value=1.5, properties={"a": [1, None]})
    accepted = judged(sent)
    assert isinstance(accepted, AcceptedEvent)
    assert json.loads(accepted.value) == {**sent, "eventTime": RECEIVED_MS, "receivedAt": RECEIVED_MS}
    assert (accepted.event_id, accepted.user_id) == (ID, "ann")


def test_every_event_type_is_accepted() -> None:
    for name in EVENT_TYPES:
        assert isinstance(judged(fit(type=name)), AcceptedEvent), name


def test_an_undo_names_the_event_it_takes_back() -> None:
    accepted = judged(fit(type="undo", undoes=ID[:-1] + "2", value=1.5))
    assert isinstance(accepted, AcceptedEvent)
    event = decode_record(accepted.value)
    assert (event.type, event.undoes, event.value) == ("undo", ID[:-1] + "2", 1.5)


def test_the_clients_send_time_corrects_its_clock() -> None:
    accepted = judged(fit(occurredAt="2026-03-01T11:00:00Z"), sent_at_ms=RECEIVED_MS - 3_600_000)
    assert isinstance(accepted, AcceptedEvent)
    assert json.loads(accepted.value)["eventTime"] == RECEIVED_MS


@pytest.mark.parametrize(
    ("event", "code", "path"),
    [
        ([], "INVALID_TYPE", ""),
        ("text", "INVALID_TYPE", ""),
        (fit(eventId=...), "MISSING_FIELD", "eventId"),
        (fit(type=None), "MISSING_FIELD", "type"),
        (fit(userId=...), "MISSING_FIELD", "userId"),
        (fit(occurredAt=...), "MISSING_FIELD", "occurredAt"),
        (fit(eventId="abc"), "INVALID_TYPE", "eventId"),
        (fit(eventId=7), "INVALID_TYPE", "eventId"),
        (fit(eventId=ID + "\n"), "INVALID_TYPE", "eventId"),
        (fit(colour="red"), "INVALID_TYPE", "colour"),
        (fit(value="1"), "INVALID_TYPE", "value"),
        (fit(position=1.5), "INVALID_TYPE", "position"),
        (fit(occurredAt="yesterday"), "INVALID_TYPE", "occurredAt"),
        (fit(occurredAt="2026-03-01T12:00:00"), "INVALID_TYPE", "occurredAt"),
        (fit(itemId="\ud800"), "INVALID_TYPE", ""),
        (fit(type="undo"), "MISSING_FIELD", "undoes"),
        (fit(type="undo", undoes="abc"), "INVALID_TYPE", "undoes"),
        (fit(type="undo", undoes=7), "INVALID_TYPE", "undoes"),
        (fit(undoes=ID), "INVALID_TYPE", "undoes"),
        (fit(type="view_itm"), "UNKNOWN_EVENT_TYPE", "type"),
        (fit(userId=""), "VALUE_OUT_OF_RANGE", "userId"),
        (fit(userId="u" * 257), "VALUE_OUT_OF_RANGE", "userId"),
        (fit(itemId=""), "VALUE_OUT_OF_RANGE", "itemId"),
        (fit(listId="l" * 257), "VALUE_OUT_OF_RANGE", "listId"),
        (fit(category="c" * 1025), "VALUE_OUT_OF_RANGE", "category"),
        (fit(searchTerm="s" * 1025), "VALUE_OUT_OF_RANGE", "searchTerm"),
        (fit(value=1.1e12), "VALUE_OUT_OF_RANGE", "value"),
        (fit(value=float("nan")), "VALUE_OUT_OF_RANGE", "value"),
        (fit(value=float("-inf")), "VALUE_OUT_OF_RANGE", "value"),
        (fit(position=-1), "VALUE_OUT_OF_RANGE", "position"),
        (fit(position=2**31), "VALUE_OUT_OF_RANGE", "position"),
        (fit(occurredAt="2026-01-30T11:59:59Z"), "TOO_OLD", "occurredAt"),
        (fit(occurredAt="2026-03-01T12:05:01Z"), "IN_THE_FUTURE", "occurredAt"),
        (fit(properties={"text": "x" * 65_536}), "TOO_LARGE", ""),
        (fit(properties=nested(MAX_DEPTH + 1)), "TOO_LARGE", "properties"),
    ],
)
def test_a_bad_event_is_rejected_with_its_code_and_field(event: object, code: str, path: str) -> None:
    rejection = judged(event)
    assert isinstance(rejection, Rejection)
    assert (rejection.code, rejection.path) == (code, path)


@pytest.mark.parametrize("occurred_at", ["2026-01-30T12:00:00Z", "2026-03-01T12:05:00Z"])
def test_the_limits_of_time_themselves_are_accepted(occurred_at: str) -> None:
    assert isinstance(judged(fit(occurredAt=occurred_at)), AcceptedEvent)


def test_an_unknown_type_is_answered_with_the_nearest() -> None:
    rejection = judged(fit(type="view_itm"))
    assert isinstance(rejection, Rejection)
    assert "did you mean view_item" in rejection.message
    assert rejection.event_id == ID


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_no_json_value_breaks_the_judge(value: object) -> None:
    assert isinstance(judged(value), Rejection)
    assert isinstance(judged(fit(properties=value)), AcceptedEvent | Rejection)


def test_a_worker_reads_what_the_api_wrote() -> None:
    accepted = judged(fit(itemId="sku", category="hats", properties={"a": 1}))
    assert isinstance(accepted, AcceptedEvent)
    event = decode_record(accepted.value)
    assert (event.event_id, event.item_id, event.category, event.event_time) == (ID, "sku", "hats", RECEIVED_MS)


def test_a_worker_ignores_what_a_newer_writer_added() -> None:
    record = fit(eventTime=1, receivedAt=2, colour="red")
    assert decode_record(json.dumps(record).encode()).event_time == 1


@pytest.mark.parametrize(
    ("record", "error"),
    [
        (b"", msgspec.DecodeError),
        (b"{", msgspec.DecodeError),
        (b"\xff", msgspec.DecodeError),
        (b"[]", msgspec.ValidationError),
        (json.dumps(fit()).encode(), msgspec.ValidationError),
        (json.dumps(fit(eventTime=1, receivedAt=1, eventId="x")).encode(), ValueError),
        (json.dumps(fit(eventTime=1, receivedAt=1, userId="")).encode(), ValueError),
        (json.dumps(fit(eventTime=1, receivedAt=1, type="undo")).encode(), ValueError),
        (json.dumps(fit(eventTime=1, receivedAt=1, type="undo", undoes="x")).encode(), ValueError),
    ],
)
def test_a_record_that_is_no_event_raises(record: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        decode_record(record)


@pytest.mark.parametrize(("levels", "exceeds"), [(0, False), (31, False), (32, False), (33, True), (500, True)])
def test_depth_is_counted_in_containers(levels: int, exceeds: bool) -> None:
    assert depth_exceeds(nested(levels), MAX_DEPTH) is exceeds


def test_moments_are_milliseconds_rounded_down() -> None:
    assert epoch_ms(datetime(1970, 1, 1, 0, 0, 1, 1_999, tzinfo=UTC)) == 1001
    assert epoch_ms(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1
    assert MAX_AHEAD_MS == 300_000
