"""What aiokafka fetched, read into records of our own: its take longer to make and to collect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords

from runtime.delivery import LogRecord
from runtime.fetched_batch import records_of, size_of


class FetchedBatches:
    """What was fetched of a partition, in place of MemoryRecords: batches, of which the last is not read if cut off."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._batches = MemoryRecords(data)
        self._end = 0

    def has_next(self) -> bool:
        """Whether a whole batch is left."""
        return bool(self._batches.has_next())

    def size_in_bytes(self) -> int:
        """Of all that was fetched."""
        return len(self._data)

    def next_batch(self) -> tuple[Any, bytes]:
        """The next whole batch as aiokafka reads it, and its bytes. Raises CorruptRecordException."""
        batch = self._batches.next_batch()
        begin, self._end = self._end, self._end + size_of(self._data, self._end)
        return batch, self._data[begin : self._end]


class LogRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka's has no type
    """What was fetched of a partition, record by record. Headers are for the other consumers of the process."""

    _records: FetchedBatches
    _records_iterator: Iterator[LogRecord]
    next_fetch_offset: int

    def __iter__(self) -> Iterator[LogRecord]:
        return self._records_iterator  # its own `__next__` is a call for each record

    def _unpack_records(self) -> Iterator[LogRecord]:
        """As aiokafka does it for readers of everything."""
        topic, partition = self._tp
        if self._isolation_level != fetcher.READ_UNCOMMITTED:
            raise NotImplementedError(f"{topic} is read with its aborted transactions")
        while self._records.has_next():
            batch, data = self._records.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"Invalid CRC - {self._tp}")
            if not batch.is_control_batch:
                next_offset = self.next_fetch_offset
                for record in _records_of(batch, data, topic, partition):
                    if record.offset >= next_offset:  # a batch may begin before what was asked for
                        self.next_fetch_offset = next_offset = record.offset + 1
                        yield record
            self.next_fetch_offset = batch.next_offset


def _records_of(batch: Any, data: bytes, topic: str, partition: int) -> Iterable[LogRecord]:
    records = records_of(data, topic, partition)
    if records is not None:
        return records
    return (
        LogRecord(topic, partition, record.offset, record.timestamp, record.key, record.value, record.headers)
        for record in batch
    )
