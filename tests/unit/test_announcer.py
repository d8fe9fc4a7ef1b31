"""The record that data teams read for each changed user."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from features.catalogue import Catalogue, Count, Windowed
from features.default import CATALOGUE
from features.fold import Folder
from features.packing import pack, unpack
from features.state import UserState, new_state
from runtime.delivery import LogRecord
from runtime.memory_producer import MemoryProducer
from runtime.producer import Headers, ProducerStopped, SendFailed
from schemas.events import Event
from schemas.receipts import Position
from schemas.topics import FEATURES
from streams.announcer import FeatureAnnouncer

APPENDED_MS = 1_760_000_000_000
EVENT_MS = APPENDED_MS - 400


def folded(user_id: str = "user-1", catalogue: Catalogue = CATALOGUE) -> UserState:
    """The state after one view and one purchase."""
    state = new_state(catalogue)
    folder = Folder(catalogue)
    for number, (kind, value) in enumerate([("view_item", None), ("purchase", 12.5)]):
        event = Event(
            event_id=f"01990000-0000-7000-8000-{number:012}",
            type=kind,
            user_id=user_id,
            event_time=EVENT_MS + number,
            received_at=EVENT_MS + number,
            item_id=f"item-{number}",
            value=value,
        )
        folder.fold(state, event, Position(1, 3, 40 + number), APPENDED_MS + number)
    return state


async def announced(*changed: tuple[str, UserState]) -> list[LogRecord]:
    producer = MemoryProducer()
    await FeatureAnnouncer(producer, CATALOGUE).prepare(changed)()
    return producer.of(FEATURES.name)


async def test_a_record_holds_every_feature_and_the_place_in_the_log_that_it_stands_for() -> None:
    [record] = await announced(("user-1", folded()))
    assert record.key == b"user-1"
    assert record.headers == ()
    assert orjson.loads(record.value or b"") == {
        "userId": "user-1",
        "version": (APPENDED_MS + 1) * 1000,
        "epoch": 1,
        "partition": 3,
        "offset": 41,
        "asOf": APPENDED_MS + 1,
        "features": {
            "viewCount5m": 1,
            "viewCount1h": 1,
            "viewCount24h": 1,
            "viewCount7d": 1,
            "viewCount30d": 1,
            "cartAddCount1h": 0,
            "cartAddCount24h": 0,
            "cartAddCount7d": 0,
            "purchaseCount24h": 1,
            "purchaseCount30d": 1,
            "revenue7d": 12.5,
            "revenue30d": 12.5,
            "averageOrderValue30d": 12.5,
            "distinctItemsViewed24h": 1,
            "distinctItemsViewed7d": 1,
            "cartRate7d": 1 / 21,
            "purchaseRate30d": 2 / 51,
            "clickThroughRate24h": 0.03,
            "recentItems": ["item-0"],
            "recentSearches": [],
            "topCategories": [],
            "topItems": [{"key": "item-1", "score": 9.999615}, {"key": "item-0", "score": 0.999961}],
            "sessionLengthSeconds": 0,
            "sessionEventCount": 2,
            "sessionCount7d": 1,
            "daysActive30d": 1,
            "firstSeenAt": EVENT_MS,
            "lastSeenAt": EVENT_MS + 1,
            "secondsSinceLastPurchase": 0,
        },
    }


async def test_the_features_are_those_of_the_catalogue() -> None:
    own = Catalogue([Count("searches", of="search")], features=[Windowed("s1h", "searches", "1h", "Searches.")])
    producer = MemoryProducer()
    await FeatureAnnouncer(producer, own).prepare([("user-1", folded(catalogue=own))])()
    [record] = producer.of(FEATURES.name)
    assert orjson.loads(record.value or b"")["features"] == {"s1h": 0}


async def test_a_replay_publishes_the_same_bytes() -> None:
    """Neither the clock nor the way through the store may show."""
    [first] = await announced(("user-1", folded()))
    [again] = await announced(("user-1", folded()))
    [loaded] = await announced(("user-1", unpack(pack(folded(), CATALOGUE), CATALOGUE)))
    assert first.value == again.value == loaded.value


async def test_each_user_has_a_record_under_its_own_key() -> None:
    users = ["user-1", "ключ", "x" * 200]
    records = await announced(*((user_id, folded(user_id)) for user_id in users))
    assert {record.key: orjson.loads(record.value or b"")["userId"] for record in records} == {
        user_id.encode(): user_id for user_id in users
    }


async def test_nothing_changed_is_nothing_published() -> None:
    assert await announced() == []


async def test_announcing_returns_after_every_record_is_acknowledged() -> None:
    producer = MemoryProducer()
    producer.stalled = True
    announcing = asyncio.ensure_future(FeatureAnnouncer(producer, CATALOGUE).prepare([("user-1", folded())])())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not announcing.done()
    producer.stalled = False
    await announcing
    assert len(producer.of(FEATURES.name)) == 1


async def test_a_record_of_unknown_outcome_is_published_again() -> None:
    class Unsure(MemoryProducer):
        """The first record gets into the log, but its answer does not come back."""

        async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> LogRecord:
            record = await super().send(topic, key, value, headers)
            if len(self.of(topic)) == 1:
                raise SendFailed("unknown outcome")
            return record

    producer = Unsure()
    await FeatureAnnouncer(producer, CATALOGUE).prepare([("user-1", folded())])()
    first, second = producer.of(FEATURES.name)
    assert (first.key, first.value) == (second.key, second.value)


async def test_announcing_over_a_stopped_producer_ends() -> None:
    producer = MemoryProducer()
    await producer.stop()
    publish = FeatureAnnouncer(producer, CATALOGUE).prepare([("user-1", folded())])
    with pytest.raises(ProducerStopped):
        await publish()
