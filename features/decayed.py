# cython: annotation_typing=True
"""Sums with exponential decay, by key or in total, and rankings of them."""

from __future__ import annotations

import functools
import heapq
import math
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum, ldexp
from typing import ClassVar, Final

import msgspec

from features import float64s, int64s, msgpack
from features.adding import Adder, Int64, Ms, Offset
from features.cells import parse_window
from features.checks import check_bound, check_field, check_types
from features.definitions import (
    Answer,
    Base,
    Bound,
    CatalogueError,
    FeatureValue,
    Measures,
    NumberField,
    Part,
    PartMeasure,
    Scored,
    TextField,
    Wire,
)
from features.reading import Reader, Reading
from features.texts import shared
from schemas import struct_fields
from schemas.events import Event

MAX_KEYS: Final = 200
MAX_TOP: Final = 50
MAX_WEIGHT: Final = 1e9  # times the largest value, far below what doubles hold
LEAST_SCORE: Final = 0.001  # a thousandth of one view: below it a key is not listed
_ROUNDED: Final = 2e-6  # more than rounding to 6 decimals moves two scores towards each other
_LEAST_LISTED: Final = LEAST_SCORE - _ROUNDED
_SHOWN: Final = 5e-7  # half of the last decimal of a score
_STEP: Final = 16  # half-lives after which the reference moves; far from the 1 023 at which doubles overflow
_FARTHEST_AHEAD: Final = 512  # half-lives from the read to the reference: a clock wrong by years must not overflow
_GONE: Final = 2.0**-20  # at the reference: a thousandth of what would be listed, a millionth of one view
_LONG_AGO: Final = -80.0  # half-lives before the reference: nothing that could ever be listed
_EXACT_BELOW: Final = 2.0**40  # the product with a million is off by 2^-13 there at most, less than 0.5 - 0.499
_CERTAIN: Final = 0.499
_WIDTH: Final = 2  # hash, score
_HASH_MASK: Final = 2**53 - 1  # a double holds every integer of 53 bits
_half_life_ms = functools.cache(parse_window)


