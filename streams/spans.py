"""Which offsets of a partition may be committed: arithmetic over delivered spans, free of Kafka and of Faust."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(slots=True)
class _Span:
    last: int
    finished: bool = False


class SpanLedger:
    """The spans of one partition during one assignment, in the order of the log.

    A span is a run of records delivered together. Gaps between spans (compaction, aborted transactions) hold
    nothing to be finished, so only the order of the spans counts, never their distance.
    """

    def __init__(self) -> None:
        self._spans: deque[_Span] = deque()
        self._unfinished: dict[int, _Span] = {}
        self._delivered: int | None = None
        self._committable: int | None = None

    def open(self, first: int, last: int) -> None:
        """Remember a delivered span, both ends inclusive. Raises ValueError if it does not follow the one before."""
        if last < first or (self._delivered is not None and first <= self._delivered):
            raise ValueError(f"span {first}..{last} does not follow offset {self._delivered}")
        self._delivered = last
        span = self._unfinished[last] = _Span(last)
        self._spans.append(span)

    def finish(self, last: int) -> None:
        """Mark the span that ends at `last` as finished. Raises KeyError if no unfinished span ends there."""
        self._unfinished.pop(last).finished = True
        while self._spans and self._spans[0].finished:
            self._committable = self._spans.popleft().last + 1

    def committable(self) -> int | None:
        """The offset to go on from after a restart: one past the leading finished spans, or None if there are none."""
        return self._committable
