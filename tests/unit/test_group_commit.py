"""Who shares a flush, when it leaves, and what its members are told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, NotLeaderForPartitionError, OutOfOrderSequenceNumber

from runtime.delivery import KeyedRecord, Place, Portion, RecordTooLarge, SendFailed
from runtime.group_commit import BATCH_BYTES, GroupCommit
from runtime.partitioning import partition_of
from runtime.record_batch import RecordBatch
from runtime.record_sizes import total_and_largest
from runtime.room import Room
from tests.unit.record_batches import records_of

TOPIC = "t"


class Kafka:
    """A producer whose answers the test gives. `refusals` are raised by the next calls of `send_batch`."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, list[bytes | None]]] = []
        self.answers: list[asyncio.Future[Place]] = []
        self._batches: list[RecordBatch] = []
        self.refusals: list[KafkaError] = []
        self._arrived = asyncio.Condition()

    async def send_batch(self, batch: RecordBatch, topic: str, *, partition: int) -> asyncio.Future[Place]:
        if self.refusals:
            raise self.refusals.pop(0)
        answer: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        self.sent.append((partition, [record.value for record in records_of(batch)]))
        self._batches.append(batch)
        self.answers.append(answer)
        async with self._arrived:
            self._arrived.notify_all()
        return answer

    async def batches(self, count: int) -> list[tuple[int, list[bytes | None]]]:
        """All that was sent, once there are that many."""
        async with asyncio.timeout(5), self._arrived:
            await self._arrived.wait_for(lambda: len(self.sent) >= count)
        return self.sent

    def acknowledge(self, number: int, offset: int) -> None:
        assert self._batches[number].count == len(self.sent[number][1]), "a record came after the batch was sent"
        self.answers[number].set_result(Place(TOPIC, self.sent[number][0], offset))


@dataclass
class Bench:
    kafka: Kafka
    room: Room
    errors: list[Exception]
    commit: GroupCommit

    def add(self, *records: KeyedRecord, partitions: int = 1) -> list[Portion]:
        total, _ = total_and_largest(records)
        assert self.room.try_take(len(records), total)
        return self.commit.add_many(TOPIC, partitions, records)


@pytest.fixture
def bench() -> Bench:
    room, errors = Room(10_000, 1 << 30), list[Exception]()
    commit = GroupCommit(room, linger_seconds=0.001, on_error=errors.append)
    kafka = Kafka()
    commit.resume(kafka)
    return Bench(kafka, room, errors, commit)


def values(*names: str) -> list[KeyedRecord]:
    return [(b"ann", name.encode()) for name in names]


async def test_records_of_concurrent_requests_share_a_flush_and_each_learns_its_place(bench: Bench) -> None:
    [first] = bench.add(*values("a", "b"))
    [second] = bench.add(*values("c"))
    assert await bench.kafka.batches(1) == [(0, [b"a", b"b", b"c"])]
    bench.kafka.acknowledge(0, 100)
    await asyncio.wait([first.flushed, second.flushed])
    assert (first.last_place(), second.last_place()) == (Place(TOPIC, 0, 101), Place(TOPIC, 0, 102))
    assert bench.room.records == bench.room.bytes == 0


async def test_what_comes_during_a_flush_leaves_together_once_it_is_answered(bench: Bench) -> None:
    bench.add(*values("a"))
    await bench.kafka.batches(1)
    bench.add(*values("b"))
    bench.add(*values("c"))
    await asyncio.sleep(0.01)  # many times the linger
    assert len(bench.kafka.sent) == 1
    bench.kafka.acknowledge(0, 0)
    assert (await bench.kafka.batches(2))[1] == (0, [b"b", b"c"])


async def test_a_request_is_spread_over_the_partitions_of_its_keys(bench: Bench) -> None:
    records: list[KeyedRecord] = [(b"user-%d" % n, b"%d" % n) for n in range(100)]
    portions = bench.add(*records, partitions=4)
    assert sorted(index for portion in portions for index in portion.indices) == list(range(100))
    for partition, sent in await bench.kafka.batches(4):
        assert sent == [value for key, value in records if key and partition_of(key, 4) == partition]


