"""One read of one user's state at one moment: what the features of that read share."""

from __future__ import annotations

from features.cells import LARGEST_TOTAL, Layer, layer_of
from features.state import UserState

_NEVER_MS = 1 << 62


class Reading:
    """Derives as of `now_ms`.

    Without `past` a window counts everything from its old end on, also events that a client's fast clock dated a
    little ahead. With `past` the answer is that of an earlier moment: what happened after it is left out, to the
    precision of a cell.
    """

    __slots__ = ("_vectors", "looks_back", "now_ms", "past", "state")

    def __init__(self, state: UserState, now_ms: int, *, past: bool = False) -> None:
        self.state = state
        self.now_ms = now_ms
        self.past = past
        self.looks_back = past and state.last_event_ms is not None and state.last_event_ms > now_ms
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
        """The cells of the window, oldest first."""
        oldest, newest = self.oldest(window_ms, layer), self.newest(layer)
        return sorted(item for item in self.state.cells[layer.number].items() if oldest <= item[0] <= newest)

    def totals(self, window_ms: int) -> list[int]:
        """The sum of the window's cells, measure by measure, to be read only; empty where the window has no cell."""
        known = self._vectors.get(window_ms)
        if known is None:
            layer = layer_of(window_ms)
            oldest = (self.now_ms - window_ms) // layer.hop_ms
            cells = self.state.cells[layer.number]
            if self.looks_back:
                newest = self.now_ms // layer.hop_ms
                vectors = [cell for index, cell in cells.items() if oldest <= index <= newest]
            else:
                vectors = [cell for index, cell in cells.items() if index >= oldest]
            known = vectors[0] if len(vectors) == 1 else list(map(sum, zip(*vectors, strict=True)))
            self._vectors[window_ms] = known
        return known

    def stopped(self, slot: int, window_ms: int) -> bool:
        """Whether a sum of the window stopped at what a cell can hold."""
        if not self.state.sums_stopped:
            return False
        return any(abs(cell[slot]) >= LARGEST_TOTAL for _, cell in self.cells(window_ms, layer_of(window_ms)))

    def cuts_a_cell(self, hop_ms: int) -> bool:
        """Whether the moment lies inside a cell, so that it counts events from after the moment."""
        return self.looks_back and (self.now_ms + 1) % hop_ms != 0
