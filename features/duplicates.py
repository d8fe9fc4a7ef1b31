"""The duplicate guard: a bounded window of event id -> where the event was first seen, and what an undo needs of it.

Horizon: an id is remembered for 24 hours of log time (to the hour), and at most for the user's latest 2 048 ids. A
record is original exactly if the window holds its own offset for its id, so a replay decides as the first pass did.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

import xxhash

from schemas.events import EVENT_TYPES, UNDO, Event

if TYPE_CHECKING:
    from features.packed_ids import Columns

HORIZON_HOURS: Final = 24
# More than the records of one flush (2 000), so that an id of an unacknowledged flush is never evicted. With what an
# undo needs an id takes 19 bytes: 39 of the 64 KiB that a state may have.
MAX_IDS: Final = 2_048
_AT_ONCE: Final = 64
_HOUR_MS: Final = 3_600_000
FORGOTTEN_OFFSET: Final = -1

# Codes are stored: a new event type goes to the end of EVENT_TYPES.
_CODES: Final[dict[str, int]] = {name: code for code, name in enumerate(EVENT_TYPES)}
_UNDO_CODE: Final = 125
_OTHER_CODE: Final = 126  # a type of a newer writer: only measures of any type counted it
UNKNOWN_CODE: Final = 127  # read from a format that did not remember types
_UNDONE: Final = 128
_hash_of: Final = xxhash.xxh3_64_intdigest
_EMPTY: Final = "\0"  # an empty text is a value, no text is none

AdmittedFields = tuple[int, int, int, int]
"""The fields of Admitted as a plain tuple, which is made in a fifth of the time."""


class Admitted(NamedTuple):
    """What is remembered of an event. `code`: its type and whether it was undone; `check`: of the measured fields."""

    offset: int
    time_ms: int
    code: int
    check: int


def id_key(event_id: str) -> int:
    """64-bit key of an event id. Within one user's window a chance collision has odds below 1e-12."""
    return _hash_of(event_id.lower().encode())


def measured_bytes(event: Event) -> bytes:
    """The fields that measures can read."""
    category, search_term, currency = event.category, event.search_term, event.currency
    text = (
        f"{event.item_id or ''}\n{'' if category is None else category or _EMPTY}\n"
        f"{'' if search_term is None else search_term or _EMPTY}\n{event.list_id or ''}\n"
        f"{'' if currency is None else currency or _EMPTY}"
    )
    if event.value is not None or event.position is not None:
        text += f"\n{event.value}\n{event.position}"
    return text.encode()


def check_of(measured: bytes) -> int:
    """16 bits that tell an undo's fields from those of the original, but for one mistake in 65 536."""
    return _hash_of(measured) & 0xFFFF


def code_of(event_type: str) -> int:
    """One byte for the type."""
    return _UNDO_CODE if event_type == UNDO else _CODES.get(event_type, _OTHER_CODE)


def type_of(code: int) -> str | None:
    """The type that was counted under `code`; None if such an event counted nowhere or cannot be taken back."""
    if code < len(EVENT_TYPES):
        return EVENT_TYPES[code]
    return "" if code == _OTHER_CODE else None


def is_unknown(code: int) -> bool:
    """Whether an event of this code may have counted but cannot be taken back, as its type was not remembered."""
    return code == UNKNOWN_CODE


