"""The duplicate guard: a bounded window of event id -> where the event was first seen, and what an undo needs of it.

Horizon: an id is remembered for 24 hours of log time (to the hour), and at most for the user's latest 2 048 ids. A
record is original exactly if the window holds its own offset for its id, so a replay decides as the first pass did.
"""

from __future__ import annotations

from array import array
from typing import Final, NamedTuple

from features import int64s, uint16s, utf8, xxh3
from schemas import struct_fields
from schemas.events import EVENT_TYPES, UNDO, Event

HORIZON_HOURS: Final = 24
# A flush has at most as many events of a user (`streams/lane.py`), so it evicts none of its own ids by their number.
# With what an undo needs an id takes 19 bytes: 39 of the 64 KiB that a state may have.
MAX_IDS: Final = 2_048
_HORIZON_HOURS: Final = HORIZON_HOURS
_HOUR_MS: Final = 3_600_000
FORGOTTEN_OFFSET: Final = -1

# Codes are stored: a new event type goes to the end of EVENT_TYPES.
_CODES: Final[dict[str, int]] = {name: code for code, name in enumerate(EVENT_TYPES)}
UNDO_CODE: Final = 125
_OTHER_CODE: Final = 126  # a type of a newer writer: only measures of any type counted it
UNKNOWN_CODE: Final = 127  # read from a format that did not remember types
_UNDONE: Final = 128
_ITEM_ID: Final = struct_fields.place_of(Event, "item_id")
_CATEGORY: Final = struct_fields.place_of(Event, "category")
_VALUE: Final = struct_fields.place_of(Event, "value")
_CURRENCY: Final = struct_fields.place_of(Event, "currency")
_SEARCH_TERM: Final = struct_fields.place_of(Event, "search_term")
_LIST_ID: Final = struct_fields.place_of(Event, "list_id")
_POSITION: Final = struct_fields.place_of(Event, "position")
_EMPTY: Final = "\0"  # an empty text is a value, no text is none
WIDTH: Final = 5
"""Numbers of each id in `DuplicateWindow.ids`."""
_WIDTH: Final = WIDTH
_MOST_NUMBERS: Final = MAX_IDS * WIDTH
_FEWEST_SLOTS: Final = 16
_MOST_NOTED: Final = 2**14  # so that a table has 2^16 slots at most, of which half are taken


class Admitted(NamedTuple):
    """What is remembered of an event. `code`: its type and whether it was undone; `check`: of the measured fields."""

    offset: int
    time_ms: int
    code: int
    check: int


def id_key(event_id: str) -> int:
    """64-bit key of an event id, signed. Within one user's window a chance collision has odds below 1e-12."""
    hashed, sign = xxh3.of_lowered(event_id), 2**63
    return (hashed ^ sign) - sign


def measured_bytes(event: Event) -> bytes:
    """The fields that measures can read."""
    item: str | None = struct_fields.at(event, _ITEM_ID)
    in_list: str | None = struct_fields.at(event, _LIST_ID)
    measured = utf8.lines(
        "" if item is None else item,
        _shown(struct_fields.at(event, _CATEGORY)),
        _shown(struct_fields.at(event, _SEARCH_TERM)),
        "" if in_list is None else in_list,
        _shown(struct_fields.at(event, _CURRENCY)),
    )
    value, position = struct_fields.at(event, _VALUE), struct_fields.at(event, _POSITION)
    if value is not None or position is not None:
        measured += f"\n{value}\n{position}".encode()
    return measured


def _shown(text: str | None) -> str:
    return "" if text is None else text if len(text) else _EMPTY


def check_of(measured: bytes) -> int:
    """16 bits that tell an undo's fields from those of the original, but for one mistake in 65 536."""
    hashed = xxh3.of_bytes(measured)
    return hashed & 0xFFFF


def code_of(event_type: str) -> int:
    """One byte for the type."""
    return UNDO_CODE if event_type == UNDO else _CODES.get(event_type, _OTHER_CODE)


def type_of(code: int) -> str | None:
    """The type that was counted under `code`; None if such an event counted nowhere or cannot be taken back."""
    if code < len(EVENT_TYPES):
        return EVENT_TYPES[code]
    return "" if code == _OTHER_CODE else None


def is_unknown(code: int) -> bool:
    """Whether an event of this code may have counted but cannot be taken back, as its type was not remembered."""
    return code == UNKNOWN_CODE


