"""The usual event: its type does most of the judging while it is decoded, so that the rest costs a fraction of `judge`.

What decodes as a `FitEvent` has passed most of what `judge` looks at: not yet the form of its UUID, its time, its size
and the depth of `properties`. `judge_fit` gives the verdict of `judge`; a property test compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, UnsetType

from schemas import json_lines, struct_fields, utc, uuids
from schemas.events import (
    INT32_MAX,
    MAX_AGE_MS,
    MAX_AHEAD_MS,
    MAX_DEPTH,
    MAX_EVENT_BYTES,
    MAX_VALUE,
    AcceptedEvent,
    ClientEvent,
    EventType,
    Id,
    Rejection,
    Text,
    depth_exceeds,
    encode_events,
    judge,
)

_Ours = Annotated[int, Meta(ge=1, le=0)]  # no number of a client's decodes as one
_MomentWithOffset = Annotated[datetime, Meta(tz=True)]


class FitEvent(ClientEvent, gc=False):
    """An event that `judge` most likely accepts. Those that undo are left to it.

    The last two fields are set as the event is accepted: then its JSON is what Kafka holds, without a splice.
    """

    event_id: str
    type: EventType
    user_id: Id
    occurred_at: _MomentWithOffset
    item_id: Id | None = None
    category: Text | None = None
    value: Annotated[float, Meta(ge=-MAX_VALUE, le=MAX_VALUE)] | None = None
    currency: Text | None = None
    search_term: Text | None = None
    list_id: Id | None = None
    position: Annotated[int, Meta(ge=0, le=INT32_MAX)] | None = None
    properties: Any = None
    undoes: None = None
    event_time: _Ours | UnsetType = UNSET
    received_at: _Ours | UnsetType = UNSET


_EVENT_ID: Final = struct_fields.place_of(FitEvent, "event_id")
_USER_ID: Final = struct_fields.place_of(FitEvent, "user_id")
_OCCURRED_AT: Final = struct_fields.place_of(FitEvent, "occurred_at")
_PROPERTIES: Final = struct_fields.place_of(FitEvent, "properties")
_EVENT_TIME: Final = struct_fields.place_of(FitEvent, "event_time")
_RECEIVED_AT: Final = struct_fields.place_of(FitEvent, "received_at")


def judge_fit(
    events: Sequence[FitEvent], *, received_at_ms: int, sent_at_ms: int | None
) -> list[AcceptedEvent | Rejection]:
    """What `judge` says of each of `events`, which were decoded as that. Raises OverflowError as it does."""
    return _judged(events, received_at_ms, sent_at_ms)  # in C, which knows no arguments by keyword


def _judged(events: Sequence[FitEvent], received_at_ms: int, sent_at_ms: int | None) -> list[AcceptedEvent | Rejection]:
    shift = 0 if sent_at_ms is None else received_at_ms - sent_at_ms
    earliest, latest = received_at_ms - shift - MAX_AGE_MS, received_at_ms - shift + MAX_AHEAD_MS
    ids: list[str | None] = []
    usual: list[FitEvent] = []
    for event in events:
        event_id = _usual_id(event)
        if event_id is not None:
            occurred_at = utc.ms(struct_fields.at(event, _OCCURRED_AT))
            if earliest <= occurred_at <= latest:
                struct_fields.put(event, _EVENT_TIME, occurred_at + shift)
                struct_fields.put(event, _RECEIVED_AT, received_at_ms)
                usual.append(event)
            else:
                event_id = None
        ids.append(event_id)
    # All at once take half of one by one; JSON holds no line feed.
    values = json_lines.split(encode_events(usual))
    verdicts: list[AcceptedEvent | Rejection] = []
    place = 0
    for index, event in enumerate(events):
        event_id = ids[index]
        if event_id is not None:
            value = values[place]
            place += 1
            if len(value) <= MAX_EVENT_BYTES:
                verdicts.append(AcceptedEvent(event_id, struct_fields.at(event, _USER_ID), value))
                continue
            event.event_time = event.received_at = UNSET
        verdicts.append(judge(event, received_at_ms=received_at_ms, sent_at_ms=sent_at_ms))
    return verdicts


def _usual_id(event: FitEvent) -> str | None:
    """The id in lower case; None if the event's id, offset of time or properties are not the usual ones."""
    moment, properties = struct_fields.at(event, _OCCURRED_AT), struct_fields.at(event, _PROPERTIES)
    if moment.tzinfo is not UTC or (properties is not None and depth_exceeds(properties, MAX_DEPTH)):
        return None
    return uuids.lowered(struct_fields.at(event, _EVENT_ID))
