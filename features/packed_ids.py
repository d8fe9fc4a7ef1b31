"""The duplicate guard's ids as bytes: 19 of them for each id, column by column."""

from __future__ import annotations

from array import array
from typing import Final

import msgspec

from features import int64s, msgpack
from features.cells import DAY_MS
from features.definitions import Base
from features.duplicates import FORGOTTEN_OFFSET, WIDTH, DuplicateWindow

_MOST: Final = 2**32 - 1  # as an offset: one of an earlier topic
_WIDTH: Final = WIDTH
_HOUR_MS: Final = 3_600_000
# What is accepted lies up to 31 days before its append time; 32 bits hold 49 days.
_REACH_MS: Final = 32 * DAY_MS
_DAY_MS: Final = DAY_MS
_FORGOTTEN_OFFSET: Final = FORGOTTEN_OFFSET


class PackedIds(msgspec.Struct, array_like=True, gc=False):
    """Ids in the order of first offsets: per id 8 bytes of key, 4 of offset, 4 of time, 1 of type, 2 of check.

    With `first_offset` and `first_ms`, offsets and times count from them; before these existed, offsets counted back
    from the base and times from `last_ms`. What a broken clock makes of a time is cut at 32 bits. `hours` are flat
    pairs: hours back from the base, and their offset, also counted back.
    """

    keys: bytes
    offsets: bytes
    last_ms: int
    times: bytes
    codes: bytes
    checks: bytes
    hours: list[int]
    forgot: bool
    first_offset: int | None = None
    first_ms: int = 0


def put_ids(out: bytearray, window: DuplicateWindow, base: Base) -> None:
    """Append the window, which must be tidy, as PackedIds, its hours relative to `base`."""
    if window.left_packed:
        raise ValueError("the ids of this state were not unpacked, so it cannot be packed")
    ids, begin = window.ids, window.begin
    append_ms, offset = base.append_ms, base.offset
    first_offset = _first_offset(window, offset)
    first_ms = _first_ms(window, append_ms)
    msgpack.put_array(out, 10)
    msgpack.put_blob(out, int64s.column(ids, begin, _WIDTH, 0, 8))
    msgpack.put_blob(out, int64s.column(ids, begin + 1, _WIDTH, first_offset, 4))
    msgpack.put_int(out, 0)
    msgpack.put_blob(out, int64s.column(ids, begin + 2, _WIDTH, first_ms, 4))
    msgpack.put_blob(out, int64s.column(ids, begin + 3, _WIDTH, 0, 1))
    msgpack.put_blob(out, int64s.column(ids, begin + 4, _WIDTH, 0, 2))
    _put_hours(out, window.hours, append_ms // _HOUR_MS, offset)
    msgpack.put_flag(out, window.forgot)
    msgpack.put_int(out, first_offset)
    msgpack.put_int(out, first_ms)


def _put_hours(out: bytearray, hours: array[int], hour_now: int, offset_now: int) -> None:
    msgpack.put_array(out, len(hours))
    for number in range(len(hours) // 2):
        offset = int64s.at(hours, 2 * number + 1)
        msgpack.put_int(out, hour_now - int64s.at(hours, 2 * number))
        msgpack.put_int(out, -1 if offset == _FORGOTTEN_OFFSET else offset_now - offset)


def _first_offset(window: DuplicateWindow, latest: int) -> int:
    """What no offset is below, apart from those that were forgotten."""
    ids, place, first = window.ids, window.begin, latest
    while place < len(ids):
        offset = int64s.at(ids, place + 1)
        if _FORGOTTEN_OFFSET != offset < first:
            first = offset
        place += _WIDTH
    return first


def _first_ms(window: DuplicateWindow, append_ms: int) -> int:
    """What no time is below, as far as 32 bits leave room for it."""
    ids, place, first_ms = window.ids, window.begin, append_ms - _REACH_MS
    while place < len(ids):
        first_ms = min(first_ms, int64s.at(ids, place + 2))
        place += _WIDTH
    return max(first_ms, append_ms + _DAY_MS - _MOST)


def unpack_ids(packed: PackedIds, base: Base) -> DuplicateWindow:
    """What `put_ids` wrote, now or before offsets counted from the first. Raises ValueError."""
    hour_now = base.append_ms // _HOUR_MS
    hours: list[int] = []
    for back, offset in zip(packed.hours[::2], packed.hours[1::2], strict=True):
        hours += (hour_now - back, FORGOTTEN_OFFSET if offset == -1 else base.offset - offset)
    ids = int64s.zeros(_WIDTH * len(packed.codes))
    int64s.fill_column(ids, 0, _WIDTH, packed.keys, 8)
    int64s.fill_column(ids, 1, _WIDTH, packed.offsets, 4)
    int64s.fill_column(ids, 2, _WIDTH, packed.times, 4)
    int64s.fill_column(ids, 3, _WIDTH, packed.codes, 1)
    int64s.fill_column(ids, 4, _WIDTH, packed.checks, 2)
    if packed.first_offset is None:
        origin_offset, origin_ms, sign = base.offset, packed.last_ms, -1
    else:
        origin_offset, origin_ms, sign = packed.first_offset, packed.first_ms, 1
    # An offset that did not fit either is of an earlier topic, as the first hour is then, or belongs to a kept id.
    unknown = hours[1] if hours else FORGOTTEN_OFFSET
    for number in range(len(ids) // _WIDTH):
        place = number * _WIDTH
        far, ms = int64s.at(ids, place + 1), int64s.at(ids, place + 2)
        int64s.put(ids, place + 1, unknown if far == _MOST else origin_offset + sign * far)
        int64s.put(ids, place + 2, origin_ms + sign * ms)
    return DuplicateWindow(ids, int64s.of(hours), forgot=packed.forgot)
