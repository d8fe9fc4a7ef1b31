"""Blocks of doubles, `array("d")`: see `int64s`, whose `insert_zeros` and `remove` are for these 8 bytes as well."""

from __future__ import annotations

from array import array


def zeros(count: int) -> array[float]:
    """A block of so many zeros."""
    return array("d", bytes(8 * count))


def at(numbers: array[float], place: int) -> float:
    """The number there."""
    return numbers[place]


def put(numbers: array[float], place: int, number: float) -> None:
    """Replace the number there."""
    numbers[place] = number


def column(numbers: array[float], first: int, step: int) -> array[float]:
    """Every `step`-th number from `first` on."""
    return numbers[first::step]


def sort(numbers: array[float]) -> None:
    """Sort them, lowest first."""
    numbers[:] = array("d", sorted(numbers))