@dataclass  # with slots where it is compiled, see decayed.pxd
class DecayedPart:
    """Scores as of `reference_ms`, a multiple of the half-life. `dropped`: scores that left for want of room.

    `numbers` has two numbers of each key: its hash, by which it is found without a look at every text, and its score.
    Hashes are those of this process: never stored or sent.
    """

    keys: list[str]
    numbers: array[float]
    reference_ms: int = 0
    dropped: float = 0.0

    def scores(self) -> dict[str, float]:
        """The score of each key."""
        return dict(zip(self.keys, self.numbers[1::_WIDTH], strict=True))

    def find(self, key: str) -> Int64:
        """Where in `numbers` those of the key begin, or -1."""
        hashed: float = hash(key) & _HASH_MASK
        numbers, place = self.numbers, 0
        while place < len(numbers):
            if float64s.at(numbers, place) == hashed and self.keys[place // _WIDTH] == key:
                return place
            place += _WIDTH
        return -1

    def enter(self, key: str, score: float) -> None:
        """Add a key that is not there yet."""
        numbers, place = self.numbers, len(self.numbers)
        self.keys.append(key)
        int64s.insert_zeros(numbers, place, _WIDTH)
        float64s.put(numbers, place, hash(key) & _HASH_MASK)
        float64s.put(numbers, place + 1, score)

    def scale(self, factor: float, least: float) -> None:
        """Drop the scores from -least to least, and multiply all others."""
        keys, numbers, kept, place = self.keys, self.numbers, 0, 0
        while place < len(numbers):
            score = float64s.at(numbers, place + 1)
            if not -least <= score <= least:
                keys[kept // _WIDTH] = keys[place // _WIDTH]
                float64s.put(numbers, kept, float64s.at(numbers, place))
                float64s.put(numbers, kept + 1, score * factor)
                kept += _WIDTH
            place += _WIDTH
        del keys[kept // _WIDTH :]
        int64s.remove(numbers, kept, place - kept)
        self.dropped *= factor


def part_of(scores: Mapping[str, float], reference_ms: Ms = 0, dropped: float = 0.0) -> DecayedPart:
    """The part that has these scores."""
    numbers = float64s.zeros(_WIDTH * len(scores))
    place = 0
    for key, score in scores.items():
        float64s.put(numbers, place, hash(key) & _HASH_MASK)
        float64s.put(numbers, place + 1, score)
        place += _WIDTH
    return DecayedPart([*scores], numbers, reference_ms, dropped)


class DecayedAdder(Adder):
    """See Decayed: for the events of one type, which have one weight."""

    def __init__(self, measure: Decayed, weight: float) -> None:
        self.measure = measure
        self.by = -1 if measure.by is None else struct_fields.place_of(Event, measure.by)
        self.number = -1 if measure.value is None else struct_fields.place_of(Event, measure.value)
        self.weight = weight
        self.half_life_ms = measure.half_life_ms
        self.most_keys = 2 * measure.keys

    def add(self, part: Part, event: Event, time_ms: Ms, offset: Offset, append_ms: Ms) -> None:
        """See Adder."""
        own: DecayedPart = part
        key: str | None = "" if self.by < 0 else struct_fields.at(event, self.by)
        if key is None:
            return
        weight = self.weight
        if self.number >= 0:
            weight *= struct_fields.at(event, self.number) or 0.0
        age = (time_ms - own.reference_ms) / self.half_life_ms
        if age > _STEP:
            self.advance(own, time_ms // self.half_life_ms)
            age = (time_ms - own.reference_ms) / self.half_life_ms
        elif age < _LONG_AGO:
            return
        place = own.find(key)
        if place >= 0:
            float64s.put(own.numbers, place + 1, float64s.at(own.numbers, place + 1) + weight * math.exp2(age))
        elif weight:
            own.enter(shared(key), weight * math.exp2(age))
            if len(own.keys) > self.most_keys:
                self.measure.keep(own, self.measure.keys)

    def undo(self, part: Part, event: Event, time_ms: Ms, offset: Offset) -> None:
        """See Adder. Of a key that was dropped for want of room nothing is left to take from."""
        own: DecayedPart = part
        key: str | None = "" if self.by < 0 else struct_fields.at(event, self.by)
        weight = self.weight
        if self.number >= 0:
            weight *= struct_fields.at(event, self.number) or 0.0
        age = (time_ms - own.reference_ms) / self.half_life_ms
        place = -1 if key is None else own.find(key)
        if place < 0 or not weight or not _LONG_AGO <= age <= _STEP:
            return
        change = weight * math.exp2(age)
        left = float64s.at(own.numbers, place + 1) - change
        if abs(left) > 1e-12 * abs(change):
            float64s.put(own.numbers, place + 1, left)
        else:
            del own.keys[place // _WIDTH]
            int64s.remove(own.numbers, place, _WIDTH)

    def advance(self, part: DecayedPart, half_lives: Int64) -> None:
        """Move the reference to so many half-lives; keys that no read could list any more go."""
        if part.keys or part.dropped:
            halvings = half_lives - part.reference_ms // self.half_life_ms
            # A factor that is a power of two: products with it are exact.
            part.scale(math.exp2(-halvings), _GONE * math.exp2(min(halvings, _FARTHEST_AHEAD)))
        part.reference_ms = half_lives * self.half_life_ms


class DecayedWire(msgspec.Struct, array_like=True, gc=False):
    """The same."""

    scores: dict[str, float]
    reference_ms: int = 0
    dropped: float = 0.0


@dataclass(frozen=True, slots=True)
class Decayed(PartMeasure[DecayedPart]):
    """Sum over events of weight x 0.5 ^ (age / half-life), for each value of `by` or (`by=None`) in total.

    `weights` gives the weight of each event type; with `value` it is multiplied by that number. Forward decay: Cormode
    et al., "Forward decay: a practical time decay model for streaming systems" (ICDE 2009): scores refer to one moment
    and move only by whole half-lives, which is exact in doubles.
    zero: no scores. add: score += w x 2 ^ ((t - reference) / half-life). undo: the same, subtracted. merge: added at
    the later reference. read: moved to the moment of the read. Events commute within rounding (1e-15 of a score each).
    Bound: past 2 x `keys` keys the lowest fall to `keys`; what they lose is remembered as the possible error, and a
    ranking is approximate while it could show.
    """

    name: str
    weights: Mapping[str, float]
    half_life: str
    by: TextField | None = None
    value: NumberField | None = None
    keys: int = 50
    version: int = 1
    maths: ClassVar[int] = 1
    part_type: ClassVar[type[DecayedPart]] = DecayedPart
    bytes_per_event: ClassVar[int] = 15
    wire_type: ClassVar[type[DecayedWire]] = DecayedWire

    def event_types(self) -> tuple[str, ...]:
        """See PartMeasure."""
        return tuple(self.weights)

    def check(self) -> None:
        """See PartMeasure."""
        check_types(self.name, self.event_types(), any_allowed=False)
        if self.by is not None:
            check_field(self.name, self.by)
        if self.value is not None:
            check_field(self.name, self.value, numbers=True)
        check_bound(self.name, "keys", self.keys, MAX_KEYS)
        for event_type, weight in self.weights.items():
            if not 0 < weight <= MAX_WEIGHT:
                raise CatalogueError(
                    f"measure {self.name!r}: weight {weight} of {event_type} must be above 0 and at most {MAX_WEIGHT:g}"
                )
        try:
            parse_window(self.half_life)
        except ValueError as error:
            raise CatalogueError(f"measure {self.name!r}: half-life: {error}") from error

    @property
    def half_life_ms(self) -> int:
        """The half-life."""
        return _half_life_ms(self.half_life)

    def zero(self) -> DecayedPart:
        """See PartMeasure."""
        return DecayedPart([], float64s.zeros(0))

    def adder(self, event_type: str) -> DecayedAdder:
        """See PartMeasure."""
        return DecayedAdder(self, self.weights[event_type])

    def merge(self, left: DecayedPart, right: DecayedPart) -> DecayedPart:
        """See PartMeasure."""
        reference_ms, dropped = max(left.reference_ms, right.reference_ms), 0.0
        scores: dict[str, float] = {}
        for part in (left, right):
            halvings = (reference_ms - part.reference_ms) // self.half_life_ms if part.keys or part.dropped else 0
            for key, score in part.scores().items():
                scores[key] = scores.get(key, 0.0) + ldexp(score, -halvings)
            dropped += ldexp(part.dropped, -halvings)
        merged = part_of(scores, reference_ms, dropped)
        if len(merged.keys) > 2 * self.keys:
            self.keep(merged, self.keys)
        return merged

    def put(self, part: DecayedPart, base: Base, out: bytearray) -> None:
        """See PartMeasure."""
        msgpack.put_array(out, 3)
        msgpack.put_map(out, len(part.keys))
        for number in range(len(part.keys)):
            msgpack.put_text(out, part.keys[number])
            msgpack.put_float(out, float64s.at(part.numbers, number * _WIDTH + 1))
        msgpack.put_int(out, part.reference_ms)
        msgpack.put_float(out, part.dropped)

    def from_wire(self, wire: Wire, base: Base) -> DecayedPart:
        """See PartMeasure."""
        assert isinstance(wire, DecayedWire)
        return part_of(wire.scores, wire.reference_ms, wire.dropped)

    def share(self, part: DecayedPart) -> None:
        """See PartMeasure."""
        part.keys = [shared(key) for key in part.keys]

    def shown(self, part: DecayedPart) -> dict[str, object]:
        """See PartMeasure."""
        return {"scores": part.scores(), "reference_ms": part.reference_ms, "dropped": part.dropped}

    def shrink(self, part: DecayedPart) -> bool:
        """See PartMeasure: the lower half of the keys."""
        if len(part.keys) < 2:
            return False
        self.keep(part, len(part.keys) // 2)
        return True

    def keep(self, part: DecayedPart, count: int) -> None:
        """Drop all but the `count` keys with the highest scores."""
        scores = part.scores()
        highest = dict(heapq.nlargest(count, scores.items(), key=lambda item: (item[1], item[0])))
        kept = part_of({key: score for key, score in scores.items() if key in highest})
        part.keys, part.numbers = kept.keys, kept.numbers
        part.dropped += fsum(abs(score) for key, score in scores.items() if key not in highest)


@dataclass(frozen=True, slots=True)
class Top:
    """The `k` keys of a `Decayed` measure with the highest scores, scores rounded to 6 decimals, ties by key.

    A score below 0.001 is not listed.
    """

    name: str
    measure: str
    k: int
    doc: str
    version: int = 1

    def bind(self, measures: Measures) -> Bound:
        """See FeatureDefinition."""
        index, measure = measures.part(self.name, self.measure, Decayed)
        if measure.by is None:
            raise CatalogueError(f"feature {self.name!r} ranks {self.measure!r}, which has no `by`; give it one")
        check_bound(self.name, "k", self.k, min(MAX_TOP, measure.keys))
        formula = f"top {self.k} of {_formula(measure)} by {measure.by}"
        return Bound("scored_list", TopReader(index, measure.half_life_ms, self.k), formula, (self.measure,))


@dataclass(frozen=True, slots=True)
class DecayedSum:
    """The total of a `Decayed` measure without `by`, as of the moment of the read."""

    name: str
    measure: str
    doc: str
    version: int = 1

    def bind(self, measures: Measures) -> Bound:
        """See FeatureDefinition."""
        index, measure = measures.part(self.name, self.measure, Decayed)
        if measure.by is not None:
            raise CatalogueError(f"feature {self.name!r} sums {self.measure!r}, which is by {measure.by}; use Top")
        return Bound("float", DecayedSumReader(index, measure.half_life_ms), _formula(measure), (self.measure,))


def _formula(measure: Decayed) -> str:
    weights = ", ".join(f"{name} {weight:g}" for name, weight in measure.weights.items())
    return f"sum of weight ({weights}) x 0.5 ^ (age / {measure.half_life})"


def _factor(part: DecayedPart, now_ms: Ms, half_life_ms: Ms) -> float:
    """From the reference to the moment of the read."""
    return math.exp2(min(_FARTHEST_AHEAD, (part.reference_ms - now_ms) / half_life_ms))


_MIXED = Answer(None, reason="scores hold events from after that moment, which cannot be told apart")
_UNSURE = "keys were dropped for want of room"


def rounded(score: float) -> float:
    """To 6 decimals, as `round` does, which takes several times as long; but for the sign of a zero.

    A whole number of millionths divided by a million is the double next to the decimal; only close to the middle
    between two of them may the product be off by enough to matter.
    """
    millionths = score * 1e6
    if abs(millionths) < _EXACT_BELOW:
        whole = math.floor(millionths + 0.5)
        if abs(millionths - whole) < _CERTAIN:
            return whole / 1e6
    return round(score, 6)


class TopReader(Reader):
    """See Top."""

    def __init__(self, index: int, half_life_ms: int, k: int) -> None:
        self.index = index
        self.half_life_ms = half_life_ms
        self.k = k

    def value(self, reading: Reading) -> FeatureValue:
        """See Reader."""
        part: DecayedPart = reading.state.parts[self.index]
        factor = _factor(part, reading.now_ms, self.half_life_ms)
        numbers, keys, least = part.numbers, part.keys, _LEAST_LISTED  # below it nothing is listed, however rounded
        if len(keys) > self.k:  # only what can tie with the last place, once rounded, needs to be looked at
            rising = float64s.column(numbers, 1, _WIDTH)
            float64s.sort(rising)
            least = max(least, float64s.at(rising, len(keys) - self.k) * factor - _ROUNDED)
        scored = []
        for number in range(len(keys)):
            now = float64s.at(numbers, number * _WIDTH + 1) * factor
            if now >= least:
                scored.append((-rounded(now), keys[number]))
        scored.sort()
        ranking: list[Scored] = [
            {"key": key, "score": -score} for score, key in scored[: self.k] if -score >= LEAST_SCORE
        ]
        return ranking

    def answer(self, reading: Reading) -> Answer:
        """See Reader."""
        part: DecayedPart = reading.state.parts[self.index]
        if reading.looks_back and part.keys:
            return _MIXED
        if part.dropped and part.dropped * _factor(part, reading.now_ms, self.half_life_ms) >= _SHOWN:
            return Answer(self.value(reading), True, _UNSURE)
        return Answer(self.value(reading))


class DecayedSumReader(Reader):
    """See DecayedSum."""

    def __init__(self, index: int, half_life_ms: int) -> None:
        self.index = index
        self.half_life_ms = half_life_ms

    def value(self, reading: Reading) -> FeatureValue:
        """See Reader."""
        part: DecayedPart = reading.state.parts[self.index]
        total = float64s.at(part.numbers, 1) if part.keys else 0.0
        return total * _factor(part, reading.now_ms, self.half_life_ms)

    def answer(self, reading: Reading) -> Answer:
        """See Reader."""
        part: DecayedPart = reading.state.parts[self.index]
        return _MIXED if reading.looks_back and part.keys else Answer(self.value(reading))
