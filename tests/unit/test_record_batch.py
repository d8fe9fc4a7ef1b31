"""A batch of ours is to Kafka what aiokafka's builder would have made of the same records."""

from __future__ import annotations

import pytest
from aiokafka.codec import zstd_decode
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import example, given
from hypothesis import strategies as st

from runtime.delivery import KeyedRecord
from runtime.group_commit import GroupCommit
from runtime.partitioning import partition_of
from runtime.record_batch import HEADER_BYTES, RecordBatch
from runtime.record_sizes import header_bytes, record_bytes
from runtime.room import Room
from schemas import zstd
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
        batch.append(key, value, headers)
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


@given(records=RECORDS)
@example(records=[(b"ann", bytes((n * n * 31 + n * 7919) % 251 for n in range(64)), [])])
@example(records=[(b"ann", b'{"type":"view_item"}', [])] * 100)
def test_header_and_records_are_those_of_aiokafkas_builder(records: list[Full]) -> None:
    batch = filled(records)
    batch._set_producer_state(*PRODUCER)
    wire, wanted = batch._build(), built_by_aiokafka(records)
    before, length, after, attributes = wire[:8], wire[8:12], wire[12:17], wire[21:23]
    assert (before, after, wire[23:HEADER_BYTES]) == (wanted[:8], wanted[12:17], wanted[23:HEADER_BYTES])
    assert int.from_bytes(length, "big") == len(wire) - 12
    is_compressed = attributes == b"\0\4"
    assert is_compressed or attributes == b"\0\0"
    assert is_compressed == (len(zstd.compressed(wanted[HEADER_BYTES:])) < len(wanted) - HEADER_BYTES)
    assert (zstd_decode(wire[HEADER_BYTES:]) if is_compressed else wire[HEADER_BYTES:]) == wanted[HEADER_BYTES:]
    assert wire == wanted or is_compressed, "the checksum as well"
    assert batch._build() == wire, "a batch that is sent again"


def test_a_batch_that_has_been_built_refuses_records_instead_of_losing_them() -> None:
    batch = filled([(b"ann", b"{}", [])])
    batch._build()
    for append in (lambda: batch.append(b"ann", b"{}"), lambda: batch.append(b"ann", b"{}", [("h", b"")])):
        with pytest.raises(ValueError, match="sent"):
            append()  # type: ignore[no-untyped-call]
    assert batch.record_count() == 1


@pytest.mark.parametrize("wrong", ["text", 1])
def test_what_is_no_bytes_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError):
        RecordBatch(NOW_MS).append(b"ann", wrong)  # type: ignore[arg-type]  # what is tested


@given(records=RECORDS)
def test_a_record_never_takes_more_room_than_reckoned(records: list[Full]) -> None:
    reckoned = sum(record_bytes(key, value) + header_bytes(headers) for key, value, headers in records)
    assert len(built_by_aiokafka(records)) <= HEADER_BYTES + reckoned


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
