"""Two APIs that differ in one thing: one of them compiles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from runtime.metrics import REGISTRY
from schemas import topics
from schemas.receipts import Position
from storage.memory import MemoryUserStore
from tests.asgi import Answer, call
from tests.unit.api_world import NOW_MS, make_world

JSON_TYPE = {"content-type": "application/json"}


class Pair:
    """A world that compiles and one that does not, otherwise equal."""

    def __init__(self, clock_ms: int, store: MemoryUserStore | None = None) -> None:
        self.compiled = make_world(lambda: clock_ms, store)
        self.reference = make_world(lambda: clock_ms, store, known_documents=0)

    async def seed(self) -> None:
        """Store a user `ann`."""
        for world in (self.compiled, self.reference):
            await world.seed("ann", Position(7, 0, 10), times_ms=(NOW_MS - 86_400_000, NOW_MS - 5000, NOW_MS))

    async def same(self, body: bytes, headers: dict[str, str] | None = None) -> Answer:
        """The answer of both, which must be one, as must be what was sent to Kafka."""
        told = []
        for world in (self.compiled, self.reference):
            world.producer.records.clear()
            answer = await call(world.app, "POST", "/graphql", body, {**JSON_TYPE, **(headers or {})})
            trace_id = answer.headers.pop("x-trace-id")
            answer.body = answer.body.replace(trace_id.encode(), b"TRACE")
            records = [(record.key, record.value, record.offset) for record in world.producer.of(topics.EVENTS.name)]
            told.append((answer.status, answer.headers, answer.body, records))
        assert told[0] == told[1]
        return answer

    async def learn(self, *queries: str) -> None:
        """Send each text twice, in whatever shape: its answer does not matter."""
        for query in queries * 2:
            await call(self.compiled.app, "POST", "/graphql", json.dumps({"query": query}).encode(), JSON_TYPE)


def counted(way: str) -> float:
    """Requests answered in this way, so far."""
    return REGISTRY.get_sample_value("headrace_operations_total", {"way": way}) or 0.0


@contextmanager
def answered(way: str, times: int = 1) -> Iterator[None]:
    """What is asked inside is answered in this way."""
    before = counted(way)
    yield
    assert counted(way) - before == times
