"""A batch of records, filled by us and sent by aiokafka, whose own builder takes several times as long for a record."""

from __future__ import annotations

import struct
from typing import Final

from aiokafka.record.util import calc_crc32c

from runtime import kafka_records
from runtime.delivery import Headers
from runtime.kafka_records import encoded_headers
from schemas import zstd

# Length, epoch of the leader (the broker's), format and checksum; then what the checksum covers: attributes, last
# offset, first and last time, the producer's id, epoch and first sequence number, and the number of records.
BEFORE_CHECKED: Final = struct.Struct(">qiibI")
CHECKED: Final = struct.Struct(">hiqqqhii")
AFTER_LENGTH: Final = 12
FORMAT: Final = 2
_NO_HEADERS: Final = encoded_headers(())
NOT_COMPRESSED: Final = 0
ZSTD: Final = 4
HEADER_BYTES: Final = BEFORE_CHECKED.size + CHECKED.size


class RecordBatch:
    """Records of one partition: what `AIOKafkaProducer.send_batch` takes in place of a BatchBuilder.

    `timestamp_ms` becomes that of all records where the topic does not set its own.
    """

    def __init__(self, timestamp_ms: int) -> None:
        self.count = 0
        self._timestamp_ms = timestamp_ms
        self._records = bytearray()
        self._producer = (-1, -1, -1)
        self._built: bytes | None = None

    def append(self, key: bytes | None, value: bytes | None, headers: Headers = ()) -> None:
        """Add a record. Raises ValueError once the batch has been built."""
        if self._built is not None:
            raise ValueError("the batch has been sent: a record more would be lost")
        encoded = encoded_headers(headers) if headers else _NO_HEADERS
        kafka_records.put_record(self._records, self.count, key, value, encoded)
        self.count += 1

    # From here on: what aiokafka asks of a builder.

    def closed(self) -> bool:
        """True: what is handed over is full, so aiokafka need not wait for more."""
        return True

    def record_count(self) -> int:
        """How many records it holds."""
        return self.count

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._producer = (producer_id, producer_epoch, base_sequence)

    def _build(self) -> bytes:
        """The batch as it goes over the wire."""
        if self._built is None:
            attributes, records = _compressed(self._records)
            last_offset_delta = self.count - 1
            checked = CHECKED.pack(
                attributes, last_offset_delta, self._timestamp_ms, self._timestamp_ms, *self._producer, self.count
            )
            checked += records
            length = BEFORE_CHECKED.size - AFTER_LENGTH + len(checked)
            self._built = BEFORE_CHECKED.pack(0, length, -1, FORMAT, calc_crc32c(checked)) + checked
            self._records = bytearray()
        return self._built


def _compressed(records: bytearray) -> tuple[int, bytes]:
    """Kafka's number of the codec and the bytes; as they are where compression does not make them less."""
    compressed = zstd.compressed(records)
    return (ZSTD, compressed) if len(compressed) < len(records) else (NOT_COMPRESSED, bytes(records))
