"""The event on the wire, and the judgement of one event: accepted as bytes for Kafka, or rejected with a code.

The API judges what clients send (`judge`); workers read back what the API wrote (`decode_record`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

import msgspec

from schemas import struct_fields, utc, uuids

EventType = Literal[
    "view_item",
    "select_item",
    "view_item_list",
    "add_to_cart",
    "remove_from_cart",
    "begin_checkout",
    "purchase",
    "search",
    "share",
    "sign_up",
]
"""GA4's names. Their order is stored in users' states: a new one goes to the end."""
UNDO: Final = "undo"
"""Takes back the event whose id is in `undoes`: no event of its own, so no measure can count it."""
EVENT_TYPES: Final[tuple[EventType, ...]] = (
    "view_item",
    "select_item",
    "view_item_list",
    "add_to_cart",
    "remove_from_cart",
    "begin_checkout",
    "purchase",
    "search",
    "share",
    "sign_up",
)

WIRE_TYPES: Final[tuple[str, ...]] = (*EVENT_TYPES, UNDO)

RejectionCode = Literal[
    "MISSING_FIELD",
    "INVALID_TYPE",
    "UNKNOWN_EVENT_TYPE",
    "VALUE_OUT_OF_RANGE",
    "TOO_OLD",
    "IN_THE_FUTURE",
    "TOO_LARGE",
    "DUPLICATE_IN_BATCH",
]

MAX_AGE_MS: Final = 30 * 86_400_000  # the longest cell layer: an older event could not be counted anywhere
MAX_AHEAD_MS: Final = 5 * 60_000  # tolerated clock skew of clients
MAX_EVENT_BYTES: Final = 64 * 1024  # one event as JSON; a 1 000-event request is bounded by the body limit anyway
MAX_ID_CHARS: Final = 256
MAX_TEXT_CHARS: Final = 1_024
MAX_DEPTH: Final = 32  # of `properties`; deeper JSON is refused by common decoders sooner or later
MAX_VALUE: Final = 1e12  # a float still holds the cents of some thousand times as much
INT32_MAX: Final = 2**31 - 1
LATEST_MS: Final = 253_402_300_799_999  # the end of the year 9999: what Python and GraphQL can show


class ClientEvent(msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """One event as a client sends it: the shape of GraphQL's `EventInput`. Times are ISO 8601 with an offset."""

    event_id: str
    type: str
    user_id: str
    occurred_at: datetime
    item_id: str | None = None
    category: str | None = None
    value: float | None = None
    currency: str | None = None
    search_term: str | None = None
    list_id: str | None = None
    position: int | None = None
    properties: Any = None
    undoes: str | None = None


Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_CHARS)]
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT_CHARS)]
_Moment = Annotated[int, msgspec.Meta(ge=0, le=LATEST_MS)]


class Event(msgspec.Struct, rename="camel", frozen=True, gc=False):
    """One event as workers read it from Kafka. Unknown fields are ignored, so that newer writers are readable.

    `event_time` (ms since the epoch, UTC) is the time all feature maths is on; `received_at` is the API's clock in ms.
    The bounds are those of `judge`: other programs may write into the topic, too.
    """

    event_id: str
    type: Text
    user_id: Id
    event_time: _Moment
    received_at: _Moment
    item_id: Id | None = None
    category: Text | None = None
    value: Annotated[float, msgspec.Meta(ge=-MAX_VALUE, le=MAX_VALUE)] | None = None
    currency: Text | None = None
    search_term: Text | None = None
    list_id: Id | None = None
    position: Annotated[int, msgspec.Meta(ge=0, le=INT32_MAX)] | None = None
    undoes: str | None = None


_EVENT_ID: Final = struct_fields.place_of(Event, "event_id")
_TYPE: Final = struct_fields.place_of(Event, "type")


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why one event was refused: the caller's mistake, so it must not be sent again unchanged."""

    code: RejectionCode
    message: str
    path: str
    event_id: str | None = None