class DuplicateWindow:  # with slots where it is compiled, see duplicates.pxd
    """Ids in the order of their first offsets; `hours` marks where each hour of log time begins.

    `ids` has the key of each id and the numbers of its Admitted. What lies before `begin` has left; it stays until the
    table is made anew. `hours` alternates the number of an hour and its first offset; an id from before the first of
    them has left, too, and `tidy` moves `begin` past it.

    `slots` is a hash table with open addressing (Knuth, "The Art of Computer Programming", 6.4): the number of an
    id, from 1 on, is in the slot that the lower bits of its key name, or in the next one that was free.
    """

    def __init__(
        self,
        ids: array[int] | None = None,
        hours: array[int] | None = None,
        *,
        forgot: bool = False,
        left_packed: bool = False,
    ) -> None:
        self.ids = int64s.zeros(0) if ids is None else ids
        self.hours = int64s.zeros(0) if hours is None else hours
        self.forgot = forgot
        """Whether an id ever left the window: only until then is an unknown id one that never came."""
        self.left_packed = left_packed
        """The ids were not unpacked: the state is to be read alone, and `pack` refuses it."""
        self.evicted_early = 0
        """Ids that the count limit pushed out before their 24 hours were over; not stored."""
        self.begin = 0
        self.next_hour_ms = 0
        """When the hour after the last of `hours` begins; 0 until it was looked up."""
        self._make_table()

    def __len__(self) -> int:
        """Number of ids."""
        return (len(self.ids) - self.begin) // _WIDTH

    def __eq__(self, other: object) -> bool:
        """Whether the other one holds the same, ids that have left but for `tidy` included."""
        return (
            isinstance(other, DuplicateWindow)
            and (self.hours, self.forgot, self.evicted_early) == (other.hours, other.forgot, other.evicted_early)
            and self.ids[self.begin :] == other.ids[other.begin :]
        )

    __hash__ = None  # type: ignore[assignment]  # it changes

    def holds(self, key: int, offset: int) -> bool:
        """Whether the record at `offset` was the first of its id."""
        admitted = self.find(key)
        return admitted is not None and admitted.offset == offset

    def find(self, key: int) -> Admitted | None:
        """What is known of the event with this id."""
        place = self._place_of(key)
        if place < 0 or self._has_left(place):
            return None
        ids = self.ids
        return Admitted(
            int64s.at(ids, place + 1), int64s.at(ids, place + 2), int64s.at(ids, place + 3), int64s.at(ids, place + 4)
        )

    def admit(self, key: int, offset: int, append_ms: int, time_ms: int, code: int, check: int) -> bool:
        """Remember the id; False if it was seen before."""
        known = self._place_of(key)
        if known >= 0:
            if not self._has_left(known):
                return False
            self._drop(known)
        if append_ms >= self.next_hour_ms:
            self.advance(offset, append_ms)
        ids = self.ids
        place = len(ids)
        int64s.insert_zeros(ids, place, _WIDTH)
        int64s.put(ids, place, key)
        int64s.put(ids, place + 1, offset)
        int64s.put(ids, place + 2, time_ms)
        int64s.put(ids, place + 3, code)
        int64s.put(ids, place + 4, check)
        if len(ids) - self.begin > _MOST_NUMBERS:
            self._make_room()
        if 2 * (place // _WIDTH) < len(self.slots):
            self._enter(place)
        else:
            self._make_table()
        return True

    def mark_undone(self, key: int) -> None:
        """Remember that the event, which is known, was taken back."""
        place = self._place_of(key)
        assert place >= 0
        self.ids[place + 3] |= _UNDONE

    def advance(self, offset: int, append_ms: int) -> None:
        """Begin the hour of `append_ms` if it is a new one, and let the ids of hours outside the horizon leave."""
        hours, hour = self.hours, append_ms // _HOUR_MS
        latest = int64s.at(hours, len(hours) - 2) if len(hours) else -1
        if hour > latest:
            latest = hour
            int64s.insert(hours, len(hours), hour)
            int64s.insert(hours, len(hours), offset)
            if int64s.at(hours, 0) < hour - _HORIZON_HOURS:
                self._expire(hour - _HORIZON_HOURS)
        self.next_hour_ms = (latest + 1) * _HOUR_MS

    def start_epoch(self) -> None:
        """The topic was made anew: ids stay known, their old offsets must match no new record."""
        self.tidy()
        for place in range(self.begin, len(self.ids), _WIDTH):
            self.ids[place + 1] = FORGOTTEN_OFFSET
        if self.hours:
            self.hours = int64s.of([self.hours[-2], FORGOTTEN_OFFSET])

    def tidy(self) -> None:
        """Leave out the ids that have left. Offsets rise, those that were forgotten first."""
        while self.begin < len(self.ids) and self._has_left(self.begin):
            self.begin += _WIDTH

    def _drop(self, place: int) -> None:
        """Leave out the ids that have left, and the one there, which has, even if one that has not lies before it.

        Offsets rise but for a user whose partition changed.
        """
        self.tidy()
        if place >= self.begin:
            int64s.remove(self.ids, place, _WIDTH)
            self._make_table()

    def _make_room(self) -> None:
        """Leave out all that has left if the oldest id has, or else that one."""
        if self._has_left(self.begin):
            self.tidy()
        else:
            self.begin += _WIDTH
            self.evicted_early += 1
            self.forgot = True

    def _has_left(self, place: int) -> bool:
        return len(self.hours) > 0 and int64s.at(self.ids, place + 1) < int64s.at(self.hours, 1)

    def _expire(self, oldest: int) -> None:
        """Drop the hours before that one."""
        gone = 0
        while int64s.at(self.hours, gone) < oldest:
            gone += 2
        int64s.remove(self.hours, 0, gone)
        if not self.forgot:
            self.forgot = self.begin < len(self.ids) and self._has_left(self.begin)

    def _place_of(self, key: int) -> int:
        """Where in `ids` the id is, or -1."""
        slots, ids = self.slots, self.ids
        last = len(slots) - 1
        slot = key & last
        while True:
            place = (uint16s.at(slots, slot) - 1) * _WIDTH
            if place < 0:
                return -1
            if place >= self.begin and int64s.at(ids, place) == key:
                return place
            slot = (slot + 1) & last

    def _enter(self, place: int) -> None:
        """Note the id there in the table, half of which is free at least."""
        slots = self.slots
        last = len(slots) - 1
        slot = int64s.at(self.ids, place) & last
        while uint16s.at(slots, slot):
            slot = (slot + 1) & last
        uint16s.put(slots, slot, place // _WIDTH + 1)

    def _make_table(self) -> None:
        """Cut off what has left, and note all others in a table of which they take a quarter at most."""
        self.tidy()
        int64s.remove(self.ids, 0, self.begin)
        self.begin = 0
        count, size = len(self), _FEWEST_SLOTS
        if count > _MOST_NOTED:
            raise ValueError(f"{count} ids, where a user has {MAX_IDS} at most")
        while size < 4 * count:
            size *= 2
        self.slots = uint16s.zeros(size)
        for number in range(count):
            self._enter(number * _WIDTH)
