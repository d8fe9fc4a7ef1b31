"""Workers that are killed, joined and slowed down under traffic: nothing is lost, nothing counts twice."""

from __future__ import annotations

import asyncio
import dataclasses
from contextlib import closing
from functools import partial

from loadgen.drive import Books
from loadgen.traffic import Shape
from storage.migrate import Migrator
from tests.conftest import free_ports
from tests.integration.world import CommitWatch, World, until

PORTION = Shape(events=2_000, rate=500, seed=11, duplicated=0.10)
STEADY = Shape(events=20_000, rate=1_200, seed=12, duplicated=0.10)


def watch(world: World) -> CommitWatch:
    return CommitWatch(world.system.settings)


async def under_kills(
    world: World, kills: int, *, portions: int, sabotage: str | None = None
) -> tuple[list[Books], list[str], CommitWatch]:
    """Traffic that does not end before `kills` workers have been killed, each while it folded.

    `portions` is the least of it. `sabotage` is done to every worker but the last. Returns what was sent, what is
    served differently, and the watch.
    """
    books: list[Books] = []
    killed = asyncio.Event()

    async def send() -> None:
        while len(books) < portions or not killed.is_set():
            traffic = await world.drive(dataclasses.replace(PORTION, seed=PORTION.seed + len(books)))
            books.append(await traffic.finished())

    await world.start(world.api)
    async with watch(world) as commits:
        sending = asyncio.create_task(send())
        for _ in range(kills):
            before = await commits.offsets()
            await world.launch(world.worker, sabotage=sabotage)
            await until(partial(has_committed, commits, before), 90, "a commit of the worker")
            assert not sending.done()
            await world.stop(world.worker, kill=True)
            await commits.sample()  # nobody writes or commits now, so this one misses nothing
        await world.launch(world.worker)
        killed.set()
        await sending
        mismatches = [line for each in books for line in await world.mismatches(each)]
    return books, mismatches, commits


async def under_replay(world: World, sabotage: str) -> list[str]:
    """What is served differently once a second worker has been given again all that a first one made durable."""
    await world.start(world.api)
    traffic = await world.drive(PORTION)
    await world.start(world.worker, sabotage=sabotage)
    books = await traffic.finished()
    assert await world.mismatches(books) == []
    folded = await world.metric(world.worker, "headrace_records_total")
    await world.stop(world.worker, kill=True)
    await world.start(world.worker, sabotage=sabotage)

    async def replayed() -> bool:
        return await world.metric(world.worker, "headrace_records_total") >= folded

    await until(replayed, 90, "a replay of everything")
    await world.stop(world.worker)  # which ends what it has begun to write
    return await world.mismatches(books)


async def has_committed(commits: CommitWatch, before: dict[int, int]) -> bool:
    """Whether anything was committed since."""
    return await commits.offsets() != before


async def test_ten_kills_of_the_worker_lose_nothing_and_count_nothing_twice(world: World) -> None:
    books, mismatches, commits = await under_kills(world, 10, portions=10)
    assert mismatches == []
    assert commits.violations == []
    assert commits.samples > 10
    assert sum(each.accepted for each in books) >= 19_800
    assert sum(each.duplicates_sent for each in books) >= 2_000


async def test_a_worker_that_joins_and_leaves_under_traffic_changes_nothing(world: World) -> None:
    await world.start(world.api, world.worker)
    second = dataclasses.replace(world.worker, name="worker-2", port=free_ports(1)[0])
    async with watch(world) as commits:
        traffic = await world.drive(STEADY)
        await traffic.sent(STEADY.events // 4)
        await world.start(second)

        async def shares() -> bool:
            return await world.metric(second, "headrace_records_total") > 0

        await until(shares, 60, "a share of the second worker")
        assert not traffic.task.done()
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


async def test_a_slow_store_alone_changes_nothing(world: World) -> None:
    _, mismatches, commits = await under_kills(world, 2, portions=1, sabotage="slow-store")
    assert mismatches == []
    assert commits.violations == []


async def test_without_the_duplicate_guard_features_are_wrong(world: World) -> None:
    _, mismatches, _ = await under_kills(world, 1, portions=1, sabotage="no-duplicate-guard")
    assert any(": served " in line for line in mismatches)


async def test_a_replay_of_everything_changes_nothing(world: World) -> None:
    assert await under_replay(world, "no-commits") == []


async def test_without_the_replay_guard_replays_are_taken_for_duplicates(world: World) -> None:
    mismatches = await under_replay(world, "no-replay-guard")
    assert any("duplicates were seen" in line for line in mismatches)


async def test_with_acknowledgement_before_the_write_events_are_lost(world: World) -> None:
    world.client.deadline_ms = 1_000  # what is lost never comes, however long one waits
    _, mismatches, commits = await under_kills(world, 1, portions=1, sabotage="acknowledge-first")
    assert any("events are missing" in line for line in mismatches)
    assert commits.violations != []
