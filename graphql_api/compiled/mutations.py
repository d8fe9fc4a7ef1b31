"""Plans of trackEvents and trackEventsJson."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from operator import attrgetter
from typing import Any, Final

import orjson
from graphql import FieldNode

from graphql_api.compiled.errors import Replay
from graphql_api.compiled.inputs import DateTime, Int, Read, attribute
from graphql_api.compiled.replies import Nested, Shape, template
from graphql_api.context import RequestContext
from graphql_api.ingest import Judged, Outcome
from schemas.events import ClientEvent, epoch_ms
from schemas.fit_events import FitEvent
from schemas.receipts import encode_receipt


class CoercedEvent(ClientEvent, gc=False):
    """Any event that graphql-core takes for an EventInput."""

    occurred_at: DateTime
    position: Int | None = None


# The types to decode a request's events with, best first, by the GraphQL type that they stand for. What is no FitEvent
# in trackEventsJson is replayed: its reference costs little.
EVENT_TYPES: Final[Mapping[str, tuple[dict[str, type], ...]]] = {
    "trackEvents": ({"EventInput": FitEvent}, {"EventInput": CoercedEvent}),
    "trackEventsJson": ({"JSON": FitEvent},),
}


class Track:
    """Sends a request's events."""

    def __init__(self, field: FieldNode, arguments: Mapping[str, Read]) -> None:
        self._input = arguments.get("input")
        self._events = arguments.get("events", attrgetter(attribute("events")))
        self._sent_at = arguments.get("sentAt", attrgetter(attribute("sentAt")))
        self._render = template(field.selection_set, _PAYLOAD)

    def __call__(self, variables: Any, context: RequestContext) -> Awaitable[object]:
        """The payload. Raises Replay at once, before anything is sent.

        What is awaited holds no variables: they need no memory while Kafka is waited for.
        """
        try:
            source = variables if self._input is None else self._input(variables)
            sent_at = self._sent_at(source)
            sent_at_ms = None if sent_at is None else epoch_ms(sent_at)
            events = self._events(source)
            _refuse_wide_integers(events)
            judged = context.ingest.judge(events, sent_at_ms=sent_at_ms)
        except Exception as error:
            raise Replay from error
        return self._sent(judged, context)

    async def _sent(self, judged: Judged, context: RequestContext) -> object:
        return self._render((await context.ingest.send(judged), context.trace_id))


def _refuse_wide_integers(events: Iterable[ClientEvent]) -> None:
    """Raises TypeError for one of more than 64 bits: orjson would have made a float of it as it decoded the request."""
    for event in events:
        if event.properties is not None:
            orjson.dumps(event.properties)


def _receipt(source: tuple[Outcome, str]) -> str | None:
    receipt = source[0].receipt
    return None if receipt is None else encode_receipt(receipt)


_PAYLOAD: Final = Shape(
    "TrackEventsPayload",
    {
        "acceptedCount": lambda source: source[0].accepted_count,
        "rejected": Nested(
            lambda source: source[0].rejected,
            Shape(
                "RejectedEvent",
                {
                    "index": attrgetter("index"),
                    "eventId": attrgetter("rejection.event_id"),
                    "code": attrgetter("rejection.code"),
                    "message": attrgetter("rejection.message"),
                    "path": attrgetter("rejection.path"),
                },
            ),
        ),
        "retry": Nested(
            lambda source: source[0].retry,
            Shape(
                "RetryEvent",
                {
                    "index": attrgetter("index"),
                    "eventId": attrgetter("event_id"),
                    "reason": attrgetter("reason"),
                },
            ),
        ),
        "receipt": _receipt,
        "traceId": lambda source: source[1],
    },
)
