"""Workers that are killed, joined and slowed down under traffic: nothing is lost, nothing counts twice."""

from __future__ import annotations

import asyncio
import dataclasses
from contextlib import closing

import pytest

from loadgen.traffic import Shape
from storage.migrate import Migrator
from tests.conftest import free_ports
from tests.integration.world import CommitWatch, Traffic, World, until

FIRE = Shape(events=20_000, rate=1_500, seed=11, duplicated=0.10)
SMALL_FIRE = Shape(events=3_000, rate=800, seed=12, duplicated=0.10)


def watch(world: World) -> CommitWatch:
    settings = world.system.settings
    return CommitWatch(settings.kafka.bootstrap_servers, settings.cassandra)


async def kill_repeatedly(
    world: World, traffic: Traffic, commits: CommitWatch, shape: Shape, times: int, sabotage: str | None
) -> None:
    for kill in range(1, times + 1):
        await traffic.sent(shape.events * kill // (times + 2))
        await world.stop(world.worker, kill=True)
        await commits.sample()  # nobody writes or commits now, so this one misses nothing
        await world.launch(world.worker, sabotage=sabotage)


async def test_ten_kills_of_the_worker_lose_nothing_and_count_nothing_twice(world: World) -> None:
    await world.start(world.api, world.worker)
    async with watch(world) as commits:
        traffic = await world.drive(FIRE)
        await kill_repeatedly(world, traffic, commits, FIRE, 10, None)
        books = await traffic.finished()
        assert await world.mismatches(books) == []
    assert books.accepted == round(FIRE.events * 0.99)
    assert books.duplicates_sent == FIRE.events // 10
    assert commits.violations == []
    assert commits.samples > 10


async def test_a_worker_that_joins_and_leaves_under_traffic_changes_nothing(world: World) -> None:
    await world.start(world.api, world.worker)
    second = dataclasses.replace(world.worker, name="worker-2", port=free_ports(1)[0])
    async with watch(world) as commits:
        traffic = await world.drive(FIRE)
        await traffic.sent(FIRE.events // 4)
        await world.start(second)
        await traffic.sent(FIRE.events * 5 // 8)
        assert await world.metric(second, "headrace_records_total") > 0
        await world.stop(second)
        books = await traffic.finished()
        assert await world.mismatches(books) == []
    assert commits.violations == []


async def test_a_worker_ends_when_the_events_topic_is_made_anew(world: World) -> None:
    await world.start(world.worker)

    def begin_epoch() -> None:
        with closing(Migrator(world.system.settings.cassandra)) as migrator, migrator.in_turn():
            migrator.start_epoch()

    async def gone() -> bool:
        return world.system.stack.keeper.running(world.worker.name) is None

    await asyncio.to_thread(begin_epoch)
    await until(gone, 60, "the worker's end")
    log = world.system.stack.keeper.log_path(world.worker.name).read_text()
    assert "EventsTopicRemade" in log
    assert "start the worker again" in log


async def under_small_fire(world: World, sabotage: str) -> tuple[list[str], CommitWatch]:
    """What differs after a small run with two kills of a worker that has been tampered with."""
    await world.start(world.api)
    await world.start(world.worker, sabotage=sabotage)
    async with watch(world) as commits:
        traffic = await world.drive(SMALL_FIRE)
        await kill_repeatedly(world, traffic, commits, SMALL_FIRE, 2, sabotage)
        books = await traffic.finished()
        return await world.mismatches(books), commits


async def test_a_slow_store_alone_changes_nothing(world: World) -> None:
    mismatches, commits = await under_small_fire(world, "slow-store")
    assert mismatches == []
    assert commits.violations == []


@pytest.mark.parametrize("sabotage", ["no-duplicate-guard", "no-replay-guard"])
async def test_without_a_guard_features_are_wrong(world: World, sabotage: str) -> None:
    mismatches, _ = await under_small_fire(world, sabotage)
    assert mismatches != []


async def test_with_acknowledgement_before_the_write_events_are_lost(world: World) -> None:
    mismatches, commits = await under_small_fire(world, "acknowledge-first")
    assert mismatches != []
    assert commits.violations != []
