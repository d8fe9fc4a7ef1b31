"""What an event costs a worker as users become more and traffic less even."""

from __future__ import annotations

import time
from functools import partial

from benchmarks import consumers
from benchmarks.bench import Bench
from benchmarks.harness import HEADRACE, Entry, Row, Side, alternate
from benchmarks.servers import NAMES
from benchmarks.traffic import Skew, Traffic

_SIZES = {"1 k": 1_000, "10 k": 10_000, "100 k": 100_000, "1 M": 1_000_000}
_SKEWED_USERS = "100 k"
_SKEWS: tuple[Skew, ...] = ("uniform", "zipf 1.1", "zipf 1.5", "one key 50 %")


def _case(users: str, skew: Skew) -> str:
    return f"{users} users, {skew}"


SMALLEST, LARGEST = _case("1 k", "uniform"), _case("1 M", "uniform")
UNIFORM, ONE_KEY = _case(_SKEWED_USERS, "uniform"), _case(_SKEWED_USERS, "one key 50 %")


def measure(bench: Bench) -> Entry:
    """Four numbers of users with even traffic, and four kinds of traffic with 100 k users."""
    cases: list[tuple[str, Skew]] = [(users, "uniform") for users in _SIZES]
    cases += [(_SKEWED_USERS, skew) for skew in _SKEWS if skew != "uniform"]
    rows: list[Row] = []
    for users, skew in cases:
        now_ms = time.time_ns() // 1_000_000
        traffic = Traffic(bench.size(200_000, 10_000), bench.size(_SIZES[users], _SIZES[users] // 100), skew, now_ms)
        bench.servers.refill(traffic.records())
        case = _case(users, skew)
        run = partial(consumers.headrace, bench, traffic, case=case, catalogue=consumers.SHIPPED, states_alone=False)
        rows += alternate([Side(HEADRACE, run)], bench.runs, partial(bench.say_of, case))
    return Entry(
        name="growth",
        title=f"A worker as it is shipped over {traffic.events} events: more users, less even traffic",
        item="event",
        servers=NAMES,
        rows=rows,
        notes=[
            "29 features, the timeline and the topic of features; nothing is in the worker's memory at the start.",
            "The counts of 5 000 users were read through the API and compared with the truth.",
        ],
    )
