"""Reads what is sent to Kafka as aiokafka's consumer does."""

from __future__ import annotations

from typing import Any

from aiokafka.record.memory_records import MemoryRecords

from runtime.record_batch import RecordBatch


def records_of(batch: RecordBatch) -> list[Any]:
    """The records of the one batch that goes over the wire."""
    arrived = MemoryRecords(batch._build())
    read = arrived.next_batch()
    assert read is not None
    assert read.validate_crc()
    assert not arrived.has_next()
    return list(read)
