"""From Kafka to durable rows in Cassandra, beside a Faust agent that writes every event."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks import consumers
from benchmarks.bench import Bench
from benchmarks.harness import HEADRACE, Entry, Row, Sample, Side, alternate
from benchmarks.servers import NAMES
from benchmarks.traffic import Traffic

ONE_K, HUNDRED_K = "1 k users", "100 k users"
ALL, FAUST = "Headrace, all projections", "Faust table + execute_async"
_KEYSPACE = "bench_faust"
_TABLE = f"CREATE TABLE {_KEYSPACE}.user_counts (user_id text PRIMARY KEY, events bigint, last_event_ms bigint)"


def measure(bench: Bench) -> Entry:
    """1 k and 100 k users, Zipf 1.1."""
    rows: list[Row] = []
    for case, users in ((ONE_K, 1_000), (HUNDRED_K, 100_000)):
        now_ms = time.time_ns() // 1_000_000
        traffic = Traffic(bench.size(80_000, 10_000), bench.size(users, users // 10), "zipf 1.1", now_ms)
        bench.servers.refill(traffic.records())
        headrace = partial(consumers.headrace, bench, traffic, case=case, catalogue=consumers.SHIPPED)
        sides = [
            Side(HEADRACE, partial(headrace, states_alone=True)),
            Side(ALL, partial(headrace, states_alone=False)),
            Side(FAUST, partial(_faust, bench, traffic, case)),
        ]
        rows += alternate(sides, bench.runs, partial(bench.say_of, case))
    return Entry(
        name="path",
        title=f"From Kafka to durable rows: {traffic.events} events, Zipf 1.1",
        item="event",
        servers=NAMES,
        rows=rows,
        notes=[
            f"{HEADRACE}: 29 features from one packed row per user (`user_state`), durable before the commit.",
            f"{ALL}: the worker as it is shipped, with the timeline's rows and the topic of features.",
            f"{FAUST}: an agent over typed records counts per user in a table (memory, changelog topic) and writes "
            "each event's count as a row.",
            "Both sides' counts were read back (ours of 5 000 users) and compared with the truth.",
        ],
    )


def _faust(bench: Bench, traffic: Traffic, case: str) -> list[Sample]:
    with _keyspace(bench):
        samples = consumers.peer(
            bench,
            "faust.counts",
            traffic.counts(),
            case=case,
            records=traffic.events,
            cassandraPort=bench.servers.cassandra_port,
            keyspace=_KEYSPACE,
        )
        with bench.servers.session() as session:
            stored = dict(session.execute(f"SELECT user_id, events FROM {_KEYSPACE}.user_counts"))
        consumers.compare("the rows", stored, traffic.counts())
        return samples


@contextmanager
def _keyspace(bench: Bench) -> Iterator[None]:
    with bench.servers.session() as session:
        session.execute(
            f"CREATE KEYSPACE {_KEYSPACE} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}"
        )
        session.execute(_TABLE)
    try:
        yield
    finally:
        bench.servers.drop(_KEYSPACE)
