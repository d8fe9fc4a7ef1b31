"""XXH3, the hash that ids, values and checks are stored as.

Compiled modules take it from the `.pxd`, which hashes 4 to 128 bytes in C as the specification of xxHash says: a call
of the library takes several times as long, because of the objects that it takes and makes.
"""

from __future__ import annotations

from typing import Final

import xxhash

of_bytes: Final = xxhash.xxh3_64_intdigest
"""64 bits, unsigned, with a seed of 0."""


def of_text(text: str) -> int:
    """Of the text as UTF-8."""
    return of_bytes(text.encode())


def of_lowered(text: str) -> int:
    """Of the text in lower case."""
    return of_bytes(text.lower().encode())
