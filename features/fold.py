"""Fold one record of the log into a user's state. Pure: the same prefix of the log gives the same state, always."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from features import int64s
from features.adding import Adder
from features.catalogue import Catalogue
from features.cells import (
    DAY_MS,
    DAYS,
    HOURS,
    LARGEST_TOTAL,
    LAYERS,
    LONGEST_WINDOW_MS,
    MINUTES,
    add_to_counts,
    added,
    count_event,
    from_on,
    remove_if_empty,
)
from features.counting import Count, Sum
from features.definitions import ANY
from features.duplicates import (
    UNDO_CODE,
    Admitted,
    DuplicateWindow,
    check_of,
    code_of,
    id_key,
    is_unknown,
    measured_bytes,
    type_of,
)
from features.limits import ROOM_BYTES, make_room
from features.state import NOWHERE, UserState
from schemas import struct_fields
from schemas.events import WIRE_TYPES, Event
from schemas.receipts import Position


class Outcome(StrEnum):  # a string hashes in C, and each record looks its outcome up twice
    """What became of a record."""

    FOLDED = "folded"
    DUPLICATE = "duplicate"
    LATE = "late"
    """Older than the longest window when it was appended: counted, and handed out as a side output."""
    UNDONE = "undone"
    """An undo: its original was subtracted where it had been added."""
    NOTHING_TO_UNDO = "nothing_to_undo"
    """An undo of an event that never counted, or that was undone before: changes no measure."""
    UNDO_TOO_LATE = "undo_too_late"
    """An undo of an event that the duplicate guard does not know, or no longer: handed out as a side output."""
    UNDO_MISMATCH = "undo_mismatch"
    """An undo whose fields are not those of its original: handed out as a side output."""
    REPLAYED_ORIGINAL = "replayed_original"
    """The state holds it already, as an original: other tables may still lack it."""
    REPLAYED = "replayed"
    """The state holds it already and no table needs it."""


_EVENT_ID: Final = struct_fields.place_of(Event, "event_id")
_TYPE: Final = struct_fields.place_of(Event, "type")
_EVENT_TIME: Final = struct_fields.place_of(Event, "event_time")
_MINUTES: Final = MINUTES
_HOURS: Final = HOURS
_DAYS: Final = DAYS
_LARGEST_TOTAL: Final = LARGEST_TOTAL
_UNDO_CODE: Final = UNDO_CODE
_KEPT_MS: Final = LONGEST_WINDOW_MS + DAY_MS
_ROOM_BYTES: Final = ROOM_BYTES
_ADMITTED_BYTES: Final = 40  # of an id, and of the hour that may begin with it
# A member of an enum is looked up by a call, a name of the module is not.
_FOLDED: Final = Outcome.FOLDED
_DUPLICATE: Final = Outcome.DUPLICATE
_LATE: Final = Outcome.LATE
_REPLAYED: Final = Outcome.REPLAYED
_REPLAYED_ORIGINAL: Final = Outcome.REPLAYED_ORIGINAL
_UNDONE: Final = Outcome.UNDONE
_NOTHING_TO_UNDO: Final = Outcome.NOTHING_TO_UNDO
_UNDO_TOO_LATE: Final = Outcome.UNDO_TOO_LATE
_UNDO_MISMATCH: Final = Outcome.UNDO_MISMATCH


@dataclass  # with slots where it is compiled, see fold.pxd
class _Plan:
    """What one event type changes, looked up in advance."""

    code: int
    counts: array[int]
    """Which totals of a cell grow by one."""
    sums: tuple[tuple[int, Sum], ...]
    """Which grow by an amount."""
    adders: tuple[Adder, ...]
    event_bytes: int
    """What one event can add to the packed state at most, apart from its texts and new cells."""
    text_copies: int


class Folder:
    """Folds events by one catalogue; made once, because it looks up the measures of each event type in advance."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._plans: dict[str, _Plan] = {event_type: _plan(catalogue, event_type) for event_type in WIRE_TYPES}
        self._other_plan = _plan(catalogue, ANY)
        self._cell_bytes = 9 + len(catalogue.cell_measures)  # its index and zeros

    def fold(self, state: UserState, event: Event, position: Position, append_ms: int) -> Outcome:
        """Fold the record at `position`, which the broker appended at `append_ms`.

        Version: max(previous + 1, append time in us), for each record and not for each flush, so that one version
        always means one prefix of the log.
        """
        if type(event) is not Event:
            raise TypeError(f"{event!r} is not an Event")
        event_id: str = struct_fields.at(event, _EVENT_ID)
        event_type: str = struct_fields.at(event, _TYPE)
        time_ms: int = struct_fields.at(event, _EVENT_TIME)
        epoch, offset = position.epoch, position.offset
        key = id_key(event_id)
        if epoch > state.epoch:
            if state.epoch != NOWHERE:
                self._start_epoch(state)
        elif (epoch < state.epoch or offset <= state.offset) and state.holds(position):
            original = state.duplicates.holds(key, offset)
            return _REPLAYED_ORIGINAL if original else _REPLAYED
        state.epoch, state.partition, state.offset = epoch, position.partition, offset
        version = append_ms * 1000
        state.version = version if version > state.version else state.version + 1
        if append_ms > state.append_ms:
            state.append_ms = append_ms
        if time_ms < append_ms - _KEPT_MS:
            state.late_events += 1
            return _LATE
        measured = measured_bytes(event)
        check = check_of(measured)
        plan = self._plans.get(event_type, self._other_plan)
        if plan.code == _UNDO_CODE:
            return self._undo(state, event, key, check, offset, append_ms)
        if not state.duplicates.admit(key, offset, append_ms, time_ms, plan.code, check):
            state.duplicate_events += 1
            return _DUPLICATE
        state.cover(time_ms)
        latest_ms, parts, new_cells = state.append_ms, state.parts, 0
        if len(plan.counts) or plan.sums:
            new_cells = _add_to_cells(state, plan, event, time_ms, latest_ms)
        for adder in plan.adders:
            adder.add(parts[adder.place], event, time_ms, offset, latest_ms)
        self._grow(state, plan.event_bytes + new_cells * self._cell_bytes + len(measured) * plan.text_copies)
        return _FOLDED

    def _grow(self, state: UserState, size_bytes: int) -> None:
        """Note by how much more the state may pack to at most, and make room where it is too much."""
        state.size_bound += size_bytes
        if state.size_bound > _ROOM_BYTES:
            make_room(state, self._catalogue)

    def _start_epoch(self, state: UserState) -> None:
        state.start_epoch()
        for part, measure in zip(state.parts, self._catalogue.part_measures, strict=True):
            measure.start_epoch(part)

    def _undo(self, state: UserState, undo: Event, key: int, check: int, offset: int, append_ms: int) -> Outcome:
        window = state.duplicates
        if window.find(key) is not None:
            state.duplicate_events += 1
            return _DUPLICATE
        window.advance(offset, append_ms)
        original = _original(window, undo, check)
        if original is _UNDO_TOO_LATE or original is _UNDO_MISMATCH:
            return original
        if isinstance(original, Admitted):
            self._take_back(state, undo, original)  # first, for to admit the undo may forget the original
        window.admit(key, offset, append_ms, undo.event_time, _UNDO_CODE, check)
        state.cover(undo.event_time)
        self._grow(state, self._other_plan.event_bytes)
        return _UNDONE if isinstance(original, Admitted) else original

    def _take_back(self, state: UserState, undo: Event, original: Admitted) -> None:
        """Subtract the original, with its own time and type, from every measure that has counted it."""
        assert undo.undoes is not None
        state.duplicates.mark_undone(id_key(undo.undoes))
        original_type = type_of(original.code)
        assert original_type is not None
        plan = self._plans.get(original_type, self._other_plan)
        offset, time_ms = original.offset, original.time_ms
        counted = [offset >= since for since in state.counts_from_offsets]
        _take_from_cells(state, plan, counted, undo, time_ms)
        parts, first_part = state.parts, len(self._catalogue.cell_measures)
        for adder in plan.adders:
            if counted[first_part + adder.place]:
                adder.undo(parts[adder.place], undo, time_ms, offset)
        state.undone_events += 1
        state.size_bound += plan.event_bytes