class AcceptedEvent(msgspec.Struct, frozen=True, gc=False):
    """An event fit for Kafka: `value` is its JSON with `eventTime` and `receivedAt`."""

    event_id: str
    user_id: str
    value: bytes


_encoder: Final = msgspec.json.Encoder()
encode_event: Final = _encoder.encode
encode_events: Final = _encoder.encode_lines
_record_decoder = msgspec.json.Decoder(Event)
_ID_FIELDS = ("user_id", "item_id", "list_id")
_TEXT_FIELDS = ("category", "currency", "search_term")
_WIRE_NAME = {field.name: field.encode_name for field in msgspec.structs.fields(ClientEvent)}
_REQUIRED = tuple(_WIRE_NAME[name] for name in ("event_id", "type", "user_id", "occurred_at"))


def epoch_ms(moment: datetime) -> int:
    """Milliseconds since the epoch, rounded down. `moment` must carry an offset."""
    return utc.ms(moment.astimezone(UTC))


def judge_json(value: object, *, received_at_ms: int, sent_at_ms: int | None) -> AcceptedEvent | Rejection:
    """Judge one decoded JSON value that should be an event object."""
    if not isinstance(value, Mapping):
        return Rejection("INVALID_TYPE", "an event must be a JSON object", "")
    event_id = value.get("eventId")
    known_id = event_id if isinstance(event_id, str) else None
    for name in _REQUIRED:
        if value.get(name) is None:
            return Rejection("MISSING_FIELD", f"`{name}` is required", name, known_id)
    try:
        event = msgspec.convert(value, ClientEvent)
    except (msgspec.ValidationError, OverflowError) as error:
        return _shape_rejection(str(error), known_id)
    return judge(event, received_at_ms=received_at_ms, sent_at_ms=sent_at_ms)


def judge(event: ClientEvent, *, received_at_ms: int, sent_at_ms: int | None) -> AcceptedEvent | Rejection:
    """Judge an event of the right shape: ids, type, ranges, times and size.

    eventTime = occurredAt + (receivedAt - sentAt) where sentAt was given, else occurredAt: a client whose clock is
    wrong by a constant is corrected by it. Raises OverflowError where occurredAt is no moment in UTC.
    """

    def reject(code: RejectionCode, path: str, message: str) -> Rejection:
        return Rejection(code, message, path, event.event_id)

    event_id = uuids.lowered(event.event_id)
    if event_id is None:
        return reject("INVALID_TYPE", "eventId", "`eventId` must be a UUID; version 7 is advised")
    if event.type not in WIRE_TYPES:
        return reject("UNKNOWN_EVENT_TYPE", "type", _unknown_type_message(event.type))
    if event.type == UNDO and event.undoes is None:
        return reject("MISSING_FIELD", "undoes", "`undoes` is required: the eventId of the event to take back")
    if event.undoes is not None and (event.type != UNDO or uuids.lowered(event.undoes) is None):
        return reject("INVALID_TYPE", "undoes", "`undoes` is for the type `undo` alone, and is the UUID of an event")
    for name in _ID_FIELDS:
        text = getattr(event, name)
        if text is not None and not 0 < len(text) <= MAX_ID_CHARS:
            wire = _WIRE_NAME[name]
            return reject("VALUE_OUT_OF_RANGE", wire, f"`{wire}` must have 1 to {MAX_ID_CHARS} characters")
    for name in _TEXT_FIELDS:
        text = getattr(event, name)
        if text is not None and len(text) > MAX_TEXT_CHARS:
            wire = _WIRE_NAME[name]
            return reject("VALUE_OUT_OF_RANGE", wire, f"`{wire}` must have at most {MAX_TEXT_CHARS} characters")
    if event.value is not None and not abs(event.value) <= MAX_VALUE:
        return reject("VALUE_OUT_OF_RANGE", "value", "`value` must be a finite number up to 1e12")
    if event.position is not None and not 0 <= event.position <= INT32_MAX:
        return reject("VALUE_OUT_OF_RANGE", "position", f"`position` must be between 0 and {INT32_MAX}")
    if event.occurred_at.tzinfo is None:
        return reject("INVALID_TYPE", "occurredAt", "`occurredAt` needs an offset, for example a trailing Z")
    if depth_exceeds(event.properties, MAX_DEPTH):
        return reject("TOO_LARGE", "properties", f"`properties` is nested deeper than {MAX_DEPTH} levels")

    event.occurred_at = event.occurred_at.astimezone(UTC)
    event_time = epoch_ms(event.occurred_at)
    if sent_at_ms is not None:
        event_time += received_at_ms - sent_at_ms
    if event_time > received_at_ms + MAX_AHEAD_MS:
        return reject("IN_THE_FUTURE", "occurredAt", "the event lies more than 5 minutes in the future")
    if event_time < received_at_ms - MAX_AGE_MS:
        return reject("TOO_OLD", "occurredAt", "the event is older than 30 days")
    try:
        body = encode_event(event)
    except (UnicodeEncodeError, TypeError, ValueError) as error:
        return reject("INVALID_TYPE", "", f"the event cannot be written as JSON: {error}")
    if len(body) > MAX_EVENT_BYTES:
        return reject("TOO_LARGE", "", f"the event has {len(body)} bytes as JSON; the limit is {MAX_EVENT_BYTES}")
    value = b'%b,"eventTime":%d,"receivedAt":%d}' % (body[:-1], event_time, received_at_ms)
    return AcceptedEvent(event_id, event.user_id, value)


