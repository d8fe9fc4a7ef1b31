"""Counts per user from a backlog in Kafka, beside the stream processors that a Python team would pick."""

from __future__ import annotations

import time
from functools import partial

from benchmarks import consumers
from benchmarks.bench import Bench
from benchmarks.harness import HEADRACE, Entry, Row, Side, alternate
from benchmarks.servers import NAMES
from benchmarks.traffic import Traffic

ONE_K, HUNDRED_K = "1 k users", "100 k users"
FULL = "Headrace, 29 features, timeline, topic"
FAUST, QUIX, QUIX_WINDOWED, BYTEWAX = "Faust table", "Quix stateful", "Quix windowed", "Bytewax windowed"


def measure(bench: Bench) -> Entry:
    """1 k and 100 k users, Zipf 1.1."""
    rows: list[Row] = []
    for case, users in ((ONE_K, 1_000), (HUNDRED_K, 100_000)):
        now_ms = time.time_ns() // 1_000_000
        traffic = Traffic(bench.size(200_000, 20_000), bench.size(users, users // 10), "zipf 1.1", now_ms)
        bench.servers.refill(traffic.records())
        rows += alternate(_sides(bench, traffic, case), bench.runs, partial(bench.say_of, case))
    return Entry(
        name="worker",
        title=f"Counts per user over a backlog of {traffic.events} events, Zipf 1.1",
        item="event",
        servers=NAMES,
        rows=rows,
        notes=[
            f"{HEADRACE}: counts in sliding windows, every changed user's state durable in Cassandra at the commit.",
            f"{FULL}: the worker as it is shipped, which no peer's row does the like of.",
            "Quix: state in RocksDB with its changelog topic. Bytewax: in memory, no recovery. Faust: table in memory "
            "with its changelog topic, uvloop.",
            "Measured from the first event handled to the last one durable; every side's counts were compared with the "
            "truth, a side that differs has no figures.",
        ],
    )


def _sides(bench: Bench, traffic: Traffic, case: str) -> list[Side]:
    headrace = partial(consumers.headrace, bench, traffic, case=case)
    peer = partial(consumers.peer, bench, case=case, records=traffic.events)
    quix = partial(peer, "quixstreams.counts", environment="quixstreams")
    totals, hourly = traffic.counts(), traffic.hourly_counts()
    return [
        Side(HEADRACE, partial(headrace, catalogue=consumers.COUNTS, states_alone=True)),
        Side(FULL, partial(headrace, catalogue=consumers.SHIPPED, states_alone=False)),
        Side(QUIX, partial(quix, totals, windowed=False)),
        Side(QUIX_WINDOWED, partial(quix, hourly, windowed=True)),
        Side(BYTEWAX, partial(peer, "bytewax.counts", hourly, environment="bytewax")),
        Side(FAUST, partial(peer, "faust.counts", totals)),
    ]
