"""Batches through Faust on a real broker: what is delivered, what is committed, and what a rebalance does to both."""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.protocol.fetch import FetchRequest

from runtime.settings import KafkaSettings, WorkerSettings
from streams.faust_app import WorkerApp, new_faust_app
from streams.lane import Delivery
from streams.transport import CHUNK_RECORDS, GATHERING, PROMPT, Fetch, PartitionHooks

PARTITIONS = 12
WORKER = WorkerSettings(session_timeout_ms=6000)  # type: ignore[call-arg]  # every field has a default


@dataclass
class Log:
    """A topic and a group of their own."""

    bootstrap: str
    topic: str = field(default_factory=lambda: f"batches-{uuid.uuid4()}")
    group: str = field(default_factory=lambda: f"group-{uuid.uuid4()}")

    async def fill(self, count: int) -> None:
        """Append `count` records, spread evenly over the partitions."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap)
        await producer.start()
        for index in range(count):
            await producer.send(self.topic, b"%d" % index, partition=index % PARTITIONS)
        await producer.stop()

    async def committed(self) -> dict[int, int]:
        """Committed offset by partition."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        offsets = await admin.list_consumer_group_offsets(self.group)
        await admin.close()
        return {place.partition: meta.offset for place, meta in offsets.items() if meta.offset >= 0}


@dataclass
class Member:
    """A worker that notes what it gets; `acknowledges` decides whether a delivery is finished at once."""

    log: Log
    acknowledges: Callable[[Delivery], bool] = lambda delivery: True
    seen: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    sizes: list[int] = field(default_factory=list)
    withheld: list[Delivery] = field(default_factory=list)
    held: frozenset[int] = frozenset()
    revoked: int = 0
    before_revoking: Callable[[], Awaitable[None]] | None = None
    fails: bool = False
    app: WorkerApp | None = None

    async def start(self) -> None:
        self.app = new_faust_app(
            KafkaSettings(bootstrap_servers=self.log.bootstrap),  # type: ignore[call-arg]
            WORKER,
            group=self.log.group,
            topic=self.log.topic,
            on_delivery=self._on_delivery,
            partition_hooks=PartitionHooks(self._on_assigned, self._on_revoked),
        )
        await self.app.start()

    async def stop(self) -> None:
        assert self.app is not None
        await self.app.stop()

    def count(self) -> int:
        return sum(map(len, self.seen.values()))

    async def _on_assigned(self, partitions: frozenset[int]) -> None:
        self.held = partitions

    async def _on_revoked(self, partitions: frozenset[int]) -> None:
        if self.before_revoking is not None:
            await self.before_revoking()
        self.held -= partitions
        self.revoked += 1

    async def _on_delivery(self, delivery: Delivery) -> None:
        if self.fails:
            raise RuntimeError("a bug")
        assert delivery.records[0].partition in self.held
        self.seen[delivery.records[0].partition].extend(record.offset for record in delivery.records)
        self.sizes.append(len(delivery.records))
        if self.acknowledges(delivery):
            delivery.acknowledge()
        else:
            self.withheld.append(delivery)


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # conditions are spread over many objects
            await asyncio.sleep(0.02)


async def until_committed(log: Log, expected: dict[int, int]) -> None:
    async with asyncio.timeout(15):
        while await log.committed() != expected:  # noqa: ASYNC110  # only the broker knows
            await asyncio.sleep(0.1)