def decode_record(value: bytes) -> Event:
    """Decode one record of the events topic.

    Raises: msgspec.DecodeError (or its child ValidationError), UnicodeDecodeError or RecursionError where the bytes
    are not an event; ValueError where they are, but its eventId (or what it undoes) is no UUID.
    """
    event = _record_decoder.decode(value)
    if uuids.lowered(event.event_id) is None:
        raise ValueError("eventId is no UUID")
    if event.type == UNDO and uuids.lowered(event.undoes or "") is None:
        raise ValueError("undoes is no UUID")
    return event


def decode_records(values: Sequence[bytes | None]) -> list[Event] | None:
    """What `decode_record` gives for each of `values`, in less time; None if it refuses one of them."""
    decode = _record_decoder.decode
    try:
        events = [decode(value) for value in values]  # type: ignore[arg-type]  # None raises TypeError
    except (TypeError, ValueError, RecursionError):
        return None
    for event in events:
        if uuids.lowered(struct_fields.at(event, _EVENT_ID)) is None:
            return None
        if struct_fields.at(event, _TYPE) == UNDO and uuids.lowered(event.undoes or "") is None:
            return None
    return events


def depth_exceeds(value: object, limit: int) -> bool:
    """Whether JSON-like `value` nests deeper than `limit` containers."""
    level: list[object] = [value]
    for _ in range(limit):
        deeper: list[object] = []
        for node in level:
            if isinstance(node, Mapping):
                deeper.extend(node.values())
            elif isinstance(node, (list, tuple)):
                deeper.extend(node)
        if not deeper:
            return False
        level = deeper
    return any(isinstance(node, (Mapping, list, tuple)) for node in level)


def _unknown_type_message(name: str) -> str:
    nearest = difflib.get_close_matches(name[:64], WIRE_TYPES, n=3)
    hint = f"; did you mean {', '.join(nearest)}?" if nearest else f"; known: {', '.join(WIRE_TYPES)}"
    return f"unknown event type `{name[:64]}`{hint}"


_AT_PATH = re.compile(r" - at `\$\.?(?P<path>[^`]*)`")
_UNKNOWN_FIELD = re.compile(r"unknown field `(?P<field>[^`]*)`")


def _shape_rejection(message: str, event_id: str | None) -> Rejection:
    unknown = _UNKNOWN_FIELD.search(message)
    if unknown:
        name = unknown["field"]
        return Rejection("INVALID_TYPE", f"unknown field `{name}`; own data goes under `properties`", name, event_id)
    at = _AT_PATH.search(message)
    path = at["path"] if at else ""
    return Rejection("INVALID_TYPE", _AT_PATH.sub("", message), path, event_id)