@dataclass  # with slots where it is compiled, see duplicates.pxd
class DuplicateWindow:
    """Ids in the order of their first offsets; `hours` marks where each hour of log time begins.

    `hours` alternates the number of an hour and its first offset; an id from before the first of them has left. It
    stays in `ids` until `tidy`, since a user who comes back after a day has many of them, and to take them out one by
    one is what `pack` can do for all of them at once.
    """

    ids: dict[int, AdmittedFields] = field(default_factory=dict)
    hours: list[int] = field(default_factory=list)
    forgot: bool = False
    """Whether an id ever left the window: only until then is an unknown id one that never came."""
    evicted_early: int = 0  # ids that the count limit pushed out before their 24 hours were over; not stored
    dropped: int = field(default=0, compare=False)
    """Ids that have left at the front since this object was made."""
    next_hour_ms: int = field(default=0, compare=False)
    """When the hour after the last of `hours` begins; 0 until it was looked up."""
    first_ids: list[int] = field(default_factory=list, compare=False, repr=False)
    """The oldest keys of `ids`, the very oldest last: those that the count limit pushes out next; may be empty."""
    left_packed: bool = field(default=False, compare=False)
    """The ids were not unpacked: the state is to be read alone, and `pack` refuses it."""
    columns: Columns | None = field(default=None, compare=False, repr=False)
    """See features.packed_ids; None after a change that is not at the end or the front."""

    def holds(self, key: int, offset: int) -> bool:
        """Whether the record at `offset` was the first of its id."""
        admitted = self.find(key)
        return admitted is not None and admitted.offset == offset

    def find(self, key: int) -> Admitted | None:
        """What is known of the event with this id."""
        fields = self.ids.get(key)
        return None if fields is None or self._has_left(fields) else Admitted(*fields)

    def admit(self, key: int, offset: int, append_ms: int, time_ms: int, code: int, check: int) -> bool:
        """Remember the id; False if it was seen before."""
        ids = self.ids
        if key in ids:
            if not self._has_left(ids[key]):
                return False
            self.tidy()
        if append_ms >= self.next_hour_ms:
            self.advance(offset, append_ms)
        ids[key] = (offset, time_ms, code, check)
        if len(ids) > MAX_IDS:
            self._make_room()
        return True

    def mark_undone(self, key: int) -> None:
        """Remember that the event was taken back."""
        offset, time_ms, code, check = self.ids[key]
        self.ids[key] = (offset, time_ms, code | _UNDONE, check)
        self.columns = None

    def advance(self, offset: int, append_ms: int) -> None:
        """Begin the hour of `append_ms` if it is a new one, and let the ids of hours outside the horizon leave."""
        hour, hours = append_ms // _HOUR_MS, self.hours
        if not hours or hour > hours[-2]:
            hours += (hour, offset)
            if hours[0] < hour - HORIZON_HOURS:
                self._expire(hour)
        self.next_hour_ms = (hours[-2] + 1) * _HOUR_MS

    def start_epoch(self) -> None:
        """The topic was made anew: ids stay known, their old offsets must match no new record."""
        self.tidy()
        self.ids = {key: (FORGOTTEN_OFFSET, *admitted[1:]) for key, admitted in self.ids.items()}
        self.hours[:] = [self.hours[-2], FORGOTTEN_OFFSET] if self.hours else []
        self.columns = None

    def tidy(self) -> None:
        """Take the ids out that have left."""
        self.first_ids.clear()
        gone = []
        for key, admitted in self.ids.items():
            if not self._has_left(admitted):
                break
            gone.append(key)
        for key in gone:
            del self.ids[key]
        self.dropped += len(gone)

    def _make_room(self) -> None:
        """Take out all that has left if the oldest id has, or else that one."""
        if not self.first_ids:  # many at once: to find the first key of a dict takes time for all that it once had
            self.first_ids = [*islice(self.ids, _AT_ONCE)][::-1]
        if self._has_left(self.ids[self.first_ids[-1]]):
            self.tidy()
            return
        del self.ids[self.first_ids.pop()]
        self.dropped += 1
        self.evicted_early += 1
        self.forgot = True

    def _has_left(self, admitted: AdmittedFields) -> bool:
        """Offsets in `ids` rise, those that were forgotten first."""
        return bool(self.hours) and admitted[0] < self.hours[1]

    def _expire(self, hour: int) -> None:
        """Drop the hours that lie wholly outside the horizon."""
        kept = 0
        while self.hours[kept] < hour - HORIZON_HOURS:
            kept += 2
        del self.hours[:kept]
        if not self.forgot:
            oldest = next(iter(self.ids.values()), None)
            self.forgot = oldest is not None and self._has_left(oldest)
