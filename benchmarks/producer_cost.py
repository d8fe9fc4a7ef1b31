"""What an event costs on its way to Kafka: `python -m benchmarks.producer_cost`.

Three ways, in turn, on a real Kafka of its own, acks=all, idempotent, zstd (ours at level 1, aiokafka's at 3):
  send        one `aiokafka.send` per event, the batches are aiokafka's: the idiomatic way;
  send_batch  each request is one batch into one partition: the ceiling, for it neither hashes keys nor shares;
  ours        EventProducer.send_many.
CPU of this process alone (`process_time`), events of 190 bytes of 10 000 users, medians of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from itertools import cycle
from pathlib import Path
from tempfile import mkdtemp

import uvloop
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from cli.system import System
from runtime.delivery import KeyedRecord
from runtime.group_commit import BATCH_BYTES
from runtime.producer import EventProducer
from tests.conftest import settings_in

PARTITIONS = 12
USERS = 10_000
SIZES = (1, 10, 100, 1000)
EVENTS_PER_RUN = {1: 20_000, 10: 100_000, 100: 200_000, 1000: 200_000}
EVENTS_UNDER_WAY = 16_000  # below the bound of the producer
MOST_AT_ONCE = 64

Send = Callable[[Sequence[KeyedRecord]], Awaitable[None]]


def records(count: int) -> list[KeyedRecord]:
    """Events as the API writes them, by users in a fixed disorder."""
    made: list[KeyedRecord] = []
    for index in range(count):
        user = b"user-%08d" % (index * 7919 % USERS)
        value = b'{"eventId":"%s","type":"view_item","userId":"%s","occurredAt":"2026-01-01T00:00:00Z",' % (
            str(uuid.UUID(int=index)).encode(),
            user,
        )
        made.append((user, value.ljust(189, b" ") + b"}"))
    return made


def idiomatic(producer: AIOKafkaProducer, topic: str) -> Send:
    """One `send` per event."""

    async def send(request: Sequence[KeyedRecord]) -> None:
        await asyncio.gather(*[await producer.send(topic, value=value, key=key) for key, value in request])

    return send


def bare(producer: AIOKafkaProducer, topic: str) -> Send:
    """One batch per request."""
    partitions = cycle(range(PARTITIONS))

    async def send(request: Sequence[KeyedRecord]) -> None:
        batch = producer.create_batch()
        for key, value in request:
            if batch.append(timestamp=None, key=key, value=value) is None:
                raise AssertionError("a request fits into a batch")
        batch.close()
        await (await producer.send_batch(batch, topic, partition=next(partitions)))

    return send


def ours(producer: EventProducer, topic: str) -> Send:
    """As the API sends."""

    async def send(request: Sequence[KeyedRecord]) -> None:
        portions = await producer.send_many(topic, request)
        await asyncio.wait([portion.flushed for portion in portions])
        for portion in portions:
            portion.last_place()

    return send


async def cost(send: Send, requests: Sequence[Sequence[KeyedRecord]], at_once: int) -> tuple[float, float]:
    """CPU and wall microseconds per event, with `at_once` requests under way."""
    left = iter(requests)

    async def client() -> None:
        for request in left:
            await send(request)

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client() for _ in range(at_once)))
    events = sum(map(len, requests))
    return (time.process_time() - cpu) * 1e6 / events, (time.perf_counter() - wall) * 1e6 / events


async def compare(bootstrap: str, rounds: int) -> None:
    """Print the table."""
    topic = "producer-cost"
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, PARTITIONS, 1, topic_configs={"retention.bytes": str(64 << 20)})])
    await admin.close()
    stock = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=True,
        compression_type="zstd",
        max_batch_size=BATCH_BYTES,
        linger_ms=2,
    )
    own = EventProducer(bootstrap, client_id="cost")
    await stock.start()
    await own.start()
    await own.connected()
    ways = {"send": idiomatic(stock, topic), "send_batch": bare(stock, topic), "ours": ours(own, topic)}
    try:
        print(f"{'request':>8}{'at once':>8}" + "".join(f"{way + ' us':>16}" for way in ways) + f"{'of bare':>10}")
        for size in SIZES:
            print(await row(ways, size, rounds), flush=True)
    finally:
        await stock.stop()
        await own.stop()


async def row(ways: dict[str, Send], size: int, rounds: int) -> str:
    """Medians of CPU (and wall) per event for one size of request, and bare's cost divided by ours."""
    events = records(EVENTS_PER_RUN[size])
    requests = [events[start : start + size] for start in range(0, len(events), size)]
    at_once = min(MOST_AT_ONCE, EVENTS_UNDER_WAY // size)
    seen: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for turn in range(rounds + 1):
        for way, send in ways.items():
            measured = await cost(send, requests, at_once)
            if turn:  # the first round warms up
                seen[way].append(measured)
    cpu = {way: statistics.median(each for each, _ in costs) for way, costs in seen.items()}
    wall = {way: statistics.median(each for _, each in costs) for way, costs in seen.items()}
    cells = "".join(f"{f'{cpu[way]:.2f} ({wall[way]:.2f})':>16}" for way in ways)
    return f"{size:>8}{at_once:>8}{cells}{cpu['send_batch'] / cpu['ours']:>10.2f}"


def main() -> None:
    """Start a Kafka, measure, stop it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kafka", help="host:port of a Kafka that runs already")
    arguments = parser.parse_args()
    if arguments.kafka:
        uvloop.run(compare(arguments.kafka, arguments.rounds))
        return
    directory = Path(mkdtemp(prefix="producer-cost-"))
    system = System(settings_in(directory), lambda line: print(line, file=sys.stderr))
    try:
        system.stack.start("kafka")
        uvloop.run(compare(system.settings.kafka.bootstrap_servers, arguments.rounds))
    finally:
        system.down()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
