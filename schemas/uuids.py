"""The form of a UUID.

Compiled modules take the function from the `.pxd`, which makes no object for a UUID in lower case, as most are.
"""

from __future__ import annotations

import re
from typing import Final

_SHAPE: Final = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")


def lowered(text: str) -> str | None:
    """The UUID in lower case; None if the text has not the form of one."""
    return text.lower() if _SHAPE.fullmatch(text) else None
