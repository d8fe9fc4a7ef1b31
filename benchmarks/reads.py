"""Features read over HTTP, each side's server in a process of its own, all from the same Cassandra."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import orjson

from benchmarks import http_load
from benchmarks.bench import Bench
from benchmarks.consumers import SHIPPED, compare
from benchmarks.harness import HEADRACE, Entry, Row, Sample, Side, SideFailed, Unavailable, WrongResult, alternate
from benchmarks.processes import ServerProcess, run_side
from benchmarks.servers import NAMES, free_ports
from benchmarks.traffic import HOUR_MS, user_name
from cli.system import ROOT
from features import load_catalogue
from runtime.settings import ApiSettings, Settings, as_environment
from stack.cassandra import DATACENTER

ONE, ONE_HALF, HUNDRED = "one user", "one user, at half capacity", "100 users"
IDIOMATIC, FEAST = "Strawberry resolvers", "Feast server"
FEATURES: Final = (
    *("viewCount5m", "viewCount1h", "viewCount24h", "viewCount7d", "viewCount30d"),
    *("cartAddCount1h", "cartAddCount24h", "cartAddCount7d", "purchaseCount24h", "purchaseCount30d"),
    *("revenue7d", "revenue30d", "averageOrderValue30d", "distinctItemsViewed24h", "distinctItemsViewed7d"),
    *("cartRate7d", "purchaseRate30d", "clickThroughRate24h", "recentItems", "recentSearches"),
)
_KEYSPACE: Final = "bench_reads"
_CQL_TYPE: Final = {"int": "bigint", "float": "double", "string_list": "list<text>"}
_TYPES: Final = (
    "view_item",
    "view_item",
    "view_item",
    "add_to_cart",
    "purchase",
    "search",
    "view_item_list",
    "select_item",
)

Values = dict[str, dict[str, Any]]
"""Feature values by user and name."""


@dataclass(frozen=True, slots=True)
class Api:
    """How to ask a server for users' features, and how to read its answer."""

    path: str
    body: Callable[[Sequence[str]], bytes]
    values: Callable[[Sequence[str], bytes], Values]


def measure(bench: Bench) -> Entry:
    """20 features of one user and of 100 users."""
    users = [user_name(number) for number in range(bench.size(2_000, 200))]
    kinds = {f.name: f.kind for f in load_catalogue(SHIPPED).features if f.name in FEATURES}
    settings = _fold(bench, users)
    with ExitStack() as serving:
        serving.callback(bench.servers.drop, settings.cassandra.keyspace)
        sides: dict[str, tuple[ServerProcess, Api]] = {}
        sides[HEADRACE] = serving.enter_context(_headrace(bench, settings)), GRAPHQL
        truth = asyncio.run(_read_all(*sides[HEADRACE], users))
        missing: list[Row] = []
        for name, start in ((IDIOMATIC, _strawberry), (FEAST, _feast)):
            try:
                server = serving.enter_context(start(bench, truth, kinds, serving))
                api = FEAST_API if name == FEAST else GRAPHQL
                compare("the values", asyncio.run(_read_all(server, api, users)), truth)
                sides[name] = server, api
            except (Unavailable, SideFailed, WrongResult) as error:
                missing.append(Row("", name, reason=f"not measured: {error}"))
        rows = alternate(
            [Side(name, partial(_load, bench, *side, users)) for name, side in sides.items()], bench.runs, bench.say
        )
    return Entry(
        name="reads",
        title=f"20 features of a user read over HTTP, {len(users)} users",
        item="request",
        servers=NAMES,
        rows=rows + missing,
        notes=[
            "One server process for each side; the client is not counted. 16 requests at a time, and then half that "
            "rate as an open model.",
            f"{IDIOMATIC}: one row per user with a column per feature, a DataLoader, a resolver per field, both "
            "caches, uvicorn with uvloop and httptools.",
            f"{FEAST}: `feast serve` with one worker, online store `cassandra`, materialised from the same values.",
            "All values of all users were equal on every side before the clock started. Headrace derives them at the "
            "moment of the read, the others look them up.",
        ],
    )


def _load(bench: Bench, server: ServerProcess, api: Api, users: Sequence[str]) -> list[Sample]:
    seconds = bench.size(5, 1)
    chosen = random.Random(3).sample(users, len(users))
    single = [api.body([user_id]) for user_id in chosen]
    hundreds = [api.body(chosen[first : first + 100]) for first in range(0, len(chosen) - 99, 20)]

    async def run() -> list[Sample]:
        one = await http_load.closed(server, api.path, single, seconds, ONE, bench.servers)
        rate = one.items / one.wall_seconds / 2
        half = await http_load.at_rate(server, api.path, single, seconds, rate, ONE_HALF, bench.servers)
        return [one, half, await http_load.closed(server, api.path, hundreds, seconds, HUNDRED, bench.servers)]

    return asyncio.run(run())


def _fold(bench: Bench, users: Sequence[str]) -> Settings:
    """A store whose rows a worker has folded from 40 events a user; windows do not move while it is read."""
    count = bench.servers.refill(_events(users))
    settings = bench.servers.new_store(api=ApiSettings(port=free_ports(1)[0], admin_port=0))  # type: ignore[call-arg]
    run_side(
        "benchmarks.sides.headrace_worker",
        {"records": count, "statesAlone": False},
        environment=as_environment(settings),
        log=bench.log("headrace-worker"),
    )
    return settings


