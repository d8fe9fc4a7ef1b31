"""Sides that consume the events topic, each in a process of its own; their counts are compared with the truth."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import orjson

from benchmarks import asgi
from benchmarks.application import new_app
from benchmarks.bench import Bench
from benchmarks.harness import Sample, WrongResult
from benchmarks.processes import ServersCpu, run_side, sample_of
from benchmarks.traffic import Traffic
from runtime.memory_producer import MemoryProducer
from runtime.settings import FeatureSettings, Settings, as_environment
from schemas.topics import EVENTS
from storage import CassandraUserStore

SHIPPED: Final = "features.default:CATALOGUE"
COUNTS: Final = "benchmarks.sides.counts_catalogue:CATALOGUE"
_COUNT_FEATURE: Final = {SHIPPED: "viewCount24h", COUNTS: "eventCount24h"}
_USERS_A_READ: Final = 100
_USERS_COMPARED: Final = 5_000
_VALUES: Final = "query($ids: [ID!]!) { users(ids: $ids) { featureValues { name value } } }"

_groups = itertools.count()


def headrace(bench: Bench, traffic: Traffic, *, case: str, catalogue: str, states_alone: bool) -> list[Sample]:
    """A worker that folds the whole topic into a store of its own, whose users are then read through the API."""
    settings = bench.servers.new_store(features=FeatureSettings(catalogue=catalogue))
    try:
        servers_cpu = ServersCpu(bench.servers)
        (printed,) = run_side(
            "benchmarks.sides.headrace_worker",
            {"records": traffic.events, "statesAlone": states_alone},
            environment=as_environment(settings),
            log=bench.log("headrace-worker"),
        )
        spent = servers_cpu.spent()
        truth = some_of(traffic.counts())
        compare("the features", asyncio.run(_served_counts(settings, list(truth), _COUNT_FEATURE[catalogue])), truth)
    finally:
        bench.servers.drop(settings.cassandra.keyspace)
    return [sample_of({**printed, "case": case}, spent)]


def peer(
    bench: Bench,
    module: str,
    truth: Mapping[str, int],
    *,
    case: str,
    records: int,
    environment: str | None = None,
    **arguments: object,
) -> list[Sample]:
    """A peer's process that writes its counts into a file. `environment` names its own; None is the product's."""
    number = next(_groups)
    results = bench.work / f"{module}-{number}.json"
    python = Path(sys.executable) if environment is None else bench.environments.python(environment)
    servers_cpu = ServersCpu(bench.servers)
    (printed,) = run_side(
        f"benchmarks.peers.{module}",
        {
            "kafka": bench.servers.kafka,
            "topic": EVENTS.name,
            "partitions": EVENTS.partitions,
            "group": f"{module.replace('.', '-')}-{number}",
            "records": records,
            "results": str(results),
            **arguments,
        },
        log=bench.log(module),
        python=python,
    )
    spent = servers_cpu.spent()
    compare("the counts", json.loads(results.read_text()), truth)
    return [sample_of({**printed, "case": case}, spent)]


def some_of(counts: Mapping[str, int]) -> dict[str, int]:
    """All of them, or as many as can be read in seconds."""
    chosen = random.Random(1).sample(sorted(counts), min(_USERS_COMPARED, len(counts)))
    return {user_id: counts[user_id] for user_id in chosen}


def compare(what: str, found: Mapping[str, object], truth: Mapping[str, object]) -> None:
    """Raises WrongResult with an example unless both are the same."""
    if found == truth:
        return
    wrong = [key for key in {**truth, **found} if found.get(key) != truth.get(key)]
    example = wrong[0]
    raise WrongResult(
        f"{what} of {len(wrong)} of {len(truth)} keys differ, such as {example}: "
        f"{found.get(example)} instead of {truth.get(example)}"
    )


async def _served_counts(settings: Settings, user_ids: Sequence[str], feature: str) -> dict[str, int]:
    """One feature of all users, as a client reads it."""
    store = CassandraUserStore(settings.cassandra)
    await store.start()
    try:
        await store.connected()
        app = new_app(settings, store=store, producer=MemoryProducer())
        counts = {}
        for first in range(0, len(user_ids), _USERS_A_READ):
            ids = user_ids[first : first + _USERS_A_READ]
            answer = await asgi.post(app, "/graphql", orjson.dumps({"query": _VALUES, "variables": {"ids": ids}}))
            for user_id, user in zip(ids, orjson.loads(answer)["data"]["users"], strict=True):
                counts[user_id] = next(each["value"] for each in user["featureValues"] if each["name"] == feature)
        return counts
    finally:
        await store.close()
