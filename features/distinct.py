# cython: annotation_typing=True
"""Distinct values in a sliding window: exact while there are few, a sketch beyond, and the answer says which."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

import msgspec

from features import int64s, msgpack, sliding_hll, xxh3
from features.adding import Adder, Int64, Ms, Offset
from features.cells import HOURS
from features.checks import check_field, check_types, types_of, window_of
from features.counting import windowed_answer
from features.definitions import (
    Answer,
    Base,
    Bound,
    FeatureValue,
    Measures,
    Part,
    PartMeasure,
    TextField,
    Wire,
)
from features.packed_places import LATEST_HOUR, WIDTH, block_of, places_of, put_places
from features.reading import Reader, Reading
from features.sliding_hll import Registers
from schemas import struct_fields
from schemas.events import Event

EXACT_VALUES: Final = 256
MAX_PLACES: Final = 1_024  # (hour, value) places kept exactly: some 6 bytes each
_WIDTH: Final = WIDTH
_MOST_NUMBERS: Final = MAX_PLACES * _WIDTH
_LATEST_HOUR: Final = LATEST_HOUR
_HOURS: Final = HOURS
_HASH_BITS: Final = sliding_hll.HASH_BITS
# A power, as a shift by the C variable above would be one in C, of 32 bits.
_HASH_MASK: Final = 2**sliding_hll.HASH_BITS - 1  # 256 values share a hash once in 30 million users


_encoder = msgspec.msgpack.Encoder()


@dataclass  # with slots where it is compiled, see distinct.pxd
class DistinctPart:
    """`places` has two numbers of each place, lowest place first: the place, and how often it was seen. A place is an
    hour of event time and, in its lower 40 bits, the hash of a value.

    The sketch holds all values; up to its hour `newest` it alone does, and later hours are exact beside it.
    """

    places: array[int]
    thinned: bool = False
    """Only the newest hour of each value was kept at some moment: an undo may be inexact since."""
    doubt: int = 0
    """Latest hour in which an undo was inexact, or whose values the cap of the state took from the sketch."""
    sketch: Registers | None = None
    newest: int = 0

    def __len__(self) -> int:
        """Number of places."""
        return len(self.places) // _WIDTH

    def find(self, place: Int64) -> Int64:
        """Where in `places` the first begins that is this one or a later one; the end if there is none."""
        first: Int64 = 0
        end: Int64 = len(self.places) // _WIDTH
        while first < end:
            middle = (first + end) >> 1
            if int64s.at(self.places, middle * _WIDTH) < place:
                first = middle + 1
            else:
                end = middle
        return first * _WIDTH

    def find_hour(self, hour: Int64) -> Int64:
        """Where in `places` those of the hour begin, or of the next one that there is."""
        return len(self.places) if hour > _LATEST_HOUR else self.find(hour << _HASH_BITS)

    def items(self) -> Iterator[tuple[int, int]]:
        """The places, and how often each was seen."""
        return zip(self.places[::_WIDTH], self.places[1::_WIDTH], strict=True)

    def drop_until(self, last: Int64) -> None:
        """Drop the places of hours up to that one."""
        int64s.remove(self.places, 0, self.find_hour(last + 1))


class DistinctAdder(Adder):
    """See Distinct."""

    def __init__(self, measure: Distinct) -> None:
        self.measure = measure
        self.field = struct_fields.place_of(Event, measure.field)
        self.hop_ms = HOURS.hop_ms
        self.kept_hours = HOURS.longest_window_ms // HOURS.hop_ms

    def add(self, part: Part, event: Event, time_ms: Ms, offset: Offset, append_ms: Ms) -> None:
        """See Adder."""
        own: DistinctPart = part
        value: str | None = struct_fields.at(event, self.field)
        hour = time_ms // self.hop_ms
        oldest = append_ms // self.hop_ms - self.kept_hours
        if value is None or hour < oldest or hour > _LATEST_HOUR:
            return
        hashed = xxh3.of_text(value)
        hashed &= _HASH_MASK
        if own.sketch is not None:
            if own.newest < oldest:
                _forget_sketch(own)
            else:
                sliding_hll.add(own.sketch, hashed, hour)
                if hour <= own.newest:
                    return
        place = hour << _HASH_BITS | hashed
        found = own.find(place)
        if int64s.is_at(own.places, found, place):
            int64s.put(own.places, found + 1, int64s.at(own.places, found + 1) + 1)
            return
        int64s.insert_zeros(own.places, found, _WIDTH)
        int64s.put(own.places, found, place)
        int64s.put(own.places, found + 1, 1)
        if len(own.places) > _MOST_NUMBERS:
            self.measure.make_room(own, append_ms)

    def undo(self, part: Part, event: Event, time_ms: Ms, offset: Offset) -> None:
        """See Adder. A sketch cannot take back; its answers are estimates anyway."""
        own: DistinctPart = part
        value: str | None = struct_fields.at(event, self.field)
        hour = time_ms // self.hop_ms
        if value is None or hour > _LATEST_HOUR or (own.sketch is not None and hour <= own.newest):
            return
        hashed = xxh3.of_text(value)
        hashed &= _HASH_MASK
        place = hour << _HASH_BITS | hashed
        found = own.find(place)
        if int64s.is_at(own.places, found, place):
            times = int64s.at(own.places, found + 1) - 1
            int64s.put(own.places, found + 1, times)
            if times:
                return
            int64s.remove(own.places, found, _WIDTH)
        if own.thinned:
            own.doubt = max(own.doubt, hour)


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
    Events of a year beyond 2926 are left out. Sources of the sketch: Flajolet et al. (2007), Chabchoub and Hebrail
    (2010), Ertl (2017); see features/sliding_hll.py.
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
        return DistinctPart(int64s.zeros(0))

    def adder(self, event_type: str) -> DistinctAdder:
        """See PartMeasure."""
        return DistinctAdder(self)

    def merge(self, left: DistinctPart, right: DistinctPart) -> DistinctPart:
        """See PartMeasure."""
        times = dict(left.items())
        for place, more in right.items():
            times[place] = times.get(place, 0) + more
        merged = DistinctPart(block_of(times))
        merged.thinned = left.thinned or right.thinned
        merged.doubt = max(left.doubt, right.doubt)
        if left.sketch is not None or right.sketch is not None:
            merged.sketch = sliding_hll.merge(_sketch_of_all(left), _sketch_of_all(right))
            merged.newest = max(left.newest, right.newest)
            merged.drop_until(merged.newest)
        if len(merged) > MAX_PLACES:
            self.shrink(merged)
        return merged

    def make_room(self, part: DistinctPart, append_ms: int) -> None:
        """Let the part hold no more than MAX_PLACES."""
        self.prune(part, append_ms)
        if len(part) > MAX_PLACES:
            self.shrink(part)

    def prune(self, part: DistinctPart, append_ms: int) -> None:
        """See PartMeasure."""
        oldest = HOURS.oldest_cell(append_ms)
        part.drop_until(oldest - 1)
        if part.sketch is not None:
            if part.newest < oldest:
                _forget_sketch(part)
            else:
                sliding_hll.prune(part.sketch, oldest)

    def put(self, part: DistinctPart, base: Base, out: bytearray) -> None:
        """See PartMeasure."""
        msgpack.put_array(out, 9)
        put_places(out, part.places, base.append_ms // HOURS.hop_ms)
        msgpack.put_flag(out, part.thinned)
        msgpack.put_int(out, part.doubt)
        if part.sketch is None:
            msgpack.put_nil(out)
        else:
            out += _encoder.encode(part.sketch)
        msgpack.put_int(out, part.newest)

    def from_wire(self, wire: Wire, base: Base) -> DistinctPart:
        """See PartMeasure."""
        assert isinstance(wire, DistinctWire)
        now = base.append_ms // HOURS.hop_ms
        places = places_of([now - back for back in wire.hours], wire.counts, wire.low, wire.high, wire.times)
        return DistinctPart(places, wire.thinned, wire.doubt, wire.sketch, wire.newest)

    def shown(self, part: DistinctPart) -> dict[str, object]:
        """See PartMeasure."""
        hours = [
            {"hour": place >> _HASH_BITS, "value": place & _HASH_MASK, "times": times} for place, times in part.items()
        ]
        return {
            "places": hours,
            "thinned": part.thinned,
            "doubt": part.doubt,
            "sketch": part.sketch,
            "newest": part.newest,
        }

    def shrink(self, part: DistinctPart) -> bool:
        """See PartMeasure: a sketch instead of exact places, then the older half of the sketch's hours."""
        if len(part) <= EXACT_VALUES:
            return _halve_sketch(part)
        _thin(part)
        if len(part) > EXACT_VALUES:
            if part.sketch is None:
                part.doubt = 0
            part.sketch, part.newest = _sketch_of_all(part), part.places[-_WIDTH] >> _HASH_BITS
            part.places, part.thinned = int64s.zeros(0), False
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
        return Bound("int", DistinctReader(index, window_ms), formula, (self.measure,), window_ms, hop_ms=HOURS.hop_ms)


