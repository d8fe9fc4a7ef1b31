"""Cells: sparse counts by event time in three layers. Integer arithmetic on milliseconds; no clock.

An event adds to one cell of each layer, so nothing is ever rolled up and late events land where they belong:

    layer   hop      serves windows     cells kept
    minute  60 s     up to 1 h          61
    hour    3600 s   up to 7 d          169
    day     86400 s  up to 30 d         31

A window W read at `now` is the sum of the cells whose index is at least floor((now - W) / hop):

    now - W          now
       |              |
    [##|##][####][####|   ]     exact at its new end, rounded outwards by less than one hop at its old end
    ^ covered from here
"""

import re
from typing import Final, NamedTuple

Number = int | float
Cells = dict[int, list[Number]]
"""Cell index -> one value per windowed measure, in catalogue order."""

_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000


class Layer(NamedTuple):
    """One resolution of cells."""

    slot: int
    hop_ms: int
    longest_window_ms: int

    def oldest_cell(self, now_ms: int) -> int:
        """Index of the oldest cell that any window of this layer, read at `now_ms` or later, can need."""
        return (now_ms - self.longest_window_ms) // self.hop_ms


LAYERS: Final = (
    Layer(0, _MINUTE_MS, _HOUR_MS),
    Layer(1, _HOUR_MS, 7 * DAY_MS),
    Layer(2, DAY_MS, 30 * DAY_MS),
)
LONGEST_WINDOW_MS: Final = LAYERS[-1].longest_window_ms

_UNIT_MS = {"m": _MINUTE_MS, "h": _HOUR_MS, "d": DAY_MS}


def parse_window(text: str) -> int:
    """Milliseconds of a window such as `5m`, `24h` or `30d`. Raises ValueError with the fix."""
    match = re.fullmatch(r"([1-9]\d*)([mhd])", text)
    if match is None:
        raise ValueError(f"window {text!r} is not a duration; write for example 5m, 24h or 30d")
    window_ms = int(match[1]) * _UNIT_MS[match[2]]
    if window_ms > LONGEST_WINDOW_MS:
        raise ValueError(f"window {text!r} is longer than the longest layer; use at most 30d")
    return window_ms


def layer_of(window_ms: int) -> Layer:
    """The finest layer that holds a window of this length."""
    return next(layer for layer in LAYERS if window_ms <= layer.longest_window_ms)


def add(cells: tuple[Cells, ...], event_ms: int, slot: int, amount: Number, width: int) -> None:
    """Add `amount` to measure `slot` in the event's cell of every layer."""
    for layer in LAYERS:
        index = event_ms // layer.hop_ms
        layer_cells = cells[layer.slot]
        cell = layer_cells.get(index)
        if cell is None:
            cell = layer_cells[index] = [0] * width
        cell[slot] += amount


def prune(cells: tuple[Cells, ...], now_ms: int) -> None:
    """Drop the cells that no window read at `now_ms` or later can need."""
    for layer in LAYERS:
        oldest = layer.oldest_cell(now_ms)
        layer_cells = cells[layer.slot]
        for index in [index for index in layer_cells if index < oldest]:
            del layer_cells[index]


def window_sum(cells: tuple[Cells, ...], slot: int, window_ms: int, now_ms: int) -> Number:
    """Sum of measure `slot` over the window that ends at `now_ms`."""
    layer = layer_of(window_ms)
    oldest = (now_ms - window_ms) // layer.hop_ms
    return sum(cell[slot] for index, cell in cells[layer.slot].items() if index >= oldest)


def covered_from(window_ms: int, now_ms: int) -> int:
    """Where the window really starts: the lower edge of its oldest cell, in ms."""
    hop_ms = layer_of(window_ms).hop_ms
    return (now_ms - window_ms) // hop_ms * hop_ms
