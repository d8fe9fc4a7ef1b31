"""Values appended to a buffer as msgpack, each in its shortest form, for msgspec to decode; it leaves long arrays of
numbers to `numbers_of`.

Compiled modules take these functions from the `.pxd`, which writes in place:
https://github.com/msgpack/msgpack/blob/master/spec.md
"""

from __future__ import annotations

from array import array

import msgspec

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[int])


def put_array(out: bytearray, count: int) -> None:
    """Begin an array of so many values, which follow."""
    out += _head(count, 0x90, 0xDC)


def put_map(out: bytearray, count: int) -> None:
    """Begin a map of so many pairs, which follow, each with its key first."""
    out += _head(count, 0x80, 0xDE)


def put_nil(out: bytearray) -> None:
    """None."""
    out.append(0xC0)


def put_flag(out: bytearray, flag: bool) -> None:
    """True or False."""
    out.append(0xC3 if flag else 0xC2)


def put_int(out: bytearray, number: int) -> None:
    """A whole number. Raises OverflowError for one that has no place in 64 bits, with its sign."""
    if not -(2**63) <= number < 2**63:
        raise OverflowError(f"{number} has no place in 64 bits")
    out += _encoder.encode(number)


def put_float(out: bytearray, number: float) -> None:
    """A double."""
    out += _encoder.encode(number)


def put_text(out: bytearray, text: str) -> None:
    """A text."""
    out += _encoder.encode(text)


def put_blob(out: bytearray, blob: bytes) -> None:
    """Bytes."""
    out += _encoder.encode(blob)


def put_column(out: bytearray, numbers: array[int], first: int, step: int) -> None:
    """An array of every `step`-th number from `first` on."""
    out += _encoder.encode(numbers[first::step].tolist())


def put_distances(out: bytearray, numbers: array[int], first: int, step: int, base: int) -> None:
    """An array of how far every `step`-th number from `first` on is below the base."""
    out += _encoder.encode([base - number for number in numbers[first::step]])


def numbers_of(packed: bytes) -> array[int]:
    """The numbers of an array, which is all that `packed` holds.

    Raises ValueError if it is something else, and OverflowError for a number of more than 64 bits.
    """
    return array("q", _decoder.decode(packed))


def _head(count: int, short: int, long: int) -> bytes:
    if count < 16:
        return bytes([short | count])
    if count < 1 << 16:
        return bytes([long]) + count.to_bytes(2, "big")
    return bytes([long + 1]) + count.to_bytes(4, "big")
