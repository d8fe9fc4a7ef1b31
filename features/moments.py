# cython: annotation_typing=True
"""First and last: moments of events, and the first or last value of a field, by event time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import msgspec

from features import msgpack
from features.adding import Adder, Ms, Offset
from features.checks import check_field, check_types, types_of
from features.definitions import (
    ANY,
    Answer,
    Base,
    Bound,
    CatalogueError,
    FeatureValue,
    Measures,
    Part,
    PartMeasure,
    TextField,
    Wire,
)
from features.duplicates import FORGOTTEN_OFFSET
from features.reading import Reader, Reading
from schemas import struct_fields
from schemas.events import Event

Which = Literal["first", "last"]


@dataclass  # with slots where it is compiled, see moments.pxd
class MomentsPart:
    """Earliest and latest time of `events` events; the doubts are those times of which an event was undone."""

    events: int = 0
    first_ms: int = 0
    last_ms: int = 0
    first_doubt: bool = False
    last_doubt: bool = False


class MomentsAdder(Adder):
    """See Moments."""

    def add(self, part: Part, event: Event, time_ms: Ms, offset: Offset, append_ms: Ms) -> None:
        """See Adder."""
        own: MomentsPart = part
        if time_ms > own.last_ms or not own.events:
            own.last_ms, own.last_doubt = time_ms, False
        if time_ms < own.first_ms or not own.events:
            own.first_ms, own.first_doubt = time_ms, False
        own.events += 1

    def undo(self, part: Part, event: Event, time_ms: Ms, offset: Offset) -> None:
        """See Adder."""
        own: MomentsPart = part
        own.events = max(0, own.events - 1)
        own.first_doubt |= time_ms == own.first_ms
        own.last_doubt |= time_ms == own.last_ms


class MomentsWire(msgspec.Struct, array_like=True, gc=False):
    """The same."""

    events: int = 0
    first_ms: int = 0
    last_ms: int = 0
    first_doubt: bool = False
    last_doubt: bool = False


@dataclass(frozen=True, slots=True)
class Moments(PartMeasure[MomentsPart]):
    """Earliest and latest event time of the events of type `of`, over all time.

    zero: none. add: minimum and maximum. undo: exact if it was the only event or lies between both; else that end is
    uncertain until an event goes beyond it. merge: minimum and maximum. read: either. Order of events never matters.
    Source: the definition, as of every minimum.
    """

    name: str
    of: str | tuple[str, ...] = ANY
    version: int = 1
    maths: ClassVar[int] = 1
    part_type: ClassVar[type[MomentsPart]] = MomentsPart
    bytes_per_event: ClassVar[int] = 30
    wire_type: ClassVar[type[MomentsWire]] = MomentsWire

    def event_types(self) -> tuple[str, ...]:
        """See PartMeasure."""
        return types_of(self.of)

    def check(self) -> None:
        """See PartMeasure."""
        check_types(self.name, self.event_types())

    def zero(self) -> MomentsPart:
        """See PartMeasure."""
        return MomentsPart()

    def adder(self, event_type: str) -> MomentsAdder:
        """See PartMeasure."""
        return MomentsAdder()

    def merge(self, left: MomentsPart, right: MomentsPart) -> MomentsPart:
        """See PartMeasure."""
        if not left.events or not right.events:
            return replace(left if left.events else right)
        first = min((left.first_ms, not left.first_doubt), (right.first_ms, not right.first_doubt))
        last = max((left.last_ms, left.last_doubt), (right.last_ms, right.last_doubt))
        return MomentsPart(left.events + right.events, first[0], last[0], not first[1], last[1])

    def put(self, part: MomentsPart, base: Base, out: bytearray) -> None:
        """See PartMeasure."""
        msgpack.put_array(out, 5)
        msgpack.put_int(out, part.events)
        msgpack.put_int(out, part.first_ms)
        msgpack.put_int(out, part.last_ms)
        msgpack.put_flag(out, part.first_doubt)
        msgpack.put_flag(out, part.last_doubt)

    def from_wire(self, wire: Wire, base: Base) -> MomentsPart:
        """See PartMeasure."""
        assert isinstance(wire, MomentsWire)
        return MomentsPart(wire.events, wire.first_ms, wire.last_ms, wire.first_doubt, wire.last_doubt)


class EdgePart(msgspec.Struct, array_like=True, gc=False):
    """The value at the first or last place of `events` events."""

    events: int = 0
    time_ms: int = 0
    offset: int = 0
    value: str | None = None
    doubt: bool = False


class EdgeAdder(Adder):
    """See Edge."""

    def __init__(self, field: TextField, which: Which) -> None:
        self._field, self._is_last = struct_fields.place_of(Event, field), which == "last"

    def add(self, part: EdgePart, event: Event, time_ms: Ms, offset: Offset, append_ms: Ms) -> None:
        """See Adder."""
        value: str | None = struct_fields.at(event, self._field)
        if value is None:
            return
        here, there = (time_ms, offset), (part.time_ms, part.offset)
        if not part.events or (here > there if self._is_last else here < there):
            (part.time_ms, part.offset), part.value, part.doubt = here, value, False
        part.events += 1

    def undo(self, part: EdgePart, event: Event, time_ms: Ms, offset: Offset) -> None:
        """See Adder."""
        value: str | None = struct_fields.at(event, self._field)
        if value is not None:
            part.events = max(0, part.events - 1)
            part.doubt |= (time_ms, offset, value) == (part.time_ms, part.offset, part.value)


@dataclass(frozen=True, slots=True)
class Edge(PartMeasure[EdgePart]):
    """The first or last value of `field` by (event time, offset) over the events of type `of` that have it.

    zero: none. add: the smaller or larger place wins. undo: exact if it was the only event or another place; else
    uncertain until a further event wins. merge: the winner. read: the value. Order of events never matters. Source: the
    last-writer-wins register of Shapiro et al. (INRIA RR-7506, 2011).
    """

    name: str
    of: str | tuple[str, ...]
    field: TextField
    which: Which
    version: int = 1
    maths: ClassVar[int] = 1
    part_type: ClassVar[type[EdgePart]] = EdgePart

    def event_types(self) -> tuple[str, ...]:
        """See PartMeasure."""
        return types_of(self.of)

    def check(self) -> None:
        """See PartMeasure."""
        check_types(self.name, self.event_types())
        check_field(self.name, self.field)
        if self.which not in ("first", "last"):
            raise CatalogueError(f"measure {self.name!r} keeps the {self.which!r} value; use first or last")

    def zero(self) -> EdgePart:
        """See PartMeasure."""
        return EdgePart()

    def adder(self, event_type: str) -> EdgeAdder:
        """See PartMeasure."""
        return EdgeAdder(self.field, self.which)

    def start_epoch(self, part: EdgePart) -> None:
        """See PartMeasure."""
        part.offset = FORGOTTEN_OFFSET

    def merge(self, left: EdgePart, right: EdgePart) -> EdgePart:
        """See PartMeasure."""
        if not left.events or not right.events:
            return msgspec.structs.replace(left if left.events else right)
        ordered = sorted((left, right), key=lambda part: (part.time_ms, part.offset))
        winner = msgspec.structs.replace(ordered[0] if self.which == "first" else ordered[1])
        winner.events = left.events + right.events
        return winner


@dataclass(frozen=True, slots=True)
class SeenAt:
    """The first or last moment of a `Moments` measure; null if there was none."""

    name: str
    measure: str
    which: Which
    doc: str
    version: int = 1

    def bind(self, measures: Measures) -> Bound:
        """See FeatureDefinition."""
        index, _ = measures.part(self.name, self.measure, Moments)
        if self.which not in ("first", "last"):
            raise CatalogueError(f"feature {self.name!r} reads the {self.which!r} moment; use first or last")
        formula = f"{self.which} event time of {self.measure}"
        return Bound("timestamp", MomentReader(index, self.which), formula, (self.measure,))


@dataclass(frozen=True, slots=True)
class SecondsSince:
    """Whole seconds from the last moment of a `Moments` measure to the moment of the read; null if there was none."""

    name: str
    measure: str
    doc: str
    version: int = 1

    def bind(self, measures: Measures) -> Bound:
        """See FeatureDefinition."""
        index, _ = measures.part(self.name, self.measure, Moments)
        formula = f"now - last event time of {self.measure}"
        return Bound("int", SinceReader(index), formula, (self.measure,))


@dataclass(frozen=True, slots=True)
class EdgeValue:
    """The value of an `Edge` measure; null if there was none."""

    name: str
    measure: str
    doc: str
    version: int = 1

    def bind(self, measures: Measures) -> Bound:
        """See FeatureDefinition."""
        index, measure = measures.part(self.name, self.measure, Edge)
        formula = f"{measure.which} {measure.field} of {self.measure}"
        return Bound("string", EdgeReader(index, measure.which), formula, (self.measure,))


_UNDONE = "the event at this end was undone, and the next one is not known"
_LATER = "a later event replaced what was known at that moment"


class MomentReader(Reader):
    """See SeenAt."""

    def __init__(self, index: int, which: Which) -> None:
        self.index = index
        self.is_last = which == "last"

    def value(self, reading: Reading) -> FeatureValue:
        """See Reader."""
        part: MomentsPart = reading.state.parts[self.index]
        if not part.events:
            return None
        return part.last_ms if self.is_last else part.first_ms

    def answer(self, reading: Reading) -> Answer:
        """See Reader."""
        part: MomentsPart = reading.state.parts[self.index]
        if not part.events or (reading.looks_back and part.first_ms > reading.now_ms):
            return Answer(None)
        if self.is_last and reading.looks_back and part.last_ms > reading.now_ms:
            return Answer(None, reason=_LATER)
        value = self.value(reading)
        doubtful = part.last_doubt if self.is_last else part.first_doubt
        return Answer(value, True, _UNDONE) if doubtful else Answer(value)


class SinceReader(MomentReader):
    """See SecondsSince."""

    def __init__(self, index: int) -> None:
        super().__init__(index, "last")

    def value(self, reading: Reading) -> FeatureValue:
        """See Reader."""
        part: MomentsPart = reading.state.parts[self.index]
        if not part.events:
            return None
        return max(0, reading.now_ms - part.last_ms) // 1000


class EdgeReader(Reader):
    """See EdgeValue."""

    def __init__(self, index: int, which: Which) -> None:
        self._index = index
        self._which = which

    def answer(self, reading: Reading) -> Answer:
        """See Reader."""
        part = reading.state.parts[self._index]
        assert isinstance(part, EdgePart)
        if not part.events:
            return Answer(None)
        if reading.looks_back and part.time_ms > reading.now_ms:
            return Answer(None) if self._which == "first" else Answer(None, reason=_LATER)
        return Answer(part.value, True, _UNDONE) if part.doubt else Answer(part.value)
