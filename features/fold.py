"""Fold one record of the log into a user's state. Pure: the same prefix of the log gives the same state, always."""

from __future__ import annotations

from enum import Enum

from features import cells
from features.catalogue import Catalogue, Count, LastDistinct
from features.cells import LONGEST_WINDOW_MS
from features.duplicates import id_key
from features.state import SequenceEntry, UserState
from schemas.events import Event
from schemas.receipts import Position


class Outcome(Enum):
    """What became of a record."""

    FOLDED = "folded"
    DUPLICATE = "duplicate"
    LATE = "late"
    """Older than the longest window when it was appended: counted, and handed out as a side output."""
    REPLAYED_ORIGINAL = "replayed_original"
    """The state holds it already, as an original: other tables may still lack it."""
    REPLAYED = "replayed"
    """The state holds it already and no table needs it."""


class Folder:
    """Folds events by one catalogue; made once, because it looks up the measures of each event type in advance."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._width = len(catalogue.cell_measures)
        self._cell_plan: dict[str, list[tuple[int, str | None]]] = {}
        for slot, measure in enumerate(catalogue.cell_measures):
            value_field = None if isinstance(measure, Count) else measure.value
            self._cell_plan.setdefault(measure.of, []).append((slot, value_field))
        self._sequence_plan: dict[str, list[tuple[int, LastDistinct]]] = {}
        for slot, sequence in enumerate(catalogue.sequences):
            self._sequence_plan.setdefault(sequence.of, []).append((slot, sequence))

    def fold(self, state: UserState, event: Event, position: Position, append_ms: int) -> Outcome:
        """Fold the record at `position`, which the broker appended at `append_ms`.

        Version: max(previous + 1, append time in us), for each record and not for each flush, so that one version
        always means one prefix of the log.
        """
        key = id_key(event.event_id)
        if position.reached_by(state.position):
            original = state.duplicates.holds(key, position.offset)
            return Outcome.REPLAYED_ORIGINAL if original else Outcome.REPLAYED
        if state.position is not None and position.epoch > state.position.epoch:
            state.duplicates.start_epoch()
        state.position = position
        state.version = max(state.version + 1, append_ms * 1000)
        state.append_ms = max(state.append_ms, append_ms)
        if event.event_time < append_ms - LONGEST_WINDOW_MS - cells.DAY_MS:
            state.late_events += 1
            return Outcome.LATE
        if not state.duplicates.admit(key, position.offset, append_ms):
            state.duplicate_events += 1
            return Outcome.DUPLICATE
        self._count(state, event, position.offset)
        return Outcome.FOLDED

    def _count(self, state: UserState, event: Event, offset: int) -> None:
        time_ms = event.event_time
        if state.first_event_ms is None or time_ms < state.first_event_ms:
            state.first_event_ms = time_ms
        if state.last_event_ms is None or time_ms > state.last_event_ms:
            state.last_event_ms = time_ms
        for slot, value_field in self._cell_plan.get(event.type, ()):
            amount = 1 if value_field is None else getattr(event, value_field)
            if amount is not None:
                cells.add(state.cells, time_ms, slot, amount, self._width)
        for slot, sequence in self._sequence_plan.get(event.type, ()):
            value = getattr(event, sequence.field)
            if value is not None:
                remember(state.sequences[slot], (time_ms, offset, value), sequence.k)


def remember(entries: list[SequenceEntry], entry: SequenceEntry, k: int) -> None:
    """Keep the `k` newest distinct values, newest by (event time, offset) first."""
    for index, kept in enumerate(entries):
        if kept[2] == entry[2]:
            if kept >= entry:
                return
            del entries[index]
            break
    place = 0
    while place < len(entries) and entries[place][:2] > entry[:2]:
        place += 1
    entries.insert(place, entry)
    del entries[k:]
