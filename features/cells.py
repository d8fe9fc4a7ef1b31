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

Cells = dict[int, list[int]]
"""Cell index -> one whole number per windowed measure, in catalogue order; sums are in millionths."""

_MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000


class Layer(NamedTuple):
    """One resolution of cells."""

    number: int
    hop_ms: int
    longest_window_ms: int

    def oldest_cell(self, now_ms: int) -> int:
        """Index of the oldest cell that any window of this layer, read at `now_ms` or later, can need."""
        return (now_ms - self.longest_window_ms) // self.hop_ms


LAYERS: Final = (
    Layer(0, _MINUTE_MS, HOUR_MS),
    Layer(1, HOUR_MS, 7 * DAY_MS),
    Layer(2, DAY_MS, 30 * DAY_MS),
)
HOURS: Final = LAYERS[1]
DAYS: Final = LAYERS[2]
LONGEST_WINDOW_MS: Final = DAYS.longest_window_ms
LARGEST_TOTAL: Final = 2**62  # as packed integers have 64 bits

_UNIT_MS = {"m": _MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}


def parse_window(text: str) -> int:
    """Milliseconds of a window such as `5m`, `24h` or `30d`. Raises ValueError with the fix."""
    match = re.fullmatch(r"([1-9][0-9]*)([mhd])", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"window {text!r} is not a duration; write for example 5m, 24h or 30d")
    window_ms = int(match[1]) * _UNIT_MS[match[2]]
    if window_ms > LONGEST_WINDOW_MS:
        raise ValueError(f"window {text!r} is longer than the longest layer; use at most 30d")
    return window_ms


def layer_of(window_ms: int) -> Layer:
    """The finest layer that holds a window of this length."""
    if window_ms <= HOUR_MS:
        return LAYERS[0]
    return HOURS if window_ms <= HOURS.longest_window_ms else DAYS


def added(total: int, amount: int) -> int:
    """Their sum. A total that would pass LARGEST_TOTAL, either way, stops there for good: the truth is lost."""
    if -LARGEST_TOTAL < total < LARGEST_TOTAL:
        return max(-LARGEST_TOTAL, min(LARGEST_TOTAL, total + amount))
    return total


def prune(cells: tuple[Cells, ...], now_ms: int) -> None:
    """Drop the cells that no window read at `now_ms` or later can need."""
    for layer in LAYERS:
        oldest = layer.oldest_cell(now_ms)
        layer_cells = cells[layer.number]
        if layer_cells and min(layer_cells) < oldest:
            for index in [index for index in layer_cells if index < oldest]:
                del layer_cells[index]


def merge(left: tuple[Cells, ...], right: tuple[Cells, ...]) -> tuple[Cells, ...]:
    """The cells of both sets of events together."""
    merged: tuple[Cells, ...] = tuple({index: list(cell) for index, cell in cells.items()} for cells in left)
    for cells, more in zip(merged, right, strict=True):
        for index, cell in more.items():
            known = cells.get(index)
            cells[index] = list(cell) if known is None else list(map(added, known, cell))
    return merged


def covered_from(window_ms: int, now_ms: int, hop_ms: int | None = None) -> int:
    """Where the window really starts: the lower edge of its oldest cell, in ms."""
    hop_ms = layer_of(window_ms).hop_ms if hop_ms is None else hop_ms
    return (now_ms - window_ms) // hop_ms * hop_ms
