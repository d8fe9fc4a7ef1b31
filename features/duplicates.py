"""The duplicate guard: a bounded window of event id -> offset at which it was first seen.

Horizon: an id is remembered for 24 hours of log time, and at most for the user's latest 4 096 ids. A record is
original exactly if the window holds its own offset for its id, so a replay decides as the first pass did.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final

import xxhash

HORIZON_HOURS: Final = 24
# At least twice the records of one flush (2 000), so that an id of an unacknowledged flush is never evicted.
MAX_IDS: Final = 4_096
_HOUR_MS: Final = 3_600_000
_FORGOTTEN_OFFSET: Final = -1


def id_key(event_id: str) -> int:
    """64-bit key of an event id. Within one user's window a chance collision has odds below 1e-12."""
    return xxhash.xxh3_64_intdigest(event_id.lower().encode())


@dataclass(slots=True)
class DuplicateWindow:
    """Ids in the order of their first offsets; `hours` marks where each hour of log time begins."""

    offsets: dict[int, int] = field(default_factory=dict)
    hours: list[tuple[int, int]] = field(default_factory=list)
    evicted_early: int = 0  # ids that the count limit pushed out before their 24 hours were over; not stored

    def holds(self, key: int, offset: int) -> bool:
        """Whether the record at `offset` was the first of its id."""
        return self.offsets.get(key) == offset

    def admit(self, key: int, offset: int, append_ms: int) -> bool:
        """Remember the id; False if it was seen before."""
        if key in self.offsets:
            return False
        hour = append_ms // _HOUR_MS
        if not self.hours or hour > self.hours[-1][0]:
            self.hours.append((hour, offset))
            self._expire(hour)
        self.offsets[key] = offset
        if len(self.offsets) > MAX_IDS:
            del self.offsets[next(iter(self.offsets))]
            self.evicted_early += 1
        return True

    def start_epoch(self) -> None:
        """The topic was made anew: ids stay known, their old offsets must match no new record."""
        self.offsets = dict.fromkeys(self.offsets, _FORGOTTEN_OFFSET)
        self.hours = [(hour, _FORGOTTEN_OFFSET) for hour, _ in self.hours[-1:]]

    def _expire(self, hour: int) -> None:
        """Forget the ids of hours that lie wholly outside the horizon."""
        while len(self.hours) > 1 and self.hours[1][0] <= hour - HORIZON_HOURS:
            del self.hours[0]
        first_kept = self.hours[0][1]
        for key in list(takewhile(lambda key: self.offsets[key] < first_kept, self.offsets)):
            del self.offsets[key]
