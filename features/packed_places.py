"""The places of a distinct count as columns: hours, how many values each has, the lower 32 and upper 8 bits of each.

A place is an hour of event time and, in its lower HASH_BITS (40), the hash of a value.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Final

from features import int64s
from features.sliding_hll import HASH_BITS

WIDTH: Final = 2
"""Numbers of each place in `DistinctPart.places`."""
_WIDTH: Final = WIDTH
LATEST_HOUR: Final = (1 << 63 - HASH_BITS) - 1
"""In the year 2926: so that a place has room in a 64-bit integer."""


def columns_of(places: array[int]) -> tuple[list[int], list[int], bytes, bytes]:
    """The hours of the places of a DistinctPart, how many values each has, and lower and upper bits of the values."""
    hours: list[int] = []
    counts: list[int] = []
    values, bits = len(places) // _WIDTH, HASH_BITS
    low, high = int64s.zeros(values), int64s.zeros(values)
    latest = count = 0
    for index in range(values):
        place = int64s.at(places, index * _WIDTH)
        hour = place >> bits
        if hour != latest or not count:
            if count:
                counts.append(count)
            hours.append(hour)
            latest, count = hour, 0
        count += 1
        int64s.put(low, index, place & 0xFFFFFFFF)
        int64s.put(high, index, place >> 32 & 0xFF)
    if count:
        counts.append(count)
    return hours, counts, int64s.column(low, 0, 1, 0, 4), int64s.column(high, 0, 1, 0, 1)


def places_of(hours: list[int], counts: list[int], low: bytes, high: bytes, times: list[int]) -> array[int]:
    """The places of a DistinctPart, by what `columns_of` made of them and how often each was seen: empty for once each.

    Before format 5 they came in any order. Raises ValueError for columns that do not fit together; counts must not be
    negative.
    """
    values, bits = len(high), HASH_BITS
    if not len(low) == 4 * values or sum(counts) != values or (times and len(times) != values):
        raise ValueError("the hours of distinct values do not count all of them")
    if hours and not 0 <= min(hours) <= max(hours) <= LATEST_HOUR:
        raise ValueError("hours of distinct values lie outside of all times")
    lows, highs, places = int64s.zeros(values), int64s.zeros(values), int64s.zeros(values * _WIDTH)
    int64s.put_column(lows, 0, 1, low, 4)
    int64s.put_column(highs, 0, 1, high, 1)
    index, latest, rise = 0, -1, True
    for hour, count in zip(hours, counts, strict=True):
        for _ in range(count):
            place = hour << bits | int64s.at(highs, index) << 32 | int64s.at(lows, index)
            int64s.put(places, index * _WIDTH, place)
            int64s.put(places, index * _WIDTH + 1, times[index] if times else 1)
            rise = rise and place > latest
            latest = place
            index += 1
    return places if rise else block_of(dict(zip(places[::_WIDTH], places[1::_WIDTH], strict=True)))


def block_of(times: Mapping[int, int]) -> array[int]:
    """The places of a DistinctPart, by how often each was seen."""
    return int64s.of([number for item in sorted(times.items()) for number in item])
