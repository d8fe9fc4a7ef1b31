# cython: annotation_typing=True
"""Sequences: the last K values, or the last K distinct values, by event time."""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import msgspec

from features import int64s, msgpack
from features.adding import Adder, Int64, Ms, Offset
from features.checks import check_bound, check_field, check_types, types_of
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
from features.duplicates import FORGOTTEN_OFFSET
from features.reading import Reader, Reading
from features.texts import shared
from schemas import struct_fields
from schemas.events import Event

MAX_LAST: Final = 100  # a sequence is part of every user's state, which must stay small
_WIDTH: Final = 3  # hash, event time, offset


@dataclass  # with slots where it is compiled, see recents.pxd
class RecentsPart:
    """Values with their event times and offsets, newest first.

    `places` has three numbers of each: the value's hash, by which it is found without a look at every text, its event
    time and its offset. Hashes are those of this process: never stored or sent. `displaced_ms`: latest event time of
    all that was seen and is not in the list. `doubt_ms`: an undo took an entry out, and one displaced up to this time
    may belong in its stead; 0 for none.
    """

    values: list[str]
    places: array[int]
    displaced_ms: int = 0
    doubt_ms: int = 0

    def times_ms(self) -> array[int]:
        """Event times of the values."""
        return self.places[1::_WIDTH]

    def find(self, value: str) -> Int64:
        """Where in `places` the newest of these values is, or -1."""
        hashed, numbers, place = hash(value), self.places, 0
        while place < len(numbers):
            if int64s.at(numbers, place) == hashed and self.values[place // _WIDTH] == value:
                return place
            place += _WIDTH
        return -1

    def enter(self, value: str, time_ms: Ms, offset: Offset, k: Int64) -> None:
        """Put the value into its place, and drop the oldest one beyond `k`."""
        numbers = self.places
        place = 0  # where the usual event belongs, which is newer than all others
        while place < len(numbers):
            known_ms = int64s.at(numbers, place + 1)
            if known_ms < time_ms or (known_ms == time_ms and int64s.at(numbers, place + 2) < offset):
                break
            place += _WIDTH
        self.values.insert(place // _WIDTH, value)
        int64s.insert_zeros(numbers, place, _WIDTH)
        int64s.put(numbers, place, hash(value))
        int64s.put(numbers, place + 1, time_ms)
        int64s.put(numbers, place + 2, offset)
        oldest = k * _WIDTH
        if len(numbers) > oldest:
            self.displaced_ms = max(self.displaced_ms, int64s.at(numbers, oldest + 1))
            self.remove(oldest)

    def remove(self, place: Int64) -> None:
        """Take out the entry that begins there."""
        del self.values[place // _WIDTH]
        int64s.remove(self.places, place, _WIDTH)


def places_of(
    values: Sequence[str], ages_ms: Sequence[int], offsets_back: Sequence[int], append_ms: Ms, offset: Offset
) -> array[int]:
    """Those of a RecentsPart, from times and offsets counted back from `append_ms` and `offset`.

    Raises OverflowError for a number of more than 64 bits.
    """
    places = int64s.zeros(_WIDTH * len(values))
    for number in range(len(values)):
        age_ms: Ms = ages_ms[number]
        back: Offset = offsets_back[number]
        int64s.put(places, number * _WIDTH, hash(values[number]))
        int64s.put(places, number * _WIDTH + 1, append_ms - age_ms)
        int64s.put(places, number * _WIDTH + 2, offset - back)
    return places


class RecentsWire(msgspec.Struct, array_like=True, gc=False):
    """The same with times and offsets counted back from the base, newest first; 0 stays 0 for the last two."""

    ages_ms: list[int]
    offsets_back: list[int]
    values: list[str]
    displaced_ms: int
    doubt_ms: int


class RecentsAdder(Adder):
    """What both sequences share."""

    def __init__(self, field: TextField, k: int) -> None:
        self.field = struct_fields.place_of(Event, field)
        self.k = k

    def add(self, part: Part, event: Event, time_ms: Ms, offset: Offset, append_ms: Ms) -> None:
        """See Adder."""
        value: str | None = struct_fields.at(event, self.field)
        if value is not None:
            self.put(part, value, time_ms, offset)

    def undo(self, part: Part, event: Event, time_ms: Ms, offset: Offset) -> None:
        """See Adder. Inexact only if something was displaced that may belong back into the list."""
        own: RecentsPart = part
        value: str | None = struct_fields.at(event, self.field)
        numbers, place = own.places, 0
        while place < len(numbers):
            here = int64s.at(numbers, place + 1) == time_ms and int64s.at(numbers, place + 2) == offset
            if here and own.values[place // _WIDTH] == value:
                own.remove(place)
                own.doubt_ms = max(own.doubt_ms, own.displaced_ms)
                return
            place += _WIDTH

    def put(self, part: RecentsPart, value: str, time_ms: Ms, offset: Offset) -> None:
        """Put the value into its place."""
        part.enter(shared(value), time_ms, offset, self.k)


class LastDistinctAdder(RecentsAdder):
    """See LastDistinct."""

    def put(self, part: RecentsPart, value: str, time_ms: Ms, offset: Offset) -> None:
        """See RecentsAdder; an older place of the value goes."""
        place = part.find(value)
        if place < 0:
            part.enter(shared(value), time_ms, offset, self.k)
            return
        known_ms, known_offset = int64s.at(part.places, place + 1), int64s.at(part.places, place + 2)
        if time_ms == known_ms and offset == known_offset:
            return
        part.displaced_ms = max(part.displaced_ms, min(time_ms, known_ms))
        if time_ms > known_ms or (time_ms == known_ms and offset > known_offset):
            known: str = part.values[place // _WIDTH]
            part.remove(place)
            part.enter(known, time_ms, offset, self.k)


class _Recents(PartMeasure[RecentsPart]):
    """What both sequences share. Order of events: by (event time, offset), so equal times follow the log."""

    name: str
    of: str | tuple[str, ...]
    field: TextField
    k: int
    __slots__ = ()
    part_type: ClassVar[type[RecentsPart]] = RecentsPart
    bytes_per_event: ClassVar[int] = 25
    wire_type: ClassVar[type[RecentsWire]] = RecentsWire

    def event_types(self) -> tuple[str, ...]:
        """See PartMeasure."""
        return types_of(self.of)

    def check(self) -> None:
        """See PartMeasure."""
        check_types(self.name, self.event_types())
        check_field(self.name, self.field)
        check_bound(self.name, "k", self.k, MAX_LAST)

    def zero(self) -> RecentsPart:
        """See PartMeasure."""
        return RecentsPart([], int64s.zeros(0))

    def start_epoch(self, part: RecentsPart) -> None:
        """See PartMeasure."""
        for place in range(2, len(part.places), _WIDTH):
            part.places[place] = FORGOTTEN_OFFSET

    def put(self, part: RecentsPart, base: Base, out: bytearray) -> None:
        """See PartMeasure."""
        msgpack.put_array(out, 5)
        msgpack.put_distances(out, part.places, 1, _WIDTH, base.append_ms)
        msgpack.put_distances(out, part.places, 2, _WIDTH, base.offset)
        msgpack.put_array(out, len(part.values))
        for value in part.values:
            msgpack.put_text(out, value)
        msgpack.put_int(out, part.displaced_ms)
        msgpack.put_int(out, part.doubt_ms)

    def from_wire(self, wire: Wire, base: Base) -> RecentsPart:
        """See PartMeasure."""
        assert isinstance(wire, RecentsWire)
        if not len(wire.values) == len(wire.ages_ms) == len(wire.offsets_back):
            raise ValueError("a sequence has columns of different lengths")
        places = places_of(wire.values, wire.ages_ms, wire.offsets_back, base.append_ms, base.offset)
        return RecentsPart(wire.values, places, wire.displaced_ms, wire.doubt_ms)

    def share(self, part: RecentsPart) -> None:
        """See PartMeasure."""
        part.values = [shared(value) for value in part.values]

    def shown(self, part: RecentsPart) -> dict[str, object]:
        """See PartMeasure."""
        return {
            "values": part.values,
            "times_ms": part.times_ms(),
            "offsets": part.places[2::_WIDTH],
            "displaced_ms": part.displaced_ms,
            "doubt_ms": part.doubt_ms,
        }

    def in_doubt(self, part: RecentsPart) -> bool:
        """Whether an entry that was displaced may be missing: not once the list is full of newer ones."""
        return part.doubt_ms > 0 and (len(part.values) < self.k or part.times_ms()[-1] <= part.doubt_ms)

    def shrink(self, part: RecentsPart) -> bool:
        """See PartMeasure: the older half of the list."""
        if len(part.values) < 2:
            return False
        kept = len(part.values) // 2
        part.displaced_ms = max(part.displaced_ms, part.places[kept * _WIDTH + 1])
        part.doubt_ms = max(part.doubt_ms, part.displaced_ms)
        del part.values[kept:], part.places[kept * _WIDTH :]
        return True

    def merge(self, left: RecentsPart, right: RecentsPart) -> RecentsPart:
        """See PartMeasure."""
        merged = RecentsPart(left.values[:], left.places[:])
        merged.displaced_ms = max(left.displaced_ms, right.displaced_ms)
        merged.doubt_ms = max(left.doubt_ms, right.doubt_ms)
        put = self.adder(self.event_types()[0]).put
        for value, time_ms, offset in zip(right.values, right.times_ms(), right.places[2::_WIDTH], strict=True):
            put(merged, value, time_ms, offset)
        return merged

    @abstractmethod
    def adder(self, event_type: str) -> RecentsAdder:
        """See PartMeasure."""


@dataclass(frozen=True, slots=True)
class LastDistinct(_Recents):
    """The `k` values of `field` seen last, newest by (event time, offset) first, each only at its newest place.

    zero: an empty list. add: insert, drop the older place of the value and what is beyond k. undo: take the entry out.
    merge: insert all. read: the list. Order of events never matters. Source: the last-writer-wins element set, cut at
    k, of Shapiro et al., "A comprehensive study of Convergent and Commutative Replicated Data Types" (INRIA RR-7506,
    2011).
    """

    name: str
    of: str | tuple[str, ...]
    field: TextField
    k: int
    version: int = 1
    maths: ClassVar[int] = 1

    def adder(self, event_type: str) -> RecentsAdder:
        """See PartMeasure."""
        return LastDistinctAdder(self.field, self.k)


@dataclass(frozen=True, slots=True)
class Last(_Recents):
    """The last `k` values of `field`, newest by (event time, offset) first, repeated values included.

    zero, add, undo, merge and read as LastDistinct, without dropping repeated values; so is the source.
    """

    name: str
    of: str | tuple[str, ...]
    field: TextField
    k: int
    version: int = 1
    maths: ClassVar[int] = 1

    def adder(self, event_type: str) -> RecentsAdder:
        """See PartMeasure."""
        return RecentsAdder(self.field, self.k)


@dataclass(frozen=True, slots=True)
class Recent:
    """The list that a `Last` or `LastDistinct` measure keeps."""

    name: str
    measure: str
    doc: str
    version: int = 1

    def bind(self, measures: Measures) -> Bound:
        """See FeatureDefinition."""
        index, measure = measures.part(self.name, self.measure, (Last, LastDistinct))
        formula = f"last {measure.k} of {self.measure}"
        return Bound("string_list", RecentReader(index, measure), formula, (self.measure,))


class RecentReader(Reader):
    """See Recent."""

    def __init__(self, index: int, measure: _Recents) -> None:
        self.index = index
        self.measure = measure

    def value(self, reading: Reading) -> FeatureValue:
        """See Reader."""
        part: RecentsPart = reading.state.parts[self.index]
        return part.values[:]

    def answer(self, reading: Reading) -> Answer:
        """See Reader."""
        part: RecentsPart = reading.state.parts[self.index]
        values: FeatureValue = part.values[:]
        if reading.looks_back:
            seen = zip(part.values, part.times_ms(), strict=True)
            values = [value for value, time_ms in seen if time_ms <= reading.now_ms]
            if len(values) < len(part.values) and part.displaced_ms:
                return Answer(values, True, "what was displaced after that moment is missing")
        if part.doubt_ms and self.measure.in_doubt(part):
            return Answer(values, True, "an entry was taken out and what it displaced is not known any more")
        return Answer(values)
