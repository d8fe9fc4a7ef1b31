"""How many bytes records take in a batch, reckoned before they are put into one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runtime.delivery import Headers, KeyedRecord

# At most: five varints of 5 bytes, the attributes, a timestamp of 10. Sizes must not be too low, or a builder that is
# full would refuse a record for which there should be room.
_RECORD_OVERHEAD_BYTES: Final = 40
_HEADER_OVERHEAD_BYTES: Final = 10


def record_bytes(key: bytes | None, value: bytes | None, headers: Headers = ()) -> int:
    """The room that a record takes, at most."""
    size = _RECORD_OVERHEAD_BYTES + len(key or b"") + len(value or b"")
    return size + sum(_HEADER_OVERHEAD_BYTES + len(name.encode()) + len(content) for name, content in headers)


def sizes_of(records: Sequence[KeyedRecord]) -> list[int]:
    """`record_bytes` of each, all at once because calls cost as much as the sums."""
    return [_RECORD_OVERHEAD_BYTES + len(key or b"") + len(value or b"") for key, value in records]
