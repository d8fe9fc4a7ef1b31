"""Counts per user from a backlog in Kafka, beside the stream processors that a Python team would pick."""

from __future__ import annotations

import time
from functools import partial

from benchmarks import consumers
from benchmarks.bench import Bench
from benchmarks.harness import HEADRACE, Entry, Side, alternate
from benchmarks.servers import NAMES
from benchmarks.traffic import Traffic

CASE = "counts per user"
FULL = "Headrace, 29 features, timeline, topic"
FAUST, QUIX, QUIX_WINDOWED, BYTEWAX = "Faust table", "Quix stateful", "Quix windowed", "Bytewax windowed"


def measure(bench: Bench) -> Entry:
    """10 000 users, Zipf 1.1."""
    traffic = Traffic(bench.size(200_000, 20_000), bench.size(10_000, 1_000), "zipf 1.1", time.time_ns() // 1_000_000)
    bench.servers.refill(traffic.records())
    headrace = partial(consumers.headrace, bench, traffic, case=CASE)
    peer = partial(consumers.peer, bench, case=CASE, records=traffic.events)
    totals, hourly = traffic.counts(), traffic.hourly_counts()
    quix = partial(peer, "quixstreams.counts", environment="quixstreams")
    sides = [
        Side(HEADRACE, partial(headrace, catalogue=consumers.COUNTS, states_alone=True)),
        Side(FULL, partial(headrace, catalogue=consumers.SHIPPED, states_alone=False)),
        Side(QUIX, partial(quix, totals, windowed=False)),
        Side(QUIX_WINDOWED, partial(quix, hourly, windowed=True)),
        Side(BYTEWAX, partial(peer, "bytewax.counts", hourly, environment="bytewax")),
        Side(FAUST, partial(peer, "faust.counts", totals)),
    ]
    return Entry(
        name="worker",
        title=f"Counts per user over a backlog of {traffic.events} events of {len(totals)} users (Zipf 1.1)",
        item="event",
        servers=NAMES,
        rows=alternate(sides, bench.runs, bench.say),
        notes=[
            f"{HEADRACE}: counts in sliding windows, every changed user's state durable in Cassandra at the commit.",
            f"{FULL}: the worker as it is shipped, which no peer's row does the like of.",
            "Quix: state in RocksDB with its changelog topic. Bytewax: in memory, no recovery. Faust: table in memory "
            "with its changelog topic, uvloop.",
            "Measured from the first event handled to the last one durable; every side's counts were compared with the "
            "truth, a side that differs has no figures.",
        ],
    )
