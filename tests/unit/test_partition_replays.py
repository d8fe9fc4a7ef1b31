"""What changes no result of the fold of one partition: replays, after crashes and in other batches, and the cache."""

from __future__ import annotations

import json
import random
import uuid
from collections import defaultdict

import pytest

from features.default import CATALOGUE
from features.derive import derive
from features.duplicates import MAX_IDS, DuplicateWindow
from features.fold import Folder, Outcome
from features.state import NOWHERE, UserState
from schemas.events import Event
from schemas.receipts import Position
from tests.unit.fold_world import Crash, Moment, World


@pytest.fixture
async def world() -> World:
    return World()


async def test_a_replay_changes_nothing_and_writes_the_timeline_again(world: World) -> None:
    event_id = str(uuid.uuid4())
    originals = [world.view(event_id=event_id), world.view()]
    world.view(event_id=event_id)
    await world.worker().handle(world.log)
    state, timeline, announced = await world.state(), await world.timeline(), world.announced()
    world.store.rows_written.clear()
    await world.worker().handle(world.log)
    assert await world.state() == state
    assert await world.timeline() == timeline
    assert [row.payload for row in world.store.rows_written] == [record.value for record in originals]
    assert world.announced() == announced * 2, "data teams see the same bytes again"


async def test_a_crash_between_the_tables_heals_by_replay(world: World) -> None:
    record = world.view()
    world.store.crash_at = "between the tables"
    with pytest.raises(Crash):
        await world.worker().handle(world.log)
    assert await world.feature("viewCount5m") == 1
    assert await world.timeline() == []
    await world.worker().handle(world.log)
    assert await world.feature("viewCount5m") == 1
    assert await world.timeline() == [record.value]


@pytest.mark.parametrize("too_many", [0, 1])
async def test_a_batch_heals_by_replay_while_no_user_has_more_events_in_it_than_are_remembered(
    world: World, too_many: int
) -> None:
    records = [world.view() for _ in range(MAX_IDS + too_many)]
    world.store.crash_at = "between the tables"
    with pytest.raises(Crash):
        await world.worker().handle(world.log)
    await world.worker().handle(world.log)
    assert await world.timeline() == [record.value for record in reversed(records[too_many:])]


async def test_a_replay_in_other_batches_ends_in_the_same_versions(world: World) -> None:
    for _ in range(9):
        world.view()
    await world.worker().handle(world.log)
    whole = await world.state()
    other = World(log=world.log)
    worker = other.worker()
    for record in other.log:
        await worker.handle([record])
    assert await other.state() == whole


@pytest.mark.parametrize("seed", range(12))
async def test_crashes_at_any_moment_lose_nothing_and_count_nothing_twice(seed: int) -> None:
    world = shop(seed)
    await fold_all(world, random.Random(seed), crashes=6)
    await check(world)


@pytest.mark.parametrize("cache_bytes", [1, 1_000, 1 << 20])
async def test_the_size_of_the_cache_changes_no_result(cache_bytes: int) -> None:
    world = shop(seed=5, users=7)
    world.cache_bytes = cache_bytes
    await fold_all(world, random.Random(1), crashes=0)
    await check(world)


# --- negative controls: without its guards the fold fails the very same check


class WithoutDuplicateGuard(Folder):
    """Takes every id for a new one."""

    def fold(self, state: UserState, event: Event, position: Position, append_ms: int) -> Outcome:
        state.duplicates = DuplicateWindow()
        return super().fold(state, event, position, append_ms)


class WithoutReplayGuard(Folder):
    """Does not know how far the state has come."""

    def fold(self, state: UserState, event: Event, position: Position, append_ms: int) -> Outcome:
        state.epoch = NOWHERE
        return super().fold(state, event, position, append_ms)


async def test_without_the_duplicate_guard_the_check_fails() -> None:
    world = shop(seed=0)
    world.folder = WithoutDuplicateGuard(CATALOGUE)
    await fold_all(world, random.Random(0), crashes=0)
    with pytest.raises(AssertionError):
        await check(world)


