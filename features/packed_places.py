"""The places of a distinct count as columns: hours, how many values each has, the lower 32 and upper 8 bits of each.

A place is an hour of event time and, in its lower HASH_BITS (40), the hash of a value.
"""

from __future__ import annotations

from array import array
from typing import Final

from features.sliding_hll import HASH_BITS

_LATEST_HOUR: Final = (1 << 63 - HASH_BITS) - 1
"""In the year 2926: so that a place has room in a C integer where this module is compiled."""


def columns_of(places: list[int]) -> tuple[list[int], list[int], bytes, bytes]:
    """The hours of sorted `places`, the number of values in each hour, and the lower and upper bits of these values."""
    hours: list[int] = []
    counts: list[int] = []
    low, high, bits = array("I"), bytearray(), HASH_BITS
    latest = count = 0
    for place in places:
        hour = place >> bits
        if hour != latest or not count:
            if count:
                counts.append(count)
            hours.append(hour)
            latest, count = hour, 0
        count += 1
        low.append(place & 0xFFFFFFFF)
        high.append(place >> 32 & 0xFF)
    if count:
        counts.append(count)
    return hours, counts, low.tobytes(), bytes(high)


def times_of(hours: list[int], counts: list[int], low: bytes, high: bytes, times: list[int]) -> dict[int, int]:
    """How often each place was seen, by what `columns_of` made of the places. No `times`: once each.

    Raises ValueError for columns that do not fit together; counts must not be negative.
    """
    lows = array("I", low).tolist()
    seen = times or [1] * len(lows)
    if not len(lows) == len(high) == len(seen) == sum(counts):
        raise ValueError("the hours of distinct values do not count all of them")
    if hours and not 0 <= min(hours) <= max(hours) <= _LATEST_HOUR:
        raise ValueError("hours of distinct values lie outside of all times")
    times_by_place: dict[int, int] = {}
    index, bits = 0, HASH_BITS
    for hour, count in zip(hours, counts, strict=True):
        for _ in range(count):
            upper, lower = high[index], lows[index]
            times_by_place[hour << bits | upper << 32 | lower] = seen[index]
            index += 1
    return times_by_place
