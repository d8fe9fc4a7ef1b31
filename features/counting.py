# cython: annotation_typing=True
"""Counts and sums in cells, and what is read from them: windows, ratios, days active.

zero: a cell that is not there. add: cell += amount. undo: cell -= amount, in the same cells. merge: cell by cell.
read: the sum of the window's cells. Whole numbers throughout, so every order of events gives the same bits; a sum is
kept in millionths of its unit, and stops for good where a cell passes 4.6e12 units: answers over it are approximate.
Source of the cells: the paned windows of Li et al., "No Pane, No Gain" (SIGMOD 2005).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final

from features.cells import DAYS, Layer, layer_of
from features.checks import check_field, check_types, types_of, window_of
from features.definitions import (
    Answer,
    Bound,
    CatalogueError,
    FeatureValue,
    Measures,
    NumberField,
)
from features.reading import Reader, Reading
from schemas.events import Event

MICRO: Final = 1_000_000
_DAYS: Final = DAYS


@dataclass(frozen=True, slots=True)
class Count:
    """Number of events of type `of` (one type, several, or ANY). Formulas and source: at the top of this file."""

    name: str
    of: str | tuple[str, ...]
    version: int = 1
    maths: ClassVar[int] = 1

    def event_types(self) -> tuple[str, ...]:
        """See Measure."""
        return types_of(self.of)

    def check(self) -> None:
        """See Measure."""
        check_types(self.name, self.event_types())

    def amount(self, event: Event) -> int:
        """What the event adds."""
        return 1


@dataclass(frozen=True, slots=True)
class Sum:
    """Sum of the number `value` over the events of type `of`, to 6 decimals; events without it add nothing.

    Formulas and source: at the top of this file.
    """

    name: str
    of: str | tuple[str, ...]
    value: NumberField
    version: int = 1
    maths: ClassVar[int] = 1

    def event_types(self) -> tuple[str, ...]:
        """See Measure."""
        return types_of(self.of)

    def check(self) -> None:
        """See Measure."""
        check_types(self.name, self.event_types())
        check_field(self.name, self.value, numbers=True)

    def amount(self, event: Event) -> int:
        """What the event adds, in millionths."""
        number: float | None = getattr(event, self.value)
        return 0 if number is None else round(number * MICRO)


CellMeasure = Count | Sum


@dataclass(frozen=True, slots=True)
class Windowed:
    """A count or sum over the last `window` (`5m`, `24h`, `30d`), sliding with the moment of the read."""

    name: str
    measure: str
    window: str
    doc: str
    version: int = 1

    def bind(self, measures: Measures) -> Bound:
        """See FeatureDefinition."""
        slot = measures.cell_slot(self.name, self.measure)
        window_ms = window_of(self.name, self.window)
        if measures.adds_whole_numbers(slot):
            return Bound("int", CountReader(slot, window_ms), self.measure, (self.measure,), window_ms, slots=(slot,))
        return Bound("float", SumReader(slot, window_ms), self.measure, (self.measure,), window_ms, slots=(slot,))


@dataclass(frozen=True, slots=True)
class Ratio:
    """(numerator + prior_weight * prior_mean) / (denominator + prior_weight), both over the same window.

    With a prior it is the posterior mean of a rate under a Beta prior worth `prior_weight` trials (Gelman et al.,
    "Bayesian Data Analysis", 2.4): few events stay near `prior_mean`. Without, it is the plain quotient, such as a
    mean = sum / count, and null where the denominator is 0.
    """

    name: str
    numerator: str
    denominator: str
    window: str
    doc: str
    prior: tuple[float, float] | None = None
    """(prior_weight, prior_mean)"""
    version: int = 1

    def bind(self, measures: Measures) -> Bound:
        """See FeatureDefinition."""
        above = measures.cell_slot(self.name, self.numerator)
        below = measures.cell_slot(self.name, self.denominator)
        window_ms = window_of(self.name, self.window)
        prior = (0.0, 0.0) if self.prior is None else _checked_prior(self.name, self.prior)
        unit_above = 1 if measures.adds_whole_numbers(above) else MICRO
        unit_below = 1 if measures.adds_whole_numbers(below) else MICRO
        formula = f"{self.numerator} / {self.denominator}"
        if self.prior is not None:
            weight, mean = prior
            formula = f"({self.numerator} + {weight:g} x {mean:g}) / ({self.denominator} + {weight:g})"
        reader = RatioReader((above, unit_above), (below, unit_below), prior, window_ms)
        return Bound("float", reader, formula, (self.numerator, self.denominator), window_ms, slots=(above, below))


@dataclass(frozen=True, slots=True)
class DaysActive:
    """Number of UTC days in the window with at least one event that `measure` counts."""

    name: str
    measure: str
    window: str
    doc: str
    version: int = 1

    def bind(self, measures: Measures) -> Bound:
        """See FeatureDefinition."""
        slot = measures.cell_slot(self.name, self.measure)
        if not measures.adds_whole_numbers(slot):
            raise CatalogueError(f"feature {self.name!r} needs a Count, {self.measure!r} is a Sum")
        window_ms = window_of(self.name, self.window)
        formula = f"days with {self.measure} > 0"
        return Bound(
            "int", DaysReader(slot, window_ms), formula, (self.measure,), window_ms, hop_ms=DAYS.hop_ms, slots=(slot,)
        )


def _checked_prior(feature: str, prior: object) -> tuple[float, float]:
    if not isinstance(prior, tuple | list) or len(prior) != 2 or not all(map(_is_finite, prior)):
        raise CatalogueError(f"feature {feature!r}: prior is {prior!r}; use (weight, mean), two finite numbers")
    weight, mean = prior
    if not weight > 0:
        raise CatalogueError(f"feature {feature!r}: prior weight {weight} must be above 0; or leave prior out")
    if not math.isfinite(weight * mean):
        raise CatalogueError(f"feature {feature!r}: prior {prior!r} is too large; weight x mean must be finite")
    if mean < 0:
        raise CatalogueError(f"feature {feature!r}: prior mean {mean} must be at least 0")
    return weight, mean


def _is_finite(number: object) -> bool:
    return isinstance(number, int | float) and math.isfinite(number)


class CountReader(Reader):
    """See Windowed, of a Count."""

    def __init__(self, slot: int, window_ms: int) -> None:
        self.slot = slot
        self.window_ms = window_ms
        self.layer = layer_of(window_ms)

    def value(self, reading: Reading) -> FeatureValue:
        """See Reader."""
        return reading.total(self.slot, self.window_ms, self.layer)

    def answer(self, reading: Reading) -> Answer:
        """See Reader."""
        return windowed_answer(reading, self.window_ms, self.value(reading))


class SumReader(CountReader):
    """See Windowed, of a Sum."""

    def value(self, reading: Reading) -> FeatureValue:
        """See Reader."""
        return reading.total(self.slot, self.window_ms, self.layer) / MICRO

    def answer(self, reading: Reading) -> Answer:
        """See Reader."""
        answer = windowed_answer(reading, self.window_ms, self.value(reading))
        return _stopped(answer) if reading.stopped(self.slot, self.window_ms) else answer


class RatioReader(Reader):
    """See Ratio. `above` and `below`: slot and unit of numerator and denominator; sums are in millionths."""

    def __init__(self, above: tuple[int, int], below: tuple[int, int], prior: tuple[float, float], window_ms: int):
        self.above, self.unit_above = above
        self.below, self.unit_below = below
        weight, mean = prior
        self.prior_weight, self.prior_amount = weight, weight * mean
        self.window_ms = window_ms
        self.layer = layer_of(window_ms)

    def value(self, reading: Reading) -> FeatureValue:
        """See Reader."""
        below: float = reading.total(self.below, self.window_ms, self.layer) / self.unit_below
        denominator = below + self.prior_weight
        if denominator == 0:
            return None
        above: float = reading.total(self.above, self.window_ms, self.layer) / self.unit_above
        return (above + self.prior_amount) / denominator

    def answer(self, reading: Reading) -> Answer:
        """See Reader."""
        answer = windowed_answer(reading, self.window_ms, self.value(reading))
        stopped = reading.stopped(self.above, self.window_ms) or reading.stopped(self.below, self.window_ms)
        return _stopped(answer) if stopped else answer


class DaysReader(Reader):
    """See DaysActive."""

    def __init__(self, slot: int, window_ms: int) -> None:
        self.slot = slot
        self.window_ms = window_ms

    def value(self, reading: Reading) -> FeatureValue:
        """See Reader."""
        return reading.cells_above_zero(self.slot, self.window_ms, _DAYS)

    def answer(self, reading: Reading) -> Answer:
        """See Reader."""
        return windowed_answer(reading, self.window_ms, self.value(reading), _DAYS)


def _stopped(answer: Answer) -> Answer:
    return answer if answer.reason else Answer(answer.value, True, "a sum passed 4.6e12 and stopped there")


def windowed_answer(reading: Reading, window_ms: int, value: FeatureValue, layer: Layer | None = None) -> Answer:
    """`value` of a window; at an earlier moment also how far it can be trusted, or why the state no longer has it."""
    if not reading.past:
        return Answer(value)
    layer = layer or layer_of(window_ms)
    if not reading.holds(window_ms, layer):
        return Answer(None, reason="the state no longer has all cells of this window at that moment")
    if reading.cuts_a_cell(layer.hop_ms):
        return Answer(value, True, f"counts up to the end of the {layer.hop_ms // 1000} s cell of that moment")
    return Answer(value)