def _events(users: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Between 2 and 6 hours ago: out of the short windows, and far from the ends of the others."""
    random_ = random.Random(5)
    now_ms = time.time_ns() // 1_000_000
    for user_id in users:
        for number in range(40):
            time_ms = now_ms - random_.randrange(2 * HOUR_MS, 6 * HOUR_MS)
            kind = _TYPES[number % len(_TYPES)]
            event: dict[str, object] = {
                "eventId": str(uuid.UUID(int=random_.getrandbits(128), version=4)),
                "type": kind,
                "userId": user_id,
                "itemId": f"sku-{random_.randrange(5_000)}",
                "category": f"category-{random_.randrange(40)}",
                "eventTime": time_ms,
                "receivedAt": time_ms,
            }
            if kind == "search":
                event["searchTerm"] = f"term {random_.randrange(30)}"
            if kind in ("purchase", "add_to_cart"):
                event |= {"value": random_.randrange(500, 30_000) / 100, "currency": "EUR"}
            yield user_id, orjson.dumps(event)


def _headrace(bench: Bench, settings: Settings) -> ServerProcess:
    return ServerProcess(
        [sys.executable, ROOT / "headrace.py", "api"],
        port=settings.api.port,
        environment=as_environment(settings),
        log=bench.log("headrace-api"),
        ready_path="/readyz",
    )


def _strawberry(bench: Bench, truth: Values, kinds: Mapping[str, str], serving: ExitStack) -> ServerProcess:
    _make_keyspace(bench, serving)
    columns = ", ".join(f"{name} {_CQL_TYPE[kind]}" for name, kind in kinds.items())
    names = ", ".join(kinds)
    with bench.servers.session() as session:
        session.execute(f"CREATE TABLE {_KEYSPACE}.user_features (user_id text PRIMARY KEY, {columns})")
        insert = session.prepare(
            f"INSERT INTO {_KEYSPACE}.user_features (user_id, {names}) VALUES (?{', ?' * len(kinds)})"
        )
        for user_id, values in truth.items():
            session.execute(insert, (user_id, *(values[name] for name in kinds)))
    (port,) = free_ports(1)
    arguments = {
        "port": port,
        "cassandraPort": bench.servers.cassandra_port,
        "keyspace": _KEYSPACE,
        "kinds": dict(kinds),
    }
    return ServerProcess(
        [sys.executable, "-m", "benchmarks.peers.strawberry_api.reads", json.dumps(arguments)],
        port=port,
        log=bench.log("strawberry-reads"),
    )


def _feast(bench: Bench, truth: Values, kinds: Mapping[str, str], serving: ExitStack) -> ServerProcess:
    python = bench.environments.python("feast")
    _make_keyspace(bench, serving)
    values = bench.work / "values.json"
    values.write_bytes(orjson.dumps(truth))
    repository = bench.work / "feast"
    run_side(
        "benchmarks.peers.feast.materialise",
        {
            "repository": str(repository),
            "port": bench.servers.cassandra_port,
            "keyspace": _KEYSPACE,
            "datacenter": DATACENTER,
            "kinds": dict(kinds),
            "values": str(values),
        },
        python=python,
        environment={"FEAST_USAGE": "False"},
        log=bench.log("feast"),
    )
    (port,) = free_ports(1)
    serve = ["serve", "--host", "127.0.0.1", "--port", str(port), "--no-access-log", "--max-requests", "100000000"]
    return ServerProcess(
        [python.parent / "feast", "--chdir", repository, *serve],
        port=port,
        environment={"FEAST_USAGE": "False"},
        log=bench.log("feast"),
        ready_path="/health",
    )


def _make_keyspace(bench: Bench, serving: ExitStack) -> None:
    with bench.servers.session() as session:
        session.execute(
            f"CREATE KEYSPACE IF NOT EXISTS {_KEYSPACE} WITH replication = "
            "{'class': 'SimpleStrategy', 'replication_factor': 1}"
        )
    serving.callback(bench.servers.drop, _KEYSPACE)


async def _read_all(server: ServerProcess, api: Api, users: Sequence[str]) -> Values:
    found: Values = {}
    for first in range(0, len(users), 100):
        some = users[first : first + 100]
        found |= api.values(some, await http_load.ask(server, api.path, api.body(some)))
    return found


_SELECTION: Final = f"features {{ {' '.join(f'{name} {{ value }}' for name in FEATURES)} }}"
_ONE_USER: Final = f"query One($id: ID!) {{ user(id: $id) {{ {_SELECTION} }} }}"
_USERS: Final = f"query Many($ids: [ID!]!) {{ users(ids: $ids) {{ {_SELECTION} }} }}"


def _graphql_body(users: Sequence[str]) -> bytes:
    if len(users) == 1:
        return orjson.dumps({"query": _ONE_USER, "variables": {"id": users[0]}})
    return orjson.dumps({"query": _USERS, "variables": {"ids": users}})


def _graphql_values(users: Sequence[str], answer: bytes) -> Values:
    answered = orjson.loads(answer)
    if answered.get("errors"):
        raise SideFailed(answered["errors"][0]["message"])
    found = answered["data"]["users"]
    return {
        user_id: {name: feature["value"] for name, feature in each["features"].items()}
        for user_id, each in zip(users, found, strict=True)
    }


def _feast_body(users: Sequence[str]) -> bytes:
    return orjson.dumps({"features": [f"user_features:{name}" for name in FEATURES], "entities": {"user_id": users}})


def _feast_values(users: Sequence[str], answer: bytes) -> Values:
    found = orjson.loads(answer)
    names = found["metadata"]["feature_names"]
    return {
        user_id: {
            name: each["values"][place] for name, each in zip(names, found["results"], strict=True) if name in FEATURES
        }
        for place, user_id in enumerate(users)
    }


GRAPHQL: Final = Api("/graphql", _graphql_body, _graphql_values)
FEAST_API: Final = Api("/get-online-features", _feast_body, _feast_values)
