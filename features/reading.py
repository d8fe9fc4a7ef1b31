"""One read of one user's state at one moment: what the features of that read share."""

from __future__ import annotations

from features.cells import LARGEST_TOTAL, Cells, Layer, layer_of
from features.state import UserState

_NEVER_MS = 1 << 62


class Reading:  # with slots where it is compiled, see reading.pxd
    """Derives as of `now_ms`.

    Without `past` a window counts everything from its old end on, also events that a client's fast clock dated a
    little ahead. With `past` the answer is that of an earlier moment: what happened after it is left out, to the
    precision of a cell.
    """

    def __init__(self, state: UserState, now_ms: int, *, past: bool = False) -> None:
        self.state = state
        self.now_ms = now_ms
        self.past = past
        self.looks_back = past and state.last_event_ms > now_ms
        self._vectors: dict[int, list[int]] = {}

    def oldest(self, window_ms: int, layer: Layer) -> int:
        """Index of the window's oldest cell in `layer`."""
        return (self.now_ms - window_ms) // layer.hop_ms

    def newest(self, layer: Layer) -> int:
        """Index of the newest cell that counts."""
        return (self.now_ms if self.looks_back else _NEVER_MS) // layer.hop_ms

    def holds(self, window_ms: int, layer: Layer) -> bool:
        """Whether the state still has all cells of the window."""
        return not self.past or self.oldest(window_ms, layer) >= layer.oldest_cell(self.state.append_ms)

    def cells(self, window_ms: int, layer: Layer) -> list[tuple[int, list[int]]]:
        """Index and totals of the window's cells, oldest first."""
        oldest, newest = self.oldest(window_ms, layer), self.newest(layer)
        return [item for item in self.state.layer(layer.number).items() if oldest <= item[0] <= newest]

    def column(self, slot: int, window_ms: int, layer: Layer) -> list[int]:
        """The totals of one measure in the window's cells, oldest first."""
        cells, begin, end = self._span(window_ms, layer)
        return cells.numbers[begin + 1 + slot : end : cells.width].tolist()

    def totals(self, window_ms: int) -> list[int]:
        """The sum of the window's cells, measure by measure, to be read only."""
        known = self._vectors.get(window_ms)
        if known is None:
            cells, begin, end = self._span(window_ms, layer_of(window_ms))
            known = self._vectors[window_ms] = cells.totals(begin, end)
        return known

    def _span(self, window_ms: int, layer: Layer) -> tuple[Cells, int, int]:
        """The cells of a layer, and where in their numbers those of the window begin and end."""
        cells = self.state.layer(layer.number)
        end = cells.from_on(self.newest(layer) + 1) if self.looks_back else len(cells.numbers)
        return cells, cells.from_on(self.oldest(window_ms, layer)), end

    def stopped(self, slot: int, window_ms: int) -> bool:
        """Whether a sum of the window stopped at what a cell can hold."""
        if not self.state.sums_stopped:
            return False
        return any(abs(total) >= LARGEST_TOTAL for total in self.column(slot, window_ms, layer_of(window_ms)))

    def cuts_a_cell(self, hop_ms: int) -> bool:
        """Whether the moment lies inside a cell, so that it counts events from after the moment."""
        return self.looks_back and (self.now_ms + 1) % hop_ms != 0
