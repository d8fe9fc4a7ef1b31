"""Parts are packed as msgspec would, which reads them; compiled, by code in C."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

import msgspec
import pytest

from features import int64s, msgpack
from features.cells import MINUTES
from features.decayed import Decayed, part_of
from features.definitions import Base, Part, PartMeasure
from features.distinct import Distinct, DistinctPart
from features.moments import Moments, MomentsPart
from features.packed import unpack_cells
from features.recents import Last, RecentsPart

POWERS = [2**bits for bits in (5, 7, 8, 15, 16, 31, 32, 62)]
NUMBERS = sorted({sign * (power + off) for power in (0, 1, *POWERS) for off in (-1, 0, 1) for sign in (1, -1)})
EDGES = [*NUMBERS, 2**63 - 1, -(2**63)]
LENGTHS = [0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536]
BASE = Base(0, 0)
NOW_MS = 1_764_000_000_000


def packed(measure: PartMeasure[Part], part: Part) -> bytes:
    out = bytearray(b"before")
    measure.put(part, BASE, out)
    assert out.startswith(b"before")
    return bytes(out[6:])


def test_numbers_take_their_shortest_form() -> None:
    for first, last in pairwise(EDGES):
        wanted = msgspec.msgpack.encode((7, first, last, True, False))
        assert packed(Moments("activity"), MomentsPart(7, first, last, True, False)) == wanted


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("letter", ["a", "é", "漢", "😀"])
def test_texts_and_doubles(letter: str, length: int) -> None:
    score = random.Random(length).uniform(-1e300, 1e300)
    part = part_of({letter * length: score}, reference_ms=-1, dropped=0.1)
    wanted = msgspec.msgpack.encode(({letter * length: score}, -1, 0.1))
    assert packed(Decayed("interest", weights={"purchase": 1}, half_life="1h", by="category"), part) == wanted


@pytest.mark.parametrize("length", LENGTHS)
def test_columns_of_any_length(length: int) -> None:
    numbers = [EDGES[number % len(EDGES)] // 2 for number in range(length)]
    places = int64s.of([each for number in numbers for each in (0, number, -number)])
    wanted = msgspec.msgpack.encode(([-number for number in numbers], numbers, ["x"] * length, 0, 0))
    assert packed(Last("items", of="purchase", field="item_id", k=5), RecentsPart(["x"] * length, places)) == wanted


@pytest.mark.parametrize("length", LENGTHS)
def test_values_of_hours(length: int) -> None:
    values = [(number * 2**33 + number) % 2**40 for number in range(length)]
    places = int64s.of([each for value in values for each in (9 << 40 | value, 1 + value % 2)])
    low = b"".join((value % 2**32).to_bytes(4, "little") for value in values)
    high = bytes(value >> 32 for value in values)
    hours, counts = ([-9], [length]) if length else ([], [])
    times = [1 + value % 2 for value in values]
    wanted = (hours, counts, low, high, times if 2 in times else [], True, -5, {3: [(4, 5)]}, 6)
    part = DistinctPart(places, True, -5, {3: [(4, 5)]}, 6)
    assert packed(Distinct("items", of="purchase", field="item_id"), part) == msgspec.msgpack.encode(wanted)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(("begin", "whole"), [(msgpack.put_array, [0]), (msgpack.put_map, {0: 0})])
def test_heads_where_nothing_is_compiled(
    begin: Callable[[bytearray, int], None], whole: list[int] | dict[int, int], length: int
) -> None:
    out = bytearray()
    begin(out, length)
    values = [0] * length if isinstance(whole, list) else dict.fromkeys(range(length), 0)
    assert msgspec.msgpack.encode(values).startswith(out)


def cells_of(layer: bytes) -> list[int]:
    """The indexes of cells without totals, counted from the oldest one."""
    layers = [msgspec.Raw(layer), msgspec.Raw(b"\x90"), msgspec.Raw(b"\x90")]
    return [index - MINUTES.oldest_cell(NOW_MS) for index, _ in unpack_cells(layers, NOW_MS, 0)[0].items()]


@pytest.mark.parametrize("length", LENGTHS)
def test_arrays_of_numbers_are_read(length: int) -> None:
    numbers = [EDGES[number % len(EDGES)] // 4 for number in range(length)]
    assert cells_of(msgspec.msgpack.encode(numbers)) == numbers


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_of_every_width_are_read(number: int) -> None:
    for size in (1, 2, 4, 8):
        for tag, signed in ((0xCC, False), (0xD0, True)):
            least = -(2 ** (8 * size - 1)) if signed else 0
            if least <= number < least + 2 ** (8 * size):
                head = bytes([0x91, tag + (1, 2, 4, 8).index(size)])
                layer = head + number.to_bytes(size, "big", signed=signed)
                assert cells_of(layer) == msgpack.numbers_of(layer).tolist() == [number]


WHOLE = msgspec.msgpack.encode([*EDGES[1:-1], 5])


@pytest.mark.parametrize(
    "layer",
    [
        *[WHOLE[:size] for size in range(1, len(WHOLE))],
        *[WHOLE + b"\0", b"\xdd\xff\xff\xff\xff\1", b"\xdc\0", b"\x91\xc0", b"\x91\xa1a", b"\x91\xcb" + bytes(8)],
        b"\x05",
    ],
)
def test_what_is_no_array_of_numbers_is_refused(layer: bytes) -> None:
    for read in (cells_of, msgpack.numbers_of):
        with pytest.raises(ValueError):  # noqa: PT011 - which `unpack` makes an UnreadableState
            read(layer)


def test_an_array_with_a_number_of_more_than_64_bits_is_refused() -> None:
    with pytest.raises(OverflowError):
        cells_of(msgspec.msgpack.encode([2**63]))


def test_a_number_of_more_than_64_bits_is_refused() -> None:
    with pytest.raises(OverflowError):
        packed(Moments("activity"), MomentsPart(2**64, 0, 0))
