"""Blocks of unsigned 16-bit integers, `array("H")`: see `int64s`."""

from __future__ import annotations

from array import array


def zeros(count: int) -> array[int]:
    """A block of so many zeros."""
    return array("H", bytes(2 * count))


def at(numbers: array[int], place: int) -> int:
    """The number there."""
    return numbers[place]


def put(numbers: array[int], place: int, number: int) -> None:
    """Replace the number there."""
    numbers[place] = number
