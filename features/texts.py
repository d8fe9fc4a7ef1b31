"""One object for equal texts: the same items and categories come in the states of many users."""

from __future__ import annotations

from typing import Final

_MOST: Final = 50_000
_texts: dict[str, str] = {}


def shared(text: str) -> str:
    """An equal text, which other states may hold as well.

    Unlike `sys.intern` it forgets: after 50 000 texts it begins anew, and equal ones may be held twice.
    """
    known = _texts.get(text)
    if known is None:
        if len(_texts) >= _MOST:
            _texts.clear()
        known = _texts[text] = text
    return known
