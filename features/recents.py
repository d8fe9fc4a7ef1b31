"""Sequences: the last K values, or the last K distinct values, by event time."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from operator import attrgetter
from typing import ClassVar, Final

import msgspec

from features.checks import check_bound, check_field, check_types, types_of
from features.definitions import (
    Add,
    Answer,
    Base,
    Bound,
    Measures,
    Part,
    PartMeasure,
    Read,
    TextField,
)
from features.reading import Reading
from schemas.events import Event

MAX_LAST: Final = 100  # a sequence is part of every user's state, which must stay small

SequenceEntry = tuple[int, int, str]
"""(event time in ms, offset, value)."""


class RecentsPart(msgspec.Struct, array_like=True, gc=False):
    """`entries` newest first. `displaced_ms`: latest event time of all that was seen and is not in the list.

    `doubt_ms`: an undo took an entry out, and one displaced up to this time may belong in its stead; 0 for none.
    """

    entries: list[SequenceEntry]
    displaced_ms: int = 0
    doubt_ms: int = 0


class RecentsWire(msgspec.Struct, array_like=True, gc=False):
    """The same with times and offsets counted back from the base, newest first; 0 stays 0 for the last two."""

    ages_ms: list[int]
    offsets_back: list[int]
    values: list[str]
    displaced_ms: int
    doubt_ms: int


class _Recents(PartMeasure[RecentsPart]):
    """What both sequences share. Order of events: by (event time, offset), so equal times follow the log."""

    name: str
    of: str | tuple[str, ...]
    field: TextField
    k: int
    __slots__ = ()
    part_type: ClassVar[type[RecentsPart]] = RecentsPart
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
        return RecentsPart([])

    def undo(self, part: RecentsPart, event: Event, offset: int, append_ms: int) -> None:
        """See PartMeasure. Inexact only if something was displaced that may belong back into the list."""
        for index, entry in enumerate(part.entries):
            if entry[1] == offset and entry[0] == event.event_time:
                del part.entries[index]
                part.doubt_ms = max(part.doubt_ms, part.displaced_ms)
                return

    def to_wire(self, part: RecentsPart, base: Base) -> RecentsWire:
        """See PartMeasure."""
        return RecentsWire(
            [base.append_ms - entry[0] for entry in part.entries],
            [base.offset - entry[1] for entry in part.entries],
            [entry[2] for entry in part.entries],
            part.displaced_ms,
            part.doubt_ms,
        )

    def from_wire(self, wire: Part, base: Base) -> RecentsPart:
        """See PartMeasure."""
        assert isinstance(wire, RecentsWire)
        entries = [
            (base.append_ms - age_ms, base.offset - back, value)
            for age_ms, back, value in zip(wire.ages_ms, wire.offsets_back, wire.values, strict=True)
        ]
        return RecentsPart(entries, wire.displaced_ms, wire.doubt_ms)

    def in_doubt(self, part: RecentsPart) -> bool:
        """Whether an entry that was displaced may be missing: not once the list is full of newer ones."""
        return part.doubt_ms > 0 and (len(part.entries) < self.k or part.entries[-1][0] <= part.doubt_ms)

    def shrink(self, part: RecentsPart) -> bool:
        """See PartMeasure: the older half of the list."""
        if len(part.entries) < 2:
            return False
        kept = len(part.entries) // 2
        part.displaced_ms = max(part.displaced_ms, part.entries[kept][0])
        part.doubt_ms = max(part.doubt_ms, part.displaced_ms)
        del part.entries[kept:]
        return True

    def merge(self, left: RecentsPart, right: RecentsPart) -> RecentsPart:
        """See PartMeasure."""
        merged = RecentsPart(list(left.entries), max(left.displaced_ms, right.displaced_ms))
        merged.doubt_ms = max(left.doubt_ms, right.doubt_ms)
        for entry in right.entries:
            self._insert(merged, entry)
        return merged

    @abstractmethod
    def _insert(self, part: RecentsPart, entry: SequenceEntry) -> None:
        """Put the entry into its place."""

    def adder(self) -> Add[RecentsPart]:
        """See PartMeasure."""
        value_of, insert = attrgetter(self.field), self._insert

        def add(part: RecentsPart, event: Event, offset: int, append_ms: int) -> None:
            value: str | None = value_of(event)
            if value is not None:
                insert(part, (event.event_time, offset, value))

        return add


@dataclass(frozen=True, slots=True)
class LastDistinct(_Recents):
    """The `k` values of `field` seen last, newest by (event time, offset) first, each only at its newest place.

    zero: an empty list. add: insert, drop the older place of the value and what is beyond k. undo: take the entry out.
    merge: insert all. read: the list. Order of events never matters.
    """

    name: str
    of: str | tuple[str, ...]
    field: TextField
    k: int
    version: int = 1
    maths: ClassVar[int] = 1

    def _insert(self, part: RecentsPart, entry: SequenceEntry) -> None:
        entries, value = part.entries, entry[2]
        for index, kept in enumerate(entries):
            if kept[2] == value:
                if kept >= entry:
                    if kept != entry and entry[0] > part.displaced_ms:
                        part.displaced_ms = entry[0]
                    return
                if kept[0] > part.displaced_ms:
                    part.displaced_ms = kept[0]
                del entries[index]
                break
        _place(part, entry, self.k)


@dataclass(frozen=True, slots=True)
class Last(_Recents):
    """The last `k` values of `field`, newest by (event time, offset) first, repeated values included.

    zero, add, undo, merge and read as LastDistinct, without dropping repeated values.
    """

    name: str
    of: str | tuple[str, ...]
    field: TextField
    k: int
    version: int = 1
    maths: ClassVar[int] = 1

    def _insert(self, part: RecentsPart, entry: SequenceEntry) -> None:
        _place(part, entry, self.k)


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
        return Bound("string_list", _read(index, measure), f"last {measure.k} of {self.measure}", (self.measure,))


def _place(part: RecentsPart, entry: SequenceEntry, k: int) -> None:
    entries = part.entries
    if not entries or entry > entries[0]:  # the usual event: newer than all others
        entries.insert(0, entry)
    else:
        place = 1
        while place < len(entries) and entries[place] > entry:
            place += 1
        entries.insert(place, entry)
    if len(entries) > k:
        part.displaced_ms = max(part.displaced_ms, entries.pop()[0])


def _read(index: int, measure: _Recents) -> Read:
    def read(reading: Reading) -> Answer:
        part = reading.state.parts[index]
        assert isinstance(part, RecentsPart)
        if reading.looks_back:
            values = [entry[2] for entry in part.entries if entry[0] <= reading.now_ms]
            if len(values) < len(part.entries) and part.displaced_ms:
                return Answer(list(values), True, "what was displaced after that moment is missing")
        else:
            values = [entry[2] for entry in part.entries]
        if part.doubt_ms and measure.in_doubt(part):
            return Answer(list(values), True, "an entry was taken out and what it displaced is not known any more")
        return Answer(list(values))

    return read
