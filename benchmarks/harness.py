"""Measures sides by turns and keeps the medians. Knows nothing of what is measured."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

HEADRACE: Final = "Headrace"


class Unavailable(Exception):
    """A side that cannot be measured here; the message says why and stands in its row."""


class SideFailed(Exception):
    """A side that ended with an error."""


class WrongResult(Exception):
    """A side that did not compute the truth: its time means nothing."""


_KIND: Final = {Unavailable: "not measured", SideFailed: "failed", WrongResult: "WRONG RESULT"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement of `items` things done; `cpu_seconds` of the measured process and its children alone."""

    case: str
    items: int
    wall_seconds: float
    cpu_seconds: float
    servers_cpu_seconds: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    """Anything else that was measured, with its unit in the name: `p99_ms`."""


@dataclass(frozen=True, slots=True)
class Side:
    """Something to measure. One call is one run, and gives one sample for each of its cases."""

    name: str
    run: Callable[[], Sequence[Sample]]


@dataclass(frozen=True, slots=True)
class Row:
    """A case of a side over all runs, or the `reason` why there is nothing."""

    case: str
    side: str
    samples: list[Sample] = field(default_factory=list)
    reason: str | None = None

    @property
    def wall_us(self) -> float:
        """Microseconds of wall clock an item, median of the runs."""
        return statistics.median(1e6 * sample.wall_seconds / sample.items for sample in self.samples)

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU an item, median of the runs."""
        return statistics.median(1e6 * sample.cpu_seconds / sample.items for sample in self.samples)

    @property
    def cpu_us_range(self) -> tuple[float, float]:
        """Least and most of `cpu_us`."""
        costs = [1e6 * sample.cpu_seconds / sample.items for sample in self.samples]
        return min(costs), max(costs)

    @property
    def rate(self) -> float:
        """Items a second of wall clock."""
        return 1e6 / self.wall_us

    @property
    def servers_cpu_us(self) -> dict[str, float]:
        """Microseconds of CPU an item that each server spent meanwhile."""
        names = {name for sample in self.samples for name in sample.servers_cpu_seconds}
        return {
            name: statistics.median(1e6 * s.servers_cpu_seconds.get(name, 0.0) / s.items for s in self.samples)
            for name in sorted(names)
        }

    @property
    def figures(self) -> dict[str, float]:
        """Medians of the other figures."""
        names = dict.fromkeys(name for sample in self.samples for name in sample.figures)
        return {name: statistics.median(s.figures[name] for s in self.samples if name in s.figures) for name in names}


@dataclass(frozen=True, slots=True)
class Entry:
    """The result of one benchmark."""

    name: str
    title: str
    item: str
    servers: str
    rows: list[Row]
    notes: list[str] = field(default_factory=list)

    def row(self, case: str, side: str) -> Row | None:
        """The measured row of that case and side."""
        return next((row for row in self.rows if (row.case, row.side) == (case, side) and row.samples), None)

    def times_cheaper(self, case: str, than: str, side: str = HEADRACE) -> float | None:
        """How many times the CPU of `side` the side `than` takes for an item; None unless both were measured."""
        ours, theirs = self.row(case, side), self.row(case, than)
        return theirs.cpu_us / ours.cpu_us if ours and theirs and ours.cpu_us else None


Facts = dict[str, str | int | float]
"""Where, when and how something was measured, by name."""


@dataclass(frozen=True, slots=True)
class Measured:
    """An entry and the facts of its run."""

    facts: Facts
    entry: Entry


def alternate(sides: Sequence[Side], runs: int, say: Callable[[str], None]) -> list[Row]:
    """Run every side `runs` times, by turns and from the other end in each second round; rows in order of the cases.

    A side that raises Unavailable, SideFailed or WrongResult gets a row that says so, and is not run again.
    """
    samples: dict[tuple[str, str], list[Sample]] = {}
    reasons: dict[str, str] = {}
    for number in range(runs):
        for side in sides if number % 2 == 0 else reversed(sides):
            if side.name in reasons:
                continue
            say(f"run {number + 1} of {runs}: {side.name}")
            try:
                for sample in side.run():
                    samples.setdefault((sample.case, side.name), []).append(sample)
            except (Unavailable, SideFailed, WrongResult) as error:
                reasons[side.name] = f"{_KIND[type(error)]}: {error}"
                say(f"{side.name}: {reasons[side.name]}")
    order = [side.name for side in sides]
    cases = list(dict.fromkeys(case for case, _ in samples))
    measured = [
        Row(case, side, samples[case, side])
        for case in cases
        for side in order
        if (case, side) in samples and side not in reasons
    ]
    return measured + [Row("", side, reason=reason) for side, reason in reasons.items()]
