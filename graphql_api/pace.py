"""When to look again for a row that is waited for. Pure."""

from __future__ import annotations

from typing import Final

LEAST_SECONDS: Final = 0.002
"""The shortest pause."""
# Of the wait so far: by as much a wait may become longer than it has to be.
_SHARE: Final = 0.2
# Weight of the latest wait in the average: one out of line changes little, ten change it.
_LEARNING: Final = 0.2
_LONGEST_USUAL_SECONDS: Final = 0.2


class Pace:
    """The pauses between two looks: each look costs the store a read, each pause costs the reader freshness.

    Waits of one time are alike. So the second look comes after half of what waits took lately: an exponentially
    weighted average, of at most 200 ms lest an outage slows the reads after it. Later pauses are a fifth of the wait
    so far.
    """

    def __init__(self) -> None:
        self._usual_seconds = 0.0

    def pause(self, waited_seconds: float) -> float:
        """How long to pause after a wait of so long, in seconds."""
        return max(LEAST_SECONDS, self._usual_seconds / 2 - waited_seconds, waited_seconds * _SHARE)

    def learn(self, waited_seconds: float) -> None:
        """A wait is over after so long, at least one pause included: without one it tells of the store alone."""
        latest = min(waited_seconds, _LONGEST_USUAL_SECONDS)
        self._usual_seconds += (latest - self._usual_seconds) * _LEARNING
