"""Records in the bytes of Kafka's message format 2: https://kafka.apache.org/documentation/#recordbatch.

Compiled modules take `put_record` from the `.pxd`, which writes a record in place.
"""

from __future__ import annotations

from runtime.delivery import Headers


def put_record(buffer: bytearray, offset_delta: int, key: bytes | None, value: bytes | None, headers: bytes) -> None:
    """Append a record, the `offset_delta`-th of its batch and as old as that. `headers` are of `encoded_headers`."""
    record = b"".join((b"\0\0", _varint(offset_delta), _field(key), _field(value), headers))
    buffer += _varint(len(record))
    buffer += record


def encoded_headers(headers: Headers) -> bytes:
    """The headers of a record and how many they are."""
    fields = [_field(name.encode()) + _field(content) for name, content in headers]
    return b"".join((_varint(len(headers)), *fields))


def _field(content: bytes | None) -> bytes:
    return _varint(-1) if content is None else _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """Zigzag, then seven bits a byte, the lowest first: as Protocol Buffers have it."""
    number = number * 2 if number >= 0 else -number * 2 - 1
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
