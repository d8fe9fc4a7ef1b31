"""Judging records: each kind of poison by its code, and neighbours that stay unharmed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runtime.delivery import LogRecord
from schemas.events import decode_record, decode_records
from streams.records import read, value_bytes

APPENDED_MS = 1_760_000_000_000
DAY_MS = 86_400_000  # what clocks of API and broker may differ
EVENT: dict[str, Any] = {
    "eventId": "01990000-0000-7000-8000-000000000001",
    "type": "view_item",
    "userId": "user-1",
    "eventTime": APPENDED_MS - 5,
    "receivedAt": APPENDED_MS - 3,
}


def record(value: bytes | None, offset: int = 0) -> LogRecord:
    return LogRecord("events", 3, offset, APPENDED_MS, b"user-1", value, ())


def event(**changes: Any) -> bytes:
    return json.dumps({**EVENT, **changes}).encode()


def without(name: str) -> bytes:
    return json.dumps({key: value for key, value in EVENT.items() if key != name}).encode()


NESTED_BYTES = 900_000
DEPTH = NESTED_BYTES // 2
POISON: dict[str, tuple[bytes | None, str]] = {
    "no value": (None, "EMPTY"),
    "no bytes": (b"", "NOT_JSON"),
    "text": (b"hello", "NOT_JSON"),
    "half an object": (event()[:-1], "NOT_JSON"),
    "something after the object": (event() + b"}", "NOT_JSON"),
    "invalid UTF-8": (event().replace(b"view_item", b"view\xff\xfeitem"), "NOT_JSON"),
    "UTF-16": (event().decode().encode("utf-16"), "NOT_JSON"),
    "null": (b"null", "WRONG_SHAPE"),
    "a list": (b"[" + event() + b"]", "WRONG_SHAPE"),
    "a number for the user": (event(userId=7), "WRONG_SHAPE"),
    "a text for the time": (event(eventTime="2025-10-09T08:53:20Z"), "WRONG_SHAPE"),
    "a fraction for the time": (event(eventTime=0.5), "WRONG_SHAPE"),
    "no user": (without("userId"), "WRONG_SHAPE"),
    "no event id": (without("eventId"), "WRONG_SHAPE"),
    "no time": (without("eventTime"), "WRONG_SHAPE"),
    "an empty user": (event(userId=""), "WRONG_SHAPE"),
    "an event id that is no UUID": (event(eventId="17"), "WRONG_SHAPE"),
    "lists in lists": (b"[" * DEPTH + b"]" * DEPTH, "WRONG_SHAPE"),
    "objects in objects": (b'{"a":' * 150_000 + b"1" + b"}" * 150_000, "WRONG_SHAPE"),
    "an event that nests in a field of its own": (
        event(properties=0).replace(b'"properties": 0', b'"properties":' + b"[" * DEPTH + b"]" * DEPTH),
        "WRONG_SHAPE",
    ),
    "lists that never end": (b"[" * NESTED_BYTES, "WRONG_SHAPE"),
    "the far future": (event(eventTime=APPENDED_MS + DAY_MS + 1), "IN_THE_FUTURE"),
    "a time beyond the year 9999": (event(eventTime=253_402_300_800_000), "WRONG_SHAPE"),
    "a time beyond 64 bits": (event(eventTime=2**70), "WRONG_SHAPE"),
    "a time before 1970": (event(eventTime=-1), "WRONG_SHAPE"),
    "a receipt beyond the year 9999": (event(receivedAt=2**63), "WRONG_SHAPE"),
    "a value beyond the API's": (event(value=1e300), "WRONG_SHAPE"),
    "a value that is no number": (event(value=1).replace(b'"value": 1', b'"value": NaN'), "NOT_JSON"),
    "a user's name without end": (event(userId="u" * 257), "WRONG_SHAPE"),
    "an item's name without end": (event(itemId="i" * 257), "WRONG_SHAPE"),
    "a search without end": (event(searchTerm="s" * 1025), "WRONG_SHAPE"),
    "a place beyond 32 bits": (event(position=2**31), "WRONG_SHAPE"),
}


@pytest.mark.parametrize("kind", POISON)
def test_poison_is_told_apart_by_its_code_and_harms_no_neighbour(kind: str) -> None:
    value, code = POISON[kind]
    before, after = record(event(), 1), record(event(userId="user-2"), 3)
    poison = record(value, 2)
    readable, letters = read([before, poison, after])
    assert [(record, event.user_id) for record, event in readable] == [(before, "user-1"), (after, "user-2")]
    [letter] = letters
    assert letter.record is poison
    assert (letter.code, letter.stage) == (code, "decode")
    assert letter.message


def test_nothing_is_made_of_nothing() -> None:
    readable, letters = read([])
    assert (list(readable), letters) == ([], [])


def test_what_clocks_may_differ_is_not_the_future() -> None:
    readable, letters = read([record(event(eventTime=APPENDED_MS + DAY_MS))])
    assert (len(readable), letters) == (1, [])


def test_a_late_event_is_readable_for_the_fold_decides_what_is_too_old() -> None:
    readable, letters = read([record(event(eventTime=0))])
    assert (len(readable), letters) == (1, [])


def test_fields_of_newer_writers_and_types_of_newer_catalogues_are_readable() -> None:
    [(_, wish)], letters = read([record(event(type="wish", tomorrow={"a": [1, 2, {}]}))])
    assert letters == []
    assert wish.type == "wish"


UNDO = {"type": "undo", "undoes": EVENT["eventId"]}


def test_what_is_read_all_at_once_is_what_is_read_singly() -> None:
    values = [event(), event(type="wish", itemId="a"), event(**UNDO), event(eventId=EVENT["eventId"].upper())]
    assert decode_records(values) == [decode_record(value) for value in values]


@pytest.mark.parametrize("undoes", [None, "17", EVENT["eventId"] + "\n" + EVENT["eventId"]])
def test_an_undo_of_what_is_no_uuid_is_poison_also_among_others(undoes: str | None) -> None:
    readable, [letter] = read([record(event(), 1), record(event(**{**UNDO, "undoes": undoes}), 2), record(event(), 3)])
    assert [each.offset for each, _ in readable] == [1, 3]
    assert (letter.record.offset, letter.code) == (2, "WRONG_SHAPE")


def test_what_is_no_log_record_is_refused_as_nothing_later_asks() -> None:
    for look in (read, value_bytes):
        with pytest.raises(TypeError, match="no LogRecord"):
            look([record(event()), object()])  # type: ignore[list-item]  # what is tested
