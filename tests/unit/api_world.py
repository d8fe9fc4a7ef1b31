"""The API over fakes, for the tests of this room."""

from __future__ import annotations

import asyncio
import dataclasses
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.types import ASGIApp

from features import load_catalogue
from features.fold import Folder
from features.packing import pack
from features.state import new_state
from graphql_api.app import create_app
from graphql_api.watch import Hub
from runtime.delivery import LogRecord
from runtime.health import Readiness
from runtime.memory_change_feed import MemoryChangeFeed
from runtime.memory_producer import MemoryProducer
from runtime.producer import Headers
from runtime.settings import ApiSettings
from schemas.events import decode_record
from schemas.receipts import Position
from storage.memory import MemoryUserStore
from storage.rows import StateRow, TimelineRow

CATALOGUE = load_catalogue("features.default:CATALOGUE")
NOW_MS = int(time.time() * 1000)
TRACK = """mutation($input: TrackEventsInput!) { trackEvents(input: $input) {
    acceptedCount rejected { index eventId code message path } retry { index eventId reason } receipt traceId } }"""
TRACK_JSON = """mutation($events: [JSON!]!) { trackEventsJson(events: $events) {
    acceptedCount rejected { index eventId code message path } retry { index eventId reason } receipt traceId } }"""


class ScriptedProducer(MemoryProducer):
    """The fake, except for users whose sending is scripted to fail or to hang."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: dict[str, Exception] = {}
        self.hanging: set[str] = set()

    async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> LogRecord:
        """See Producer.send."""
        user_id = (key or b"").decode()
        if user_id in self.hanging:
            await asyncio.Event().wait()
        if user_id in self.failures:
            raise self.failures[user_id]
        return await super().send(topic, key, value, headers)


@dataclass
class World:
    """An application and the fakes it stands on."""

    app: ASGIApp
    store: MemoryUserStore
    producer: ScriptedProducer
    feed: MemoryChangeFeed
    hub: Hub

    async def seed(self, user_id: str, position: Position, *, times_ms: tuple[int, ...] = (NOW_MS,)) -> None:
        """Store a state at `position` and one timeline event per time."""
        state = new_state(CATALOGUE)
        rows = []
        for place, time_ms in enumerate(times_ms, start=1 - len(times_ms)):
            sample = event(user_id, eventTime=time_ms, receivedAt=time_ms, category="hats")
            at = dataclasses.replace(position, offset=position.offset + place)
            Folder(CATALOGUE).fold(state, decode_record(orjson.dumps(sample)), at, NOW_MS)
            rows.append(TimelineRow(user_id, time_ms, sample["eventId"], "view_item", orjson.dumps(sample), 1))
        await self.store.write([StateRow(user_id, pack(state, CATALOGUE), state.version, position)], rows)

    async def change(self, user_id: str, views: int) -> None:
        """Store a state of that many views, at the offset of the same number, and announce it."""
        await self.seed(user_id, Position(7, 0, views), times_ms=(NOW_MS,) * views)
        self.feed.announce(user_id, Position(7, 0, views))


def make_world(
    clock: Callable[[], int] = lambda: NOW_MS, store: MemoryUserStore | None = None, **settings: int
) -> World:
    """A world whose clock stands still."""
    store, producer, feed = store or MemoryUserStore(), ScriptedProducer(), MemoryChangeFeed()
    hub = Hub(feed, linger_seconds=0)
    app = create_app(
        ApiSettings(**settings),  # type: ignore[arg-type]  # every field has a default
        store=store,
        producer=producer,
        catalogue=CATALOGUE,
        hub=hub,
        events_epoch=lambda: 7,
        readiness=Readiness({}),
        clock=clock,
    )
    return World(app, store, producer, feed, hub)


def event(user_id: str = "ann", **fields: Any) -> dict[str, Any]:
    """A fit event as a client writes it."""
    occurred_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW_MS / 1000))
    return {
        "eventId": str(uuid.uuid4()),
        "type": "view_item",
        "userId": user_id,
        "occurredAt": occurred_at,
        "itemId": "sku-1",
        **fields,
    }
