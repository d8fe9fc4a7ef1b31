"""Sessions: maximal runs of events with gaps of at most the session gap, by event time."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

import msgspec

from features.cells import HOURS, parse_window
from features.checks import check_types, types_of, window_of
from features.counting import past_answer
from features.definitions import (
    ANY,
    Add,
    Answer,
    Base,
    Bound,
    CatalogueError,
    Measures,
    Part,
    PartMeasure,
    Read,
)
from features.reading import Reading
from schemas.events import Event

LONGEST_GAP_MS: Final = 86_400_000
SHORTEST_GAP_MS: Final = 15 * 60_000  # 7 days hold at most 672 gaps of it, some 10 bytes each

Run = list[int]
"""[start ms, end ms, events, doubt]; doubt is 1 once an undo made the borders uncertain."""
_START, _END, _EVENTS, _DOUBT = range(4)
_gap_ms = functools.cache(parse_window)


class SessionsPart(msgspec.Struct, array_like=True, gc=False):
    """Runs, oldest first, more than a gap apart."""

    runs: list[Run]


class SessionsWire(msgspec.Struct, array_like=True, gc=False):
    """Per run: ms from its end to the base, its length in ms, events x 2 + doubt."""

    numbers: list[int]


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
        return SessionsPart([])

    def adder(self) -> Add[SessionsPart]:
        """See PartMeasure."""
        gap_ms = self.gap_ms

        def add(part: SessionsPart, event: Event, offset: int, append_ms: int) -> None:
            runs, time_ms = part.runs, event.event_time
            if runs:
                last = runs[-1]
                if last[_END] <= time_ms <= last[_END] + gap_ms:  # the usual event: in order, in the current session
                    last[_END] = time_ms
                    last[_EVENTS] += 1
                    return
            _join(runs, time_ms, gap_ms, HOURS.oldest_cell(append_ms) * HOURS.hop_ms)

        return add

    def undo(self, part: SessionsPart, event: Event, offset: int, append_ms: int) -> None:
        """See PartMeasure."""
        time_ms = event.event_time
        for index in range(len(part.runs) - 1, -1, -1):
            run = part.runs[index]
            if run[_START] <= time_ms <= run[_END]:
                run[_EVENTS] -= 1
                if run[_EVENTS] <= 0:
                    del part.runs[index]
                elif time_ms in (run[_START], run[_END]) or run[_END] - run[_START] > self.gap_ms:
                    run[_DOUBT] = 1
                return

    def merge(self, left: SessionsPart, right: SessionsPart) -> SessionsPart:
        """See PartMeasure."""
        merged: list[Run] = []
        for run in sorted([*left.runs, *right.runs]):
            if merged and run[_START] - merged[-1][_END] <= self.gap_ms:
                last = merged[-1]
                last[_END] = max(last[_END], run[_END])
                last[_EVENTS] += run[_EVENTS]
                last[_DOUBT] |= run[_DOUBT]
            else:
                merged.append(list(run))
        return SessionsPart(merged)

    def to_wire(self, part: SessionsPart, base: Base) -> SessionsWire:
        """See PartMeasure."""
        numbers: list[int] = []
        for start_ms, end_ms, events, doubt in part.runs:
            numbers += (base.append_ms - end_ms, end_ms - start_ms, events * 2 + doubt)
        return SessionsWire(numbers)

    def from_wire(self, wire: Part, base: Base) -> SessionsPart:
        """See PartMeasure."""
        assert isinstance(wire, SessionsWire)
        runs: list[Run] = []
        numbers = iter(wire.numbers)
        for age_ms, length_ms, events in zip(numbers, numbers, numbers, strict=True):
            end_ms = base.append_ms - age_ms
            runs.append([end_ms - length_ms, end_ms, events >> 1, events & 1])
        return SessionsPart(runs)


def _join(runs: list[Run], time_ms: int, gap_ms: int, oldest_ms: int) -> None:
    """Make one run of the event and every run within a gap of it, and drop the runs that ended before `oldest_ms`."""
    after = len(runs)
    while after and runs[after - 1][_START] > time_ms + gap_ms:
        after -= 1
    before = after
    joined = [time_ms, time_ms, 1, 0]
    while before and runs[before - 1][_END] >= time_ms - gap_ms:
        before -= 1
        run = runs[before]
        joined[_START] = min(joined[_START], run[_START])
        joined[_END] = max(joined[_END], run[_END])
        joined[_EVENTS] += run[_EVENTS]
        joined[_DOUBT] |= run[_DOUBT]
    runs[before:after] = [joined]
    while runs and runs[0][_END] < oldest_ms:
        del runs[0]


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
        read = _read_current(index, measure.gap_ms, _length_seconds)
        return Bound("int", read, f"last - first event of the current session (gap {measure.gap})", (self.measure,))


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
        read = _read_current(index, measure.gap_ms, _events)
        return Bound("int", read, f"events of the current session (gap {measure.gap})", (self.measure,))


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
        formula = f"sessions of {self.measure} whose last event is in the window"
        return Bound("int", _read_count(index, window_ms), formula, (self.measure,), window_ms, hop_ms=HOURS.hop_ms)


def _length_seconds(run: Run) -> int:
    return (run[_END] - run[_START]) // 1000


def _events(run: Run) -> int:
    return run[_EVENTS]


_UNCERTAIN = "an undone event may have moved a border of the session"


def _runs(reading: Reading, index: int) -> list[Run]:
    part = reading.state.parts[index]
    assert isinstance(part, SessionsPart)
    return part.runs


def _read_current(index: int, gap_ms: int, fact: Callable[[Run], int]) -> Read:
    def read(reading: Reading) -> Answer:
        runs = _runs(reading, index)
        if reading.looks_back:
            runs = [run for run in runs if run[_START] <= reading.now_ms]
            if runs and runs[-1][_END] > reading.now_ms:
                return Answer(None, reason="the session went on after that moment and is kept as a whole")
            if reading.now_ms - gap_ms < HOURS.oldest_cell(reading.state.append_ms) * HOURS.hop_ms:
                return Answer(None, reason="sessions are kept for 7 days")
        if not runs or reading.now_ms - runs[-1][_END] > gap_ms:
            return Answer(0)
        last = runs[-1]
        return Answer(fact(last), True, _UNCERTAIN) if last[_DOUBT] else Answer(fact(last))

    return read


def _read_count(index: int, window_ms: int) -> Read:
    def read(reading: Reading) -> Answer:
        oldest_ms = reading.oldest(window_ms, HOURS) * HOURS.hop_ms
        runs = [run for run in _runs(reading, index) if run[_END] >= oldest_ms]
        if reading.looks_back:
            runs = [run for run in runs if run[_START] <= reading.now_ms]
            if not reading.holds(window_ms, HOURS):
                return past_answer(reading, window_ms, None, HOURS)
            if runs and runs[-1][_END] > reading.now_ms and runs[-1][_START] < oldest_ms:
                return Answer(len(runs), True, "a session went on after that moment and is kept as a whole")
        if any(run[_DOUBT] for run in runs):
            return Answer(len(runs), True, _UNCERTAIN)
        return Answer(len(runs))

    return read
