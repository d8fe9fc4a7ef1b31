"""The cap of a packed state, and what is given up for it, in which order.

Policy, first to last: cells and places that no read can need; the precision of distinct counts; the lower half of the
keys of decayed sums; the older half of each sequence; the older half of minima and maxima; and last, which no sensible
catalogue gets to, the older half of the fullest layer of cells and then all that the largest other measure keeps, whose
features then say since when they count. Each step is repeated while it helps. The ids of the duplicate guard are
bounded by themselves and never dropped for room. It happens in the fold, at a place that depends on the log alone, so a
replay drops the same; what was dropped shows in the answers as `approximate` or `countsFrom`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from features import cells, msgpack
from features.catalogue import Catalogue
from features.cells import LAYERS
from features.decayed import Decayed
from features.definitions import Base, PartMeasure
from features.distinct import Distinct
from features.extremes import Extreme
from features.recents import Last, LastDistinct
from features.state import HEADER_BYTES, NOWHERE, UserState

MAX_PACKED_BYTES: Final = 64 * 1024
ROOM_BYTES: Final = 60 * 1024  # beyond it the fold makes room
KEPT_BYTES: Final = 52 * 1024  # down to here, so that it does not do so at every event
ID_BYTES: Final = 19
_FAR_BASE: Final = Base(0, 0)  # far from everything, so that distances take most bytes


def put_parts(out: bytearray, state: UserState, catalogue: Catalogue, base: Base) -> None:
    """Append the parts as they are packed."""
    msgpack.put_array(out, len(state.parts))
    for measure, part in zip(catalogue.part_measures, state.parts, strict=True):
        measure.put(part, base, out)


def packed_bytes_at_most(state: UserState, catalogue: Catalogue) -> int:
    """What the state packs to, a little too much rather than too little."""
    kept = bytearray()
    msgpack.put_array(kept, 2)
    msgpack.put_array(kept, len(state.cells))
    for layer in state.cells:
        msgpack.put_column(kept, layer.numbers, 0, 1)
    put_parts(kept, state, catalogue, _FAR_BASE)
    return len(kept) + ID_BYTES * len(state.duplicates) + HEADER_BYTES


def prune(state: UserState, catalogue: Catalogue) -> None:
    """Drop what no read at `append_ms` or later can need; changes no answer."""
    cells.prune(state.minutes, state.hours, state.days, state.cell_width, state.append_ms)
    state.duplicates.tidy()
    for place, measure in catalogue.pruned:
        measure.prune(state.parts[place], state.append_ms)


def make_room(state: UserState, catalogue: Catalogue, kept_bytes: int = KEPT_BYTES) -> None:
    """Measure the state, give up what the policy says until it fits, and start counting from there."""
    prune(state, catalogue)
    size = packed_bytes_at_most(state, catalogue)
    for step in _steps(state, catalogue):
        while size > kept_bytes and step():
            size = packed_bytes_at_most(state, catalogue)
    state.size_bound = size


def _steps(state: UserState, catalogue: Catalogue) -> list[Callable[[], bool]]:
    def shrink(*kinds: type[PartMeasure[Any]]) -> Callable[[], bool]:
        # All of one kind together: none of them may be the one that always gives.
        def step() -> bool:
            pairs = zip(state.parts, catalogue.part_measures, strict=True)
            return any([measure.shrink(part) for part, measure in pairs if isinstance(measure, kinds)])

        return step

    def drop_cells() -> bool:
        return _drop_cells(state, len(catalogue.cell_measures))

    def start_over() -> bool:
        return _start_over_largest(state, catalogue)

    return [shrink(Distinct), shrink(Decayed), shrink(Last, LastDistinct), shrink(Extreme), drop_cells, start_over]


def _drop_cells(state: UserState, cell_measures: int) -> bool:
    kept, layer = max(zip(state.cells, LAYERS, strict=True), key=lambda pair: len(pair[0]))
    gone = len(kept) // 2
    if gone:
        last_gone = kept.numbers[(gone - 1) * kept.width]
        del kept.numbers[: gone * kept.width]
        since_ms = (last_gone + 1) * layer.hop_ms
        known_ms = state.counts_from_ms
        in_cells = [max(each, since_ms) for each in known_ms[:cell_measures]]
        state.counts_from_ms = (*in_cells, *known_ms[cell_measures:])
    return gone > 0


def _start_over_largest(state: UserState, catalogue: Catalogue) -> bool:
    """Let the part that takes most room count from the next record on, as if its measure were new."""
    if not state.parts:
        return False
    place = max(range(len(state.parts)), key=lambda each: _packed_bytes(state, catalogue, each))
    zero = catalogue.part_measures[place].zero()
    if state.parts[place] == zero:
        return False
    state.parts[place] = zero
    measure = len(catalogue.cell_measures) + place
    next_offset = 0 if state.epoch == NOWHERE else state.offset + 1
    state.counts_from_ms = _with(state.counts_from_ms, measure, state.append_ms)
    state.counts_from_offsets = _with(state.counts_from_offsets, measure, next_offset)
    return True


def _packed_bytes(state: UserState, catalogue: Catalogue, place: int) -> int:
    packed = bytearray()
    catalogue.part_measures[place].put(state.parts[place], _FAR_BASE, packed)
    return len(packed)


def _with(numbers: tuple[int, ...], place: int, number: int) -> tuple[int, ...]:
    return (*numbers[:place], number, *numbers[place + 1 :])