def _original(window: DuplicateWindow, undo: Event, check: int) -> Admitted | Outcome:
    """What is known of the event that `undo` names, or why there is nothing to take back."""
    assert undo.undoes is not None
    admitted = window.find(id_key(undo.undoes))
    if admitted is None:
        return _UNDO_TOO_LATE if window.forgot else _NOTHING_TO_UNDO
    if is_unknown(admitted.code):
        return _UNDO_TOO_LATE
    if type_of(admitted.code) is None:
        return _NOTHING_TO_UNDO
    return admitted if admitted.check == check else _UNDO_MISMATCH


def _add_to_cells(state: UserState, plan: _Plan, event: Event, time_ms: int, append_ms: int) -> int:
    """Count the event in its cell of each layer; the number of cells that were made for it."""
    minutes, hours, days, width = state.minutes, state.hours, state.days, state.cell_width
    before = len(minutes) + len(hours) + len(days)
    minute = count_event(minutes, width, _MINUTES, time_ms, append_ms, plan.counts)
    hour = count_event(hours, width, _HOURS, time_ms, append_ms, plan.counts)
    day = count_event(days, width, _DAYS, time_ms, append_ms, plan.counts)
    if plan.sums:
        amounts = [(slot, measure.amount(event)) for slot, measure in plan.sums]
        _add_to_sums(state, minutes, minute, amounts)
        _add_to_sums(state, hours, hour, amounts)
        _add_to_sums(state, days, day, amounts)
    return (len(minutes) + len(hours) + len(days) - before) // width


