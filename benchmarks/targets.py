"""The targets of the design, in one place: what each wants, and how it is read from the results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from benchmarks import features, freshness, graphql, growth, ingest, path, reads, worker
from benchmarks.harness import HEADRACE, Entry

Results = Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class Target:
    """A figure that must be `at least` or `at most` as large as `wanted`.

    `row` is its row in the design's table; the feature engine, which is not in it, is 9.
    """

    row: int
    what: str
    against: str
    bound: Literal["at least", "at most"]
    wanted: float
    unit: str
    read: Callable[[Results], float | None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target and what was measured; None where it was not."""

    target: Target
    measured: float | None

    @property
    def met(self) -> bool | None:
        """None if it was not measured."""
        if self.measured is None:
            return None
        if self.target.bound == "at least":
            return self.measured >= self.target.wanted
        return self.measured <= self.target.wanted


def judge(results: Results) -> list[Verdict]:
    """All targets, in their order."""
    return [Verdict(target, target.read(results)) for target in TARGETS]


def cheaper(entry: str, case: str, than: str, side: str = HEADRACE) -> Callable[[Results], float | None]:
    """Items per CPU second of ours, over those of the other side."""

    def read(results: Results) -> float | None:
        return results[entry].times_cheaper(case, than, side) if entry in results else None

    return read


def cost(entry: str, case: str) -> Callable[[Results], float | None]:
    """Microseconds of CPU that an item takes us."""

    def read(results: Results) -> float | None:
        row = results[entry].row(case, HEADRACE) if entry in results else None
        return row.cpu_us if row else None

    return read


def figure(entry: str, case: str, name: str) -> Callable[[Results], float | None]:
    """One of our own figures."""

    def read(results: Results) -> float | None:
        row = results[entry].row(case, HEADRACE) if entry in results else None
        return row.figures.get(name) if row else None

    return read


def operation_fixed(results: Results) -> float | None:
    """Microseconds of CPU of a mutation without events, from body to reply."""
    return cost("graphql", graphql.mutation(0))(results)


def operation_event(side: str) -> Callable[[Results], float | None]:
    """What an event of 100 adds to that, over what it adds to `orjson.loads`."""

    def added(results: Results, side: str) -> float | None:
        entry = results.get("graphql")
        none, hundred = (entry.row(graphql.mutation(batch), side) if entry else None for batch in (0, 100))
        return hundred.cpu_us - none.cpu_us if none and hundred else None

    def read(results: Results) -> float | None:
        ours, loads = added(results, side), added(results, graphql.LOADS)
        return ours / loads if ours and loads else None

    return read


def request_cost(results: Results, side: str) -> tuple[float, float] | None:
    """Microseconds of CPU without Kafka: fixed for a request, and for each event (from batches of 1 and 1 000)."""
    entry = results.get("ingest")
    one, thousand = (entry.row(ingest.alone(batch), side) if entry else None for batch in (1, 1000))
    if one is None or thousand is None:
        return None
    fixed = (one.cpu_us - thousand.cpu_us) / (1 - 1 / 1000)
    return fixed, one.cpu_us - fixed


def per_event_over_loads(results: Results) -> float | None:
    """Our cost of an event over that of decoding it."""
    ours, loads = request_cost(results, HEADRACE), request_cost(results, ingest.LOADS)
    return ours[1] / loads[1] if ours and loads else None


def fixed_cost(results: Results) -> float | None:
    """Microseconds of a request before any event, on top of what any application pays for one."""
    ours, canned = request_cost(results, HEADRACE), request_cost(results, ingest.CANNED)
    return ours[0] - canned[0] if ours and canned else None


def growth_from(base: str, case: str) -> Callable[[Results], float | None]:
    """Our CPU of an event in a case over that in another one."""

    def read(results: Results) -> float | None:
        entry = results.get("growth")
        small, large = (entry.row(each, HEADRACE) if entry else None for each in (base, case))
        return large.cpu_us / small.cpu_us if small and large else None

    return read