async def test_without_the_replay_guard_the_check_fails() -> None:
    world = shop(seed=0)
    world.folder = WithoutReplayGuard(CATALOGUE)
    await fold_all(world, random.Random(0), crashes=6)
    with pytest.raises(AssertionError):
        await check(world)


async def test_with_the_acknowledgement_before_the_write_the_check_fails() -> None:
    world = shop(seed=0)
    await fold_all(world, random.Random(0), crashes=6, acknowledge_first=True)
    with pytest.raises(AssertionError):
        await check(world)


def shop(seed: int, users: int = 4) -> World:
    """A log of 300 views of a few users; every tenth is a duplicate of an earlier one, some are poison."""
    chance = random.Random(seed)
    world = World()
    for index in range(300):
        if index % 10 == 9:
            earlier = chance.choice([record for record in world.log if record.value != b"poison"])
            world.append(earlier.value, (earlier.key or b"").decode())
        elif index % 50 == 7:
            world.append(b"poison")
        else:
            world.view(f"user-{chance.randrange(users)}", str(uuid.UUID(int=chance.getrandbits(128))))
    return world


async def fold_all(world: World, chance: random.Random, *, crashes: int, acknowledge_first: bool = False) -> None:
    """Fold the log in batches of random size; a crash loses what is in memory and goes on at what is acknowledged."""
    kinds: tuple[Moment, ...] = ("before the write", "between the tables", "after the write")
    moments = list(kinds) * (crashes // len(kinds))
    chance.shuffle(moments)
    worker, acknowledged, batches = world.worker(), 0, 0
    while acknowledged < len(world.log):
        batch = world.log[acknowledged : acknowledged + chance.randint(1, 40)]
        batches += 1
        world.store.crash_at = moments.pop() if moments and batches % 2 else None
        if acknowledge_first:
            acknowledged += len(batch)
        try:
            await worker.handle(batch)
        except Crash:
            worker = world.worker()
        else:
            acknowledged += 0 if acknowledge_first else len(batch)
    assert not moments, "every crash has happened"


async def check(world: World) -> None:
    """Compare every user's rows with a fold of the log that shares no code with the product."""
    first: dict[str, dict[str, bytes]] = defaultdict(dict)
    duplicates: dict[str, int] = defaultdict(int)
    poison = 0
    for record in world.log:
        assert record.value is not None
        if record.value == b"poison":
            poison += 1
            continue
        event = json.loads(record.value)
        if event["eventId"] in first[event["userId"]]:
            duplicates[event["userId"]] += 1
        first[event["userId"]].setdefault(event["eventId"], record.value)
    assert sum(duplicates.values()) == 30
    for user_id, events in first.items():
        state = await world.state(user_id)
        values = {feature.name: feature.value for feature in derive(CATALOGUE, state, state.append_ms)}
        newest_first = sorted((json.loads(value) for value in events.values()), key=lambda each: -each["eventTime"])
        assert values["viewCount1h"] == values["viewCount7d"] == len(events)
        assert values["recentItems"] == [event["itemId"] for event in newest_first[:20]]
        assert (values["firstSeenAt"], values["lastSeenAt"]) == (
            newest_first[-1]["eventTime"],
            newest_first[0]["eventTime"],
        )
        assert state.duplicate_events == duplicates[user_id]
        assert [json.loads(payload) for payload in await world.timeline(user_id)] == newest_first
    assert len(set(world.letters())) == 1
    assert len(world.letters()) >= poison, "a crash may repeat a letter, never lose one"


async def test_a_batch_of_good_records_ends_a_run_of_dead_letters() -> None:
    world = World(most_excess=10)
    worker = world.worker()
    for _ in range(20):
        await worker.handle([world.append(b"poison")])
        await worker.handle([world.view()])


async def test_the_next_batch_may_be_folded_before_the_features_of_the_last_are_published(world: World) -> None:
    worker = world.worker()
    first = await worker.fold([world.view()])
    second = await worker.fold([world.view()])
    await first()
    await second()
    counts = [json.loads(value or b"")["features"]["viewCount1h"] for value in world.announced()]
    assert counts == [1, 2], "each as it was after its own batch"
