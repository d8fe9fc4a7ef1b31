"""Records as a worker takes them from aiokafka, whose own take three times as long to make and to collect."""

from __future__ import annotations

from collections.abc import Iterator

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException

from runtime.delivery import LogRecord


class LogRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka's has no type
    """What was fetched of a partition, record by record. Headers are for the other consumers of the process."""

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
            batch = self._records.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"Invalid CRC - {self._tp}")
            if not batch.is_control_batch:
                first_offset = self.next_fetch_offset
                for record in batch:
                    offset = record.offset
                    if offset >= first_offset:  # a batch may begin before what was asked for
                        self.next_fetch_offset = offset + 1
                        yield LogRecord(
                            topic, partition, offset, record.timestamp, record.key, record.value, record.headers
                        )
            self.next_fetch_offset = batch.next_offset
