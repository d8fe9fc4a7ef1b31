"""What GraphQL costs the API, beside the least a Python server could do and beside Strawberry. Medians of several runs.

.venv/bin/python -m benchmarks.graphql_cost [--runs 7 --seconds 0.2 --json FILE]

No servers: the producer and the store are the ones in memory, so that only our side is measured. CPU time of this
process, the sides alternating, with the garbage collector set as in the API.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import orjson

from features import load_catalogue
from features.fold import Folder
from features.packing import pack
from features.state import new_state
from graphql_api.compiled.operations import Operations
from graphql_api.context import RequestContext
from graphql_api.ingest import Ingest, Judged, Outcome
from graphql_api.reads import Reads, UserRow
from graphql_api.schema import build_schema
from graphql_api.watch import Hub
from loadgen.simulation import Simulation
from runtime.clock import now_ms
from runtime.memory_change_feed import MemoryChangeFeed
from runtime.memory_producer import MemoryProducer
from runtime.settings import Settings
from schemas.events import Event
from schemas.receipts import Position
from storage.memory import MemoryUserStore
from storage.rows import StateRow

CATALOGUE = load_catalogue("features.default:CATALOGUE")
TRACK = """mutation Track($input: TrackEventsInput!) { trackEvents(input: $input) {
    acceptedCount rejected { index eventId code message path } retry { index eventId reason } receipt traceId } }"""
Side = Callable[[bytes], Awaitable[bytes]]


class NotSent(Ingest):
    """Judges, and takes everything that is accepted for acknowledged."""

    async def send(self, judged: Judged) -> Outcome:
        return Outcome(len(judged.accepted), judged.rejected, [], None)


class NotJudged(NotSent):
    """Accepts everything, unseen."""

    def judge(self, events: Any, *, sent_at_ms: int | None) -> Judged:
        return Judged({}, [])


class HeldRows(Reads):
    """Answers from rows that were unpacked before: what is left is the work of GraphQL and of deriving."""

    rows: dict[str, UserRow]

    async def user(self, user_id: str, *, after: str | None, deadline_ms: int) -> UserRow:
        return self.rows[user_id]

    async def users(self, user_ids: Any) -> Iterator[UserRow]:
        return (self.rows[user_id] for user_id in user_ids)


@dataclass
class Api:
    """The GraphQL half of the API; the HTTP half costs every side the same."""

    context: RequestContext

    def __post_init__(self) -> None:
        self.schema = build_schema(CATALOGUE)
        self.operations = Operations(self.schema, CATALOGUE, capacity=10)

    def learn(self, text: str) -> None:
        for _ in range(2):
            self.operations.learn(text)

    async def compiled(self, body: bytes) -> bytes:
        result = await self.operations.execute(body, self.context, lambda answer: answer)
        assert result is not None
        assert not result.errors
        return orjson.dumps({"data": result.data})

    async def strawberry(self, body: bytes) -> bytes:
        request = orjson.loads(body)
        result = await self.schema.execute(
            request["query"], variable_values=request["variables"], context_value=self.context
        )
        assert not result.errors
        return orjson.dumps({"data": result.data})


async def floor(body: bytes) -> bytes:
    orjson.loads(body)
    return b'{"data":{"trackEvents":{"acceptedCount":0}}}'


def ingest_body(events: int) -> bytes:
    at = time.strftime("%Y-%m-%dT%H:%M:%S.123Z", time.gmtime())
    sent = [
        {
            "eventId": str(uuid.uuid4()), "type": "view_item", "userId": f"user-{number:05}", "occurredAt": at,
            "itemId": f"sku-{number:05}", "category": "hats", "value": 12.5, "currency": "EUR",
        }
        for number in range(events)
    ]  # fmt: skip
    return orjson.dumps({"query": TRACK, "variables": {"input": {"events": sent}}})


def reads_bodies(user_ids: list[str]) -> dict[str, bytes]:
    features = [feature for feature in CATALOGUE.features if feature.kind != "scored_list"][:20]
    selection = " ".join(f"{feature.name} {{ value coveredFrom }}" for feature in features)
    names = [feature.name for feature in features]
    user = f"query($id: ID!) {{ user(id: $id) {{ fresh features {{ {selection} }} }} }}"
    users = f"query($ids: [ID!]!) {{ users(ids: $ids) {{ id features {{ {selection} }} }} }}"
    listed = "query($id: ID!, $n: [String!]) { user(id: $id) { featureValues(names: $n) { name value coveredFrom } } }"
    return {
        "1 user, 20 typed features": orjson.dumps({"query": user, "variables": {"id": user_ids[0]}}),
        "1 user, list of 20 features": orjson.dumps({"query": listed, "variables": {"id": user_ids[0], "n": names}}),
        "100 users, 20 typed features": orjson.dumps({"query": users, "variables": {"ids": user_ids[:100]}}),
    }


async def stored_users() -> MemoryUserStore:
    simulation = Simulation(events=20_000, users=150)
    folder, store = Folder(CATALOGUE), MemoryUserStore()
    states: dict[str, Any] = {}
    for offset, (append_ms, fields) in enumerate(simulation.log()):
        event = msgspec.convert({"receivedAt": append_ms, **fields}, Event)
        state = states.setdefault(event.user_id, new_state(CATALOGUE))
        folder.fold(state, event, Position(1, 0, offset), append_ms)
    rows = [StateRow(name, pack(state, CATALOGUE), state.version, Position(1, 0, 0)) for name, state in states.items()]
    await store.write(rows, [])
    return store


async def costs(sides: dict[str, Side], body: bytes, runs: int, seconds: float) -> dict[str, float]:
    """Median microseconds of CPU for a request by each side; the sides take turns."""
    times = {}
    for name, side in sides.items():
        begin = time.process_time()
        for _ in range(3):
            await side(body)
        times[name] = max(1, int(seconds / max((time.process_time() - begin) / 3, 1e-6)))
    measured: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(runs):
        for name, side in sides.items():
            begin = time.process_time_ns()
            for _ in range(times[name]):
                await side(body)
            measured[name].append((time.process_time_ns() - begin) / 1000 / times[name])
    return {name: statistics.median(values) for name, values in measured.items()}


def show(title: str, rows: dict[str, dict[str, float]]) -> None:
    sides = list(next(iter(rows.values())))
    print(f"\n{title:<32}" + "".join(f"{side:>22}" for side in sides))
    for name, row in rows.items():
        print(f"{name:<32}" + "".join(f"{row[side]:>22.2f}" for side in sides))


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    settings = Settings().api
    store = await stored_users()
    reads = Reads(store, CATALOGUE, settings, clock=now_ms)

    def api(kind: type[Ingest], reads: Reads = reads) -> Api:
        ingest = kind(MemoryProducer(), settings, clock=now_ms, events_epoch=lambda: 1)
        return Api(RequestContext(ingest, reads, Hub(MemoryChangeFeed(), linger_seconds=0), "0" * 32))

    judged, unjudged = api(NotSent), api(NotJudged)
    judged.learn(TRACK)
    unjudged.learn(TRACK)
    sides: dict[str, Side] = {
        "orjson.loads, canned": floor,
        "compiled": unjudged.compiled,
        "Strawberry": unjudged.strawberry,
        "compiled + judge": judged.compiled,
        "Strawberry + judge": judged.strawberry,
    }
    requests = {
        f"{events} events": await costs(sides, ingest_body(events), options.runs, options.seconds)
        for events in (0, 1, 10, 100, 1000)
    }
    show("us of CPU a request", requests)
    slope = {side: (requests["100 events"][side] - requests["0 events"][side]) / 100 for side in sides}
    show("us of CPU an event, batch of 100", {"beyond the empty request": slope})
    least = slope["orjson.loads, canned"]
    show("times orjson.loads", {"beyond the empty request": {side: cost / least for side, cost in slope.items()}})

    held = HeldRows(store, CATALOGUE, settings, clock=now_ms)
    user_ids = list(store._states)
    held.rows = {row.user_id: row for row in await reads.users(user_ids[:100])}
    answers = {}
    for name, body in reads_bodies(user_ids).items():
        whole, rest = api(NotSent), api(NotSent, held)
        for one in (whole, rest):
            one.learn(orjson.loads(body)["query"])
        assert await whole.compiled(body) is not None
        read_sides: dict[str, Side] = {
            "compiled": whole.compiled, "Strawberry": whole.strawberry,
            "compiled, held rows": rest.compiled, "Strawberry, held rows": rest.strawberry,
        }  # fmt: skip
        answers[name] = await costs(read_sides, body, options.runs, options.seconds)
    show("us of CPU a read", answers)
    return {"requests": requests, "event": slope, "reads": answers}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.2, help="of each run of each side")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)  # as cli.serving does
    figures = asyncio.run(measure(options))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
