"""What every producer promises, the fake and the real one alike."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Protocol

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from runtime import metrics
from runtime.memory_producer import MemoryProducer
from runtime.producer import MAX_RECORD_BYTES, EventProducer, Overloaded, Producer, RecordTooLarge, SendFailed

PARTITIONS = 12


class Bench(Protocol):
    """A producer, a topic of its own, and a look into the log."""

    @property
    def producer(self) -> Producer: ...
    @property
    def topic(self) -> str: ...

    async def read(self, partition: int, offset: int) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]: ...

    async def stop(self) -> None: ...


class MemoryBench:
    def __init__(self) -> None:
        self.producer = MemoryProducer(partitions=PARTITIONS)
        self.topic = "contract"

    async def read(self, partition: int, offset: int) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]:
        record = self.producer.records[self.topic, partition][offset]
        return record.key, record.value, list(record.headers)

    async def stop(self) -> None:
        await self.producer.stop()


class KafkaBench:
    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.producer = EventProducer(bootstrap_servers, client_id="contract")
        self.topic = f"contract-{uuid.uuid4()}"

    async def start(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        await admin.start()
        configs = {"max.message.bytes": str(MAX_RECORD_BYTES + 1024)}
        await admin.create_topics([NewTopic(self.topic, PARTITIONS, 1, topic_configs=configs)])
        await admin.close()
        await self.producer.start()

    async def read(self, partition: int, offset: int) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap_servers)
        await consumer.start()
        place = TopicPartition(self.topic, partition)
        consumer.assign([place])
        consumer.seek(place, offset)
        record = await asyncio.wait_for(consumer.getone(), 10)
        await consumer.stop()
        return record.key, record.value, list(record.headers)

    async def stop(self) -> None:
        await self.producer.stop()


@pytest.fixture(params=["memory", "kafka"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    made: MemoryBench | KafkaBench
    if request.param == "memory":
        made = MemoryBench()
    else:
        made = KafkaBench(request.getfixturevalue("kafka_bootstrap"))
        await made.start()
    yield made
    await made.stop()


async def test_an_acknowledged_record_is_in_the_log_where_the_answer_says(bench: Bench) -> None:
    placed = await bench.producer.send(bench.topic, b"user-1", b"{}", [("code", b"NOT_JSON")])
    assert await bench.read(placed.partition, placed.offset) == (b"user-1", b"{}", [("code", b"NOT_JSON")])


async def test_records_of_one_key_lie_in_one_partition_in_the_order_of_sending(bench: Bench) -> None:
    placed = [await bench.producer.send(bench.topic, b"user-1", b"%d" % index) for index in range(5)]
    assert {place.partition for place in placed} == {placed[0].partition}
    assert [place.offset for place in placed] == [placed[0].offset + index for index in range(5)]


# Hashes from the tests of the Java client (UtilsTest.testMurmur2).
JAVA_HASHES = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536, b"abc": 479470107}


@pytest.mark.parametrize("key", JAVA_HASHES)
async def test_the_partition_of_a_key_is_the_one_java_clients_choose(bench: Bench, key: bytes) -> None:
    placed = await bench.producer.send(bench.topic, key, b"{}")
    assert placed.partition == (JAVA_HASHES[key] & 0x7FFFFFFF) % PARTITIONS


async def test_many_sends_at_once_are_each_answered_with_a_place_of_their_own(bench: Bench) -> None:
    placed = await asyncio.gather(*(bench.producer.send(bench.topic, b"%d" % n, b"{}") for n in range(3000)))
    assert len({(place.partition, place.offset) for place in placed}) == 3000


async def test_a_record_without_key_or_without_value_is_taken(bench: Bench) -> None:
    keyless = await bench.producer.send(bench.topic, None, b"{}")
    empty = await bench.producer.send(bench.topic, b"user-1", None)
    assert (await bench.read(keyless.partition, keyless.offset))[0] is None
    assert (await bench.read(empty.partition, empty.offset))[1] is None


async def test_a_record_that_is_too_large_is_refused_and_the_next_one_is_taken(bench: Bench) -> None:
    with pytest.raises(RecordTooLarge):
        await bench.producer.send(bench.topic, b"user-1", bytes(MAX_RECORD_BYTES + 1))
    await bench.producer.send(bench.topic, b"user-1", bytes(MAX_RECORD_BYTES - 1024))


async def test_after_stopping_a_send_fails_instead_of_waiting(bench: Bench) -> None:
    await bench.producer.send(bench.topic, b"user-1", b"{}")
    await bench.stop()
    with pytest.raises(SendFailed):
        await bench.producer.send(bench.topic, b"user-1", b"{}")


async def test_a_send_waits_while_kafka_is_away_and_the_caller_may_give_up() -> None:
    memory = MemoryProducer()
    memory.stalled = True
    real = EventProducer("127.0.0.1:1", client_id="contract")  # nobody listens on port 1
    await real.start()
    for producer in (memory, real):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(producer.send("contract", b"user-1", b"{}"), 0.3)
        assert not producer.healthy
        assert producer.last_error
        await producer.stop()


async def test_records_sent_together_are_each_where_their_portion_says(bench: Bench) -> None:
    records = [(b"user-%d" % (n % 40), b"%d" % n) for n in range(500)]
    requests = await asyncio.gather(
        *(bench.producer.send_many(bench.topic, records[n : n + 50]) for n in range(0, 500, 50))
    )
    seen: dict[tuple[int, int], bytes] = {}
    for start, portions in zip(range(0, 500, 50), requests, strict=True):
        assert sorted(index for portion in portions for index in portion.indices) == list(range(50))
        await asyncio.wait([portion.flushed for portion in portions])
        for portion in portions:
            last = portion.last_place()
            for back, index in enumerate(reversed(portion.indices)):
                seen[last.partition, last.offset - back] = records[start + index][1]
    assert sorted(seen.values(), key=int) == [value for _, value in records], "places overlap"
    for user in range(40):
        own = [place for place, value in seen.items() if int(value) % 40 == user]
        assert len({partition for partition, _ in own}) == 1
        assert [int(seen[place]) for place in sorted(own)] == sorted(int(seen[place]) for place in own)
    for (partition, offset), value in list(seen.items())[::100]:
        assert (await bench.read(partition, offset))[1] == value


async def test_one_record_too_large_does_not_keep_its_neighbours_back(bench: Bench) -> None:
    portions = await bench.producer.send_many(
        bench.topic, [(b"ann", b"1"), (b"bob", bytes(MAX_RECORD_BYTES + 1)), (b"cid", b"2")]
    )
    await asyncio.wait([portion.flushed for portion in portions])
    verdicts = {index: portion.flushed.exception() for portion in portions for index in portion.indices}
    assert isinstance(verdicts.pop(1), RecordTooLarge)
    assert verdicts == {0: None, 2: None}


async def test_more_than_may_wait_is_refused_whole_and_room_comes_back_when_a_caller_gives_up() -> None:
    memory = MemoryProducer(in_flight_records=5)
    memory.stalled = True
    real = EventProducer("127.0.0.1:1", client_id="contract", in_flight_records=5)  # nobody listens on port 1
    await real.start()
    three: list[tuple[bytes | None, bytes | None]] = [(b"user-1", b"{}")] * 3
    for producer in (memory, real):
        waiting = asyncio.create_task(_until_flushed(producer, three))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as refused:
            await producer.send_many("contract", three)
        assert refused.value.retry_after_ms > 0
        if producer is real:
            assert metrics.REGISTRY.get_sample_value("headrace_in_flight_records") == 3
        memory.stalled = False
        waiting.cancel()
        await asyncio.wait([waiting])
        async with asyncio.timeout(5):
            while True:
                try:
                    await asyncio.wait_for(producer.send_many("contract", three), 0.1)
                except Overloaded:
                    await asyncio.sleep(0)
                except TimeoutError:
                    break  # it waits for a connection, so it has found room
                else:
                    break
        await producer.stop()


@pytest.mark.parametrize("kind", ["memory", "kafka"])
async def test_without_a_connection_sending_is_given_up_at_the_moment_named_and_leaves_its_room(kind: str) -> None:
    memory = MemoryProducer(in_flight_records=1)
    memory.away = True
    real = EventProducer("127.0.0.1:1", client_id="contract", in_flight_records=1)  # nobody listens on port 1
    producer = memory if kind == "memory" else real
    await producer.start()
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await producer.send_many("contract", [(b"user-1", b"{}")], give_up_at=asyncio.get_running_loop().time())
    await producer.stop()


async def _until_flushed(producer: Producer, records: list[tuple[bytes | None, bytes | None]]) -> None:
    portions = await producer.send_many("contract", records)
    await asyncio.wait([portion.flushed for portion in portions])


async def test_while_kafka_stalls_only_so_much_is_taken_and_afterwards_everything_arrives(kafka_bootstrap: str) -> None:
    bench = KafkaBench(kafka_bootstrap)
    bench.producer = EventProducer(kafka_bootstrap, client_id="contract", linger_ms=200, in_flight_records=100)
    await bench.start()
    await bench.producer.send(bench.topic, b"ann", b"{}")
    fifty: list[tuple[bytes | None, bytes | None]] = [(b"%d" % n, b"{}") for n in range(50)]
    taken = [await bench.producer.send_many(bench.topic, fifty) for _ in range(2)]
    with pytest.raises(Overloaded):
        await bench.producer.send_many(bench.topic, fifty)
    in_line = asyncio.create_task(bench.producer.send_many(bench.topic, fifty, in_line=True))
    flushes = {portion.flushed for portions in taken for portion in portions}
    assert len(flushes) == PARTITIONS, "both requests share one flush of each partition"
    assert not in_line.done()
    await asyncio.wait(flushes)
    taken.append(await in_line)
    await asyncio.wait([portion.flushed for portion in taken[-1]])
    places = {portion.last_place() for portions in taken for portion in portions}
    assert len(places) == 3 * PARTITIONS
    await bench.stop()


async def test_stopping_sends_what_still_lingers(kafka_bootstrap: str) -> None:
    bench = KafkaBench(kafka_bootstrap)
    bench.producer = EventProducer(kafka_bootstrap, client_id="contract", linger_ms=60_000)
    await bench.start()
    [portion] = await bench.producer.send_many(bench.topic, [(b"ann", b"last words")])
    await bench.stop()
    place = portion.last_place()
    assert await bench.read(place.partition, place.offset) == (b"ann", b"last words", [])
