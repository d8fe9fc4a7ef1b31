"""Texts as UTF-8 bytes, to be hashed.

Compiled modules take the function from the `.pxd`, which copies ASCII texts as they are: with Python's methods it takes
some four objects and several times as long.
"""

from __future__ import annotations


def lines(first: str, second: str, third: str, fourth: str, fifth: str) -> bytes:
    """The texts with line feeds between them."""
    return f"{first}\n{second}\n{third}\n{fourth}\n{fifth}".encode()
