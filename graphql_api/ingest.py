"""From client events to Kafka: judge each by itself, send what is fit, and say of every one what became of it.

Knows nothing of GraphQL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

import msgspec
import structlog

from graphql_api.errors import BadUserInput, Overloaded
from runtime import delivery, metrics
from runtime.delivery import Portion, Producer, RecordTooLarge, SendFailed
from runtime.settings import ApiSettings
from schemas import struct_fields, topics
from schemas.events import AcceptedEvent, ClientEvent, Rejection, judge, judge_json
from schemas.fit_events import FitEvent, judge_fit
from schemas.receipts import Position

_log = structlog.get_logger(__name__)
_ACCEPTED, _REJECTED, _RETRY = (metrics.EVENTS.labels(verdict) for verdict in ("accepted", "rejected", "retry"))
_EVENT_ID: Final = struct_fields.place_of(AcceptedEvent, "event_id")
_USER_ID: Final = struct_fields.place_of(AcceptedEvent, "user_id")
_VALUE: Final = struct_fields.place_of(AcceptedEvent, "value")
_UNKNOWN: Final = "Kafka's answer was lost, so the outcome is unknown"


class Rejected(msgspec.Struct, frozen=True):
    """The event at `index` of the request was refused."""

    index: int
    rejection: Rejection


class Retry(msgspec.Struct, frozen=True):
    """The event at `index` of the request may or may not be in Kafka: send it again with the same id."""

    index: int
    event_id: str
    reason: str


class Judged(msgspec.Struct, frozen=True):
    """A request's events: those that are fit to be sent, with their indices in the request, and those that are not."""

    indices: Sequence[int]
    event_ids: list[str]
    records: list[delivery.KeyedRecord]
    rejected: list[Rejected]


