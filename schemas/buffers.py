"""Bytes appended to a bytearray in place, without an object for what is appended, and bytes read where they lie.

What is appended has functions of its own, each where its format is described (`features/msgpack.py`, for one).
Compiled modules take them from `.pxd` files, which write where `room`, in that of this module, says: a bytearray that
is filled so must not have lost bytes at its beginning, and nobody else may hold it.
"""

from __future__ import annotations


def begun(content: bytes) -> bytearray:
    """A buffer that begins with it."""
    return bytearray(content)


def taken(buffer: bytearray) -> bytes:
    """What was appended."""
    return bytes(buffer)


def byte_at(content: bytes, place: int) -> int:
    """The byte there, which must be one of the content: nothing asks."""
    return content[place]


def cut(content: bytes, place: int, size: int) -> bytes:
    """So many bytes from there on, which must all be of the content: nothing asks."""
    return content[place : place + size]
