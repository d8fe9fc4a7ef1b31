# cython: annotation_typing=True
"""Distinct values in a sliding window: exact while there are few, a sketch beyond, and the answer says which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final

import msgspec
import xxhash

from features import sliding_hll
from features.adding import Adder, Fields, Ms, Offset, place_of
from features.cells import HOURS
from features.checks import check_field, check_types, types_of, window_of
from features.counting import past_answer
from features.definitions import (
    Answer,
    Base,
    Bound,
    Measures,
    Part,
    PartMeasure,
    Read,
    TextField,
    Wire,
)
from features.packed_places import columns_of, times_of
from features.reading import Reading
from features.sliding_hll import Registers
from schemas.events import Event

EXACT_VALUES: Final = 256
MAX_PLACES: Final = 1_024  # (hour, value) places kept exactly: some 6 bytes each
_MAX_PLACES: Final = MAX_PLACES
_HASH_BITS: Final = sliding_hll.HASH_BITS
_HASH_MASK: Final = (1 << _HASH_BITS) - 1  # 256 values share a hash once in 30 million users
_hash_of = xxhash.xxh3_64_intdigest


@dataclass  # with slots where it is compiled, see distinct.pxd
class DistinctPart:
    """`times`: place -> how often it was seen; a place is an hour of event time and, in its lower 40 bits, the hash of
    a value. The sketch holds all values; up to its hour `newest` it alone does, and later hours are exact beside it.
    """

    times: dict[int, int]
    thinned: bool = False
    """Only the newest hour of each value was kept at some moment: an undo may be inexact since."""
    doubt: int = 0
    """Latest hour in which an undo was inexact."""
    sketch: Registers | None = None
    newest: int = 0


class DistinctAdder(Adder):
    """See Distinct."""

    def __init__(self, measure: Distinct) -> None:
        self.measure = measure
        self.field = place_of(measure.field)
        self.hop_ms = HOURS.hop_ms
        self.kept_hours = HOURS.longest_window_ms // HOURS.hop_ms

    def add(self, part: Part, fields: Fields, time_ms: Ms, offset: Offset, append_ms: Ms) -> None:
        """See Adder."""
        own: DistinctPart = part
        value: str | None = fields[self.field]
        hour = time_ms // self.hop_ms
        oldest = append_ms // self.hop_ms - self.kept_hours
        if value is None or hour < oldest:
            return
        hashed, mask, bits = _hash_of(value.encode()), _HASH_MASK, _HASH_BITS
        hashed &= mask
        if own.sketch is not None:
            if own.newest < oldest:
                _forget_sketch(own)
            else:
                sliding_hll.add(own.sketch, hashed, hour)
                if hour <= own.newest:
                    return
        number = hour << bits | hashed
        place: Any = number  # an object once, and not at each use
        times = own.times
        known = times.get(place)
        if known is not None:
            times[place] = known + 1
            return
        times[place] = 1
        if len(times) > _MAX_PLACES:
            self.measure.make_room(own, append_ms)


class DistinctWire(msgspec.Struct, array_like=True, gc=False):
    """Hours counted back from the base with the number of their values; of all values in turn the 40 bits and times."""

    hours: list[int]
    counts: list[Annotated[int, msgspec.Meta(ge=0)]]
    low: bytes  # uint32 each
    high: bytes  # one each
    times: list[int]  # empty: once each
    thinned: bool
    doubt: int
    sketch: Registers | None
    newest: int


@dataclass(frozen=True, slots=True)
class Distinct(PartMeasure[DistinctPart]):
    """Distinct values of `field` over the events of type `of`, for windows up to 7 days.

    zero: nothing. add: one more in (hour, value). undo: one less there. merge: place by place. read: the values of the
    window's hours. Beyond 1 024 places each value keeps only its newest hour, which changes no read up to now; if even
    then there are more than 256 values they go into a sliding HyperLogLog. It counts on beside the exact hours that
    follow, so that a window past the latest hour of those values is exact again. Order never matters while it is exact.
    """

    name: str
    of: str | tuple[str, ...]
    field: TextField
    version: int = 1
    maths: ClassVar[int] = 1
    part_type: ClassVar[type[DistinctPart]] = DistinctPart
    bytes_per_event: ClassVar[int] = 40
    wire_type: ClassVar[type[DistinctWire]] = DistinctWire

    def event_types(self) -> tuple[str, ...]:
        """See PartMeasure."""
        return types_of(self.of)

    def check(self) -> None:
        """See PartMeasure."""
        check_types(self.name, self.event_types())
        check_field(self.name, self.field)

    def zero(self) -> DistinctPart:
        """See PartMeasure."""
        return DistinctPart({})

    def adder(self, event_type: str) -> DistinctAdder:
        """See PartMeasure."""
        return DistinctAdder(self)

    def undo(self, part: DistinctPart, event: Event, offset: int, append_ms: int) -> None:
        """See PartMeasure. A sketch cannot take back; its answers are estimates anyway."""
        value: str | None = getattr(event, self.field)
        hour = event.event_time // HOURS.hop_ms
        if value is None or (part.sketch is not None and hour <= part.newest):
            return
        place = hour << _HASH_BITS | _hash_of(value.encode()) & _HASH_MASK
        times = part.times.get(place, 0)
        if times > 1:
            part.times[place] = times - 1
            return
        part.times.pop(place, None)
        if part.thinned:
            part.doubt = max(part.doubt, hour)

    def merge(self, left: DistinctPart, right: DistinctPart) -> DistinctPart:
        """See PartMeasure."""
        merged = DistinctPart(dict(left.times))
        for place, times in right.times.items():
            merged.times[place] = merged.times.get(place, 0) + times
        merged.thinned = left.thinned or right.thinned
        merged.doubt = max(left.doubt, right.doubt)
        if left.sketch is not None or right.sketch is not None:
            merged.sketch = sliding_hll.merge(_sketch_of_all(left), _sketch_of_all(right))
            merged.newest = max(left.newest, right.newest)
            _drop_until(merged, merged.newest)
        if len(merged.times) > MAX_PLACES:
            self.shrink(merged)
        return merged

    def make_room(self, part: DistinctPart, append_ms: int) -> None:
        """Let the part hold no more than MAX_PLACES."""
        self.prune(part, append_ms)
        if len(part.times) > MAX_PLACES:
            self.shrink(part)

    def prune(self, part: DistinctPart, append_ms: int) -> None:
        """See PartMeasure."""
        oldest = HOURS.oldest_cell(append_ms)
        _drop_until(part, oldest - 1)
        if part.sketch is not None:
            if part.newest < oldest:
                _forget_sketch(part)
            else:
                sliding_hll.prune(part.sketch, oldest)

    def to_wire(self, part: DistinctPart, base: Base) -> DistinctWire:
        """See PartMeasure."""
        now = base.append_ms // HOURS.hop_ms
        places = sorted(part.times)
        hours, counts, low, high = columns_of(places)
        times = [part.times[place] for place in places]
        return DistinctWire(
            [now - hour for hour in hours],
            counts,
            low,
            high,
            [] if times.count(1) == len(times) else times,
            part.thinned,
            part.doubt,
            part.sketch,
            part.newest,
        )

    def from_wire(self, wire: Wire, base: Base) -> DistinctPart:
        """See PartMeasure."""
        assert isinstance(wire, DistinctWire)
        now = base.append_ms // HOURS.hop_ms
        times = times_of([now - back for back in wire.hours], wire.counts, wire.low, wire.high, wire.times)
        return DistinctPart(times, wire.thinned, wire.doubt, wire.sketch, wire.newest)

    def shrink(self, part: DistinctPart) -> bool:
        """See PartMeasure: a sketch instead of exact places, then the older half of the sketch's hours."""
        if len(part.times) <= EXACT_VALUES:
            return part.sketch is not None and _halve(part.sketch)
        _thin(part)
        if len(part.times) > EXACT_VALUES:
            part.sketch, part.newest = _sketch_of_all(part), max(part.times) >> _HASH_BITS
            part.times, part.thinned, part.doubt = {}, False, 0
        return True


