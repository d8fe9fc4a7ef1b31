"""The state of one user: a fold of the prefix of one Kafka partition, and where that prefix ends."""

from __future__ import annotations

import functools
from array import array
from collections.abc import Sized
from dataclasses import dataclass
from typing import Any, Final, Protocol

from features import int64s
from features.cells import Cells
from features.duplicates import FORGOTTEN_OFFSET, DuplicateWindow
from schemas.receipts import Position

ALWAYS: Final = FORGOTTEN_OFFSET  # what was counted before the topic was made anew counts as well
NOWHERE: Final = -1
"""The epoch of a state that no record was folded into."""
NEVER: Final = -1
"""As a time of events: there was none."""
_NEVER: Final = NEVER
HEADER_BYTES: Final = 2048
"""What a packed state takes at most beside ids, cells and parts."""


@dataclass  # with slots where it is compiled, see state.pxd
class UserState:
    """Mutable in the worker that owns its partition; everywhere else it is only read.

    `epoch`, `partition` and `offset` say where the last record lies that was folded. `version` is in microseconds and
    rises with every record; `append_ms` is the largest LogAppendTime folded. `first_event_ms` and `last_event_ms` span
    the user's timeline, undos included. `parts` holds what each measure outside of cells keeps; `counts_from_ms` says,
    for the cell measures and then the parts, since which moment of the log a measure counts, 0 for always, and
    `counts_from_offsets` from which offset on, ALWAYS for always. `sums_stopped`: whether the sum of a cell ever
    stopped at what fits. `size_bound` is at least the bytes that it would pack to. `minutes`, `hours` and `days` are
    the numbers of each layer's Cells, and `cell_width` is their width.
    """

    # The first five have no default: for one with a factory a compiled `__init__` imports `dataclasses` at each call.
    minutes: array[int]
    hours: array[int]
    days: array[int]
    parts: list[Any]
    duplicates: DuplicateWindow
    epoch: int = NOWHERE
    partition: int = 0
    offset: int = 0
    version: int = 0
    append_ms: int = 0
    first_event_ms: int = NEVER
    last_event_ms: int = NEVER
    late_events: int = 0
    duplicate_events: int = 0
    undone_events: int = 0
    sums_stopped: bool = False
    size_bound: int = 0
    cell_width: int = 1
    counts_from_ms: tuple[int, ...] = ()
    counts_from_offsets: tuple[int, ...] = ()

    @property
    def cells(self) -> tuple[Cells, Cells, Cells]:
        """Those of each layer."""
        return (self.layer(0), self.layer(1), self.layer(2))

    def layer(self, number: int) -> Cells:
        """The cells of the layer of that number."""
        return Cells(self.cell_width, self.block(number))

    def block(self, number: int) -> array[int]:
        """The numbers of those cells."""
        if number == 0:
            return self.minutes
        return self.hours if number == 1 else self.days

    @property
    def position(self) -> Position | None:
        """Of the last record that was folded."""
        return None if self.epoch == NOWHERE else Position(self.epoch, self.partition, self.offset)

    def holds(self, position: Position) -> bool:
        """Whether the record there was folded already."""
        return position.reached_by(self.position)

    def start_epoch(self) -> None:
        """The topic was made anew: its offsets begin at 0, and what was counted before lies below all of them."""
        self.duplicates.start_epoch()
        self.counts_from_offsets = tuple([min(offset, 0) for offset in self.counts_from_offsets])

    def cover(self, time_ms: int) -> None:
        """Widen the span from first to last event to a record of the timeline."""
        if time_ms > self.last_event_ms:
            self.last_event_ms = time_ms
        if time_ms < self.first_event_ms or self.first_event_ms == _NEVER:
            self.first_event_ms = time_ms


class Zeros(Protocol):
    """What a catalogue says about a user of whom nothing is known."""

    @property
    def cell_measures(self) -> Sized:
        """Those that keep their totals in cells."""

    def zero_parts(self) -> list[Any]:
        """One part per measure that keeps one."""

    @property
    def measure_count(self) -> int:
        """Cell measures and parts together."""


def blank_state() -> UserState:
    """A state without measures."""
    return UserState(int64s.zeros(0), int64s.zeros(0), int64s.zeros(0), [], DuplicateWindow())


def new_state(catalogue: Zeros) -> UserState:
    """The state of a user of whom nothing is known."""
    measures = catalogue.measure_count
    return UserState(
        minutes=int64s.zeros(0),
        hours=int64s.zeros(0),
        days=int64s.zeros(0),
        parts=catalogue.zero_parts(),
        duplicates=DuplicateWindow(),
        size_bound=HEADER_BYTES,
        cell_width=1 + len(catalogue.cell_measures),
        counts_from_ms=repeated(0, measures),
        counts_from_offsets=repeated(ALWAYS, measures),
    )


@functools.cache
def repeated(number: int, times: int) -> tuple[int, ...]:
    """A tuple of it, the same one for all states."""
    return (number,) * times
