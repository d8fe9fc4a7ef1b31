"""The duplicate guard's ids as bytes: 19 of them for each id.

A user's ids are packed at every write, but only a few are new: the columns are kept beside the window and brought up to
date by what came in at its end and left at its front.
"""

from __future__ import annotations

from array import array
from itertools import islice
from typing import Final

import msgspec

from features.cells import DAY_MS
from features.definitions import Base
from features.duplicates import FORGOTTEN_OFFSET, AdmittedFields, DuplicateWindow

_MOST: Final = 2**32 - 1  # as an offset: one of an earlier topic
_HOUR_MS: Final = 3_600_000
# What is accepted lies up to 31 days before its append time; 32 bits hold 49 days.
_REACH_MS: Final = 32 * DAY_MS


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


class Columns:
    """A window's ids by column, in their order. `dropped` is the window's count that they are up to date with."""

    __slots__ = ("checks", "codes", "dropped", "first_ms", "first_offset", "keys", "offsets", "times")

    def __init__(self, first_offset: int, first_ms: int, dropped: int) -> None:
        self.first_offset = first_offset
        self.first_ms = first_ms
        self.dropped = dropped
        self.keys, self.offsets, self.times = array("Q"), array("I"), array("I")
        self.codes, self.checks = bytearray(), array("H")

    def reaches(self, base: Base) -> bool:
        """Whether offsets up to that of `base` fit, and the times of events that are appended then."""
        return base.append_ms + DAY_MS - self.first_ms <= _MOST and base.offset - self.first_offset < _MOST

    def catch_up(self, window: DuplicateWindow) -> None:
        """Take out what has left the window, and add what came in."""
        gone = window.dropped - self.dropped
        self.dropped = window.dropped
        if gone:
            for column in (self.keys, self.offsets, self.times, self.codes, self.checks):
                del column[:gone]
        new = len(window.ids) - len(self.keys)
        for key, (offset, time_ms, code, check) in reversed(list(islice(reversed(window.ids.items()), new))):
            self.keys.append(key)
            back = offset - self.first_offset
            self.offsets.append(back if offset != FORGOTTEN_OFFSET and 0 <= back < _MOST else _MOST)
            self.times.append(min(max(time_ms - self.first_ms, 0), _MOST))
            self.codes.append(code)
            self.checks.append(check)


def pack_ids(window: DuplicateWindow, base: Base) -> PackedIds:
    """The window, its hours relative to `base`."""
    if window.left_packed:
        raise ValueError("the ids of this state were not unpacked, so it cannot be packed")
    columns = window.columns
    if columns is None or not columns.reaches(base):
        offsets = [offset for offset, *_ in window.ids.values() if offset != FORGOTTEN_OFFSET]
        first_offset = min(offsets, default=base.offset)
        columns = window.columns = Columns(first_offset, base.append_ms - _REACH_MS, window.dropped)
    columns.catch_up(window)
    hour_now = base.append_ms // _HOUR_MS
    hours: list[int] = []
    for hour, offset in zip(window.hours[::2], window.hours[1::2], strict=True):
        hours += (hour_now - hour, -1 if offset == FORGOTTEN_OFFSET else base.offset - offset)
    return PackedIds(
        columns.keys.tobytes(),
        columns.offsets.tobytes(),
        0,
        columns.times.tobytes(),
        bytes(columns.codes),
        columns.checks.tobytes(),
        hours,
        window.forgot,
        columns.first_offset,
        columns.first_ms,
    )


def unpack_ids(packed: PackedIds, base: Base) -> DuplicateWindow:
    """What `pack_ids` wrote, now or before offsets counted from the first."""
    hour_now = base.append_ms // _HOUR_MS
    hours: list[int] = []
    for back, offset in zip(packed.hours[::2], packed.hours[1::2], strict=True):
        hours += (hour_now - back, FORGOTTEN_OFFSET if offset == -1 else base.offset - offset)
    if packed.first_offset is None:
        origin_offset, origin_ms, sign = base.offset, packed.last_ms, -1
    else:
        origin_offset, origin_ms, sign = packed.first_offset, packed.first_ms, 1
    # An offset that did not fit either is of an earlier topic, as the first hour is then, or belongs to a kept id.
    unknown = hours[1] if hours else FORGOTTEN_OFFSET
    ids: dict[int, AdmittedFields] = {
        key: (unknown if far == _MOST else origin_offset + sign * far, origin_ms + sign * ms, code, check)
        for key, far, ms, code, check in zip(
            array("Q", packed.keys),
            array("I", packed.offsets),
            array("I", packed.times),
            packed.codes,
            array("H", packed.checks),
            strict=True,
        )
    }
    return DuplicateWindow(ids, hours, packed.forgot)