@pytest.fixture
async def admin(kafka_bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await client.start()
    yield client
    await client.close()


@pytest.fixture
async def log(kafka_bootstrap: str, admin: AIOKafkaAdminClient) -> AsyncIterator[Log]:
    made = Log(kafka_bootstrap)
    await admin.create_topics([NewTopic(made.topic, PARTITIONS, 1)])
    yield made
    await admin.delete_topics([made.topic])


async def test_every_record_is_delivered_once_in_order_in_chunks_and_committed(log: Log) -> None:
    await log.fill(50_000)
    member = Member(log)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await member.start()
    await until(lambda: bool(member.held))
    assert loop.time() - began < 3
    await until(lambda: member.count() >= 50_000)
    ends = {partition: len(range(partition, 50_000, PARTITIONS)) for partition in range(PARTITIONS)}
    await until_committed(log, ends)
    await member.stop()
    assert {partition: list(range(end)) for partition, end in ends.items()} == member.seen
    assert max(member.sizes) == CHUNK_RECORDS


async def test_a_topic_that_the_broker_does_not_know_yet_is_read_once_it_does(
    kafka_bootstrap: str, admin: AIOKafkaAdminClient
) -> None:
    log = Log(kafka_bootstrap)
    member = Member(log)
    await member.start()
    assert member.app is not None
    joined = member.app
    await until(lambda: joined.consumer_generation_id > 0)
    assert not member.held
    await admin.create_topics([NewTopic(log.topic, PARTITIONS, 1)])
    await log.fill(12)
    await until(lambda: member.count() >= 12)
    await member.stop()
    await admin.delete_topics([log.topic])


async def test_one_fetch_gathers_after_something_came_and_all_others_are_prompt(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetches: list[Fetch] = []

    class NotedRequest(FetchRequest):  # type: ignore[misc]  # aiokafka's has no type
        def __init__(self, max_wait_time: int, min_bytes: int, *rest: Any, **options: Any) -> None:
            super().__init__(max_wait_time, min_bytes, *rest, **options)
            if any(topic == log.topic for topic, _ in self.topics):
                fetches.append(Fetch(max_wait_time, min_bytes))

    monkeypatch.setattr("aiokafka.consumer.fetcher.FetchRequest", NotedRequest)
    member = Member(log)
    await member.start()
    await until(lambda: bool(fetches))
    await log.fill(1)
    await until(lambda: GATHERING in fetches and fetches[-1] == PROMPT)
    await member.stop()
    assert member.count() == 1
    assert fetches.count(GATHERING) == 1
    assert set(fetches) == {PROMPT, GATHERING}


async def test_what_is_acknowledged_just_before_stopping_is_committed(log: Log) -> None:
    await log.fill(1200)
    member = Member(log, acknowledges=lambda delivery: False)

    async def finish() -> None:
        for delivery in member.withheld:
            delivery.acknowledge()

    member.before_revoking = finish
    await member.start()
    await until(lambda: member.count() >= 1200)
    assert await log.committed() == {}
    await member.stop()
    assert await log.committed() == dict.fromkeys(range(PARTITIONS), 100)


async def test_an_unfinished_span_is_never_committed_past_and_is_replayed_from_its_first_offset(log: Log) -> None:
    await log.fill(PARTITIONS * 2000)
    chunks: dict[int, int] = defaultdict(int)

    def all_but_the_third(delivery: Delivery) -> bool:
        chunks[delivery.records[0].partition] += 1
        return chunks[delivery.records[0].partition] != 3

    first = Member(log, all_but_the_third)
    await first.start()
    await until(lambda: first.count() >= PARTITIONS * 2000)
    unfinished = {d.records[0].partition: d.records[0].offset for d in first.withheld}
    await until_committed(log, unfinished)
    await first.stop()
    assert await log.committed() == unfinished

    second = Member(log)
    await second.start()
    await until(lambda: second.count() >= sum(2000 - offset for offset in unfinished.values()))
    await second.stop()
    assert {partition: list(range(offset, 2000)) for partition, offset in unfinished.items()} == second.seen


async def test_two_workers_share_the_partitions_and_hand_them_over(log: Log) -> None:
    await log.fill(6000)
    first, second = Member(log), Member(log)
    await first.start()
    await until(lambda: first.count() >= 6000)
    await second.start()
    await until(lambda: len(first.held) == len(second.held) == PARTITIONS // 2)
    assert first.held | second.held == set(range(PARTITIONS))

    await log.fill(6000)
    await until(lambda: first.count() + second.count() >= 12_000)
    await second.stop()
    await until(lambda: len(first.held) == PARTITIONS)
    await log.fill(1200)
    await until(lambda: first.count() + second.count() >= 13_200)
    await first.stop()
    # Everything was acknowledged at once and the hand-over commits first, so nothing came twice.
    assert first.count() + second.count() == 13_200
    assert await log.committed() == dict.fromkeys(range(PARTITIONS), 1100)


async def test_what_was_unfinished_at_a_rebalance_is_delivered_again_and_its_late_acknowledgement_is_ignored(
    log: Log,
) -> None:
    await log.fill(1200)
    first, second = Member(log, acknowledges=lambda delivery: False), Member(log, acknowledges=lambda delivery: False)
    await first.start()
    await until(lambda: first.count() >= 1200)
    late = list(first.withheld)
    await second.start()
    await until(lambda: first.count() + second.count() >= 2400)
    for delivery in late:
        delivery.acknowledge()
    await asyncio.sleep(1.2)  # two commit intervals
    assert await log.committed() == {}
    for delivery in (*first.withheld, *second.withheld):
        delivery.acknowledge()
    await until_committed(log, dict.fromkeys(range(PARTITIONS), 100))
    await first.stop()
    await second.stop()


async def test_gaps_in_the_offsets_hold_nothing_back(log: Log, admin: AIOKafkaAdminClient) -> None:
    """Markers of transactions take offsets that are never delivered."""
    producer = AIOKafkaProducer(bootstrap_servers=log.bootstrap, transactional_id=str(uuid.uuid4()))
    await producer.start()
    for _ in range(5):
        async with producer.transaction():
            await producer.send(log.topic, b"x", partition=0)
    await producer.stop()
    await admin.delete_records({TopicPartition(log.topic, 0): RecordsToDelete(before_offset=2)})
    member = Member(log)
    await member.start()
    await until(lambda: member.count() >= 4)
    await until_committed(log, {0: 9})
    await member.stop()
    assert member.seen == {0: [2, 4, 6, 8]}


async def test_an_error_of_the_handler_crashes_the_app_and_commits_nothing(log: Log) -> None:
    await log.fill(1200)
    member = Member(log, fails=True)
    await member.start()
    assert member.app is not None
    reason = await asyncio.wait_for(member.app.wait_crashed(), 10)
    assert str(reason) == "a bug"
    await asyncio.wait_for(member.stop(), 10)
    assert await log.committed() == {}


async def test_a_slow_handler_stops_reading_and_loses_nothing(log: Log) -> None:
    await log.fill(60_000)
    gate = asyncio.Event()
    member = Member(log)
    note = member._on_delivery

    async def slow(delivery: Delivery) -> None:
        await gate.wait()
        await note(delivery)

    member._on_delivery = slow  # type: ignore[method-assign]
    await member.start()
    await asyncio.sleep(1)
    assert member.count() == 0
    gate.set()
    await until(lambda: member.count() >= 60_000)
    await member.stop()
    assert {partition: list(range(5000)) for partition in range(PARTITIONS)} == member.seen


async def test_no_topic_is_made_besides(log: Log) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=log.bootstrap)
    await consumer.start()
    before = await consumer.topics()
    member = Member(log)
    await member.start()
    await member.stop()
    after = await consumer.topics()
    await consumer.stop()
    assert {topic for topic in after - before if log.group in topic or "leader" in topic} == set()
