"""Long sequences, and the texts that states share."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from features.definitions import Base
from features.recents import MAX_LAST, Last, LastDistinct
from features.texts import shared
from tests.unit.feature_world import NOW_MS, make_event

Seen = tuple[int, int, str]
"""(event time, offset, value)"""


def newest_first(seen: Sequence[Seen]) -> list[str]:
    return [value for _, _, value in sorted(seen, reverse=True)][:MAX_LAST]


def newest_of_each(seen: Sequence[Seen]) -> list[str]:
    latest = {value: (time_ms, offset, value) for time_ms, offset, value in sorted(seen)}
    return newest_first([*latest.values()])


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        (LastDistinct("seen", of="view_item", field="item_id", k=MAX_LAST), newest_of_each),
        (Last("seen", of="view_item", field="item_id", k=MAX_LAST), newest_first),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_a_long_sequence_holds_the_newest_in_order(measure: Any, expected: Any, seed: int) -> None:
    rng = random.Random(seed)
    part, seen = measure.zero(), []
    for offset in range(1_500):
        value, time_ms = f"sku-{rng.randrange(700)}", NOW_MS - rng.randrange(200)
        measure.add(part, make_event(time_ms, item_id=value), offset, NOW_MS)
        seen.append((time_ms, offset, value))
        if offset % 300 == 0:
            base = Base(NOW_MS, offset)
            packed = bytearray()
            measure.put(part, base, packed)
            assert measure.from_wire(msgspec.msgpack.decode(packed, type=measure.wire_type), base) == part
    assert part.values == expected(seen)


def test_values_of_one_hash_stay_apart() -> None:
    measure = LastDistinct("seen", of="view_item", field="item_id", k=3)
    part = measure.zero()
    measure.add(part, make_event(item_id="a"), 1, NOW_MS)
    part.places[0] = hash("b")
    measure.add(part, make_event(item_id="b"), 2, NOW_MS)
    assert part.values == ["b", "a"]


def test_equal_texts_are_one_object_until_there_are_too_many() -> None:
    first, second, third = ("".join(["sku", "-1"]) for _ in range(3))
    assert first is not second
    assert shared(first) is shared(second)
    for number in range(600_000):
        shared(f"sku-{number}")
    assert shared(third) is third, "nothing was forgotten"
