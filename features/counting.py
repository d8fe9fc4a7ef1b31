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
    Measures,
    NumberField,
    Read,
)
from features.reading import Reading
from schemas.events import Event

MICRO: Final = 1_000_000


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
            return Bound("int", _count(slot, window_ms), self.measure, (self.measure,), window_ms, slots=(slot,))
        return Bound("float", _sum(slot, window_ms), self.measure, (self.measure,), window_ms, slots=(slot,))


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
        weight, mean = (0.0, 0.0) if self.prior is None else _checked_prior(self.name, self.prior)
        # Sums are in millionths: both sides are brought to the same unit.
        unit_above = 1 if measures.adds_whole_numbers(above) else MICRO
        unit_below = 1 if measures.adds_whole_numbers(below) else MICRO
        formula = f"{self.numerator} / {self.denominator}"
        if self.prior is not None:
            formula = f"({self.numerator} + {weight:g} x {mean:g}) / ({self.denominator} + {weight:g})"
        read = _ratio((above, unit_above), (below, unit_below), weight, weight * mean, window_ms)
        return Bound("float", read, formula, (self.numerator, self.denominator), window_ms, slots=(above, below))


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
            "int", _days(slot, window_ms), formula, (self.measure,), window_ms, hop_ms=DAYS.hop_ms, slots=(slot,)
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


def _count(slot: int, window_ms: int) -> Read:
    def read(reading: Reading) -> Answer:
        if reading.past:
            return past_answer(reading, window_ms, _total(reading, slot, window_ms))
        return Answer(reading.totals(window_ms)[slot])

    return read


def _sum(slot: int, window_ms: int) -> Read:
    def read(reading: Reading) -> Answer:
        total = _total(reading, slot, window_ms) / MICRO
        answer = past_answer(reading, window_ms, total) if reading.past else Answer(total)
        return _stopped(answer) if reading.stopped(slot, window_ms) else answer

    return read


def _ratio(above: tuple[int, int], below: tuple[int, int], weight: float, prior_amount: float, window_ms: int) -> Read:
    def read(reading: Reading) -> Answer:
        denominator = _total(reading, below[0], window_ms) / below[1] + weight
        numerator = _total(reading, above[0], window_ms) / above[1] + prior_amount
        value = numerator / denominator if denominator else None
        answer = past_answer(reading, window_ms, value) if reading.past else Answer(value)
        stopped = reading.stopped(above[0], window_ms) or reading.stopped(below[0], window_ms)
        return _stopped(answer) if stopped else answer

    return read


def _days(slot: int, window_ms: int) -> Read:
    def read(reading: Reading) -> Answer:
        days = len([total for total in reading.column(slot, window_ms, DAYS) if total > 0])
        return past_answer(reading, window_ms, days, DAYS) if reading.past else Answer(days)

    return read


def _total(reading: Reading, slot: int, window_ms: int) -> int:
    return reading.totals(window_ms)[slot]


def _stopped(answer: Answer) -> Answer:
    return answer if answer.reason else Answer(answer.value, True, "a sum passed 4.6e12 and stopped there")


def past_answer(reading: Reading, window_ms: int, value: int | float | None, layer: Layer | None = None) -> Answer:
    """`value` of an earlier moment, or why the state no longer has it."""
    layer = layer or layer_of(window_ms)
    if not reading.holds(window_ms, layer):
        return Answer(None, reason="the state no longer has all cells of this window at that moment")
    if reading.cuts_a_cell(layer.hop_ms):
        return Answer(value, True, f"counts up to the end of the {layer.hop_ms // 1000} s cell of that moment")
    return Answer(value)
