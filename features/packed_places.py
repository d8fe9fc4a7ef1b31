"""The places of a distinct count as columns: hours, how many values each has, the lower 32 and upper 8 bits of each.

A place is an hour of event time and, in its lower HASH_BITS (40), the hash of a value.
"""

from __future__ import annotations

from array import array
from typing import Final

from features import int64s
from features.sliding_hll import HASH_BITS

LATEST_HOUR: Final = (1 << 63 - HASH_BITS) - 1
"""In the year 2926: so that a place has room in a 64-bit integer."""


def columns_of(places: array[int]) -> tuple[list[int], list[int], bytes, bytes]:
    """The hours of the places of a DistinctPart, how many values each has, and lower and upper bits of the values."""
    hours: list[int] = []
    counts: list[int] = []
    values, bits = len(places) // 2, HASH_BITS
    low, high = int64s.zeros(values), int64s.zeros(values)
    latest = count = 0
    for index in range(values):
        place = int64s.at(places, 2 * index)
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
    """The places of a DistinctPart, by what `columns_of` made of them and how often each was seen: no `times` is once.

    Raises ValueError for columns that do not fit together; counts must not be negative.
    """
    values, bits = sum(counts), HASH_BITS
    if not len(low) == 4 * values == 4 * len(high) or (times and len(times) != values):
        raise ValueError("the hours of distinct values do not count all of them")
    if hours and not 0 <= min(hours) <= max(hours) <= LATEST_HOUR:
        raise ValueError("hours of distinct values lie outside of all times")
    lows, highs = int64s.zeros(values), int64s.zeros(values)
    int64s.put_column(lows, 0, 1, low, 4)
    int64s.put_column(highs, 0, 1, high, 1)
    places = int64s.zeros(2 * values)
    index, latest = 0, -1
    for hour, count in zip(hours, counts, strict=True):
        for _ in range(count):
            place = hour << bits | int64s.at(highs, index) << 32 | int64s.at(lows, index)
            if place <= latest:
                raise ValueError("distinct values are not in the order of their places")
            int64s.put(places, 2 * index, place)
            int64s.put(places, 2 * index + 1, times[index] if times else 1)
            latest = place
            index += 1
    return places
