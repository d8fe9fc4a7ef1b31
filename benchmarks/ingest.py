"""Mutations into Kafka, called in-process: what GraphQL and the producer cost, without HTTP."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.bench import Bench
from benchmarks.harness import HEADRACE, Entry, Sample, Side, WrongResult, alternate
from benchmarks.processes import ServersCpu, run_side, sample_of
from benchmarks.servers import KAFKA_NAME
from benchmarks.sides.ingest_load import ALONE_CASE, KAFKA_CASE
from schemas.topics import EVENTS

IDIOMATIC, BARE = "Strawberry + aiokafka.send", "bare send_batch"
LOADS, CANNED = "orjson.loads of the body", "Starlette, orjson.loads, canned reply"
# Events a run: enough for half a second or more of CPU on each side.
_FAST: Final = {1: 10_000, 10: 40_000, 100: 200_000, 1000: 200_000}
_IDIOMATIC: Final = {1: 3_000, 10: 10_000, 100: 20_000, 1000: 20_000}


def on_kafka(batch: int) -> str:
    """The case of that batch size."""
    return KAFKA_CASE.format(batch)


def alone(batch: int) -> str:
    """The same without Kafka."""
    return ALONE_CASE.format(batch)


def measure(bench: Bench) -> Entry:
    """Batches of 1, 10, 100 and 1 000 events."""
    bench.servers.refill([])
    fast = {batch: bench.size(events, events // 20) for batch, events in _FAST.items()}
    slow = {batch: bench.size(events, events // 10) for batch, events in _IDIOMATIC.items()}
    sides = [
        Side(HEADRACE, partial(_run, bench, "sides.ingest_headrace", fast)),
        Side(IDIOMATIC, partial(_run, bench, "peers.strawberry_api.ingest", slow)),
        Side(BARE, partial(_run, bench, "sides.ingest_bare", fast, bare="send_batch")),
        Side(CANNED, partial(_run, bench, "sides.ingest_bare", fast, bare="canned")),
        Side(LOADS, partial(_run, bench, "sides.ingest_bare", fast, bare="loads")),
    ]
    return Entry(
        name="ingest",
        title="trackEvents with typed inputs, events of 190 bytes, answered after Kafka's acknowledgement (acks=all)",
        item="event",
        servers=f"{KAFKA_NAME}; `GraphQL alone` has a stub that acknowledges at once instead of Kafka",
        rows=alternate(sides, bench.runs, bench.say),
        notes=[
            "In-process ASGI calls, up to 64 requests and 4 000 events in flight; uvloop, idempotent producers and "
            "zstd on every side (Headrace's at level 1, aiokafka's at 3).",
            f"{IDIOMATIC}: ParserCache and ValidationCache on, gather of the sends.",
            f"{BARE}: values and partitions lie ready, no GraphQL: the ceiling of this client.",
            f"{CANNED}: what a request costs any application; the fixed cost of GraphQL is counted on top of it.",
            "Kafka's CPU is that of a side's whole run, over all its events.",
            "The partitions' ends were compared with what was sent after each run.",
        ],
    )


def _run(bench: Bench, module: str, batches: dict[int, int], **more: object) -> list[Sample]:
    before = asyncio.run(_records(bench.servers.kafka))
    servers_cpu = ServersCpu(bench.servers)
    printed = run_side(
        f"benchmarks.{module}",
        {
            "kafka": bench.servers.kafka,
            "topic": EVENTS.name,
            "partitions": EVENTS.partitions,
            "batches": batches,
            **more,
        },
        log=bench.log(module),
    )
    spent = servers_cpu.spent()
    on_kafka = sum(each["items"] for each in printed if "alone" not in each["case"])
    arrived = asyncio.run(_records(bench.servers.kafka)) - before
    if arrived < on_kafka:  # the warm-up comes on top
        raise WrongResult(f"{on_kafka} events were acknowledged, but only {arrived} are in Kafka")
    kafka_share = {"kafka": spent["kafka"] / arrived} if arrived else {}
    return [
        sample_of(each, {name: share * each["items"] for name, share in kafka_share.items()} if _real(each) else {})
        for each in printed
    ]


def _real(printed: dict[str, object]) -> bool:
    return "alone" not in str(printed["case"])


async def _records(kafka: str) -> int:
    """How many records the events topic holds."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka)
    await consumer.start()
    try:
        partitions = [TopicPartition(EVENTS.name, number) for number in range(EVENTS.partitions)]
        return sum((await consumer.end_offsets(partitions)).values())
    finally:
        await consumer.stop()