class DistinctReader(Reader):
    """See DistinctCount."""

    def __init__(self, index: int, window_ms: int) -> None:
        self.index = index
        self.window_ms = window_ms

    def value(self, reading: Reading) -> FeatureValue:
        """See Reader."""
        part: DistinctPart = reading.state.parts[self.index]
        oldest = reading.oldest(self.window_ms, _HOURS)
        if part.sketch is not None and oldest <= part.newest:
            return round(sliding_hll.estimate(part.sketch, oldest))
        end = part.find_hour(reading.newest(_HOURS) + 1) if reading.looks_back else len(part.places)
        return _values_between(part.places, part.find_hour(oldest), end)

    def answer(self, reading: Reading) -> Answer:
        """See Reader."""
        part: DistinctPart = reading.state.parts[self.index]
        oldest = reading.oldest(self.window_ms, _HOURS)
        if part.sketch is not None and oldest <= part.newest:
            if reading.looks_back:
                return Answer(None, reason="a sketch of distinct values cannot be read at an earlier moment")
            if part.doubt >= oldest:
                reason = "estimated, and want of room or an undo may have left it wrong"
            else:
                reason = f"estimated, standard error {sliding_hll.STANDARD_ERROR:.1%}"
            return Answer(self.value(reading), True, reason)
        if part.thinned and reading.looks_back:
            return Answer(None, reason="earlier places of the values were dropped")
        answer = windowed_answer(reading, self.window_ms, self.value(reading), _HOURS)
        if answer.reason is None and part.thinned and part.doubt >= oldest:
            return Answer(answer.value, True, "an undone event's value may have been seen before")
        return answer


