"""A record as Kafka delivers it, and its judgement: an event to fold, or a reason for the dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import msgspec

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
MAX_AHEAD_MS: Final = 86_400_000


class Record(Protocol):
    """What we need of a record that a consumer reads. `timestamp` is the broker's LogAppendTime in ms."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


Readable = tuple[Record, Event]
"""A record that holds an event, and the event."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that cannot be folded, and why."""

    record: Record
    code: DeadLetterCode
    message: str
    stage: Literal["decode", "fold"] = "decode"


def read(records: Sequence[Record]) -> tuple[list[Readable], list[DeadLetter]]:
    """Decode the records. A poison record never touches its neighbours."""
    events = decode_records([record.value for record in records])
    if events is not None and not any(map(_is_in_the_future, records, events)):
        return [*zip(records, events, strict=True)], []
    readable: list[Readable] = []
    poison: list[DeadLetter] = []
    for record in records:
        result = _read_one(record)
        if isinstance(result, DeadLetter):
            poison.append(result)
        else:
            readable.append((record, result))
    return readable, poison


def _read_one(record: Record) -> Event | DeadLetter:
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


def _is_in_the_future(record: Record, event: Event) -> bool:
    return event.event_time > record.timestamp + MAX_AHEAD_MS


def _is_syntax_error(error: Exception) -> bool:
    # msgspec.ValidationError is a DecodeError for well-formed JSON of another shape.
    return isinstance(error, UnicodeDecodeError) or (
        isinstance(error, msgspec.DecodeError) and not isinstance(error, msgspec.ValidationError)
    )
