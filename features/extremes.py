"""Minimum and maximum of a number in a sliding window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import msgspec

from features.adding import Adder, Ms, Offset
from features.cells import LAYERS, layer_of
from features.checks import check_field, check_types, types_of, window_of
from features.counting import MICRO, windowed_answer
from features.definitions import (
    Answer,
    Bound,
    CatalogueError,
    Measures,
    NumberField,
    PartMeasure,
)
from features.reading import Reader, Reading
from schemas import struct_fields
from schemas.events import Event


class ExtremePart(msgspec.Struct, array_like=True, gc=False):
    """The extreme of each cell in millionths, layer by layer, and the latest time at which an undo hit one."""

    layers: list[dict[int, int]]
    doubt_ms: int = 0


@dataclass(frozen=True, slots=True)
class Extreme(PartMeasure[ExtremePart]):
    """Smallest (`min`) or largest (`max`) `value`, to 6 decimals, over the events of type `of`.

    zero: no cells. add: the extreme of the event's cell of each layer. undo: cannot be reversed where it was the
    extreme of its cell; windows that still cover it say so. merge: cell by cell. read: the extreme of the window's
    cells. Order of events never matters. Source of the cells: as of counts, see features/counting.py.
    """

    name: str
    of: str | tuple[str, ...]
    value: NumberField
    which: Literal["min", "max"]
    version: int = 1
    maths: ClassVar[int] = 1
    part_type: ClassVar[type[ExtremePart]] = ExtremePart

    def event_types(self) -> tuple[str, ...]:
        """See PartMeasure."""
        return types_of(self.of)

    def check(self) -> None:
        """See PartMeasure."""
        check_types(self.name, self.event_types())
        check_field(self.name, self.value, numbers=True)
        if self.which not in ("min", "max"):
            raise CatalogueError(f"measure {self.name!r} keeps the {self.which!r}; use min or max")

    def zero(self) -> ExtremePart:
        """See PartMeasure."""
        return ExtremePart([{} for _ in LAYERS])

    def adder(self, event_type: str) -> ExtremeAdder:
        """See PartMeasure."""
        return ExtremeAdder(self)

    def merge(self, left: ExtremePart, right: ExtremePart) -> ExtremePart:
        """See PartMeasure."""
        merged = ExtremePart([dict(cells) for cells in left.layers], max(left.doubt_ms, right.doubt_ms))
        for cells, more in zip(merged.layers, right.layers, strict=True):
            for index, amount in more.items():
                self.keep(cells, index, amount)
        return merged

    def prune(self, part: ExtremePart, append_ms: int) -> None:
        """See PartMeasure."""
        for layer in LAYERS:
            oldest = layer.oldest_cell(append_ms)
            cells = part.layers[layer.number]
            for index in [index for index in cells if index < oldest]:
                del cells[index]

    def shrink(self, part: ExtremePart) -> bool:
        """See PartMeasure: the older half of the fullest layer; windows that cover it say so."""
        cells, layer = max(zip(part.layers, LAYERS, strict=True), key=lambda pair: len(pair[0]))
        gone = sorted(cells)[: len(cells) // 2]
        for index in gone:
            del cells[index]
            part.doubt_ms = max(part.doubt_ms, index * layer.hop_ms)
        return bool(gone)

    def keep(self, cells: dict[int, int], index: int, amount: int) -> None:
        """Let the cell hold the amount if it is more extreme than what it holds."""
        known = cells.get(index)
        if known is None or (amount < known if self.which == "min" else amount > known):
            cells[index] = amount


class ExtremeAdder(Adder):
    """See Extreme."""

    def __init__(self, measure: Extreme) -> None:
        self._measure = measure
        self._value = struct_fields.place_of(Event, measure.value)

    def add(self, part: ExtremePart, event: Event, time_ms: Ms, offset: Offset, append_ms: Ms) -> None:
        """See Adder."""
        number: float | None = struct_fields.at(event, self._value)
        if number is None:
            return
        amount = round(number * MICRO)
        for layer in LAYERS:
            index = time_ms // layer.hop_ms
            if index >= layer.oldest_cell(append_ms):
                self._measure.keep(part.layers[layer.number], index, amount)

    def undo(self, part: ExtremePart, event: Event, time_ms: Ms, offset: Offset) -> None:
        """See Adder."""
        number: float | None = struct_fields.at(event, self._value)
        if number is not None:
            amount = round(number * MICRO)
            if any(part.layers[each.number].get(time_ms // each.hop_ms) == amount for each in LAYERS):
                part.doubt_ms = max(part.doubt_ms, time_ms)


@dataclass(frozen=True, slots=True)
class WindowedExtreme:
    """The extreme that an `Extreme` measure saw in the last `window`; null if there was no number."""

    name: str
    measure: str
    window: str
    doc: str
    version: int = 1

    def bind(self, measures: Measures) -> Bound:
        """See FeatureDefinition."""
        index, measure = measures.part(self.name, self.measure, Extreme)
        window_ms = window_of(self.name, self.window)
        formula = f"{measure.which} of {self.measure}"
        return Bound("float", ExtremeReader(index, measure.which, window_ms), formula, (self.measure,), window_ms)


class ExtremeReader(Reader):
    """See WindowedExtreme."""

    def __init__(self, index: int, which: Literal["min", "max"], window_ms: int) -> None:
        self._index = index
        self._choose = min if which == "min" else max
        self._window_ms = window_ms
        self._layer = layer_of(window_ms)

    def answer(self, reading: Reading) -> Answer:
        """See Reader."""
        part, layer, window_ms = reading.state.parts[self._index], self._layer, self._window_ms
        assert isinstance(part, ExtremePart)
        oldest, newest = reading.oldest(window_ms, layer), reading.newest(layer)
        amounts = [amount for cell, amount in part.layers[layer.number].items() if oldest <= cell <= newest]
        value = self._choose(amounts) / MICRO if amounts else None
        if not reading.holds(window_ms, layer):
            return windowed_answer(reading, window_ms, value)
        if part.doubt_ms and part.doubt_ms // layer.hop_ms >= oldest:
            return Answer(
                value,
                True,
                "an event that was the extreme of its cell was undone, or a cell was dropped for want of room",
            )
        return windowed_answer(reading, window_ms, value)
