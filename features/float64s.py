"""Blocks of doubles, `array("d")`: see `int64s`, whose `insert_zeros` and `remove` are for them as well."""

from __future__ import annotations

from array import array


def of(numbers: list[float]) -> array[float]:
    """A block of them."""
    return array("d", numbers)


def at(numbers: array[float], place: int) -> float:
    """The number there."""
    return numbers[place]


def put(numbers: array[float], place: int, number: float) -> None:
    """Replace the number there."""
    numbers[place] = number
