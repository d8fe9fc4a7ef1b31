"""From client events to Kafka: judge each by itself, send what is fit, and say of every one what became of it.

Knows nothing of GraphQL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import structlog

from graphql_api.errors import BadUserInput
from runtime import metrics
from runtime.producer import Acknowledgement, Producer, RecordTooLarge, SendFailed
from runtime.settings import ApiSettings
from schemas import topics
from schemas.events import AcceptedEvent, ClientEvent, Rejection, judge, judge_json
from schemas.fit_events import FitEvent, judge_fit
from schemas.receipts import Position

_log = structlog.get_logger(__name__)
_ACCEPTED, _REJECTED, _RETRY = (metrics.EVENTS.labels(verdict) for verdict in ("accepted", "rejected", "retry"))
_UNKNOWN: Final = "Kafka's answer was lost, so the outcome is unknown"


@dataclass(frozen=True, slots=True)
class Rejected:
    """The event at `index` of the request was refused."""

    index: int
    rejection: Rejection


@dataclass(frozen=True, slots=True)
class Retry:
    """The event at `index` of the request may or may not be in Kafka: send it again with the same id."""

    index: int
    event_id: str
    reason: str


class Judged(NamedTuple):
    """A request's events by their index: what is fit to be sent, and what is not."""

    accepted: dict[int, AcceptedEvent]
    rejected: list[Rejected]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request's events; every index is in exactly one of the three groups."""

    accepted_count: int
    rejected: list[Rejected]
    retry: list[Retry]
    receipt: Position | None


class Ingest:
    """Takes requests of events."""

    def __init__(
        self,
        producer: Producer,
        settings: ApiSettings,
        *,
        clock: Callable[[], int],
        events_epoch: Callable[[], int | None],
    ) -> None:
        self._producer = producer
        self._settings = settings
        self._clock = clock
        self._events_epoch = events_epoch

    def judge(self, events: Sequence[object], *, sent_at_ms: int | None) -> Judged:
        """Judge `events`: ClientEvent values, or JSON values of that shape.

        Raises BadUserInput for more than `max_events`, OverflowError for a ClientEvent whose occurredAt is no moment in
        UTC.
        """
        if len(events) > self._settings.max_events:
            raise BadUserInput(f"{len(events)} events in one request; the limit is {self._settings.max_events}")
        received_at_ms = self._clock()
        accepted: dict[int, AcceptedEvent] = {}
        rejected: list[Rejected] = []
        first_index: dict[str, int] = {}
        for index, verdict in enumerate(_verdicts(events, received_at_ms, sent_at_ms)):
            if isinstance(verdict, AcceptedEvent):
                first = first_index.setdefault(verdict.event_id, index)
                if first == index:
                    accepted[index] = verdict
                    continue
                message = f"the request holds this event already at index {first}"
                verdict = Rejection("DUPLICATE_IN_BATCH", message, "eventId", verdict.event_id)
            rejected.append(Rejected(index, verdict))
        return Judged(accepted, rejected)

    async def send(self, judged: Judged) -> Outcome:
        """Send what is accepted, and answer within `track_deadline_ms`."""
        accepted, rejected = judged
        outcome = await self._send_all(accepted, rejected) if accepted else Outcome(0, rejected, [], None)
        _ACCEPTED.inc(outcome.accepted_count)
        _REJECTED.inc(len(outcome.rejected))
        _RETRY.inc(len(outcome.retry))
        return outcome

    async def _send_all(self, accepted: dict[int, AcceptedEvent], rejected: list[Rejected]) -> Outcome:
        send, topic = self._producer.send, topics.EVENTS.name
        tasks = {
            asyncio.ensure_future(send(topic, event.user_id.encode(), event.value)): index
            for index, event in accepted.items()
        }
        deadline_ms = self._settings.track_deadline_ms
        try:
            await asyncio.wait(tasks, timeout=deadline_ms / 1000)
        finally:
            for task in tasks:
                task.cancel()  # does nothing to those that are done
        retry: list[Retry] = []
        last: Acknowledgement | None = None
        for task, index in tasks.items():
            event_id = accepted[index].event_id
            if not task.done() or task.cancelled():
                retry.append(Retry(index, event_id, f"not acknowledged by Kafka within {deadline_ms} ms"))
                continue
            error = task.exception()
            if error is None:
                where = task.result()
                last = where if last is None or where.offset > last.offset else last
            elif isinstance(error, RecordTooLarge):
                rejected.append(Rejected(index, Rejection("TOO_LARGE", "too large for Kafka", "", event_id)))
            else:
                if not isinstance(error, SendFailed):
                    _log.error("sending an event failed unexpectedly", exc_info=error)
                retry.append(Retry(index, event_id, _UNKNOWN))
        rejected.sort(key=lambda entry: entry.index)
        count = len(tasks) - len(retry) - sum(entry.index in accepted for entry in rejected)
        return Outcome(count, rejected, retry, self._receipt({event.user_id for event in accepted.values()}, last))

    def _receipt(self, users: set[str], last: Acknowledgement | None) -> Position | None:
        """Where to wait for: nowhere if several users were sent, or if the epoch has not been read from the store."""
        epoch = self._events_epoch()
        if last is None or epoch is None or len(users) != 1:
            return None
        return Position(epoch, last.partition, last.offset)


def _verdicts(events: Sequence[object], received_at_ms: int, sent_at_ms: int | None) -> list[AcceptedEvent | Rejection]:
    fit = [event for event in events if isinstance(event, FitEvent)]
    if len(fit) == len(events):
        return judge_fit(fit, received_at_ms=received_at_ms, sent_at_ms=sent_at_ms)
    return [_verdict(event, received_at_ms, sent_at_ms) for event in events]


def _verdict(event: object, received_at_ms: int, sent_at_ms: int | None) -> AcceptedEvent | Rejection:
    if isinstance(event, ClientEvent):
        return judge(event, received_at_ms=received_at_ms, sent_at_ms=sent_at_ms)
    try:
        return judge_json(event, received_at_ms=received_at_ms, sent_at_ms=sent_at_ms)
    except OverflowError:  # `0001-01-01T00:00:00+23:59` is well-formed, but no moment that Python can hold in UTC
        return Rejection("VALUE_OUT_OF_RANGE", "`occurredAt` lies outside the years 1 to 9999", "occurredAt")
