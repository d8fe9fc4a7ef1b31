"""Headrace's API called in this process: with its producer on a real Kafka, and with none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import uvloop

from benchmarks import asgi
from benchmarks.application import new_app
from benchmarks.collector import as_in_the_product
from benchmarks.sides.ingest_load import ALONE_CASE, KAFKA_CASE, arguments, bodies, drive, expect
from runtime.delivery import Acknowledgement, KeyedRecord, Place, Portion
from runtime.memory_producer import MemoryProducer
from runtime.producer import EventProducer
from runtime.settings import Settings
from storage.memory import MemoryUserStore


class Instant(MemoryProducer):
    """Acknowledges at once and keeps nothing, so that GraphQL alone is measured."""

    async def send_many(
        self, topic: str, records: Sequence[KeyedRecord], *, in_line: bool = False, give_up_at: float | None = None
    ) -> list[Portion]:
        """See Producer.send_many."""
        flushed: asyncio.Future[Acknowledgement] = asyncio.get_running_loop().create_future()
        flushed.set_result(Place(topic, 0, 0))
        return [Portion(list(range(len(records))), 0, flushed)]


async def main() -> None:
    """Print a line for each batch size."""
    given = arguments()
    producer = EventProducer(given["kafka"], client_id="headrace-api")
    await producer.start()
    await producer.connected()
    for batch, events in given["batches"].items():
        await measure(producer, KAFKA_CASE.format(batch), batch, events)
        await measure(Instant(), ALONE_CASE.format(batch), batch, events)
    await producer.stop()


async def measure(producer: EventProducer | MemoryProducer, case: str, batch: int, events: int) -> None:
    """One batch size on one producer."""
    app = new_app(Settings(_env_file=None), store=MemoryUserStore(), producer=producer)  # type: ignore[call-arg]

    async def call(body: bytes) -> None:
        expect(await asgi.post(app, "/graphql", body), batch)

    requests = bodies(batch)
    with as_in_the_product():
        await drive(case, batch, events, requests, call)


if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(main())
