"""One object for most equal texts: the same items and categories come in the states of many users."""

from __future__ import annotations

from typing import Final

_SLOTS: Final = 2**15
_texts: list[str] = [""] * _SLOTS  # each in the slot that the lower bits of its hash name


def shared(text: str) -> str:
    """An equal text, which other states may hold as well.

    Unlike `sys.intern` it forgets: of two texts with one slot the later one takes it.
    """
    slot = hash(text) & (_SLOTS - 1)
    known = _texts[slot]
    if known == text:
        return known
    _texts[slot] = text
    return text
