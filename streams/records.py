"""A record as Kafka delivers it, and its judgement: an event to fold, or a reason for the dead letters."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from runtime.delivery import LogRecord
from schemas import struct_fields
from schemas.events import Event, decode_record, decode_records

DeadLetterCode = Literal[
    "EMPTY",
    "NOT_JSON",
    "WRONG_SHAPE",
    "WRONG_PARTITION",
    "IN_THE_FUTURE",
    "TOO_OLD",
    "UNDO_TOO_LATE",
    "UNDO_MISMATCH",
    "FOLD_FAILED",
]

# The API tolerates 5 minutes by its own clock; a day more than covers clocks that differ between API and broker.
_MAX_AHEAD_MS: Final = 86_400_000

_TIMESTAMP: Final = struct_fields.place_of(LogRecord, "timestamp")
_KEY: Final = struct_fields.place_of(LogRecord, "key")
_VALUE: Final = struct_fields.place_of(LogRecord, "value")
_EVENT_TIME: Final = struct_fields.place_of(Event, "event_time")
_USER_ID: Final = struct_fields.place_of(Event, "user_id")


@dataclass(frozen=True, slots=True)
class Readable:
    """Records that hold an event each, in order, and beside them the events: pairs would be objects more."""

    records: Sequence[LogRecord]
    events: list[Event]
    users: dict[str, None] = field(init=False)
    """The users of the events, each once."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "users", _users_of(self.events))

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[tuple[LogRecord, Event]]:
        return zip(self.records, self.events, strict=True)

    def without(self, offsets: Collection[int]) -> Readable:
        """All others than the records at these offsets."""
        left = [(record, event) for record, event in self if record.offset not in offsets]
        return Readable([record for record, _ in left], [event for _, event in left])


def _users_of(events: list[Event]) -> dict[str, None]:
    users: dict[str, None] = {}
    for event in events:
        users[struct_fields.at(event, _USER_ID)] = None
    return users


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that cannot be folded, and why."""

    record: LogRecord
    code: DeadLetterCode
    message: str
    stage: Literal["decode", "fold"] = "decode"


def value_bytes(records: Sequence[LogRecord]) -> int:
    """Of all of them together. Raises TypeError unless each is a LogRecord."""
    total = 0
    for value in _values(records):
        total += 0 if value is None else len(value)
    return total


def events_by_key(records: Sequence[LogRecord]) -> dict[bytes | None, int]:
    """How many records each key has; the keys of events are the users' ids. Raises TypeError as `value_bytes` does."""
    events_of: dict[bytes | None, int] = {}
    for record in records:
        _refuse_others(record)
        key: bytes | None = struct_fields.at(record, _KEY)
        events_of[key] = events_of.get(key, 0) + 1
    return events_of


def read(records: Sequence[LogRecord]) -> tuple[Readable, list[DeadLetter]]:
    """Decode the records. A poison record never touches its neighbours. Raises TypeError as `value_bytes` does."""
    events = decode_records(_values(records))
    if events is not None and not _count_in_the_future(records, events):
        return Readable(records, events), []
    return _read_one_by_one(records)


def _values(records: Sequence[LogRecord]) -> list[bytes | None]:
    values: list[bytes | None] = []
    for record in records:
        _refuse_others(record)
        values.append(struct_fields.at(record, _VALUE))
    return values


def _refuse_others(record: LogRecord) -> None:
    if type(record) is not LogRecord:
        raise TypeError(f"{record!r} is no LogRecord")


def _count_in_the_future(records: Sequence[LogRecord], events: list[Event]) -> int:
    count = 0
    for index, record in enumerate(records):
        count += _is_in_the_future(record, events[index])
    return count


def _read_one_by_one(records: Sequence[LogRecord]) -> tuple[Readable, list[DeadLetter]]:
    readable: list[LogRecord] = []
    events: list[Event] = []
    poison: list[DeadLetter] = []
    for record in records:
        result = _read_one(record)
        if isinstance(result, DeadLetter):
            poison.append(result)
        else:
            readable.append(record)
            events.append(result)
    return Readable(readable, events), poison


def _read_one(record: LogRecord) -> Event | DeadLetter:
    if record.value is None:
        return DeadLetter(record, "EMPTY", "the record has no value")
    try:
        event = decode_record(record.value)
    except (msgspec.ValidationError, ValueError) as error:
        code: DeadLetterCode = "NOT_JSON" if _is_syntax_error(error) else "WRONG_SHAPE"
        return DeadLetter(record, code, str(error))
    except RecursionError:
        return DeadLetter(record, "WRONG_SHAPE", "nested too deeply to be decoded")
    if _is_in_the_future(record, event):
        return DeadLetter(record, "IN_THE_FUTURE", f"eventTime {event.event_time} is more than a day ahead of the log")
    return event


def _is_in_the_future(record: LogRecord, event: Event) -> bool:
    event_time: int = struct_fields.at(event, _EVENT_TIME)
    timestamp: int = struct_fields.at(record, _TIMESTAMP)
    return event_time - _MAX_AHEAD_MS > timestamp


def _is_syntax_error(error: Exception) -> bool:
    # msgspec.ValidationError is a DecodeError for well-formed JSON of another shape.
    return isinstance(error, UnicodeDecodeError) or (
        isinstance(error, msgspec.DecodeError) and not isinstance(error, msgspec.ValidationError)
    )
