"""One read of one user's state at one moment: what the features of that read share."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from features.cells import LARGEST_TOTAL, Layer, cells_above_zero, from_on, layer_of, total_of
from features.state import UserState

if TYPE_CHECKING:
    from features.definitions import Answer, FeatureValue

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
        numbers = self.state.block(layer.number)
        begin, end = self._begin(numbers, window_ms, layer), self._end(numbers, layer)
        return numbers[begin + 1 + slot : end : self.state.cell_width].tolist()

    def total(self, slot: int, window_ms: int, layer: Layer) -> int:
        """The sum of one measure over the window's cells."""
        numbers = self.state.block(layer.number)
        begin, end = self._begin(numbers, window_ms, layer), self._end(numbers, layer)
        return total_of(numbers, self.state.cell_width, slot, begin, end)

    def cells_above_zero(self, slot: int, window_ms: int, layer: Layer) -> int:
        """How many of the window's cells have a total of one measure that is above 0."""
        numbers = self.state.block(layer.number)
        begin, end = self._begin(numbers, window_ms, layer), self._end(numbers, layer)
        return cells_above_zero(numbers, self.state.cell_width, slot, begin, end)

    def _begin(self, numbers: array[int], window_ms: int, layer: Layer) -> int:
        """Where in the numbers of a layer the cells of the window begin."""
        return from_on(numbers, self.state.cell_width, self.oldest(window_ms, layer))

    def _end(self, numbers: array[int], layer: Layer) -> int:
        """Where they end."""
        return from_on(numbers, self.state.cell_width, self.newest(layer) + 1) if self.looks_back else len(numbers)

    def stopped(self, slot: int, window_ms: int) -> bool:
        """Whether a sum of the window stopped at what a cell can hold."""
        if not self.state.sums_stopped:
            return False
        return any(abs(total) >= LARGEST_TOTAL for total in self.column(slot, window_ms, layer_of(window_ms)))

    def cuts_a_cell(self, hop_ms: int) -> bool:
        """Whether the moment lies inside a cell, so that it counts events from after the moment."""
        return self.looks_back and (self.now_ms + 1) % hop_ms != 0


class Reader:
    """Reads one feature of one user."""

    def answer(self, reading: Reading) -> Answer:
        """The value, and how far it can be trusted."""
        raise NotImplementedError

    def value(self, reading: Reading) -> FeatureValue:
        """The value alone, where the reading is not one of the past."""
        return self.answer(reading).value