async def test_a_full_flush_leaves_at_once_and_the_order_is_kept(bench: Bench) -> None:
    large = bytes(BATCH_BYTES // 2 - 200)
    portions = bench.add(*[(b"ann", b"%d" % n + large) for n in range(5)])
    assert [portion.indices for portion in portions] == [[0, 1], [2, 3], [4]]
    seen: list[bytes | None] = []
    for number in range(3):
        seen += (await bench.kafka.batches(number + 1))[number][1]
        bench.kafka.acknowledge(number, 10 * number)
    await asyncio.wait([portion.flushed for portion in portions])
    assert [(value or b"")[:1] for value in seen] == [b"0", b"1", b"2", b"3", b"4"]
    assert [portion.last_place().offset for portion in portions] == [1, 11, 20]


async def test_a_failing_flush_tells_every_record_of_it_that_the_outcome_is_unknown(bench: Bench) -> None:
    portions = bench.add(*values("a", "b")) + bench.add(*values("c"))
    await bench.kafka.batches(1)
    bench.kafka.answers[0].set_exception(OutOfOrderSequenceNumber())
    await asyncio.wait([portion.flushed for portion in portions])
    assert all(isinstance(portion.flushed.exception(), SendFailed) for portion in portions)
    assert [type(error) for error in bench.errors] == [OutOfOrderSequenceNumber]
    assert bench.room.records == 0


async def test_records_without_a_known_place_are_not_told_as_placed(bench: Bench) -> None:
    [portion] = bench.add(*values("a"))
    await bench.kafka.batches(1)
    bench.kafka.acknowledge(0, -1)  # a repetition, to a broker that has forgotten where the first one lies
    await asyncio.wait([portion.flushed])
    assert isinstance(portion.flushed.exception(), SendFailed)


async def test_only_a_record_that_was_refused_alone_is_too_large(bench: Bench) -> None:
    portions = bench.add(*values("a" * 1000, "b" * 1000))
    await bench.kafka.batches(1)
    bench.kafka.answers[0].set_exception(MessageSizeTooLargeError())
    await asyncio.wait([portions[0].flushed])
    assert isinstance(portions[0].flushed.exception(), SendFailed)
    bench.commit.abandon(SendFailed("replaced"))
    bench.commit.resume(bench.kafka)
    again = bench.add(*values("a" * 1000, "b" * 1000))
    assert [portion.indices for portion in again] == [[0], [1]], "what was refused together comes apart"
    await bench.kafka.batches(2)
    bench.kafka.answers[1].set_exception(MessageSizeTooLargeError())
    await asyncio.wait([again[0].flushed])
    assert isinstance(again[0].flushed.exception(), RecordTooLarge)


async def test_a_replaced_producer_loses_what_was_under_way_and_the_next_one_sends_the_rest(bench: Bench) -> None:
    [under_way] = bench.add(*values("a"))
    await bench.kafka.batches(1)
    [waiting] = bench.add(*values("b"))
    bench.commit.abandon(SendFailed("replaced"))
    assert isinstance(under_way.flushed.exception(), SendFailed)
    assert not waiting.flushed.done()
    successor = Kafka()
    bench.commit.resume(successor)
    assert await successor.batches(1) == [(0, [b"b"])]
    successor.acknowledge(0, 7)
    await asyncio.wait([waiting.flushed])
    assert waiting.last_place() == Place(TOPIC, 0, 7)
    assert bench.room.records == 0


async def test_a_batch_that_could_not_be_handed_over_is_sent_later_and_before_what_came_after_it(bench: Bench) -> None:
    bench.kafka.refusals = [NotLeaderForPartitionError()]
    [first] = bench.add(*values("a"))
    [second] = bench.add((b"ann", bytes(BATCH_BYTES)))
    assert await bench.kafka.batches(1) == [(0, [b"a"])]
    assert bench.errors == []
    assert not first.flushed.done()
    assert not second.flushed.done()


async def test_stopping_sends_what_lingers_and_fails_what_is_not_answered(bench: Bench) -> None:
    answered, unanswered = bench.add(*[(b"user-%d" % n, b"x") for n in range(8)], partitions=2)
    draining = asyncio.create_task(bench.commit.drain(0.05))
    await bench.kafka.batches(2)
    bench.kafka.acknowledge(0, 0)
    await draining
    bench.commit.fail_all(SendFailed("stopped"))
    assert answered.last_place().offset == len(answered.indices) - 1
    assert isinstance(unanswered.flushed.exception(), SendFailed)
    assert bench.room.records == 0
