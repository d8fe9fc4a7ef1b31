"""Records that no API of ours wrote: each becomes one dead letter and harms none of its neighbours."""

from __future__ import annotations

import json
import uuid
from typing import Any

from loadgen.client import Client
from runtime.producer import EventProducer
from schemas.topics import DEAD_LETTERS, EVENTS, FEATURES
from tests.integration.world import World, read_topic, until, view

POISON: dict[str, bytes | None] = {
    "NOT_JSON": b"\xff\xfenot json at all",
    "WRONG_SHAPE": b'{"eventId": 7}',
    "EMPTY": None,
}
DEEP = b'{"eventId":"x","properties":' + b"[" * 450_000 + b"]" * 450_000 + b"}"


async def test_each_poison_record_becomes_one_dead_letter_and_its_neighbours_are_folded(world: World) -> None:
    bootstrap = world.system.settings.kafka.bootstrap_servers
    await world.start(world.api)
    user_id = f"poison-{uuid.uuid4()}"
    key = user_id.encode()
    producer = EventProducer(bootstrap, client_id="test")
    await producer.start()
    sent: dict[tuple[int, int], bytes | None] = {}
    # The worker comes afterwards, so that poison and neighbours are one batch of one partition.
    async with Client(world.api.url) as client:
        for value in [*POISON.values(), DEEP]:
            await client.track("trackEvents", [view(user_id)])
            placed = await producer.send(EVENTS.name, key, value)
            sent[placed.partition, placed.offset] = value
        await client.track("trackEvents", [view(user_id)])
        await producer.stop()
        await world.start(world.worker)

        async def folded() -> bool:
            return bool((await client.features(user_id))["viewCount1h"] == len(sent) + 1)

        await until(folded, 30, "the fold of the neighbours")
    letters = [record for record in await read_topic(bootstrap, DEAD_LETTERS.name) if record.key == key]
    headers = [{name: value.decode() for name, value in record.headers} for record in letters]
    assert {
        (int(each["partition"]), int(each["offset"])): record.value
        for each, record in zip(headers, letters, strict=True)
    } == sent
    assert len(letters) == len(sent)
    assert [each["code"] for each in headers] == [*POISON, "WRONG_SHAPE"]
    assert {each["topic"] for each in headers} == {EVENTS.name}
    assert all({"stage", "message", "time", "attempt"} <= each.keys() for each in headers)
    assert await world.metric(world.worker, "headrace_records_total") >= len(sent)


async def test_features_are_published_with_version_and_offset(world: World) -> None:
    await world.start(world.api, world.worker)
    user_id = f"published-{uuid.uuid4()}"

    async def published() -> list[dict[str, Any]]:
        everything = await read_topic(world.system.settings.kafka.bootstrap_servers, FEATURES.name)
        return [json.loads(record.value or b"") for record in everything if record.key == user_id.encode()]

    async def complete() -> bool:
        records = await published()
        return bool(records) and records[-1]["features"]["viewCount1h"] == 2

    async with Client(world.api.url) as client:
        await client.track("trackEventsJson", [view(user_id)])
        await client.track("trackEventsJson", [view(user_id)])
    await until(complete, 30, "a record of both views")
    records = await published()
    for name in ("version", "offset"):
        assert [record[name] for record in records] == sorted({record[name] for record in records})
    assert records[-1]["userId"] == user_id
    assert {"epoch", "partition", "asOf"} <= records[-1].keys()
