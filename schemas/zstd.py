"""Zstandard for what is small: contexts are kept, as making one takes longer than what it is made for."""

from __future__ import annotations

import threading
from typing import Final

import zstandard

_LEVEL: Final = 1  # as small as of level 3, which is the default, in three quarters of the time


class CannotDecompress(ValueError):
    """Not a frame, or one of more than was allowed."""


class _Contexts(threading.local):
    """Of one thread: they must not be shared."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self.decompressor = zstandard.ZstdDecompressor()


_contexts = _Contexts()


def compressed(content: bytes | bytearray) -> bytes:
    """A frame that says how much it holds."""
    return _contexts.compressor.compress(content)


def decompressed(frame: bytes, most_bytes: int) -> bytes:
    """What the frame holds. Raises CannotDecompress."""
    try:
        if zstandard.frame_content_size(frame) > most_bytes:
            raise CannotDecompress(f"a frame of more than {most_bytes} bytes")
        return _contexts.decompressor.decompress(frame, max_output_size=most_bytes, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise CannotDecompress(str(error)) from error
