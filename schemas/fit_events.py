"""The usual event: its type does most of the judging while it is decoded, so that the rest costs a fraction of `judge`.

What decodes as a `FitEvent` has passed most of what `judge` looks at: not yet the form of its UUID, its time, its size
and the depth of `properties`. `judge_fit` gives the verdict of `judge`; a property test compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import compress
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from schemas.events import (
    EPOCH,
    INT32_MAX,
    MAX_AGE_MS,
    MAX_AHEAD_MS,
    MAX_DEPTH,
    MAX_EVENT_BYTES,
    MAX_VALUE,
    ONE_MS,
    AcceptedEvent,
    ClientEvent,
    EventType,
    Id,
    Rejection,
    Text,
    are_uuids,
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


def judge_fit(
    events: Sequence[FitEvent], *, received_at_ms: int, sent_at_ms: int | None
) -> list[AcceptedEvent | Rejection]:
    """What `judge` says of each of `events`, which were decoded as that. Raises OverflowError as it does."""
    if not are_uuids([event.event_id for event in events]):
        return [judge(event, received_at_ms=received_at_ms, sent_at_ms=sent_at_ms) for event in events]
    shift = 0 if sent_at_ms is None else received_at_ms - sent_at_ms
    usual = [_take_times(event, received_at_ms, shift) for event in events]
    # All at once take half of one by one; JSON holds no line feed.
    values = iter(encode_events(list(compress(events, usual))).split(b"\n"))
    verdicts: list[AcceptedEvent | Rejection] = []
    for event, is_usual in zip(events, usual, strict=True):
        if is_usual:
            value = next(values)
            if len(value) <= MAX_EVENT_BYTES:
                verdicts.append(AcceptedEvent(event.event_id.lower(), event.user_id, value))
                continue
            event.event_time = event.received_at = UNSET
        verdicts.append(judge(event, received_at_ms=received_at_ms, sent_at_ms=sent_at_ms))
    return verdicts


def _take_times(event: FitEvent, received_at_ms: int, shift_ms: int) -> bool:
    """Set both times of the event, if neither its time nor its properties are unusual; whether they are not."""
    occurred_at, properties = event.occurred_at, event.properties
    if occurred_at.tzinfo is not UTC or (properties is not None and depth_exceeds(properties, MAX_DEPTH)):
        return False
    event_time = (occurred_at - EPOCH) // ONE_MS + shift_ms
    if not received_at_ms - MAX_AGE_MS <= event_time <= received_at_ms + MAX_AHEAD_MS:
        return False
    event.event_time, event.received_at = event_time, received_at_ms
    return True
