"""The fold of one partition, batch by batch: decode, fold, write; what is left then is to publish and acknowledge."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import structlog

from features.catalogue import Catalogue
from features.fold import Folder, Outcome
from features.packing import pack, unpack
from features.state import NOWHERE, UserState, new_state
from runtime import metrics, partitioning
from runtime.delivery import LogRecord
from schemas import struct_fields
from schemas.events import Event
from schemas.receipts import Position
from schemas.topics import EVENTS
from storage import StateRow, StoreUnavailable, TimelineRow, UserStore
from streams.announcer import FeatureAnnouncer
from streams.dead_letters import DeadLetterOffice
from streams.lane import Finish
from streams.records import DeadLetter, DeadLetterCode, Readable, read
from streams.state_cache import CacheRoom

log = structlog.get_logger()

_FOLDED: Final = Outcome.FOLDED
_USER_ID: Final = struct_fields.place_of(Event, "user_id")
_EVENT_ID: Final = struct_fields.place_of(Event, "event_id")
_TYPE: Final = struct_fields.place_of(Event, "type")
_EVENT_TIME: Final = struct_fields.place_of(Event, "event_time")
_PARTITION: Final = struct_fields.place_of(LogRecord, "partition")
_OFFSET: Final = struct_fields.place_of(LogRecord, "offset")
_TIMESTAMP: Final = struct_fields.place_of(LogRecord, "timestamp")
_VALUE: Final = struct_fields.place_of(LogRecord, "value")
_PARTITIONS: Final = EVENTS.partitions

_RETRY_SECONDS = (0.1, 0.2, 0.5, 1.0)  # then every second: a store that is down is waited for


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What the partitions of one worker share."""

    catalogue: Catalogue
    folder: Folder
    store: UserStore
    announcer: FeatureAnnouncer
    dead_letters: DeadLetterOffice
    events_epoch: int
    partition_of: Callable[[str], int]
    cache_room: CacheRoom


class _Timeline:
    """Rows that are made anew at each iteration, one after another: who writes them needs one at a time."""

    def __init__(self) -> None:
        self.records: list[LogRecord] = []
        self.events: list[Event] = []

    def __iter__(self) -> Iterator[TimelineRow]:
        return map(_timeline_row, self.records, self.events)


@dataclass(slots=True)
class _Batch:
    """What one batch changes."""

    changed: dict[str, UserState] = field(default_factory=dict)
    replayed: dict[str, UserState] = field(default_factory=dict)
    timeline: _Timeline = field(default_factory=_Timeline)
    rows: list[StateRow] = field(default_factory=list)
    refused: list[DeadLetter] = field(default_factory=list)
    outcomes: Counter[Outcome] = field(default_factory=Counter)


class _FoldFailed(Exception):
    """Folding these records, or packing what they made of their user, raised errors; the states are ruins now."""

    def __init__(self, errors: list[tuple[LogRecord, Exception]]) -> None:
        super().__init__(errors)
        self.errors = errors


