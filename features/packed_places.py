"""The places of a distinct count as columns: hours, how many values each has, the lower 32 and upper 8 bits of each.

A place is an hour of event time and, in its lower HASH_BITS (40), the hash of a value.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Final

from features import int64s, msgpack
from features.sliding_hll import HASH_BITS

WIDTH: Final = 2
"""Numbers of each place in `DistinctPart.places`."""
_WIDTH: Final = WIDTH
LATEST_HOUR: Final = (1 << 63 - HASH_BITS) - 1
"""In the year 2926: so that a place has room in a 64-bit integer."""


def put_places(out: bytearray, places: array[int], hour_now: int) -> None:
    """Append the first five fields of a DistinctWire: hours count back from `hour_now`."""
    hours = _hours_of(places)
    msgpack.put_distances(out, hours, 0, 2, hour_now)
    msgpack.put_column(out, hours, 1, 2)
    msgpack.put_blob(out, int64s.bits(places, 0, _WIDTH, 0, 4))
    msgpack.put_blob(out, int64s.bits(places, 0, _WIDTH, 32, 1))
    if int64s.are_all(places, 1, _WIDTH, 1):
        msgpack.put_array(out, 0)
    else:
        msgpack.put_column(out, places, 1, _WIDTH)


def _hours_of(places: array[int]) -> array[int]:
    """The hours of the places and how many places each has, in turn."""
    hours = int64s.zeros(0)
    bits, place = HASH_BITS, 0
    while place < len(places):
        hour = int64s.at(places, place) >> bits
        last = len(hours) - 2
        if last < 0 or int64s.at(hours, last) != hour:
            last += 2
            int64s.insert_zeros(hours, last, 2)
            int64s.put(hours, last, hour)
        int64s.put(hours, last + 1, int64s.at(hours, last + 1) + 1)
        place += _WIDTH
    return hours


def places_of(hours: list[int], counts: list[int], low: bytes, high: bytes, times: list[int]) -> array[int]:
    """The places of a DistinctPart, by what `put_places` made of them and how often each was seen: empty for once each.

    Before format 5 they came in any order. Raises ValueError for columns that do not fit together; counts must not be
    negative.
    """
    values, bits = len(high), HASH_BITS
    if not len(low) == 4 * values or sum(counts) != values or (times and len(times) != values):
        raise ValueError("the hours of distinct values do not count all of them")
    if hours and not 0 <= min(hours) <= max(hours) <= LATEST_HOUR:
        raise ValueError("hours of distinct values lie outside of all times")
    lows, highs, places = int64s.zeros(values), int64s.zeros(values), int64s.zeros(values * _WIDTH)
    int64s.fill_column(lows, 0, 1, low, 4)
    int64s.fill_column(highs, 0, 1, high, 1)
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
