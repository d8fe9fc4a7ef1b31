"""What a worker takes from a fetch is what aiokafka would take, record by record."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka.consumer.fetcher import READ_COMMITTED, READ_UNCOMMITTED
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from runtime.fetched_batch import records_of
from runtime.record_batch import HEADER_BYTES, RecordBatch
from schemas import zstd
from streams.log_records import FetchedBatches, LogRecords

NOW_MS = 1_800_000_000_000
_LENGTH, _ATTRIBUTES, _LAST_OFFSET_DELTA, _CONTROL, _APPEND_TIME, _CODEC = 8, 21, 23, 0x20, 0x08, 0x07
NONE, GZIP, LZ4, ZSTD = 0, 1, 3, 4


class AsAiokafka(LogRecords):
    """Its own way of unpacking."""

    def __iter__(self) -> Iterator[Any]:
        return self._own()

    def _own(self) -> Iterator[Any]:
        self._records = self._records._batches
        return super(LogRecords, self)._unpack_records()  # type: ignore[no-any-return]  # has no type

    def _consumer_record(self, tp: TopicPartition, record: Any) -> Any:
        headers = list(record.headers)
        return (tp.topic, tp.partition, record.offset, record.timestamp, record.key, record.value, headers)


def wire(base_offset: int, count: int, *, gap: int = 0, control: bool = False, corrupt: bool = False) -> bytes:
    """A batch of so many records; after a compaction that removed the last `gap` of it."""
    batch = RecordBatch(NOW_MS)
    for number in range(count):
        batch.append(b"key", b"%d" % number, [("h", b"x")] if number % 2 else [])
    data = bytearray(batch._build())
    struct.pack_into(">q", data, 0, base_offset)
    struct.pack_into(">i", data, _LAST_OFFSET_DELTA, count + gap - 1)
    data[_ATTRIBUTES + 1] |= _CONTROL if control else 0
    return signed(data, corrupt=corrupt)


def signed(data: bytearray, *, corrupt: bool = False) -> bytes:
    """The batch with the checksum of what is in it now."""
    struct.pack_into(">I", data, _ATTRIBUTES - 4, calc_crc32c(bytes(data[_ATTRIBUTES:])) ^ corrupt)
    return bytes(data)


BATCHES = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 3), st.sampled_from([False, False, True]), st.integers(0, 20)),
    max_size=5,
)


@given(BATCHES, st.integers(0, 8))
def test_records_and_next_offsets_are_those_of_aiokafka(batches: list[tuple[int, int, bool, int]], skip: int) -> None:
    log, offset = b"", 100
    for count, gap, control, is_corrupt in batches:
        log += wire(offset, count, gap=gap, control=control, corrupt=is_corrupt == 0)
        offset += count + gap
    assert taken(LogRecords, log, 100 + skip) == taken(AsAiokafka, log, 100 + skip)


def taken(kind: type[LogRecords], log: bytes, from_offset: int) -> tuple[list[Any], int]:
    """The records, each with the offset that would be fetched next, and that after all of them."""
    fetched = kind(TopicPartition("t", 3), FetchedBatches(log), [], from_offset, None, None, True, READ_UNCOMMITTED)
    seen: list[Any] = []
    try:
        for record in fetched:
            seen.append((_fields(record), fetched.next_fetch_offset))  # noqa: PERF401  # it rises as they are read
    except (CorruptRecordException, UnicodeDecodeError) as error:  # the latter of a header's name
        seen.append(str(error))
    return seen, fetched.next_fetch_offset


def _fields(record: Any) -> tuple[Any, ...]:
    if isinstance(record, tuple):
        return record
    headers = list(record.headers)
    return record.topic, record.partition, record.offset, record.timestamp, record.key, record.value, headers


CODECS = st.sampled_from([NONE, GZIP, LZ4, ZSTD])
BYTES = st.none() | st.binary(max_size=80) | st.sampled_from([63, 64, 8191, 8192, 70_000]).map(bytes)
HEADERS = st.lists(st.tuples(st.text(max_size=70), st.none() | st.binary(max_size=70)), max_size=3)
RECORDS = st.lists(st.tuples(st.integers(-(2**40), 2**40), BYTES, BYTES, HEADERS), min_size=1, max_size=20)


@given(RECORDS, CODECS, st.booleans())
def test_batches_of_other_producers_are_read_as_well(records: list[Any], codec: int, append_time: bool) -> None:
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 30)
    for number, (delta_ms, key, value, headers) in enumerate(records):
        builder.append(number, NOW_MS + delta_ms, key, value, headers)
    data = bytearray(builder.build())
    data[_ATTRIBUTES + 1] |= _APPEND_TIME if append_time else 0
    reads_itself = data[_ATTRIBUTES + 1] & _CODEC in (NONE, ZSTD)  # a small batch is not compressed
    assert (records_of(signed(data), "t", 3) is not None) == reads_itself
    log = signed(data) + wire(len(records), 2)
    assert taken(LogRecords, log, 0) == taken(AsAiokafka, log, 0)
    assert len(taken(LogRecords, log, 0)[0]) == len(records) + 2


@pytest.mark.parametrize("message_format", [0, 1])
def test_older_formats_are_read_as_well(message_format: int) -> None:
    builder = LegacyRecordBatchBuilder(message_format, NONE, 1 << 20)
    for number in range(3):
        builder.append(number, timestamp=NOW_MS, key=b"k", value=b"%d" % number)
    log = bytes(builder.build())
    assert taken(LogRecords, log, 1) == taken(AsAiokafka, log, 1)
    assert [fields[5] for fields, _ in taken(LogRecords, log, 1)[0]] == [b"1", b"2"]


def batch_of(content: bytes, *, count: int = 1) -> bytes:
    """A batch that is not compressed, of so many records by its header."""
    data = bytearray(wire(0, 1)[:HEADER_BYTES]) + content
    struct.pack_into(">i", data, _LENGTH, len(data) - 12)
    struct.pack_into(">i", data, HEADER_BYTES - 4, count)
    return signed(data)


NINE_BYTES = b"\x80" * 9  # of a number that goes on
RECORD = bytes([12, 0, 0, 0, 1, 1, 0])  # neither key nor value nor headers


def test_a_record_of_nothing_is_read() -> None:
    [record] = records_of(batch_of(RECORD), "t", 3) or []
    assert (record.offset, record.key, record.value, record.headers) == (0, None, None, ())


@pytest.mark.parametrize(
    "data",
    [
        batch_of(RECORD, count=2),
        batch_of(RECORD, count=0),
        batch_of(RECORD, count=-1),
        batch_of(RECORD[:-1]),
        batch_of(b"\x80"),
        batch_of(NINE_BYTES + b"\2" + RECORD[1:]),
        batch_of(NINE_BYTES + b"\x81" + RECORD[1:]),
        batch_of(bytes([12, 0, 0, 0, 1, 1, 3])),  # -2 headers
        batch_of(bytes([20, 0, 0, 0, 1, 1, 0xFE, 0xFF, 0xFF, 0xFF, 0x0F])),  # 2^31 - 1 headers
        batch_of(bytes([16, 0, 0, 0, 1, 1, 2, 1, 1])),  # a header without a name
        batch_of(bytes([30, 0, 0, 0, *[0xFE] * 8, 0x7F, 1, 0])),  # a key of 2^62 bytes
        batch_of(bytes([14, *RECORD[1:]])),
    ],
)
def test_what_contradicts_itself_is_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptRecordException):
        records_of(data, "t", 3)


def test_what_zstd_cannot_read_at_once_and_what_is_no_batch_are_left_to_aiokafka() -> None:
    two_frames = zstd.compressed(RECORD) + zstd.compressed(RECORD)
    for content in (two_frames, b"no frame", zstd.compressed(bytes((16 << 20) + 1))):
        data = bytearray(batch_of(content))
        data[_ATTRIBUTES + 1] |= ZSTD
        assert records_of(signed(data), "t", 3) is None
    assert records_of(wire(0, 1)[: HEADER_BYTES - 1], "t", 3) is None


@settings(max_examples=300)
@given(st.integers(0, 200), st.integers(0, 255))
def test_a_batch_that_contradicts_itself_is_corrupt_where_aiokafka_finds_it_so(place: int, byte: int) -> None:
    data = bytearray(wire(0, 2))
    assert data[_ATTRIBUTES + 1] == NONE
    place %= len(data) - HEADER_BYTES
    second = 1 + data[HEADER_BYTES] // 2
    assume(place not in (1, second + 1))  # attributes of a record, which are one byte, and a varint to aiokafka
    data[HEADER_BYTES + place] = byte
    ours, theirs = (taken(kind, signed(data), 0) for kind in (LogRecords, AsAiokafka))
    assert ours == theirs or (isinstance(ours[0][-1], str) and isinstance(theirs[0][-1], str))


def test_a_fetch_of_less_than_a_batch_has_none() -> None:
    fetched = FetchedBatches(wire(0, 3)[:-1])
    assert (fetched.has_next(), fetched.size_in_bytes()) == (False, len(wire(0, 3)) - 1)


def test_aborted_transactions_are_not_read_as_records() -> None:
    fetched = LogRecords(TopicPartition("t", 3), FetchedBatches(wire(0, 1)), [], 0, None, None, True, READ_COMMITTED)
    with pytest.raises(NotImplementedError, match="aborted transactions"):
        next(iter(fetched))
