"""Bytes appended to a bytearray in place.

What is appended has functions of its own, each where its format is described; compiled modules take all of them from
`.pxd` files, which write where this one's `room` says: a method of a bytearray takes an object for what it appends.
"""

from __future__ import annotations


def begun(content: bytes) -> bytearray:
    """A buffer that begins with it."""
    return bytearray(content)


def taken(buffer: bytearray) -> bytes:
    """What was appended."""
    return bytes(buffer)
