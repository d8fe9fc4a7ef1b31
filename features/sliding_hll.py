"""A HyperLogLog that slides: how many distinct values were seen since an hour, in bounded room.

Registers: Flajolet et al., "HyperLogLog: the analysis of a near-optimal cardinality estimation algorithm" (2007).
Sliding: Chabchoub and Hebrail, "Sliding HyperLogLog" (2010): a register keeps the (rank, hour) pairs that are the
maximum of some window, that is, those with no pair that is both later and at least as high.
Estimate: Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017), algorithm 6: without bias from
one value on, so there are no correction tables. Adding commutes, whatever the order of hours.
"""

from __future__ import annotations

import math
from typing import Final

PRECISION_BITS: Final = 9
REGISTERS: Final = 1 << PRECISION_BITS
STANDARD_ERROR: Final = 1.04 / math.sqrt(REGISTERS)  # 4.6 %
HASH_BITS: Final = 40  # 9 for the register and 31 for the rank: without saturation up to some 10^11 values
_TAIL_BITS: Final = HASH_BITS - PRECISION_BITS

Registers = dict[int, list[tuple[int, int]]]
"""Register -> its (hour, rank) pairs, latest hour first, so that ranks rise."""


def add(registers: Registers, hashed: int, hour: int) -> None:
    """Count the value with this 40-bit hash, seen in `hour`."""
    rank = _TAIL_BITS - (hashed & ((1 << _TAIL_BITS) - 1)).bit_length() + 1
    register = hashed >> _TAIL_BITS
    registers[register] = _frontier([*registers.get(register, ()), (hour, rank)])


def merge(left: Registers, right: Registers) -> Registers:
    """The registers of both sets of values together."""
    return {
        register: _frontier([*left.get(register, ()), *right.get(register, ())])
        for register in sorted(left.keys() | right.keys())
    }


def prune(registers: Registers, oldest_hour: int) -> None:
    """Drop the pairs from before `oldest_hour`."""
    for register, pairs in list(registers.items()):
        kept = [pair for pair in pairs if pair[0] >= oldest_hour]
        if kept:
            registers[register] = kept
        else:
            del registers[register]


def estimate(registers: Registers, oldest_hour: int) -> float:
    """Distinct values seen in `oldest_hour` or later, with a relative standard error of STANDARD_ERROR."""
    histogram = [0] * (_TAIL_BITS + 2)
    for pairs in registers.values():
        highest = max((rank for hour, rank in pairs if hour >= oldest_hour), default=0)
        histogram[highest] += 1
    histogram[0] += REGISTERS - len(registers)
    z = REGISTERS * _tau(1 - histogram[_TAIL_BITS + 1] / REGISTERS)
    for rank in range(_TAIL_BITS, 0, -1):
        z = 0.5 * (z + histogram[rank])
    z += REGISTERS * _sigma(histogram[0] / REGISTERS)
    return REGISTERS * REGISTERS / (2 * math.log(2) * z)


def _frontier(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    kept: list[tuple[int, int]] = []
    for hour, rank in sorted(pairs, key=lambda pair: (-pair[0], -pair[1])):
        if not kept or rank > kept[-1][1]:
            kept.append((hour, rank))
    return kept


def _sigma(x: float) -> float:
    if x == 1.0:
        return math.inf
    y, z = 1.0, x
    while True:
        x *= x
        before = z
        z += x * y
        y += y
        if z == before:
            return z


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    y, z = 1.0, 1 - x
    while True:
        x = math.sqrt(x)
        before = z
        y *= 0.5
        z -= (1 - x) ** 2 * y
        if z == before:
            return z / 3