class PartitionFold:
    """Folds the records of one partition; holds the states of its latest users until it is revoked."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._states = pipeline.cache_room.new_cache()

    async def fold(self, records: Sequence[LogRecord]) -> Finish:
        """Fold a batch; returns when its rows and dead letters are durable. Waits while the store is away.

        What it returns publishes the changed features as they are now, so the next batch may be folded meanwhile.
        """
        with metrics.FLUSH_SECONDS.time():
            metrics.FLUSH_RECORDS.observe(len(records))
            readable, poison = read(records)
            readable, misplaced = self._sort_out(readable)
            with self._states.in_use():
                batch = await self._fold_all(readable)
                letters = [*poison, *misplaced, *batch.refused]
                await self._pipeline.dead_letters.send(letters, good_records=len(records) - len(letters))
                await self._write(batch)
                publish, unannounced = self._prepare(batch, readable)
                # They were counted among the good records.
                await self._pipeline.dead_letters.send(unannounced, good_records=-len(unannounced))
        self._pipeline.cache_room.evict()
        return publish

    def _sort_out(self, readable: Readable) -> tuple[Readable, list[DeadLetter]]:
        """Part the records of users who belong to another partition: one that lay in two would have no order.

        All records lie in the same partition.
        """
        if not readable:
            return readable, []
        partition, partition_of = readable.records[0].partition, self._pipeline.partition_of
        new_users = [user_id for user_id in readable.users if user_id not in self._states]
        foreign = {user_id for user_id in new_users if partition_of(user_id) != partition}
        if not foreign:
            return readable, []
        misplaced = [
            DeadLetter(record, "WRONG_PARTITION", f"the partition of this user is {partition_of(event.user_id)}")
            for record, event in readable
            if event.user_id in foreign
        ]
        return readable.without({letter.record.offset for letter in misplaced}), misplaced

    async def _fold_all(self, readable: Readable) -> _Batch:
        """Fold and pack a batch; what fails is left out, and the others are folded again without it.

        That is a record whose fold raises, and all records of a user whose state then does not pack.
        """
        failed: list[DeadLetter] = []
        while True:
            await self._load(readable.users)
            try:
                batch = self._fold(readable, {user_id: self._states[user_id] for user_id in readable.users})
                self._pack(batch, readable)
            except _FoldFailed as error:
                failed += [_failed_letter("folding", record, cause) for record, cause in error.errors]
                self._states.forget(readable.users)
                readable = readable.without({record.offset for record, _ in error.errors})
            else:
                batch.refused += failed
                for outcome, count in batch.outcomes.items():
                    metrics.RECORDS.labels(outcome=_EFFECTS[outcome].metric).inc(count)
                return batch

    async def _load(self, user_ids: Collection[str]) -> None:
        """Read the states that are not held yet, all at once."""
        missing = [user_id for user_id in user_ids if user_id not in self._states]
        metrics.STATE_CACHE.labels(result="hit").inc(len(user_ids) - len(missing))
        metrics.STATE_CACHE.labels(result="miss").inc(len(missing))
        if not missing:
            return
        retries = _Retries("load states")
        while True:
            try:
                stored = await self._pipeline.store.load_states(missing)
                break
            except StoreUnavailable as error:
                await retries.wait(error)
        catalogue = self._pipeline.catalogue
        for user_id in missing:
            blob = stored.get(user_id)
            state = new_state(catalogue) if blob is None else unpack(blob, catalogue)
            self._states.put(user_id, state, len(blob or b""))

    def _fold(self, readable: Readable, states: dict[str, UserState]) -> _Batch:
        """Fold every event; nothing here waits, so a batch is folded as a whole."""
        batch = _Batch()
        _fold_into(batch, readable, states, self._pipeline.folder, self._pipeline.events_epoch)
        return batch

    def _pack(self, batch: _Batch, readable: Readable) -> None:
        """Pack every changed state."""
        errors: dict[str, Exception] = {}
        for user_id, state in batch.changed.items():
            try:
                batch.rows.append(self._row(user_id, state))
            except Exception as error:
                errors[user_id] = error
        if errors:
            raise _FoldFailed([(record, errors[e.user_id]) for record, e in readable if e.user_id in errors])

    def _prepare(self, batch: _Batch, readable: Readable) -> tuple[Finish, list[DeadLetter]]:
        """Derive and encode the features; the records of a user whose features raise go to the dead letters.

        Their rows are durable by then: such a letter asks for a repair, and replaying it publishes the features.
        """
        prepare, touched = self._pipeline.announcer.prepare, batch.replayed | batch.changed
        try:
            return prepare([*touched.items()]), []
        except Exception:
            errors: dict[str, Exception] = {}
            for user_id, state in touched.items():
                try:
                    prepare([(user_id, state)])
                except Exception as error:
                    errors[user_id] = error
            good = [(user_id, state) for user_id, state in touched.items() if user_id not in errors]
            failed = [(record, errors[event.user_id]) for record, event in readable if event.user_id in errors]
            return prepare(good), [_failed_letter("deriving features", record, cause) for record, cause in failed]

    async def _write(self, batch: _Batch) -> None:
        """Write all rows of the batch; the same rows again for as long as the store does not confirm them."""
        retries = _Retries("write rows")
        while True:
            try:
                return await self._pipeline.store.write(batch.rows, batch.timeline)
            except StoreUnavailable as error:
                await retries.wait(error)

    def _row(self, user_id: str, state: UserState) -> StateRow:
        assert state.epoch != NOWHERE
        if state.duplicates.evicted_early:
            metrics.DEDUPE_EVICTIONS.inc(state.duplicates.evicted_early)
            state.duplicates.evicted_early = 0
        packed = pack(state, self._pipeline.catalogue)
        self._states.put(user_id, state, len(packed))
        return StateRow(user_id, packed, state.version, Position(state.epoch, state.partition, state.offset))


class _Retries:
    """Waits between attempts at a store that is away, and says so."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._attempts = 0

    async def wait(self, error: StoreUnavailable) -> None:
        delay = _RETRY_SECONDS[min(self._attempts, len(_RETRY_SECONDS) - 1)]
        self._attempts += 1
        metrics.STORE_RETRIES.inc()
        log.warning("waiting for the store", to=self._what, attempts=self._attempts, reason=str(error)[:300])
        await asyncio.sleep(delay)


