"""A batch of ours is to Kafka what aiokafka's builder would have made of the same records."""

from __future__ import annotations

import pytest
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import example, given
from hypothesis import strategies as st

from runtime.delivery import KeyedRecord
from runtime.group_commit import GroupCommit
from runtime.partitioning import partition_of
from runtime.record_batch import HEADER_BYTES, RecordBatch
from runtime.record_sizes import header_bytes, record_bytes
from runtime.room import Room
from tests.unit.record_batches import records_of

Full = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]
NOW_MS = 1_800_000_000_000
PRODUCER = (7, 3, 41)

LENGTHS = st.sampled_from([0, 1, 62, 63, 64, 127, 128, 8191, 8192, 20_000])
BYTES = st.none() | st.binary(max_size=200) | LENGTHS.map(bytes)
HEADERS = st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=50)), max_size=5)
RECORDS = st.lists(st.tuples(BYTES, BYTES, HEADERS), min_size=1, max_size=20)


def filled(records: list[Full]) -> RecordBatch:
    batch = RecordBatch(NOW_MS)
    for key, value, headers in records:
        if headers:
            batch.append_with(key, value, headers)
        else:
            batch.append(key, value)
    return batch


def built_by_aiokafka(records: list[Full]) -> bytes:
    """Not compressed."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 30)
    builder.set_producer_state(*PRODUCER)
    for offset, (key, value, headers) in enumerate(records):
        builder.append(offset, NOW_MS, key, value, headers)
    return bytes(builder.build())


@given(records=RECORDS)
@example(records=[(None, None, [])])
@example(records=[(b"k", b"%d" % number, []) for number in range(300)])
def test_a_consumer_reads_what_was_appended(records: list[Full]) -> None:
    read = records_of(filled(records))
    assert [(each.key, each.value, list(each.headers)) for each in read] == records
    assert [each.offset for each in read] == list(range(len(records)))
    assert {each.timestamp for each in read} == {NOW_MS}


@given(key=st.binary(max_size=40), value=st.none() | st.binary(max_size=40), headers=HEADERS)
def test_what_does_not_get_smaller_is_byte_for_byte_the_batch_of_aiokafka(
    key: bytes, value: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    records: list[Full] = [(key, value, headers)]
    batch = filled(records)
    batch._set_producer_state(*PRODUCER)
    wanted = built_by_aiokafka(records)
    assert batch.size() == len(wanted)
    if len(batch._build()) == len(wanted):
        assert batch._build() == wanted
    else:
        assert len(batch._build()) < len(wanted), "zstd made it smaller"


def test_incompressible_records_are_sent_as_they_are_with_the_producers_state() -> None:
    noise = bytes((n * n * 31 + n * 7919) % 251 for n in range(64))
    batch = filled([(b"ann", noise, [])])
    batch._set_producer_state(*PRODUCER)
    assert batch._build() == built_by_aiokafka([(b"ann", noise, [])])


def test_many_alike_are_compressed_and_a_second_build_gives_the_same_bytes() -> None:
    batch = filled([(b"ann", b'{"type":"view_item"}', [])] * 100)
    batch._set_producer_state(*PRODUCER)
    size = batch.size()
    wire = batch._build()
    assert len(wire) == batch.size() < size / 4
    assert batch._build() == wire
    read = MemoryRecords(wire).next_batch()
    assert read is not None
    assert (read.producer_id, read.producer_epoch, read.base_sequence) == PRODUCER


@pytest.mark.parametrize("wrong", ["text", 1])
def test_what_is_no_bytes_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError):
        RecordBatch(NOW_MS).append(b"ann", wrong)  # type: ignore[arg-type]  # what is tested


@given(records=RECORDS)
def test_a_record_never_takes_more_room_than_reckoned(records: list[Full]) -> None:
    reckoned = sum(record_bytes(key, value) + header_bytes(headers) for key, value, headers in records)
    assert filled(records).size() <= HEADER_BYTES + reckoned


@given(key=st.binary(max_size=40), partitions=st.integers(1, 50))
def test_the_partition_of_a_key_is_the_one_aiokafka_chooses(key: bytes, partitions: int) -> None:
    everything = list(range(partitions))
    assert partition_of(key, partitions) == DefaultPartitioner()(key, everything, everything)


@given(keys=st.lists(st.binary(max_size=40), min_size=1, max_size=50), partitions=st.integers(1, 50))
async def test_group_commit_puts_a_key_where_partition_of_says(keys: list[bytes], partitions: int) -> None:
    commit = GroupCommit(Room(100, 1 << 20), linger_seconds=60, on_error=lambda error: None)
    records: list[KeyedRecord] = [(key, None) for key in keys]
    portions = commit.add_many("topic", partitions, records)
    together = [{partition_of(keys[index], partitions) for index in portion.indices} for portion in portions]
    assert all(len(each) == 1 for each in together)
    assert sorted(index for portion in portions for index in portion.indices) == list(range(len(keys)))
    assert [numbers.pop() for numbers in together] == sorted({partition_of(key, partitions) for key in keys})
