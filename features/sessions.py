# cython: annotation_typing=True
"""Sessions: maximal runs of events with gaps of at most the session gap, by event time."""

from __future__ import annotations

import functools
from array import array
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar, Final, NamedTuple

import msgspec

from features import int64s, msgpack
from features.adding import Adder, Int64, Ms, Offset
from features.cells import HOURS, parse_window
from features.checks import check_types, types_of, window_of
from features.counting import windowed_answer
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
    Wire,
)
from features.reading import Reader, Reading
from schemas.events import Event

LONGEST_GAP_MS: Final = 86_400_000
SHORTEST_GAP_MS: Final = 15 * 60_000  # 7 days hold at most 672 gaps of it, some 10 bytes each

_gap_ms = functools.cache(parse_window)


class Run(NamedTuple):
    """A run. `doubt` is 1 once an undo made its borders uncertain."""

    start_ms: int
    end_ms: int
    events: int
    doubt: int


_HOURS: Final = HOURS
_WIDTH: Final = len(Run._fields)
_PACKED_WIDTH: Final = 3
_NO_RUN: Final = Run(0, 0, 0, 0)


@dataclass  # with slots where it is compiled, see sessions.pxd
class SessionsPart:
    """Runs, more than a gap apart: the fields of the latest one, which most events belong to, and those before it.

    `earlier` has four numbers for each run, oldest run first. Without `events` there is no run at all.
    """

    earlier: array[int]
    start_ms: int = 0
    end_ms: int = 0
    events: int = 0
    doubt: int = 0

    def latest(self) -> Run:
        """The latest run."""
        return Run(self.start_ms, self.end_ms, self.events, self.doubt)

    def runs(self) -> list[Run]:
        """All runs, oldest first."""
        numbers = iter(self.earlier)
        runs = [Run(*each) for each in zip(numbers, numbers, numbers, numbers, strict=True)]
        return [*runs, self.latest()] if self.events else runs

    def keep_latest(self) -> None:
        """Put the latest run, if there is one, to the end of `earlier`."""
        if self.events:
            _insert(self.earlier, len(self.earlier), self.start_ms, self.end_ms, self.events, self.doubt)

    def take_latest(self) -> None:
        """Move the last of the runs in `earlier` to where the latest one belongs."""
        numbers = self.earlier
        last = len(numbers) - _WIDTH
        if last < 0:
            self.start_ms = self.end_ms = self.events = self.doubt = 0
            return
        self.start_ms, self.end_ms = int64s.at(numbers, last), int64s.at(numbers, last + 1)
        self.events, self.doubt = int64s.at(numbers, last + 2), int64s.at(numbers, last + 3)
        int64s.remove(numbers, last, _WIDTH)


class SessionsAdder(Adder):
    """See Sessions."""

    def __init__(self, gap_ms: int) -> None:
        self.gap_ms = gap_ms
        self.kept_ms = HOURS.longest_window_ms

    def add(self, part: Part, event: Event, time_ms: Ms, offset: Offset, append_ms: Ms) -> None:
        """See Adder."""
        own: SessionsPart = part
        is_kept = own.end_ms >= append_ms - self.kept_ms  # for certain; near the edge `_join` decides, by hours
        if is_kept and own.events and own.start_ms <= time_ms <= own.end_ms + self.gap_ms:
            own.events += 1
            if time_ms > own.end_ms:
                own.end_ms = time_ms
        else:
            _join(own, time_ms, self.gap_ms, _HOURS.oldest_cell(append_ms) * _HOURS.hop_ms)

    def undo(self, part: Part, event: Event, time_ms: Ms, offset: Offset) -> None:
        """See Adder."""
        own: SessionsPart = part
        own.keep_latest()
        _leave(own.earlier, time_ms, self.gap_ms)
        own.take_latest()


