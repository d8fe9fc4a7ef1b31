"""Values of rows as the native protocol and Cassandra's partitioner have them, appended to a buffer.

A value is its length and then its bytes; numbers are big-endian: sections 3 and 6 of
https://github.com/apache/cassandra/blob/trunk/doc/native_protocol_v5.spec. Compiled modules take these functions from
the `.pxd`, which writes in place.
"""

from __future__ import annotations

import struct
from typing import Final

_INT: Final = struct.Struct(">ii")
_LENGTH: Final = struct.Struct(">i")
_KEY_LENGTH: Final = struct.Struct(">H")
_KEY_INT: Final = struct.Struct(">HiB")
_NULL: Final = -1
MOST_KEY_BYTES: Final = 0xFFFF


def put_int(out: bytearray, number: int) -> None:
    """An `int`. Raises OverflowError for a number of more than 32 bits."""
    if not -(2**31) <= number < 2**31:
        raise OverflowError(f"{number} is no number of 32 bits")
    out += _INT.pack(4, number)


def put_bigint(out: bytearray, number: int) -> None:
    """A `bigint`. Raises OverflowError for a number of more than 64 bits."""
    out += _LENGTH.pack(8)
    out += number.to_bytes(8, "big", signed=True)


def put_text(out: bytearray, text: str) -> None:
    """A `text`."""
    put_blob(out, text.encode())


def put_blob(out: bytearray, blob: bytes | None) -> None:
    """A `blob`; None is null."""
    out += _LENGTH.pack(_NULL if blob is None else len(blob))
    out += blob or b""


def put_key_text(out: bytearray, text: str) -> None:
    """A text that is a part of a compound partition key. Raises ValueError for one of more than 65 535 bytes."""
    encoded = text.encode()
    if len(encoded) > MOST_KEY_BYTES:
        raise ValueError(f"a key of {len(encoded)} bytes, where {MOST_KEY_BYTES} have room")
    out += _KEY_LENGTH.pack(len(encoded))
    out += encoded
    out += b"\0"


def put_key_int(out: bytearray, number: int) -> None:
    """An `int` that is a part of a compound partition key; it has been checked as a value."""
    out += _KEY_INT.pack(4, number, 0)
