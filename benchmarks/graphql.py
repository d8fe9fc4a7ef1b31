"""What GraphQL itself costs, from a request's body to the reply's, without HTTP, Kafka and Cassandra."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

import msgspec
import orjson

from benchmarks.bench import Bench
from benchmarks.collector import as_in_the_product
from benchmarks.harness import HEADRACE, Entry, Sample, Side, alternate
from benchmarks.sides.ingest_load import client_event
from features import load_catalogue
from features.fold import Folder
from features.packing import pack
from features.state import new_state
from graphql_api.compiled.operations import Operations
from graphql_api.context import RequestContext
from graphql_api.ingest import Ingest, Judged, Outcome
from graphql_api.reads import Reads
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

STRAWBERRY, UNJUDGED, LOADS = "Strawberry", "Headrace, decode and reply alone", "orjson.loads, canned reply"
BATCHES: Final = (0, 1, 10, 100, 1000)

CATALOGUE = load_catalogue("features.default:CATALOGUE")
TRACK = """mutation Track($input: TrackEventsInput!) { trackEvents(input: $input) {
    acceptedCount rejected { index eventId code message path } retry { index eventId reason } receipt traceId } }"""
Answer = Callable[[bytes], Awaitable[bytes]]


class NotSent(Ingest):
    """Judges, and takes everything that is accepted for acknowledged."""

    async def send(self, judged: Judged) -> Outcome:
        return Outcome(len(judged.records), judged.rejected, [], None)


class NotJudged(NotSent):
    """Accepts everything, unseen."""

    def judge(self, events: Any, *, sent_at_ms: int | None) -> Judged:
        return Judged([], [], [], [])


class Api:
    """The GraphQL half of the API, which knows the texts of `bodies`."""

    def __init__(self, store: MemoryUserStore, kind: type[Ingest], bodies: Iterable[bytes]) -> None:
        settings = Settings(_env_file=None).api  # type: ignore[call-arg]  # an argument of pydantic-settings
        ingest = kind(MemoryProducer(), settings, clock=now_ms, events_epoch=lambda: 1)
        hub = Hub(MemoryChangeFeed(), linger_seconds=0)
        self._context = RequestContext(ingest, Reads(store, CATALOGUE, settings, clock=now_ms), hub, "0" * 32)
        self._schema = build_schema(CATALOGUE)
        self._operations = Operations(self._schema, CATALOGUE, capacity=10)
        for body in bodies:
            for _ in range(2):  # a text is compiled when it comes again
                self._operations.learn(orjson.loads(body)["query"])

    async def compiled(self, body: bytes) -> bytes:
        """Answer by a plan."""
        operation = self._operations.find(body)
        assert operation is not None
        result = await self._operations.execute(operation, self._context)
        assert result is not None
        assert not result.errors
        return orjson.dumps({"data": result.data})

    async def strawberry(self, body: bytes) -> bytes:
        """Answer by Strawberry."""
        request = orjson.loads(body)
        result = await self._schema.execute(
            request["query"], variable_values=request["variables"], context_value=self._context
        )
        assert not result.errors
        return orjson.dumps({"data": result.data})


async def _canned(body: bytes) -> bytes:
    orjson.loads(body)
    return b'{"data":{"trackEvents":{"acceptedCount":0}}}'


def _mutation_body(events: int) -> bytes:
    sent = [client_event(number) for number in range(events)]
    return orjson.dumps({"query": TRACK, "variables": {"input": {"events": sent}}})


def _read_bodies(user_ids: list[str]) -> dict[str, bytes]:
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


async def _stored_users() -> MemoryUserStore:
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


def mutation(batch: int) -> str:
    """The case of that batch size."""
    return f"batch {batch}"


def measure(bench: Bench) -> Entry:
    """Mutations of 0 to 1 000 events, and reads of 1 and 100 users."""
    store = asyncio.run(_stored_users())
    seconds = 0.0 if bench.quick else 0.2
    mutations = {mutation(batch): _mutation_body(batch) for batch in BATCHES}
    bodies = {**mutations, **_read_bodies(list(store._states))}
    judged, unjudged = (Api(store, kind, bodies.values()) for kind in (NotSent, NotJudged))
    sides: dict[str, tuple[Answer, dict[str, bytes]]] = {
        HEADRACE: (judged.compiled, bodies),
        UNJUDGED: (unjudged.compiled, mutations),
        STRAWBERRY: (judged.strawberry, bodies),
        LOADS: (_canned, mutations),
    }
    measured = [Side(name, partial(_run, answer, cases, seconds)) for name, (answer, cases) in sides.items()]
    with as_in_the_product():
        rows = alternate(measured, bench.runs, bench.say)
    return Entry(
        name="graphql",
        title="From a request's body to the reply's: trackEvents of so many events of 190 bytes, and reads",
        item="request",
        servers="none: nothing is sent, and states are read from memory",
        rows=rows,
        notes=[
            f"{UNJUDGED}: what GraphQL does; on top of it come each event's verdict and its JSON for Kafka.",
            f"{STRAWBERRY}: the same schema and the same verdicts, with both caches, by Strawberry's own execution.",
            "Reads unpack the state of each user and derive 20 features.",
        ],
    )


def _run(answer: Answer, bodies: Mapping[str, bytes], seconds: float) -> list[Sample]:
    return [asyncio.run(_sample(case, answer, body, seconds)) for case, body in bodies.items()]


async def _sample(case: str, answer: Answer, body: bytes, seconds: float) -> Sample:
    """As many requests as take about `seconds`."""
    begin = time.process_time()
    for _ in range(3):
        await answer(body)
    times = max(3, int(seconds / max((time.process_time() - begin) / 3, 1e-6)))
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        await answer(body)
    return Sample(case, times, time.perf_counter() - wall, time.process_time() - cpu)