class SessionsWire(msgspec.Struct, array_like=True, gc=False):
    """An array of three numbers for each run: ms from its end to the base, its length in ms, events x 2 + doubt."""

    numbers: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Sessions(PartMeasure[SessionsPart]):
    """Runs of events of type `of` whose gaps are at most `gap`; kept for 7 days.

    zero: no runs. add: join every run within one gap of the event into one. undo: one event less; a run without events
    goes. merge: as if all events were added. read: the last run, or the runs whose last event lies in the window.
    A late event that bridges two runs joins them. Source: gap sessions as in Akidau et al., "The Dataflow Model"
    (2015). Order of events never matters. An undo at the border of a run, or inside one longer than the
    gap, cannot tell where the run now ends or whether it falls apart: the run is marked as uncertain.
    """

    name: str
    gap: str = "30m"
    of: str | tuple[str, ...] = ANY
    version: int = 1
    maths: ClassVar[int] = 1
    part_type: ClassVar[type[SessionsPart]] = SessionsPart
    bytes_per_event: ClassVar[int] = 30
    wire_type: ClassVar[type[SessionsWire]] = SessionsWire

    def event_types(self) -> tuple[str, ...]:
        """See PartMeasure."""
        return types_of(self.of)

    def check(self) -> None:
        """See PartMeasure."""
        check_types(self.name, self.event_types())
        try:
            gap_ms = parse_window(self.gap)
        except ValueError as error:
            raise CatalogueError(f"measure {self.name!r}: gap: {error}") from error
        if not SHORTEST_GAP_MS <= gap_ms <= LONGEST_GAP_MS:
            raise CatalogueError(f"measure {self.name!r}: gap is {self.gap!r}; use 15m to 1d")

    @property
    def gap_ms(self) -> int:
        """The longest pause inside a session."""
        return _gap_ms(self.gap)

    def zero(self) -> SessionsPart:
        """See PartMeasure."""
        return SessionsPart(int64s.zeros(0))

    def adder(self, event_type: str) -> SessionsAdder:
        """See PartMeasure."""
        return SessionsAdder(self.gap_ms)

    def merge(self, left: SessionsPart, right: SessionsPart) -> SessionsPart:
        """See PartMeasure."""
        joined: list[Run] = []
        for run in sorted([*left.runs(), *right.runs()]):
            if joined and run.start_ms - joined[-1].end_ms <= self.gap_ms:
                last = joined[-1]
                end_ms = max(last.end_ms, run.end_ms)
                joined[-1] = Run(last.start_ms, end_ms, last.events + run.events, last.doubt | run.doubt)
            else:
                joined.append(run)
        merged = SessionsPart(int64s.of([*chain.from_iterable(joined)]))
        merged.take_latest()
        return merged

    def put(self, part: SessionsPart, base: Base, out: bytearray) -> None:
        """See PartMeasure."""
        append_ms: Ms = base.append_ms
        numbers = part.earlier
        msgpack.put_array(out, 1)
        msgpack.put_array(out, _PACKED_WIDTH * (len(numbers) // _WIDTH + (part.events > 0)))
        for number in range(len(numbers) // _WIDTH):
            place = number * _WIDTH
            start_ms, end_ms = int64s.at(numbers, place), int64s.at(numbers, place + 1)
            _put_run(out, append_ms, start_ms, end_ms, int64s.at(numbers, place + 2), int64s.at(numbers, place + 3))
        if part.events:
            _put_run(out, append_ms, part.start_ms, part.end_ms, part.events, part.doubt)

    def from_wire(self, wire: Wire, base: Base) -> SessionsPart:
        """See PartMeasure."""
        assert isinstance(wire, SessionsWire)
        append_ms: Ms = base.append_ms
        packed = msgpack.numbers_of(bytes(wire.numbers))
        runs = len(packed) // _PACKED_WIDTH
        if len(packed) % _PACKED_WIDTH:
            raise ValueError(f"{len(packed)} numbers are not runs of {_PACKED_WIDTH} each")
        part = SessionsPart(int64s.zeros(runs * _WIDTH))
        for number in range(runs):
            place = number * _PACKED_WIDTH
            end_ms = append_ms - int64s.at(packed, place)  # of Python: what a broken state holds may pass 64 bits
            events = int64s.at(packed, place + 2)
            _put_into(part.earlier, number * _WIDTH, end_ms - int64s.at(packed, place + 1), end_ms, events)
        part.take_latest()
        return part


def _put_into(numbers: array[int], place: Int64, start_ms: Ms, end_ms: Ms, packed_events: Int64) -> None:
    int64s.put(numbers, place, start_ms)
    int64s.put(numbers, place + 1, end_ms)
    int64s.put(numbers, place + 2, packed_events >> 1)
    int64s.put(numbers, place + 3, packed_events & 1)


def _put_run(out: bytearray, append_ms: Ms, start_ms: Ms, end_ms: Ms, events: Int64, doubt: Int64) -> None:
    msgpack.put_int(out, append_ms - end_ms)
    msgpack.put_int(out, end_ms - start_ms)
    msgpack.put_int(out, events * 2 + doubt)


def _join(part: SessionsPart, time_ms: Ms, gap_ms: Ms, oldest_ms: Ms) -> None:
    """Make one run of the event and every run within a gap of it, and drop the runs that ended before `oldest_ms`."""
    part.keep_latest()
    numbers = part.earlier
    after = len(numbers)
    while after and int64s.at(numbers, after - _WIDTH) > time_ms + gap_ms:
        after -= _WIDTH
    before = after
    start_ms, end_ms, events, doubt = time_ms, time_ms, 1, 0
    reached_ms = max(time_ms - gap_ms, oldest_ms)  # what ended before is gone, whether or not it was dropped yet
    while before and int64s.at(numbers, before - _WIDTH + 1) >= reached_ms:
        before -= _WIDTH
        start_ms, end_ms = min(start_ms, int64s.at(numbers, before)), max(end_ms, int64s.at(numbers, before + 1))
        events, doubt = events + int64s.at(numbers, before + 2), doubt | int64s.at(numbers, before + 3)
    int64s.remove(numbers, before, after - before)
    _insert(numbers, before, start_ms, end_ms, events, doubt)
    dropped = 0
    while dropped < len(numbers) and int64s.at(numbers, dropped + 1) < oldest_ms:
        dropped += _WIDTH
    int64s.remove(numbers, 0, dropped)
    part.take_latest()


def _leave(numbers: array[int], time_ms: Ms, gap_ms: Ms) -> None:
    """Take an event of that time out of its run; without events the run goes."""
    place = len(numbers) - _WIDTH
    while place >= 0 and int64s.at(numbers, place) > time_ms:
        place -= _WIDTH
    if place < 0 or int64s.at(numbers, place + 1) < time_ms:
        return
    start_ms, end_ms = int64s.at(numbers, place), int64s.at(numbers, place + 1)
    events, doubt = int64s.at(numbers, place + 2), int64s.at(numbers, place + 3)
    int64s.remove(numbers, place, _WIDTH)
    if events > 1:
        doubtful = time_ms in (start_ms, end_ms) or end_ms - start_ms > gap_ms
        _insert(numbers, place, start_ms, end_ms, events - 1, doubt | doubtful)


def _insert(numbers: array[int], place: Int64, start_ms: Ms, end_ms: Ms, events: Int64, doubt: Int64) -> None:
    int64s.insert_zeros(numbers, place, _WIDTH)
    int64s.put(numbers, place, start_ms)
    int64s.put(numbers, place + 1, end_ms)
    int64s.put(numbers, place + 2, events)
    int64s.put(numbers, place + 3, doubt)


@dataclass(frozen=True, slots=True)
class SessionLength:
    """Whole seconds from the first to the last event of the current session; 0 without one.

    Current is the session whose last event is at most one gap before the moment of the read.
    """

    name: str
    measure: str
    doc: str
    version: int = 1

    def bind(self, measures: Measures) -> Bound:
        """See FeatureDefinition."""
        index, measure = measures.part(self.name, self.measure, Sessions)
        reader = SessionLengthReader(index, measure.gap_ms)
        return Bound("int", reader, f"last - first event of the current session (gap {measure.gap})", (self.measure,))


@dataclass(frozen=True, slots=True)
class SessionEvents:
    """Number of events of the current session; 0 without one."""

    name: str
    measure: str
    doc: str
    version: int = 1

    def bind(self, measures: Measures) -> Bound:
        """See FeatureDefinition."""
        index, measure = measures.part(self.name, self.measure, Sessions)
        reader = SessionEventsReader(index, measure.gap_ms)
        return Bound("int", reader, f"events of the current session (gap {measure.gap})", (self.measure,))


@dataclass(frozen=True, slots=True)
class SessionCount:
    """Number of sessions whose last event lies in the window's hourly cells."""

    name: str
    measure: str
    window: str
    doc: str
    version: int = 1

    def bind(self, measures: Measures) -> Bound:
        """See FeatureDefinition."""
        index, _ = measures.part(self.name, self.measure, Sessions)
        window_ms = window_of(self.name, self.window, longest_ms=HOURS.longest_window_ms)
        reader = SessionCountReader(index, window_ms)
        formula = f"sessions of {self.measure} whose last event is in the window"
        return Bound("int", reader, formula, (self.measure,), window_ms, hop_ms=HOURS.hop_ms)


_UNCERTAIN = "an undone event may have moved a border of the session"


class SessionReader(Reader):
    """A fact about the current session."""

    def __init__(self, index: int, gap_ms: int) -> None:
        self.index = index
        self.gap_ms = gap_ms

    def fact(self, start_ms: Ms, end_ms: Ms, events: Int64) -> Int64:
        """What is read of a session."""
        raise NotImplementedError

    def value(self, reading: Reading) -> FeatureValue:
        """See Reader."""
        part: SessionsPart = reading.state.parts[self.index]
        if not part.events or reading.now_ms - part.end_ms > self.gap_ms:
            return 0
        return self.fact(part.start_ms, part.end_ms, part.events)

    def answer(self, reading: Reading) -> Answer:
        """See Reader."""
        part: SessionsPart = reading.state.parts[self.index]
        run = part.latest()
        if reading.looks_back:
            runs = [run for run in part.runs() if run.start_ms <= reading.now_ms]
            run = runs[-1] if runs else _NO_RUN
            if run.end_ms > reading.now_ms:
                return Answer(None, reason="the session went on after that moment and is kept as a whole")
            if reading.now_ms - self.gap_ms < _HOURS.oldest_cell(reading.state.append_ms) * _HOURS.hop_ms:
                return Answer(None, reason="sessions are kept for 7 days")
        if not run.events or reading.now_ms - run.end_ms > self.gap_ms:
            return Answer(0)
        fact = self.fact(run.start_ms, run.end_ms, run.events)
        return Answer(fact, True, _UNCERTAIN) if run.doubt else Answer(fact)


class SessionLengthReader(SessionReader):
    """See SessionLength."""

    def fact(self, start_ms: Ms, end_ms: Ms, events: Int64) -> Int64:
        """See SessionReader."""
        return (end_ms - start_ms) // 1000


class SessionEventsReader(SessionReader):
    """See SessionEvents."""

    def fact(self, start_ms: Ms, end_ms: Ms, events: Int64) -> Int64:
        """See SessionReader."""
        return events


class SessionCountReader(Reader):
    """See SessionCount."""

    def __init__(self, index: int, window_ms: int) -> None:
        self.index = index
        self.window_ms = window_ms

    def value(self, reading: Reading) -> FeatureValue:
        """See Reader."""
        part: SessionsPart = reading.state.parts[self.index]
        oldest_ms = reading.oldest(self.window_ms, _HOURS) * _HOURS.hop_ms
        earlier = (len(part.earlier) - _ended_before(part.earlier, oldest_ms)) // _WIDTH
        return earlier + (part.events > 0 and part.end_ms >= oldest_ms)

    def answer(self, reading: Reading) -> Answer:
        """See Reader."""
        part: SessionsPart = reading.state.parts[self.index]
        oldest_ms = reading.oldest(self.window_ms, _HOURS) * _HOURS.hop_ms
        if reading.looks_back:
            return _count_at(reading, part, self.window_ms, oldest_ms)
        latest = part.events > 0 and part.end_ms >= oldest_ms
        if any(part.earlier[_ended_before(part.earlier, oldest_ms) + 3 :: _WIDTH]) or (latest and part.doubt):
            return Answer(self.value(reading), True, _UNCERTAIN)
        return Answer(self.value(reading))


def _ended_before(numbers: array[int], oldest_ms: Ms) -> Int64:
    """Where the runs begin that ended at that moment or later."""
    first: Int64 = 0
    while first < len(numbers) and int64s.at(numbers, first + 1) < oldest_ms:
        first += _WIDTH
    return first


def _count_at(reading: Reading, part: SessionsPart, window_ms: Ms, oldest_ms: Ms) -> Answer:
    if not reading.holds(window_ms, _HOURS):
        return windowed_answer(reading, window_ms, None, _HOURS)
    runs = [run for run in part.runs() if run.end_ms >= oldest_ms and run.start_ms <= reading.now_ms]
    if runs and runs[-1].end_ms > reading.now_ms and runs[-1].start_ms < oldest_ms:
        return Answer(len(runs), True, "a session went on after that moment and is kept as a whole")
    if any([run.doubt for run in runs]):
        return Answer(len(runs), True, _UNCERTAIN)
    return Answer(len(runs))
