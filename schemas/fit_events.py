"""The usual event: its type does most of the judging while it is decoded, so that the rest costs a fraction of `judge`.

What decodes as a `FitEvent` has passed most of what `judge` looks at: not yet the form of its UUID, its time, its size
and the depth of `properties`. `judge_fit` gives the verdict of `judge`; a property test compares them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from msgspec import Meta

from schemas.events import (
    EPOCH,
    INT32_MAX,
    MAX_AGE_MS,
    MAX_AHEAD_MS,
    MAX_DEPTH,
    MAX_EVENT_BYTES,
    MAX_ID_CHARS,
    MAX_TEXT_CHARS,
    MAX_VALUE,
    ONE_MS,
    UUID_SHAPE,
    AcceptedEvent,
    ClientEvent,
    EventType,
    Rejection,
    depth_exceeds,
    encode_event,
    judge,
    record_value,
)

_Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARS)]
_Text = Annotated[str, Meta(max_length=MAX_TEXT_CHARS)]
_MomentWithOffset = Annotated[datetime, Meta(tz=True)]


class FitEvent(ClientEvent, gc=False):
    """An event that `judge` most likely accepts. Those that undo are left to `judge`."""

    event_id: str
    type: EventType
    user_id: _Id
    occurred_at: _MomentWithOffset
    item_id: _Id | None = None
    category: _Text | None = None
    value: Annotated[float, Meta(ge=-MAX_VALUE, le=MAX_VALUE)] | None = None
    currency: _Text | None = None
    search_term: _Text | None = None
    list_id: _Id | None = None
    position: Annotated[int, Meta(ge=0, le=INT32_MAX)] | None = None
    properties: Any = None
    undoes: None = None


def judge_fit(event: FitEvent, *, received_at_ms: int, sent_at_ms: int | None) -> AcceptedEvent | Rejection:
    """What `judge` says of an event that was decoded as a FitEvent. Raises OverflowError as it does."""
    occurred_at = event.occurred_at
    if occurred_at.tzinfo is UTC and UUID_SHAPE.fullmatch(event.event_id):
        event_time = (occurred_at - EPOCH) // ONE_MS
        if sent_at_ms is not None:
            event_time += received_at_ms - sent_at_ms
        in_time = received_at_ms - MAX_AGE_MS <= event_time <= received_at_ms + MAX_AHEAD_MS
        if in_time and (event.properties is None or not depth_exceeds(event.properties, MAX_DEPTH)):
            body = encode_event(event)
            if len(body) <= MAX_EVENT_BYTES:
                value = record_value(body, event_time, received_at_ms)
                return AcceptedEvent(event.event_id.lower(), event.user_id, value)
    return judge(event, received_at_ms=received_at_ms, sent_at_ms=sent_at_ms)
