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

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from features import int64s

_MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000


@dataclass(eq=False)  # with slots where it is compiled, see cells.pxd
class Layer:
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
_MINUTES, _HOURS, _DAYS = LAYERS
MINUTES: Final = _MINUTES
HOURS: Final = _HOURS
DAYS: Final = _DAYS
LONGEST_WINDOW_MS: Final = DAYS.longest_window_ms
LARGEST_TOTAL: Final = 2**62  # as integers here have 64 bits
_LARGEST_TOTAL: Final = LARGEST_TOTAL
_LARGEST_SUMMED: Final = 2**50  # 4 096 of them fit into 64 bits, and no layer has as many cells

_UNIT_MS = {"m": _MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}


class Cells:  # with slots where it is compiled, see cells.pxd
    """The cells of one layer, oldest first: of each its index, then one total per windowed measure, in catalogue order.

    Totals are whole numbers; sums are in millionths. All of it is one block, because what a state has scattered in
    memory is waited for at every visit of its user; a state holds the blocks alone.
    """

    def __init__(self, width: int, numbers: array[int]) -> None:
        """`width`: numbers of a cell, one more than there are measures. Takes the block as it is."""
        self.width = width
        self.numbers = numbers

    def __len__(self) -> int:
        """Number of cells."""
        return len(self.numbers) // self.width

    def __eq__(self, other: object) -> bool:
        """Whether the other one has the same cells."""
        return isinstance(other, Cells) and (self.width, self.numbers) == (other.width, other.numbers)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def items(self) -> Iterator[tuple[int, list[int]]]:
        """Index and totals of each cell."""
        for place in range(0, len(self.numbers), self.width):
            yield self.numbers[place], self.numbers[place + 1 : place + self.width].tolist()


def from_on(numbers: array[int], width: int, index: int) -> int:
    """Where the first cell begins that has this index or a later one; the end if none has.

    Looks from the newest on, which most events belong to.
    """
    place = len(numbers)
    while place and int64s.at(numbers, place - width) >= index:
        place -= width
    return place


def total_of(numbers: array[int], width: int, slot: int, begin: int, end: int) -> int:
    """The sum of a measure over the cells between these places."""
    place = begin + 1 + slot
    total = 0
    while place < end:  # a range with a step that varies would be one of objects
        number = int64s.at(numbers, place)
        if not -_LARGEST_SUMMED < number < _LARGEST_SUMMED:
            return sum(numbers[begin + 1 + slot : end : width])
        total += number
        place += width
    return total


def cells_above_zero(numbers: array[int], width: int, slot: int, begin: int, end: int) -> int:
    """How many of the cells between these places have a total of the measure that is above 0."""
    place = begin + 1 + slot
    count = 0
    while place < end:
        count += int64s.at(numbers, place) > 0
        place += width
    return count


def count_event(numbers: array[int], width: int, layer: Layer, time_ms: int, append_ms: int, slots: array[int]) -> int:
    """Add 1 to the totals of these measures in the cell of that moment, which is made where it is missing.

    Where it begins, or -1 if at `append_ms` no later read can need it.
    """
    index = time_ms // layer.hop_ms
    place = from_on(numbers, width, index)
    if not int64s.is_at(numbers, place, index):
        if index < layer.oldest_cell(append_ms):
            return -1
        int64s.insert_zeros(numbers, place, width)
        int64s.put(numbers, place, index)
    add_to_counts(numbers, place, slots, 1)
    return place


def add_to_counts(numbers: array[int], place: int, slots: array[int], amount: int) -> None:
    """Add the amount to the totals of these measures, in the cell that begins there."""
    for number in range(len(slots)):
        total = place + 1 + int64s.at(slots, number)
        int64s.put(numbers, total, int64s.at(numbers, total) + amount)


def remove_if_empty(numbers: array[int], width: int, place: int) -> None:
    """Remove the cell that begins there if all of its totals are 0."""
    total = place + 1
    while total < place + width and not int64s.at(numbers, total):
        total += 1
    if total == place + width:
        int64s.remove(numbers, place, width)


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
    if window_ms <= _MINUTES.longest_window_ms:
        return _MINUTES
    return _HOURS if window_ms <= _HOURS.longest_window_ms else _DAYS


def added(total: int, amount: int) -> int:
    """Their sum; the amount is LARGEST_TOTAL at most, either way.

    A total that would pass LARGEST_TOTAL stops there for good: the truth is lost.
    """
    if -_LARGEST_TOTAL < total < _LARGEST_TOTAL:
        return max(-_LARGEST_TOTAL, min(_LARGEST_TOTAL, total + amount))
    return total


def prune(minutes: array[int], hours: array[int], days: array[int], width: int, now_ms: int) -> None:
    """Drop the cells of each layer that no window read at `now_ms` or later can need."""
    _drop_before(minutes, width, _MINUTES.oldest_cell(now_ms))
    _drop_before(hours, width, _HOURS.oldest_cell(now_ms))
    _drop_before(days, width, _DAYS.oldest_cell(now_ms))


def _drop_before(numbers: array[int], width: int, index: int) -> None:
    if len(numbers) and int64s.at(numbers, 0) < index:
        int64s.remove(numbers, 0, from_on(numbers, width, index))


def merge(left: tuple[Cells, ...], right: tuple[Cells, ...]) -> tuple[Cells, ...]:
    """The cells of both sets of events together."""
    merged = []
    for cells, more in zip(left, right, strict=True):
        together = dict(cells.items())
        for index, totals in more.items():
            known = together.get(index)
            together[index] = totals if known is None else list(map(added, known, totals))
        merged.append(cells_of(together, cells.width - 1))
    return tuple(merged)


def cells_of(totals: Mapping[int, Sequence[int]], measures: int) -> Cells:
    """Cells by index, each with the totals of so many measures. Raises ValueError and OverflowError."""
    numbers: list[int] = []
    for index in sorted(totals):
        of_cell = totals[index]
        if len(of_cell) != measures:
            raise ValueError(f"a cell has {len(of_cell)} totals instead of {measures}")
        numbers += (index, *of_cell)
    return Cells(1 + measures, int64s.of(numbers))


def covered_from(window_ms: int, now_ms: int, hop_ms: int | None = None) -> int:
    """Where the window really starts: the lower edge of its oldest cell, in ms."""
    hop_ms = layer_of(window_ms).hop_ms if hop_ms is None else hop_ms
    return (now_ms - window_ms) // hop_ms * hop_ms