@dataclass(frozen=True, slots=True)
class DistinctCount:
    """How many distinct values `measure` saw in the last `window`: exact up to 256, then within 4.6 % (1 sigma)."""

    name: str
    measure: str
    window: str
    doc: str
    version: int = 1

    def bind(self, measures: Measures) -> Bound:
        """See FeatureDefinition."""
        index, _ = measures.part(self.name, self.measure, Distinct)
        window_ms = window_of(self.name, self.window, longest_ms=HOURS.longest_window_ms)
        formula = f"distinct values of {self.measure}"
        return Bound("int", _read(index, window_ms), formula, (self.measure,), window_ms, hop_ms=HOURS.hop_ms)


def _read(index: int, window_ms: int) -> Read:
    def read(reading: Reading) -> Answer:
        part = reading.state.parts[index]
        assert isinstance(part, DistinctPart)
        oldest = reading.oldest(window_ms, HOURS)
        if part.sketch is not None and oldest <= part.newest:
            if reading.looks_back:
                return Answer(None, reason="a sketch of distinct values cannot be read at an earlier moment")
            number = round(sliding_hll.estimate(part.sketch, oldest))
            return Answer(number, True, f"estimated, standard error {sliding_hll.STANDARD_ERROR:.1%}")
        newest = reading.newest(HOURS)
        first, beyond = oldest << _HASH_BITS, (newest + 1) << _HASH_BITS
        distinct = len({place & _HASH_MASK for place in part.times if first <= place < beyond})
        if reading.past:
            if part.thinned and reading.looks_back:
                return Answer(None, reason="earlier places of the values were dropped")
            answer = past_answer(reading, window_ms, distinct, HOURS)
            if answer.reason is not None:
                return answer
        if part.doubt >= oldest and part.thinned:
            return Answer(distinct, True, "an undone event's value may have been seen before")
        return Answer(distinct)

    return read


def _forget_sketch(part: DistinctPart) -> None:
    part.sketch, part.newest = None, 0


def _halve(sketch: Registers) -> bool:
    hours = [hour for pairs in sketch.values() for hour, _ in pairs]
    oldest, newest = min(hours, default=0), max(hours, default=0)
    sliding_hll.prune(sketch, (oldest + newest) // 2 + 1)
    return newest > oldest


def _drop_until(part: DistinctPart, last: int) -> None:
    """Drop the places of hours up to that one."""
    beyond = (last + 1) << _HASH_BITS
    for place in [place for place in part.times if place < beyond]:
        del part.times[place]


def _thin(part: DistinctPart) -> None:
    """Keep of each value the newest hour."""
    newest = {place & _HASH_MASK: place for place in sorted(part.times)}
    part.times = {place: part.times[place] for place in newest.values()}
    part.thinned = True


def _sketch_of_all(part: DistinctPart) -> Registers:
    """The part's sketch, or a new one of its exact values; shares nothing with the part."""
    if part.sketch is not None:
        return sliding_hll.merge(part.sketch, {})
    sketch: Registers = {}
    for place in part.times:
        sliding_hll.add(sketch, place & _HASH_MASK, place >> _HASH_BITS)
    return sketch