class Outcome(msgspec.Struct, frozen=True):
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
        verdicts = _verdicts(events, received_at_ms, sent_at_ms)
        return _all_accepted(verdicts) or _sorted_out(verdicts)

    async def send(self, judged: Judged) -> Outcome:
        """Send what is accepted, and answer within `track_deadline_ms`. Raises Overloaded.

        Takes the records out of `judged`, so that they need no memory while Kafka is waited for.
        """
        outcome = await self._send_all(judged) if judged.records else Outcome(0, judged.rejected, [], None)
        _ACCEPTED.inc(outcome.accepted_count)
        if outcome.rejected:
            _REJECTED.inc(len(outcome.rejected))
        if outcome.retry:
            _RETRY.inc(len(outcome.retry))
        return outcome

    async def _send_all(self, judged: Judged) -> Outcome:
        indices, event_ids, rejected = judged.indices, judged.event_ids, judged.rejected
        is_of_one_user = _have_one_key(judged.records)
        count, retry = 0, []
        last: Portion | None = None
        for portion in await self._send(judged.records):
            error = portion.flushed.exception() if portion.flushed.done() else None
            if portion.flushed.done() and error is None:
                count += len(portion.indices)
                last = portion
                continue
            for each in portion.indices:
                index, event_id = indices[each], event_ids[each]
                if isinstance(error, RecordTooLarge):
                    rejected.append(Rejected(index, Rejection("TOO_LARGE", "too large for Kafka", "", event_id)))
                else:
                    retry.append(Retry(index, event_id, self._reason(error)))
        rejected.sort(key=lambda entry: entry.index)
        retry.sort(key=lambda entry: entry.index)
        receipt = self._receipt(last.last_place()) if is_of_one_user and last is not None else None
        return Outcome(count, rejected, retry, receipt)

    async def _send(self, records: list[delivery.KeyedRecord]) -> list[Portion]:
        """Send until the deadline; portions whose outcome is not known by then are not done. Raises Overloaded.

        Empties `records`, which the producer has copied.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.track_deadline_ms / 1000
        try:
            portions = await self._producer.send_many(topics.EVENTS.name, records, give_up_at=deadline)
        except delivery.Overloaded as error:
            metrics.EVENTS.labels("overloaded").inc(len(records))
            raise Overloaded(error.retry_after_ms) from error
        except TimeoutError:
            return [Portion([*range(len(records))], 0, loop.create_future())]
        except SendFailed as error:
            unsent = Portion([*range(len(records))], 0, loop.create_future())
            unsent.flushed.set_exception(error)
            return [unsent]
        records.clear()
        for portion in portions:  # most of them are answered together
            if not portion.flushed.done():
                await asyncio.wait([portion.flushed], timeout=max(0, deadline - loop.time()))
        return portions

    def _reason(self, error: BaseException | None) -> str:
        if error is None:
            return f"not acknowledged by Kafka within {self._settings.track_deadline_ms} ms"
        if not isinstance(error, SendFailed):
            _log.error("sending an event failed unexpectedly", exc_info=error)
        return _UNKNOWN

    def _receipt(self, last: delivery.Place) -> Position | None:
        """Where to wait for: nowhere if the epoch has not been read from the store."""
        epoch = self._events_epoch()
        return None if epoch is None else Position(epoch, last.partition, last.offset)


def _all_accepted(verdicts: list[AcceptedEvent | Rejection]) -> Judged | None:
    """None if one is rejected, or comes a second time."""
    event_ids: list[str] = []
    records: list[delivery.KeyedRecord] = []
    for verdict in verdicts:
        if type(verdict) is not AcceptedEvent:
            return None
        event_ids.append(struct_fields.at(verdict, _EVENT_ID))
        user_id: str = struct_fields.at(verdict, _USER_ID)
        records.append((user_id.encode(), struct_fields.at(verdict, _VALUE)))
    if len(set(event_ids)) < len(event_ids):
        return None
    return Judged(range(len(records)), event_ids, records, [])


def _sorted_out(verdicts: list[AcceptedEvent | Rejection]) -> Judged:
    """Rejected beside accepted ones; an event that comes a second time is rejected."""
    indices: list[int] = []
    judged = Judged(indices, [], [], [])
    first_index: dict[str, int] = {}
    for index, verdict in enumerate(verdicts):
        if isinstance(verdict, AcceptedEvent):
            first = first_index.setdefault(verdict.event_id, index)
            if first == index:
                indices.append(index)
                judged.event_ids.append(verdict.event_id)
                judged.records.append((verdict.user_id.encode(), verdict.value))
                continue
            message = f"the request holds this event already at index {first}"
            verdict = Rejection("DUPLICATE_IN_BATCH", message, "eventId", verdict.event_id)
        judged.rejected.append(Rejected(index, verdict))
    return judged


def _have_one_key(records: list[delivery.KeyedRecord]) -> bool:
    first, _ = records[0]
    return all(key == first for key, _ in records)


def _verdicts(events: Sequence[object], received_at_ms: int, sent_at_ms: int | None) -> list[AcceptedEvent | Rejection]:
    if all(type(event) is FitEvent for event in events):
        return judge_fit(cast("Sequence[FitEvent]", events), received_at_ms=received_at_ms, sent_at_ms=sent_at_ms)
    return [_verdict(event, received_at_ms, sent_at_ms) for event in events]


def _verdict(event: object, received_at_ms: int, sent_at_ms: int | None) -> AcceptedEvent | Rejection:
    if isinstance(event, ClientEvent):
        return judge(event, received_at_ms=received_at_ms, sent_at_ms=sent_at_ms)
    try:
        return judge_json(event, received_at_ms=received_at_ms, sent_at_ms=sent_at_ms)
    except OverflowError:  # `0001-01-01T00:00:00+23:59` is well-formed, but no moment that Python can hold in UTC
        event_id = event.get("eventId") if isinstance(event, Mapping) else None
        return Rejection("VALUE_OUT_OF_RANGE", "`occurredAt` lies outside the years 1 to 9999", "occurredAt", event_id)