def _at_least(row: int, what: str, against: str, wanted: float, read: Callable[[Results], float | None]) -> Target:
    return Target(row, what, against, "at least", wanted, "x", read)


def _at_most(
    row: int, what: str, wanted: float, unit: str, read: Callable[[Results], float | None], against: str = "itself"
) -> Target:
    return Target(row, what, against, "at most", wanted, unit, read)


def _ingest(than: str) -> Callable[[Results], float | None]:
    return cheaper("ingest", ingest.on_kafka(100), than)


_WORKER: Final = tuple(
    _at_least(4, f"worker, {case}", peer, wanted, cheaper("worker", case, peer))
    for case in (worker.ONE_K, worker.HUNDRED_K)
    for peer, wanted in ((worker.QUIX, 6), (worker.BYTEWAX, 6), (worker.FAUST, 50))
)
_PATH: Final = tuple(
    _at_least(5, f"whole path, {case}{more}", path.FAUST, wanted, cheaper("path", case, path.FAUST, side))
    for side, more in ((HEADRACE, ""), (path.ALL, ", all projections"))
    for case, wanted in ((path.ONE_K, 50), (path.HUNDRED_K, 20))
)
_READS: Final = tuple(
    _at_least(7, f"read of {case}", peer, 5, cheaper("reads", case, peer))
    for case in (reads.ONE, reads.HUNDRED)
    for peer in (reads.FEAST, reads.IDIOMATIC)
)

TARGETS: Final = (
    _at_least(1, "ingest, batch 100, acks=all", ingest.IDIOMATIC, 20, _ingest(ingest.IDIOMATIC)),
    _at_least(2, "the same", ingest.BARE, 0.6, _ingest(ingest.BARE)),
    _at_most(3, "GraphQL, fixed", 10, "us", operation_fixed),
    _at_most(3, "the same and the application around it", 10, "us", fixed_cost, against=ingest.CANNED),
    _at_most(3, "GraphQL, each event", 1.2, "x", operation_event(graphql.UNJUDGED), against=graphql.LOADS),
    _at_most(3, "the same, its verdict and its JSON for Kafka", 1.2, "x", operation_event(HEADRACE), graphql.LOADS),
    _at_most(3, "the same in the application", 1.2, "x", per_event_over_loads, against=ingest.LOADS),
    *_WORKER,
    *_PATH,
    _at_most(6, "fresh at 20 % of capacity, p50", 10, "ms", figure("freshness", freshness.LOW, "p50_ms")),
    _at_most(6, "fresh at 20 % of capacity, p99", 25, "ms", figure("freshness", freshness.LOW, "p99_ms")),
    _at_most(6, "fresh at 70 % of capacity, p99", 50, "ms", figure("freshness", freshness.HIGH, "p99_ms")),
    _at_most(7, "read of one user at half capacity, p99", 10, "ms", figure("reads", reads.ONE_HALF, "p99_ms")),
    *_READS,
    _at_most(
        8, "cost of an event, 1 M users", 1.2, "x", growth_from(growth.SMALLEST, growth.LARGEST), against="1 k users"
    ),
    _at_most(
        8, "cost of an event, one key = 50 %", 1.2, "x", growth_from(growth.UNIFORM, growth.ONE_KEY), against="uniform"
    ),
    _at_most(9, "fold, 2 000 users", 4, "us", cost("features", features.fold_case(features.MANY))),
    _at_most(9, "derive all features, 2 000 users", 60, "us", cost("features", features.derive_case(features.MANY))),
    _at_most(9, "packed state, p99", 2048, "bytes", figure("features", features.pack_case(features.MANY), "p99_bytes")),
    _at_most(
        9, "packed state, a user beyond the cap", 65536, "bytes", figure("features", features.GREEDY, "largest_bytes")
    ),
)