def _take_from_cells(state: UserState, plan: _Plan, counted: list[bool], event: Event, time_ms: int) -> None:
    """Take the event out of its cell of each layer, for the measures that counted it; a cell without anything goes."""
    counts = int64s.of([slot for slot in plan.counts if counted[slot]])
    amounts = [(slot, -measure.amount(event)) for slot, measure in plan.sums if counted[slot]]
    for layer, numbers in zip(LAYERS, (state.minutes, state.hours, state.days), strict=True):
        index = time_ms // layer.hop_ms
        place = from_on(numbers, state.cell_width, index)
        if int64s.is_at(numbers, place, index):  # else it was dropped since, or never kept: no read needs it
            add_to_counts(numbers, place, counts, -1)
            _add_to_sums(state, numbers, place, amounts)
            remove_if_empty(numbers, state.cell_width, place)


def _add_to_sums(state: UserState, numbers: array[int], place: int, amounts: list[tuple[int, int]]) -> None:
    """Add to sums of the cell that begins there; without one the place is -1."""
    if place < 0:
        return
    totals = place + 1
    for slot, amount in amounts:
        total = added(int64s.at(numbers, totals + slot), amount)
        int64s.put(numbers, totals + slot, total)
        if not -_LARGEST_TOTAL < total < _LARGEST_TOTAL:
            state.sums_stopped = True


def _plan(catalogue: Catalogue, event_type: str) -> _Plan:
    cells = [
        (slot, measure)
        for slot, measure in enumerate(catalogue.cell_measures)
        if {event_type, ANY} & set(measure.event_types())
    ]
    parts = [
        (place, measure)
        for place, measure in enumerate(catalogue.part_measures)
        if {event_type, ANY} & set(measure.event_types())
    ]
    counts = [slot for slot, measure in cells if isinstance(measure, Count)]
    sums = tuple((slot, measure) for slot, measure in cells if isinstance(measure, Sum))
    adders = tuple(measure.adder(event_type) for _, measure in parts)
    for (place, _), adder in zip(parts, adders, strict=True):
        adder.place = place
    return _Plan(
        code_of(event_type),
        int64s.of(counts),
        sums,
        adders,
        event_bytes=_ADMITTED_BYTES
        + len(LAYERS) * (2 * len(counts) + 8 * len(sums))  # a count that grows takes up to 2 more, a sum up to 8
        + sum(measure.bytes_per_event for _, measure in parts),
        text_copies=len(parts),
    )
