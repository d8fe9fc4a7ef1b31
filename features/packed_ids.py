"""The duplicate guard's ids as bytes: 19 of them for each id."""

from __future__ import annotations

from array import array
from typing import Final

import msgspec

from features.definitions import Base
from features.duplicates import FORGOTTEN_OFFSET, Admitted, DuplicateWindow

_MOST: Final = 2**32 - 1  # as an offset: one of an earlier topic, or too far away to matter
_HOUR_MS: Final = 3_600_000


class PackedIds(msgspec.Struct, array_like=True, gc=False):
    """Ids in the order of first offsets: per id 8 bytes of key, 4 of offset, 4 of time, 1 of type, 2 of check.

    Offsets count back from the base, times from `last_ms`: within the horizon and the ages that are accepted (33 days
    in all) both fit 32 bits, and what a broken clock makes of them is cut there. `hours` are flat pairs: hours back
    from the base, and their offset, also counted back.
    """

    keys: bytes
    offsets_back: bytes
    last_ms: int
    ages_ms: bytes
    codes: bytes
    checks: bytes
    hours: list[int]
    forgot: bool


def pack_ids(window: DuplicateWindow, base: Base) -> PackedIds:
    """The window, relative to `base`."""
    admitted = window.ids.values()
    last_ms = max((each[1] for each in admitted), default=0)
    hour_now = base.append_ms // _HOUR_MS
    backs = [base.offset - each[0] if each[0] != FORGOTTEN_OFFSET else _MOST for each in admitted]
    hours: list[int] = []
    for hour, offset in window.hours:
        hours += (hour_now - hour, -1 if offset == FORGOTTEN_OFFSET else base.offset - offset)
    return PackedIds(
        array("Q", window.ids).tobytes(),
        array("I", [back if 0 <= back < _MOST else _MOST for back in backs]).tobytes(),
        last_ms,
        array("I", [min(last_ms - each[1], _MOST) for each in admitted]).tobytes(),
        bytes([each[2] for each in admitted]),
        array("H", [each[3] for each in admitted]).tobytes(),
        hours,
        window.forgot,
    )


def unpack_ids(packed: PackedIds, base: Base) -> DuplicateWindow:
    """What `pack_ids` wrote."""
    hour_now = base.append_ms // _HOUR_MS
    pairs = zip(packed.hours[::2], packed.hours[1::2], strict=True)
    hours = [(hour_now - back, FORGOTTEN_OFFSET if offset == -1 else base.offset - offset) for back, offset in pairs]
    ids: dict[int, Admitted] = {
        key: (FORGOTTEN_OFFSET if back == _MOST else base.offset - back, packed.last_ms - age_ms, code, check)
        for key, back, age_ms, code, check in zip(
            array("Q", packed.keys),
            array("I", packed.offsets_back),
            array("I", packed.ages_ms),
            packed.codes,
            array("H", packed.checks),
            strict=True,
        )
    }
    return DuplicateWindow(ids, hours, packed.forgot)
