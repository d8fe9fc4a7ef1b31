"""A record as Kafka delivers it, and its judgement: an event to fold, or a reason for the dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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

Readable = tuple[LogRecord, Event]
"""A record that holds an event, and the event."""

_TIMESTAMP: Final = struct_fields.place_of(LogRecord, "timestamp")
_KEY: Final = struct_fields.place_of(LogRecord, "key")
_VALUE: Final = struct_fields.place_of(LogRecord, "value")
_EVENT_TIME: Final = struct_fields.place_of(Event, "event_time")


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


def read(records: Sequence[LogRecord]) -> tuple[list[Readable], list[DeadLetter]]:
    """Decode the records. A poison record never touches its neighbours. Raises TypeError as `value_bytes` does."""
    events = decode_records(_values(records))
    if events is not None:
        readable = _readable(records, events)
        if readable is not None:
            return readable, []
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


def _readable(records: Sequence[LogRecord], events: list[Event]) -> list[Readable] | None:
    """Each record with its event; None if one lies too far ahead."""
    readable: list[Readable] = []
    for index, record in enumerate(records):
        event = events[index]
        if _is_in_the_future(record, event):
            return None
        readable.append((record, event))
    return readable


def _read_one_by_one(records: Sequence[LogRecord]) -> tuple[list[Readable], list[DeadLetter]]:
    readable: list[Readable] = []
    poison: list[DeadLetter] = []
    for record in records:
        result = _read_one(record)
        if isinstance(result, DeadLetter):
            poison.append(result)
        else:
            readable.append((record, result))
    return readable, poison


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
