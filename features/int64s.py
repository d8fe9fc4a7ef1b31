"""Blocks of 64-bit integers, `array("q")`: a list would hold objects that lie elsewhere in memory.

Compiled modules take these functions from the `.pxd`, which gets at the block itself: there a place outside of it, or a
negative one, is not noticed.
"""

from __future__ import annotations

from array import array
from typing import Any, Final

_CODES: Final = {1: "B", 2: "H", 4: "I", 8: "q"}


def of(numbers: list[int]) -> array[int]:
    """A block of them. Raises OverflowError for a number of more than 64 bits."""
    return array("q", numbers)


def zeros(count: int) -> array[int]:
    """A block of so many zeros."""
    return array("q", bytes(8 * count))


def at(numbers: array[int], place: int) -> int:
    """The number there."""
    return numbers[place]


def is_at(numbers: array[int], place: int, number: int) -> bool:
    """Whether this number is there; at the end is none."""
    return place < len(numbers) and numbers[place] == number


def put(numbers: array[int], place: int, number: int) -> None:
    """Replace the number there."""
    numbers[place] = number


def insert(numbers: array[int], place: int, number: int) -> None:
    """Insert the number there."""
    numbers.insert(place, number)


def insert_zeros(numbers: array[Any], place: int, count: int) -> None:
    """Insert so many zeros there."""
    numbers[place:place] = array(numbers.typecode, bytes(8 * count))


def remove(numbers: array[Any], place: int, count: int) -> None:
    """Remove so many numbers from there on."""
    del numbers[place : place + count]


def are_all(numbers: array[int], first: int, step: int, number: int) -> bool:
    """Whether every `step`-th number from `first` on is this one."""
    of_these = numbers[first::step]
    return of_these.count(number) == len(of_these)


def bits(numbers: array[int], first: int, step: int, shift: int, size: int) -> bytes:
    """The lowest `size` bytes, unsigned, of every `step`-th number from `first` on, shifted right by so many bits."""
    mask = 256**size - 1
    return array(_CODES[size], [number >> shift & mask for number in numbers[first::step]]).tobytes()


def column(numbers: array[int], first: int, step: int, base: int, size: int) -> bytes:
    """Every `step`-th number from `first` on, less `base`, in `size` bytes each.

    Of 1, 2 or 4 bytes they are unsigned, and what does not fit becomes the largest that does; of 8 they are signed.
    """
    distances = [number - base for number in numbers[first::step]]
    if size < 8:
        most = 256**size - 1
        distances = [each if 0 <= each <= most else most for each in distances]
    return array(_CODES[size], distances).tobytes()


def fill_column(numbers: array[int], first: int, step: int, data: bytes, size: int) -> None:
    """Replace every `step`-th number from `first` on by what `column` made of as many with a `base` of 0.

    Raises ValueError if there are not as many.
    """
    count = len(numbers[first::step])
    if len(data) != count * size:
        raise ValueError(f"{len(data)} bytes instead of {count} numbers of {size}")
    numbers[first::step] = array("q", array(_CODES[size], data))
