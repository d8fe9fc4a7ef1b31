"""The producer while its Kafka is killed under load: what it told is so."""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from dataclasses import dataclass, field

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from cli.system import System
from runtime.delivery import Overloaded
from runtime.producer import EventProducer
from tests.integration.world import read_topic, until

PARTITIONS = 4
CLIENTS = 8
BATCH = 50
ENOUGH = 5_000


@dataclass
class Told:
    """The place of each record that was acknowledged, and how many were not in time."""

    places: dict[tuple[int, int], bytes] = field(default_factory=dict)
    unknown: int = 0
    overlaps: int = 0


async def send_for_ever(producer: EventProducer, topic: str, client: int, told: Told) -> None:
    """One request after the other, each of records of two keys."""
    number = 0
    while True:
        records: list[tuple[bytes | None, bytes | None]] = []
        for _ in range(BATCH):
            records.append((b"%d-%d" % (client, number % 2), b"%d:%d:%d" % (client, number % 2, number)))
            number += 1
        try:
            async with asyncio.timeout(1):
                portions = await producer.send_many(topic, records)
        except (TimeoutError, Overloaded):
            told.unknown += BATCH
            await asyncio.sleep(0.05)
            continue
        done, _ = await asyncio.wait([portion.flushed for portion in portions], timeout=1)
        for portion in portions:
            if portion.flushed not in done or portion.flushed.exception() is not None:
                told.unknown += len(portion.indices)
                continue
            last = portion.last_place()
            for back, index in enumerate(reversed(portion.indices)):
                place = last.partition, last.offset - back
                told.overlaps += place in told.places
                told.places[place] = records[index][1] or b""


async def test_every_acknowledged_record_lies_where_it_was_told_although_kafka_was_killed(system: System) -> None:
    bootstrap, topic = system.settings.kafka.bootstrap_servers, f"fire-{uuid.uuid4()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    await admin.close()
    producer, told = EventProducer(bootstrap, client_id="fire", in_flight_records=2_000), Told()
    await producer.start()
    clients = [asyncio.create_task(send_for_ever(producer, topic, client, told)) for client in range(CLIENTS)]

    async def acknowledged(count: int) -> None:
        async def reached() -> bool:
            return len(told.places) >= count

        await until(reached, 120, f"{count} acknowledged records")

    await acknowledged(ENOUGH)
    try:
        await asyncio.to_thread(system.stack.stop, "kafka", kill=True)
        unknown = told.unknown

        async def felt() -> bool:
            return told.unknown > unknown + 1_000

        await until(felt, 30, "an outage that is felt")
    finally:
        await asyncio.to_thread(system.stack.start, "kafka")
    await acknowledged(len(told.places) + ENOUGH)
    for client in clients:
        client.cancel()
    await asyncio.wait(clients)
    await producer.stop()

    assert told.overlaps == 0
    log = {(record.partition, record.offset): record.value for record in await read_topic(bootstrap, topic)}
    assert {place: log.get(place) for place in told.places} == told.places
    by_key: defaultdict[bytes, list[int]] = defaultdict(list)
    for _, value in sorted(told.places.items()):
        key, _, number = value.rpartition(b":")
        by_key[key].append(int(number))
    assert len(by_key) == 2 * CLIENTS
    assert all(numbers == sorted(numbers) for numbers in by_key.values()), "records of a key changed their order"
