"""GraphQL types of events: what clients send, what they are told about it, and the timeline they read back."""

from __future__ import annotations

from datetime import datetime

import orjson
import strawberry
from strawberry.scalars import JSON

from graphql_api.ingest import Outcome
from graphql_api.reads import TimelinePage, encode_cursor
from graphql_api.scalars import moment, parse_moment
from schemas.receipts import encode_receipt
from storage.rows import TimelineEntry


@strawberry.input(description="One thing a user did.")
class EventInput:
    event_id: strawberry.ID = strawberry.field(
        description="UUID chosen by the client (version 7 advised): the idempotency key, so it is safe to send again."
    )
    type: str = strawberry.field(description="GA4 name such as `view_item`, `add_to_cart` or `purchase`.")
    user_id: strawberry.ID = strawberry.field(description="Who did it; 1 to 256 characters.")
    occurred_at: datetime = strawberry.field(description="When, by the client's clock.")
    item_id: strawberry.ID | None = strawberry.field(default=None, description="The item concerned.")
    category: str | None = strawberry.field(default=None, description="The item's category.")
    value: float | None = strawberry.field(default=None, description="Monetary value, in `currency`.")
    currency: str | None = strawberry.field(default=None, description="ISO 4217 code of `value`.")
    search_term: str | None = strawberry.field(default=None, description="What was searched for.")
    list_id: strawberry.ID | None = strawberry.field(default=None, description="The list in which the item was shown.")
    position: int | None = strawberry.field(default=None, description="Place in that list, from 0.")
    properties: JSON | None = strawberry.field(default=None, description="Anything else, nested up to 32 levels.")
    undoes: strawberry.ID | None = strawberry.field(
        default=None,
        description=(
            "For the type `undo` alone: the eventId of the event to take back, whose other fields are repeated; up to "
            "24 hours after it came."
        ),
    )


@strawberry.input(description="Events of one request.")
class TrackEventsInput:
    events: list[EventInput] = strawberry.field(description="Up to 1000 events.")
    sent_at: datetime | None = strawberry.field(
        default=None, description="The client's clock as it sends the request; corrects a clock that is wrong."
    )


@strawberry.type(description="An event that was refused: the caller's mistake, so do not send it again unchanged.")
class RejectedEvent:
    index: int = strawberry.field(description="Place in the request's list, from 0.")
    event_id: strawberry.ID | None = strawberry.field(description="The event's id, if it could be read.")
    code: str = strawberry.field(
        description=(
            "`MISSING_FIELD`, `INVALID_TYPE`, `UNKNOWN_EVENT_TYPE`, `VALUE_OUT_OF_RANGE`, `TOO_OLD`, `IN_THE_FUTURE`, "
            "`TOO_LARGE` or `DUPLICATE_IN_BATCH`."
        )
    )
    message: str = strawberry.field(description="What is wrong, for a person.")
    path: str = strawberry.field(description="The field concerned; empty for the event as a whole.")


@strawberry.type(description="An event whose outcome is unknown: send it again with the same eventId.")
class RetryEvent:
    index: int = strawberry.field(description="Place in the request's list, from 0.")
    event_id: strawberry.ID = strawberry.field(description="The event's id.")
    reason: str = strawberry.field(description="Why the outcome is unknown.")


@strawberry.type(description="What became of every event of the request.")
class TrackEventsPayload:
    accepted_count: int = strawberry.field(description="Events that Kafka's in-sync replicas acknowledged.")
    rejected: list[RejectedEvent] = strawberry.field(description="Events that were refused.")
    retry: list[RetryEvent] = strawberry.field(description="Events to send again with the same eventId.")
    receipt: str | None = strawberry.field(
        description="Where this request's last event of its user lies, for `user(after:)`; null for several users."
    )
    trace_id: str = strawberry.field(description="Identifies this request in logs.")

    @classmethod
    def of(cls, outcome: Outcome, trace_id: str) -> TrackEventsPayload:
        """The payload that tells `outcome`."""
        return cls(
            accepted_count=outcome.accepted_count,
            rejected=[
                RejectedEvent(
                    index=entry.index,
                    event_id=None if entry.rejection.event_id is None else strawberry.ID(entry.rejection.event_id),
                    code=entry.rejection.code,
                    message=entry.rejection.message,
                    path=entry.rejection.path,
                )
                for entry in outcome.rejected
            ],
            retry=[
                RetryEvent(index=entry.index, event_id=strawberry.ID(entry.event_id), reason=entry.reason)
                for entry in outcome.retry
            ],
            receipt=None if outcome.receipt is None else encode_receipt(outcome.receipt),
            trace_id=trace_id,
        )


