"""How a state that another catalogue packed is fitted to the catalogue that reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from features.catalogue import Catalogue
from features.cells import LAYERS, Cells, cells_of


class UnreadableState(ValueError):
    """Packed bytes of a format that this process does not know."""


PackedCells = Mapping[int, list[int]]
"""One layer: the totals of each cell by its index, or by its distance from the oldest cell that is kept."""


def adopt_cells(layers: Sequence[PackedCells], stored: Sequence[int], catalogue: Catalogue) -> tuple[Cells, ...]:
    """The cells with each measure of `catalogue` in its slot; new ones are 0. `stored`: fingerprints by old slot."""
    wanted = catalogue.fingerprints[: len(catalogue.cell_measures)]
    if tuple(stored) == wanted:
        return tuple(cells_of(layer, len(wanted)) for layer in layers)
    slots = [stored.index(each) if each in stored else None for each in wanted]
    moved: list[Cells] = []
    for layer in layers:
        totals = {index: [0 if slot is None else cell[slot] for slot in slots] for index, cell in layer.items()}
        moved.append(cells_of({index: cell for index, cell in totals.items() if any(cell)}, len(wanted)))
    return tuple(moved)


def to_distances(layers: Sequence[Cells], append_ms: int) -> tuple[PackedCells, ...]:
    """Cells by distance from the oldest cell that is kept, which takes fewer bytes than the index."""
    moved: list[PackedCells] = []
    for layer, cells in zip(LAYERS, layers, strict=True):
        oldest = layer.oldest_cell(append_ms)
        moved.append({index - oldest: totals for index, totals in cells.items()})
    return tuple(moved)


def from_distances(layers: Sequence[PackedCells], append_ms: int) -> tuple[PackedCells, ...]:
    """What `to_distances` was given."""
    moved: list[PackedCells] = []
    for layer, cells in zip(LAYERS, layers, strict=True):
        oldest = layer.oldest_cell(append_ms)
        moved.append({distance + oldest: totals for distance, totals in cells.items()})
    return tuple(moved)


def adopt_since(stored: Sequence[int], since: tuple[int, ...], catalogue: Catalogue, new: int) -> tuple[int, ...]:
    """Since when, or from which offset on, each measure of `catalogue` counts; `new` for what was not stored."""
    if tuple(stored) == catalogue.fingerprints and len(since) == len(stored):
        return since
    known = dict(zip(stored, since, strict=True))
    return tuple([known.get(each, new) for each in catalogue.fingerprints])
