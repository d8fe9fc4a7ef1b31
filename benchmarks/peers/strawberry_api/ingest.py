"""Idiomatic Strawberry: typed inputs, a resolver that sends each event with aiokafka and gathers the answers.

Both of Strawberry's caches are on, the loop is uvloop, the producer is idempotent with acks=all, as on our side.
"""

from __future__ import annotations

import asyncio
import gc
from datetime import UTC, datetime

import orjson
import strawberry
import uvloop
from aiokafka import AIOKafkaProducer
from strawberry.asgi import GraphQL
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.scalars import JSON

from benchmarks import asgi
from benchmarks.sides.ingest_load import KAFKA_CASE, arguments, bodies, drive, expect

given = arguments()


@strawberry.input
class EventInput:
    """An event."""

    event_id: strawberry.ID
    type: str
    user_id: strawberry.ID
    occurred_at: datetime
    item_id: strawberry.ID | None = None
    category: str | None = None
    value: float | None = None
    currency: str | None = None
    search_term: str | None = None
    list_id: strawberry.ID | None = None
    position: int | None = None
    properties: JSON | None = None
    undoes: strawberry.ID | None = None


@strawberry.input
class TrackEventsInput:
    """Events of a request."""

    events: list[EventInput]
    sent_at: datetime | None = None


@strawberry.type
class RejectedEvent:
    """An event that is refused."""

    index: int
    code: str


@strawberry.type
class TrackEventsPayload:
    """What became of them."""

    accepted_count: int
    rejected: list[RejectedEvent]


def problem(event: EventInput, now: datetime) -> str | None:
    """The few checks that anybody would make."""
    if not event.event_id or not event.user_id:
        return "MISSING_FIELD"
    if event.occurred_at.tzinfo is None or (event.occurred_at - now).total_seconds() > 300:
        return "IN_THE_FUTURE"
    return None


def encode(event: EventInput, now: datetime) -> bytes:
    """The record's value, without the fields that were not sent."""
    fields = {name: value for name, value in vars(event).items() if value is not None}
    return orjson.dumps({**fields, "received_at": now})


@strawberry.type
class Mutation:
    """Writes."""

    @strawberry.mutation
    async def track_events(self, info: strawberry.Info, input: TrackEventsInput) -> TrackEventsPayload:
        """Send all, answer when all are acknowledged."""
        producer: AIOKafkaProducer = info.context["producer"]
        now = datetime.now(UTC)
        rejected = []
        sends = []
        for index, event in enumerate(input.events):
            code = problem(event, now)
            if code is not None:
                rejected.append(RejectedEvent(index=index, code=code))
                continue
            sends.append(await producer.send(given["topic"], encode(event, now), key=event.user_id.encode()))
        await asyncio.gather(*sends)
        return TrackEventsPayload(accepted_count=len(sends), rejected=rejected)


@strawberry.type
class Query:
    """A schema needs one."""

    ok: bool = True


schema = strawberry.Schema(Query, Mutation, extensions=[ParserCache, ValidationCache])


class App(GraphQL):
    """With the producer in the context."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        super().__init__(schema, graphql_ide=None)
        self._producer = producer

    async def get_context(self, request: object, response: object) -> dict[str, object]:
        return {"producer": self._producer}


async def main() -> None:
    """Print a line for each batch size."""
    producer = AIOKafkaProducer(
        bootstrap_servers=given["kafka"],
        acks="all",
        enable_idempotence=True,
        compression_type="zstd",
        linger_ms=2,
        max_batch_size=256 << 10,
    )
    await producer.start()
    app = App(producer)
    for batch, events in given["batches"].items():
        requests = bodies(batch)

        async def call(body: bytes, batch: int = batch) -> None:
            expect(await asgi.post(app, "/graphql", body), batch)

        gc.collect()
        gc.freeze()
        await drive(KAFKA_CASE.format(batch), batch, events, requests, call)
    await producer.stop()


if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(main())