@strawberry.type(description="An event of a user's timeline.")
class Event:
    event_id: strawberry.ID = strawberry.field(description="The client's id of the event.")
    type: str = strawberry.field(description="GA4 name of what happened.")
    user_id: strawberry.ID = strawberry.field(description="Who did it.")
    occurred_at: datetime = strawberry.field(description="When, by the client's clock.")
    event_time: datetime = strawberry.field(description="When, corrected by `sentAt`: what features are computed on.")
    received_at: datetime = strawberry.field(description="When the API took it.")
    item_id: strawberry.ID | None = strawberry.field(description="The item concerned.")
    category: str | None = strawberry.field(description="The item's category.")
    value: float | None = strawberry.field(description="Monetary value, in `currency`.")
    currency: str | None = strawberry.field(description="ISO 4217 code of `value`.")
    search_term: str | None = strawberry.field(description="What was searched for.")
    list_id: strawberry.ID | None = strawberry.field(description="The list in which the item was shown.")
    position: int | None = strawberry.field(description="Place in that list, from 0.")
    properties: JSON | None = strawberry.field(description="Anything else the client sent.")
    undoes: strawberry.ID | None = strawberry.field(description="The eventId of the event that this one took back.")

    @classmethod
    def of(cls, entry: TimelineEntry) -> Event:
        """The event whose JSON the timeline holds."""
        fields = orjson.loads(entry.payload)
        return cls(
            event_id=fields["eventId"],
            type=fields["type"],
            user_id=fields["userId"],
            occurred_at=parse_moment(fields["occurredAt"]),
            event_time=moment(fields["eventTime"]),
            received_at=moment(fields["receivedAt"]),
            item_id=fields.get("itemId"),
            category=fields.get("category"),
            value=fields.get("value"),
            currency=fields.get("currency"),
            search_term=fields.get("searchTerm"),
            list_id=fields.get("listId"),
            position=fields.get("position"),
            properties=fields.get("properties"),
            undoes=fields.get("undoes"),
        )


@strawberry.type(description="An event and its place in the timeline.")
class EventEdge:
    cursor: str = strawberry.field(description="Pass it as `after` to continue behind this event.")
    node: Event = strawberry.field(description="The event.")


@strawberry.type(description="Where a page lies in its connection.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether older events match as well.")
    has_previous_page: bool = strawberry.field(description="Whether this page was reached by a cursor.")
    start_cursor: str | None = strawberry.field(description="Cursor of the first edge; null on an empty page.")
    end_cursor: str | None = strawberry.field(description="Cursor of the last edge; null on an empty page.")


@strawberry.type(description="A page of a user's events, newest first.")
class EventConnection:
    edges: list[EventEdge] = strawberry.field(description="The events of this page.")
    page_info: PageInfo = strawberry.field(description="Where this page lies.")

    @classmethod
    def of(cls, page: TimelinePage, *, after: str | None) -> EventConnection:
        """The connection that shows `page`, which was asked for behind `after`."""
        edges = [EventEdge(cursor=encode_cursor(entry), node=Event.of(entry)) for entry in page.entries]
        return cls(
            edges=edges,
            page_info=PageInfo(
                has_next_page=page.has_next,
                has_previous_page=after is not None,
                start_cursor=edges[0].cursor if edges else None,
                end_cursor=edges[-1].cursor if edges else None,
            ),
        )
