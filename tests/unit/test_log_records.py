"""What a worker takes from a fetch is what aiokafka would take, record by record."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka.consumer.fetcher import READ_COMMITTED, READ_UNCOMMITTED
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from runtime.record_batch import RecordBatch
from streams.log_records import LogRecords

NOW_MS = 1_800_000_000_000
_ATTRIBUTES, _LAST_OFFSET_DELTA, _CONTROL = 21, 23, 0x20


class AsAiokafka(LogRecords):
    """Its own way of unpacking."""

    def __iter__(self) -> Iterator[Any]:
        return self._own()

    def _own(self) -> Iterator[Any]:
        return super(LogRecords, self)._unpack_records()  # type: ignore[no-any-return]  # has no type

    def _consumer_record(self, tp: TopicPartition, record: Any) -> Any:
        return (tp.topic, tp.partition, record.offset, record.timestamp, record.key, record.value, record.headers)


def wire(base_offset: int, count: int, *, gap: int = 0, control: bool = False, corrupt: bool = False) -> bytes:
    """A batch of so many records; after a compaction that removed the last `gap` of it."""
    batch = RecordBatch(NOW_MS)
    for number in range(count):
        batch.append(b"key", b"%d" % number, [("h", b"x")] if number % 2 else [])
    data = bytearray(batch._build())
    struct.pack_into(">q", data, 0, base_offset)
    struct.pack_into(">i", data, _LAST_OFFSET_DELTA, count + gap - 1)
    data[_ATTRIBUTES + 1] |= _CONTROL if control else 0
    struct.pack_into(">I", data, _ATTRIBUTES - 4, calc_crc32c(bytes(data[_ATTRIBUTES:])) ^ corrupt)
    return bytes(data)


BATCHES = st.lists(
    st.tuples(st.integers(1, 5), st.integers(0, 3), st.sampled_from([False, False, True]), st.integers(0, 20)),
    max_size=5,
)


@given(BATCHES, st.integers(0, 8))
def test_records_and_next_offsets_are_those_of_aiokafka(batches: list[tuple[int, int, bool, int]], skip: int) -> None:
    log, offset = b"", 100
    for count, gap, control, is_corrupt in batches:
        log += wire(offset, count, gap=gap, control=control, corrupt=is_corrupt == 0)
        offset += count + gap
    taken = []
    for kind in (LogRecords, AsAiokafka):
        fetched = kind(TopicPartition("t", 3), MemoryRecords(log), [], 100 + skip, None, None, True, READ_UNCOMMITTED)
        seen: list[Any] = []
        try:
            for record in fetched:
                seen.append((_fields(record), fetched.next_fetch_offset))  # noqa: PERF401  # it rises as they are read
        except CorruptRecordException as error:
            seen.append(str(error))
        taken.append((seen, fetched.next_fetch_offset))
    assert taken[0] == taken[1]


def _fields(record: Any) -> tuple[Any, ...]:
    if isinstance(record, tuple):
        return record
    return record.topic, record.partition, record.offset, record.timestamp, record.key, record.value, record.headers


def test_aborted_transactions_are_not_read_as_records() -> None:
    fetched = LogRecords(TopicPartition("t", 3), MemoryRecords(wire(0, 1)), [], 0, None, None, True, READ_COMMITTED)
    with pytest.raises(NotImplementedError, match="aborted transactions"):
        next(iter(fetched))