class _Effect(NamedTuple):
    """What an outcome means for everything around the fold."""

    metric: str
    changes_state: bool = True
    in_timeline: bool = False
    letter: tuple[DeadLetterCode, str] | None = None


_UNKNOWN_ORIGINAL: Final = "undoes an event that is not, or no longer, known: see the 24 h horizon"
_EFFECTS: Final[dict[Outcome, _Effect]] = {
    Outcome.FOLDED: _Effect("folded", in_timeline=True),
    Outcome.DUPLICATE: _Effect("duplicate"),
    Outcome.LATE: _Effect("late", letter=("TOO_OLD", "older than the longest window")),
    Outcome.UNDONE: _Effect("undone", in_timeline=True),
    Outcome.NOTHING_TO_UNDO: _Effect("nothing_to_undo", in_timeline=True),
    Outcome.UNDO_TOO_LATE: _Effect("undo_too_late", letter=("UNDO_TOO_LATE", _UNKNOWN_ORIGINAL)),
    Outcome.UNDO_MISMATCH: _Effect(
        "undo_mismatch", letter=("UNDO_MISMATCH", "the fields of the undo are not those of the event it undoes")
    ),
    Outcome.REPLAYED_ORIGINAL: _Effect("replayed", changes_state=False, in_timeline=True),
    Outcome.REPLAYED: _Effect("replayed", changes_state=False),
}


def partition_of_user(user_id: str) -> int:
    """The partition of the events topic in which all records of this user belong."""
    return partitioning.partition_of(user_id.encode(), _PARTITIONS)


def _fold_into(batch: _Batch, readable: Readable, states: dict[str, UserState], folder: Folder, epoch: int) -> None:
    """Fold every event and note in `batch` what that changes.

    Raises _FoldFailed with the first record of each user whose fold failed.
    """
    changed, folded = batch.changed, 0
    events, timeline = readable.events, batch.timeline
    in_timeline, events_in_timeline = timeline.records, timeline.events
    errors: dict[str, tuple[LogRecord, Exception]] = {}
    for index, record in enumerate(readable.records):
        event = events[index]
        user_id = struct_fields.at(event, _USER_ID)
        if user_id in errors:
            continue
        state = states[user_id]
        position = Position(epoch, struct_fields.at(record, _PARTITION), struct_fields.at(record, _OFFSET))
        try:
            outcome = folder.fold(state, event, position, struct_fields.at(record, _TIMESTAMP))
        except Exception as error:
            errors[user_id] = record, error
            continue
        if outcome is _FOLDED:
            folded += 1
            changed[user_id] = state
            in_timeline.append(record)
            events_in_timeline.append(event)
        else:
            _note(batch, outcome, record, event, state)
    if errors:
        raise _FoldFailed([*errors.values()])
    if folded:
        batch.outcomes[_FOLDED] = folded


def _note(batch: _Batch, outcome: Outcome, record: LogRecord, event: Event, state: UserState) -> None:
    """What an outcome other than the usual one changes."""
    batch.outcomes[outcome] += 1
    effect = _EFFECTS[outcome]
    (batch.changed if effect.changes_state else batch.replayed)[event.user_id] = state
    if effect.letter is not None:
        batch.refused.append(DeadLetter(record, *effect.letter, stage="fold"))
    if effect.in_timeline:
        batch.timeline.records.append(record)
        batch.timeline.events.append(event)


def _failed_letter(what: str, record: LogRecord, cause: Exception) -> DeadLetter:
    log.error(f"{what} failed", offset=record.offset, exc_info=cause)
    return DeadLetter(record, "FOLD_FAILED", f"{what}: {cause!r}", stage="fold")


def _timeline_row(record: LogRecord, event: Event) -> TimelineRow:
    # A row is never changed, so the append time in us serves as its version on every replay.
    event_id: str = struct_fields.at(event, _EVENT_ID)
    timestamp: int = struct_fields.at(record, _TIMESTAMP)
    return TimelineRow(
        struct_fields.at(event, _USER_ID),
        struct_fields.at(event, _EVENT_TIME),
        event_id.lower(),
        struct_fields.at(event, _TYPE),
        struct_fields.at(record, _VALUE),
        timestamp * 1000,
    )
