"""Kafka or Cassandra is away, or everything has died: wait, say so, lose nothing, and go on."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from graphql_api.reads import MAX_USERS
from loadgen.client import Client
from loadgen.drive import Books
from loadgen.traffic import Shape
from runtime.producer import EventProducer
from schemas.topics import EVENTS
from tests.integration.world import World, commits_of, until, view

CUT_SHORT = Shape(events=4_000, rate=1_000, seed=22)
OUTAGE = Shape(events=8_000, rate=500, seed=21)
CASSANDRA_AWAY_SECONDS = 15
KAFKA_AWAY_SECONDS = 10
MIB = 1 << 20
COUNTED = "query Counted($ids: [ID!]!) { users(ids: $ids) { features { viewCount24h { value } } } }"


async def test_while_cassandra_is_away_nothing_is_acknowledged_and_then_it_catches_up(world: World) -> None:
    stack, settings = world.system.stack, world.system.settings
    await world.start(world.api, world.worker)
    async with commits_of(settings) as committed:
        traffic = await world.drive(OUTAGE)
        await traffic.sent(1_000)
        try:
            await asyncio.to_thread(stack.stop, "cassandra", kill=True)
            await until(lambda: reason_given(world, "cassandra"), 30, "a /readyz that names Cassandra")
            accepted = traffic.books.accepted
            rss = {service.name: world.rss_bytes(service) for service in (world.api, world.worker)}
            settled = await settled_offsets(committed)
            answer = await world.graphql('{ user(id: "x") { features { viewCount1h { value } } } }')
            assert answer["errors"][0]["extensions"]["code"] == "UPSTREAM_UNAVAILABLE"
            flood = asyncio.create_task(send_large_events(settings.kafka.bootstrap_servers))
            for _ in range(CASSANDRA_AWAY_SECONDS):
                await asyncio.sleep(1)  # the length of the outage is what is asked for
                assert await committed() == settled
                for service in (world.api, world.worker):
                    assert world.rss_bytes(service) < rss[service.name] + 64 * MIB
            large = await flood
            assert traffic.books.accepted > accepted, "the API must go on taking events"
            assert await world.metric(world.worker, "headrace_store_retries_total") > 0
        finally:
            await asyncio.to_thread(stack.start, "cassandra")
        books = await traffic.finished()
        await until(lambda: both_ready(world), 60, "ready again")
        assert await world.mismatches(books) == []
        assert await committed() != settled
    await until(lambda: all_counted(world.client, large), 60, "the large events to be counted")


async def test_while_kafka_is_away_events_are_to_be_retried_and_count_once_when_resent(world: World) -> None:
    stack = world.system.stack
    await world.start(world.api, world.worker)
    running = pids(world)
    events = [view(f"kafka-away-{uuid.uuid4()}") for _ in range(20)]
    books = Books()
    async with Client(world.api.url) as client:
        before = await client.track("trackEvents", events[:10])
        assert (before.accepted, before.retry) == (10, [])
        for event in events[:10]:
            books.accept(event["userId"], event)
        try:
            await asyncio.to_thread(stack.stop, "kafka", kill=True)
            ends = time.monotonic() + KAFKA_AWAY_SECONDS
            while time.monotonic() < ends:
                async with asyncio.timeout(world.system.settings.api.track_deadline_ms / 1000 + 1):
                    during = await client.track("trackEvents", events)
                assert (during.accepted, during.retry) == (0, list(range(20)))
                books.retried_events.update(event["userId"] for event in events)  # each may be in the log or not
            assert books.retried_events[events[0]["userId"]] > 1
            await until(lambda: reason_given(world, "kafka"), 30, "a /readyz that names Kafka")
        finally:
            await asyncio.to_thread(stack.start, "kafka")
        left = events
        async with asyncio.timeout(60):
            while left:
                tracked = await client.track("trackEvents", left)
                books.retried_events.update(event["userId"] for event in left)
                for index, event in enumerate(left):
                    if index not in tracked.retry:
                        books.accept(event["userId"], event)
                left = [left[index] for index in tracked.retry]
        await until(lambda: all_counted(client, events), 60, "every event to be counted")
        assert pids(world) == running, "neither may have been started again"
        assert await world.mismatches(books) == []
        values = [(await client.features(event["userId"]))["viewCount5m"] for event in events]
        assert values == [1] * len(events)


async def test_when_every_process_dies_at_once_nothing_that_was_accepted_is_lost(world: World) -> None:
    stack = world.system.stack
    await world.start(world.api, world.worker)
    traffic = await world.drive(CUT_SHORT)
    await traffic.sent(1_500)
    try:
        for process in stack.keeper.all():
            os.kill(process.pid, signal.SIGKILL)
        await asyncio.to_thread(stack.down)
        assert not traffic.task.done(), "the traffic must go on over the failure"
    finally:
        await asyncio.to_thread(stack.up)
    await world.start(world.api, world.worker)
    books = await traffic.finished()
    assert books.retried > 0
    assert await world.mismatches(books) == []


def pids(world: World) -> list[int]:
    """Of the API and the worker."""
    processes = [world.system.stack.keeper.running(service.name) for service in (world.api, world.worker)]
    return [process.pid for process in processes if process is not None]


async def send_large_events(bootstrap: str) -> list[dict[str, Any]]:
    """120 MB of events of one user each: more than a worker may hold."""
    events = [view(f"large-{uuid.uuid4()}") for _ in range(2_000)]
    producer = EventProducer(bootstrap, client_id="test")
    await producer.start()
    for event in events:
        ballast = random.randbytes(30_000).hex()
        value = json.dumps({**event, "receivedAt": event["eventTime"], "properties": ballast}).encode()
        await producer.send(EVENTS.name, event["userId"].encode(), value)
    await producer.stop()
    return events


async def settled_offsets(committed: Callable[[], Awaitable[dict[int, int]]]) -> dict[int, int]:
    """The committed offsets once the last batch that became durable before the outage is committed too."""
    latest: dict[int, int] = {}

    async def unchanged() -> bool:
        nonlocal latest
        before, latest = latest, await committed()
        await asyncio.sleep(1.5)  # three commit intervals
        return before == latest

    await until(unchanged, 30, "an end of the commits")
    return latest


async def all_counted(client: Client, events: list[dict[str, Any]]) -> bool:
    user_ids = [event["userId"] for event in events]
    for first in range(0, len(user_ids), MAX_USERS):
        users = (await client.ask(COUNTED, {"ids": user_ids[first : first + MAX_USERS]}))["users"]
        if any(user["features"]["viewCount24h"]["value"] is None for user in users):
            return False
    return True


async def reason_given(world: World, dependency: str) -> bool:
    """Both the API and the worker say that they are not ready, and why."""
    for service in (world.api, world.worker):
        ready, checks = await world.readyz(service)
        if ready or not checks or checks[dependency]["ok"] or not checks[dependency]["reason"]:
            return False
    return True


async def both_ready(world: World) -> bool:
    return all([(await world.readyz(service))[0] for service in (world.api, world.worker)])
