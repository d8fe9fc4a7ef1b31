"""How a state that another catalogue packed is fitted to the catalogue that reads it."""

from __future__ import annotations

from collections.abc import Sequence

from features.catalogue import Catalogue
from features.cells import LAYERS, Cells


class UnreadableState(ValueError):
    """Packed bytes of a format that this process does not know."""


def adopt_cells(layers: Sequence[Cells], stored: Sequence[int], catalogue: Catalogue) -> tuple[Cells, ...]:
    """The cells with each measure of `catalogue` in its slot; new ones are 0. `stored`: fingerprints by old slot."""
    wanted = catalogue.fingerprints[: len(catalogue.cell_measures)]
    if tuple(stored) == wanted:
        return tuple(layers)
    slots = [stored.index(each) if each in stored else None for each in wanted]
    moved: list[Cells] = []
    for layer in layers:
        cells = {index: [0 if slot is None else cell[slot] for slot in slots] for index, cell in layer.items()}
        moved.append({index: cell for index, cell in cells.items() if any(cell)})
    return tuple(moved)


def rebased(layers: Sequence[Cells], append_ms: int, sign: int) -> tuple[Cells, ...]:
    """Cells by index (`sign` 1) or by distance from the oldest cell that is kept (-1), which takes fewer bytes."""
    moved: list[Cells] = []
    for layer, cells in zip(LAYERS, layers, strict=True):
        shift = sign * layer.oldest_cell(append_ms)
        moved.append({index + shift: cell for index, cell in cells.items()})
    return tuple(moved)


def adopt_since(stored: Sequence[int], since: Sequence[int], catalogue: Catalogue, new: int) -> list[int]:
    """Since when, or from which offset on, each measure of `catalogue` counts; `new` for what was not stored."""
    if tuple(stored) == catalogue.fingerprints and len(since) == len(stored):
        return list(since)
    known = dict(zip(stored, since, strict=True))
    return [known.get(each, new) for each in catalogue.fingerprints]