def _values_between(places: array[int], first: Int64, end: Int64) -> Int64:
    """How many different values there are between these places, by a hash table that is half full at most."""
    size: Int64 = 2
    while size < end - first:
        size *= 2
    slots, count = int64s.zeros(size), 0  # the values that were seen, plus one: 0 is a slot without any
    while first < end:
        value = (int64s.at(places, first) & _HASH_MASK) + 1
        slot = value & (size - 1)
        while int64s.at(slots, slot) not in (0, value):
            slot = (slot + 1) & (size - 1)
        if not int64s.at(slots, slot):
            int64s.put(slots, slot, value)
            count += 1
        first += _WIDTH
    return count


def _forget_sketch(part: DistinctPart) -> None:
    part.sketch, part.newest = None, 0


def _halve_sketch(part: DistinctPart) -> bool:
    hours = [hour for pairs in (part.sketch or {}).values() for hour, _ in pairs]
    if part.sketch is None or len(set(hours)) < 2:
        return False
    middle = (min(hours) + max(hours)) // 2
    sliding_hll.prune(part.sketch, middle + 1)
    part.doubt = max(part.doubt, max(hour for hour in hours if hour <= middle))
    return True


def _thin(part: DistinctPart) -> None:
    """Keep of each value the newest hour."""
    newest = {place & _HASH_MASK: (place, times) for place, times in part.items()}
    part.places = block_of(dict(newest.values()))
    part.thinned = True


def _sketch_of_all(part: DistinctPart) -> Registers:
    """The part's sketch, or a new one of its exact values; shares nothing with the part."""
    if part.sketch is not None:
        return sliding_hll.merge(part.sketch, {})
    sketch: Registers = {}
    for place in part.places[::_WIDTH]:
        sliding_hll.add(sketch, place & _HASH_MASK, place >> _HASH_BITS)
    return sketch
