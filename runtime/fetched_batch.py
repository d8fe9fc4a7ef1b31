"""Reads batches of records as a broker sends them: those of `record_batch`, with offset and time in their header."""

from __future__ import annotations

from typing import Any, Final

from aiokafka.errors import CorruptRecordException

from runtime.delivery import Headers, LogRecord
from runtime.record_batch import AFTER_LENGTH, BEFORE_CHECKED, CHECKED, FORMAT, HEADER_BYTES, NOT_COMPRESSED, ZSTD
from schemas import buffers, zstd

_CODEC: Final = 7
_APPEND_TIME: Final = 8
# Of what a compressed batch may hold; a larger one is left to aiokafka.
_MOST_BYTES: Final = 16 << 20
_MORE: Final = 0x80
_SEVEN_BITS: Final = 0x7F
_LAST_SHIFT: Final = 63


def size_of(data: bytes, begin: int) -> int:
    """The bytes of the batch, of whatever format, that begins there."""
    return AFTER_LENGTH + int.from_bytes(data[begin + 8 : begin + AFTER_LENGTH], "big")


def records_of(data: bytes, topic: str, partition: int) -> list[LogRecord] | None:
    """The records of a batch, in order; None where aiokafka is to read them.

    That is another format or codec than ours, more than 16 MiB, several frames, or one that is damaged.
    Raises CorruptRecordException, and UnicodeDecodeError for the name of a header.
    """
    if len(data) < HEADER_BYTES:
        return None
    first_offset, _, _, message_format, _ = BEFORE_CHECKED.unpack_from(data)
    if message_format != FORMAT:
        return None
    attributes, _, first_ms, append_ms, _, _, _, count = CHECKED.unpack_from(data, BEFORE_CHECKED.size)
    content = _content(data, attributes & _CODEC)
    if content is None:
        return None
    reader, own_times = _Reader(content), not attributes & _APPEND_TIME
    time_ms = first_ms if own_times else append_ms
    records = [reader.read(topic, partition, first_offset, time_ms, own_times) for _ in range(count)]
    if not reader.at_end():
        raise CorruptRecordException(f"a batch of {topic}-{partition} holds more than its {count} records")
    return records


def _content(data: bytes, codec: int) -> bytes | None:
    """The records as they were before they were compressed."""
    if codec == NOT_COMPRESSED:
        return data[HEADER_BYTES:]
    if codec == ZSTD:
        try:
            return zstd.decompressed(data[HEADER_BYTES:], _MOST_BYTES)
        except zstd.CannotDecompress:
            return None
    return None


class _Reader:
    """Reads records one behind the other: https://kafka.apache.org/documentation/#record."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._size = len(content)
        self._place = 0

    def read(self, topic: str, partition: int, first_offset: int, time_ms: int, own_times: bool) -> LogRecord:
        """The next record of a batch. `time_ms` is that of all records, or of the first where each has its own."""
        size = self._varint()
        end = self._place + size  # compared with where it does end
        self._place += 1  # attributes, of which none has a meaning
        delta_ms = self._varint()
        if own_times:
            time_ms += delta_ms
        offset = first_offset + self._varint()
        key = self._bytes()
        value = self._bytes()
        record = LogRecord(topic, partition, offset, time_ms, key, value, self._headers())
        if self._place != end:
            raise CorruptRecordException(f"the record at {offset} of {topic}-{partition} has not the size it says")
        return record

    def at_end(self) -> bool:
        """Whether all has been read."""
        return self._place == self._size

    def _headers(self) -> Headers:
        count = self._varint()
        if count == 0:
            return ()
        if count < 0:
            raise CorruptRecordException(f"a record with {count} headers")
        headers: list[tuple[str, Any]] = []  # a value may be null in Kafka; our producers send none
        for _ in range(count):
            name = self._bytes()
            if name is None:
                raise CorruptRecordException("a header without a name")
            headers.append((name.decode(), self._bytes()))
        return headers

    def _bytes(self) -> bytes | None:
        size = self._varint()
        if size < 0:
            return None
        begin = self._place
        if size > self._size - begin:
            raise CorruptRecordException(f"{size} bytes where the batch has {self._size - begin}")
        self._place = begin + size
        return buffers.cut(self._content, begin, size)

    def _varint(self) -> int:
        """Zigzag, then seven bits a byte, the lowest first: as Protocol Buffers have it."""
        number = shift = 0
        byte = _MORE
        while byte & _MORE:
            if self._place >= self._size:
                raise CorruptRecordException("a number that does not end in its batch")
            byte = buffers.byte_at(self._content, self._place)
            if shift == _LAST_SHIFT and byte > 1:
                raise CorruptRecordException("a number of more than 64 bits")
            number |= (byte & _SEVEN_BITS) << shift
            shift += 7
            self._place += 1
        return -(number >> 1) - 1 if number & 1 else number >> 1
