"""Moments in UTC as milliseconds.

Compiled modules take the function from the `.pxd`, which looks into the datetime; here it takes two objects and several
times as long.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ONE_MS: Final = timedelta(milliseconds=1)


def ms(moment: datetime) -> int:
    """Milliseconds since the epoch, rounded down. `moment` must be given in UTC."""
    return (moment - _EPOCH) // _ONE_MS
