"""How many bytes records take in a batch, reckoned before they are put into one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runtime.delivery import Headers, KeyedRecord

# At most, in any record of the format: five varints of 5 bytes, the attributes, a timestamp of 10.
_RECORD_OVERHEAD_BYTES: Final = 40
_HEADER_OVERHEAD_BYTES: Final = 10


def record_bytes(key: bytes | None, value: bytes | None) -> int:
    """The room that a record without headers takes, at most."""
    size = _RECORD_OVERHEAD_BYTES
    if key is not None:
        size += len(key)
    if value is not None:
        size += len(value)
    return size


def header_bytes(headers: Headers) -> int:
    """The room that the headers of a record take in addition."""
    return sum(_HEADER_OVERHEAD_BYTES + len(name.encode()) + len(content) for name, content in headers)


def total_and_largest(records: Sequence[KeyedRecord]) -> tuple[int, int]:
    """Of the `record_bytes` of all; (0, 0) of none."""
    total = largest = 0
    for key, value in records:
        size = record_bytes(key, value)
        total += size
        largest = max(largest, size)
    return total, largest
