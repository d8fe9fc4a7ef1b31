"""The sliding HyperLogLog: its error, its windows, and that order does not matter."""

from __future__ import annotations

import random

import pytest
import xxhash

from features import sliding_hll
from features.sliding_hll import HASH_BITS, STANDARD_ERROR, Registers


def hashed(value: int) -> int:
    return xxhash.xxh3_64_intdigest(str(value).encode()) & ((1 << HASH_BITS) - 1)


def filled(values: range, hour: int = 0) -> Registers:
    registers: Registers = {}
    for value in values:
        sliding_hll.add(registers, hashed(value), hour)
    return registers


def test_nothing_is_zero() -> None:
    assert sliding_hll.estimate({}, 0) == 0.0


@pytest.mark.parametrize("count", [1, 10, 300, 1_000, 5_000, 20_000])
def test_estimates_are_within_the_stated_error(count: int) -> None:
    errors = []
    for trial in range(8):
        estimate = sliding_hll.estimate(filled(range(trial * 10**6, trial * 10**6 + count)), 0)
        errors.append(estimate / count - 1)
    rms = (sum(error * error for error in errors) / len(errors)) ** 0.5
    assert rms <= 1.6 * STANDARD_ERROR  # eight trials: the bound of 99.9 % for their root mean square
    assert max(map(abs, errors)) <= 4 * STANDARD_ERROR


def test_only_the_hours_of_the_window_count() -> None:
    registers: Registers = {}
    for value in range(3_000):
        sliding_hll.add(registers, hashed(value), value // 1_000)
    for oldest, count in ((0, 3_000), (1, 2_000), (2, 1_000), (3, 0)):
        assert sliding_hll.estimate(registers, oldest) == pytest.approx(count, rel=4 * STANDARD_ERROR)


def test_values_in_any_order_give_the_same_registers() -> None:
    entries = [(hashed(value), value % 50) for value in range(2_000)]
    registers: Registers = {}
    for entry in entries:
        sliding_hll.add(registers, *entry)
    random.Random(3).shuffle(entries)
    shuffled: Registers = {}
    for entry in entries:
        sliding_hll.add(shuffled, *entry)
    assert shuffled == registers


def test_the_merge_of_two_halves_is_the_whole() -> None:
    left, right = filled(range(1_000), 1), filled(range(500, 2_000), 2)
    whole = filled(range(1_000), 1)
    for value in range(500, 2_000):
        sliding_hll.add(whole, hashed(value), 2)
    assert sliding_hll.merge(left, right) == whole


def test_pruning_changes_no_later_window() -> None:
    registers = filled(range(1_000), 1) | {}
    for value in range(1_000, 1_500):
        sliding_hll.add(registers, hashed(value), 9)
    before = sliding_hll.estimate(registers, 5)
    sliding_hll.prune(registers, 5)
    assert sliding_hll.estimate(registers, 5) == sliding_hll.estimate(registers, 0) == before
    sliding_hll.prune(registers, 10)
    assert registers == {}
