"""Cells as they are packed, and how a state that another catalogue packed is fitted to the one that reads it."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final

import msgspec

from features import int64s, msgpack
from features.catalogue import Catalogue
from features.cells import LAYERS, Cells, cells_of
from features.state import UserState


class UnreadableState(ValueError):
    """Packed bytes of a format that this process does not know."""


PackedCells = msgspec.Raw
"""One layer, a list of numbers: of each cell in turn its distance from the oldest cell that is kept, which takes fewer
bytes than its index, and its totals. Before format 5, a map of the totals by that distance."""
_decoder_of_maps = msgspec.msgpack.Decoder(dict[int, list[int]])
_MAPS: Final = frozenset((*range(0x80, 0x90), 0xDE, 0xDF))  # how they begin


def put_cells(out: bytearray, state: UserState) -> None:
    """Append the cells of each layer."""
    msgpack.put_array(out, len(LAYERS))
    for layer in LAYERS:
        oldest = layer.oldest_cell(state.append_ms)
        numbers = state.block(layer.number)[:]
        _shift(numbers, state.cell_width, -oldest)
        msgpack.put_column(out, numbers, 0, 1)


def unpack_cells(layers: Sequence[PackedCells], append_ms: int, measures: int) -> list[Cells]:
    """What `put_cells` was given, for so many cell measures. Raises ValueError or OverflowError."""
    unpacked: list[Cells] = []
    for layer, raw in zip(LAYERS, layers, strict=True):
        oldest, packed = layer.oldest_cell(append_ms), bytes(raw)
        if packed[0] in _MAPS:
            totals_by_distance = _decoder_of_maps.decode(packed)
            cells = cells_of({distance + oldest: totals for distance, totals in totals_by_distance.items()}, measures)
        else:
            width = 1 + measures
            numbers = msgpack.numbers_of(packed)
            if len(numbers) % width:
                raise ValueError(f"{len(numbers)} numbers are not cells of {width} each")
            _shift(numbers, width, oldest)
            cells = Cells(width, numbers)
        unpacked.append(cells)
    return unpacked


def _shift(numbers: array[int], width: int, by: int) -> None:
    """Add to the index of each cell. Raises OverflowError for an index of more than 64 bits."""
    place = 0
    while place < len(numbers):
        index = int64s.at(numbers, place)
        moved = index + by
        if (moved < index) != (by < 0):
            raise OverflowError(f"a cell of index {index}")
        int64s.put(numbers, place, moved)
        place += width


def adopt_cells(layers: list[Cells], stored: Sequence[int], catalogue: Catalogue) -> list[Cells]:
    """The cells with each measure of `catalogue` in its slot; new ones are 0. `stored`: fingerprints by old slot."""
    wanted = catalogue.fingerprints[: len(catalogue.cell_measures)]
    if tuple(stored) == wanted:
        return layers
    slots = [stored.index(each) if each in stored else None for each in wanted]
    moved: list[Cells] = []
    for layer in layers:
        totals = {index: [0 if slot is None else cell[slot] for slot in slots] for index, cell in layer.items()}
        moved.append(cells_of({index: cell for index, cell in totals.items() if any(cell)}, len(wanted)))
    return moved


def adopt_since(stored: Sequence[int], since: tuple[int, ...], catalogue: Catalogue, new: int) -> tuple[int, ...]:
    """Since when, or from which offset on, each measure of `catalogue` counts; `new` for what was not stored."""
    if tuple(stored) == catalogue.fingerprints and len(since) == len(stored):
        return since
    known = dict(zip(stored, since, strict=True))
    return tuple([known.get(each, new) for each in catalogue.fingerprints])
