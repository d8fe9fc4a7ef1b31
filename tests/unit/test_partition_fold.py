"""The fold of one partition over a store and a producer in memory: what is durable when, and what a replay changes."""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from structlog.testing import capture_logs

from features.default import CATALOGUE
from features.derive import derive
from features.distinct import DistinctPart
from features.duplicates import MAX_IDS, DuplicateWindow
from features.fold import Folder, Outcome
from features.packing import unpack
from features.state import NOWHERE, UserState
from runtime.delivery import LogRecord
from runtime.memory_producer import MemoryProducer
from runtime.producer import Headers
from schemas.events import Event
from schemas.receipts import Position
from schemas.topics import DEAD_LETTERS, EVENTS, FEATURES
from storage import MemoryUserStore, StateRow, StoreUnavailable, TimelineRow
from storage.rows import DAY_MS
from streams.announcer import FeatureAnnouncer
from streams.dead_letters import DeadLetterOffice
from streams.errors import TooManyDeadLetters
from streams.partition import PartitionFold, Pipeline, partition_of_user
from streams.state_cache import CacheRoom

PARTITION = 3
START_MS = 20_000 * DAY_MS + DAY_MS // 2
Moment = Literal["before the write", "between the tables", "after the write", "before the answer"]


class Crash(Exception):
    """The process is gone at this point."""


class CrashingStore(MemoryUserStore):
    """Crashes once at the moment it is told; counts and remembers what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.crash_at: Moment | None = None
        self.refused = asyncio.Event()
        self.written = asyncio.Event()
        self.rows_written: list[TimelineRow] = []
        self.loads: list[list[str]] = []

    async def load_states(self, user_ids: Sequence[str]) -> dict[str, bytes]:
        self.loads.append(list(user_ids))
        return await super().load_states(user_ids)

    async def write(self, states: Sequence[StateRow], events: Iterable[TimelineRow]) -> None:
        moment, self.crash_at = self.crash_at, None
        if moment == "before the write":
            raise Crash
        if moment == "between the tables":
            await super().write(states, [])
            raise Crash
        await super().write(states, events)
        self.rows_written += events
        self.written.set()
        if moment == "after the write":
            raise Crash
        if moment == "before the answer":
            raise StoreUnavailable("the answer was lost")

    def _check(self) -> None:
        if not self.available:
            self.refused.set()
        super()._check()


class Worker(PartitionFold):
    """A fold whose batches are finished one by one."""

    async def handle(self, records: Sequence[LogRecord]) -> None:
        """Fold a batch and publish what it changed."""
        finish = await self.fold(records)
        await finish()


@dataclass
class World:
    """A partition of the log, and a worker's half that folds it."""

    store: CrashingStore = field(default_factory=CrashingStore)
    producer: MemoryProducer = field(default_factory=MemoryProducer)
    folder: Folder = field(default_factory=lambda: Folder(CATALOGUE))
    cache_bytes: int = 1 << 20
    events_epoch: int = 1
    partitions: dict[str, int] = field(default_factory=dict)
    most_excess: int = 1000
    log: list[LogRecord] = field(default_factory=list)

    def worker(self) -> Worker:
        """A fold that knows nothing yet, as after a start or a rebalance."""
        return Worker(
            Pipeline(
                catalogue=CATALOGUE,
                folder=self.folder,
                store=self.store,
                announcer=FeatureAnnouncer(self.producer, CATALOGUE),
                dead_letters=DeadLetterOffice(self.producer, most_excess=self.most_excess),
                events_epoch=self.events_epoch,
                partition_of=lambda user_id: self.partitions.get(user_id, PARTITION),
                cache_room=CacheRoom(self.cache_bytes),
            )
        )

    def append(self, value: bytes | None, key: str = "user-1") -> LogRecord:
        """Append a record as the broker does, a second after the one before it."""
        offset = len(self.log)
        record = LogRecord(
            EVENTS.name, PARTITION, offset, START_MS + offset * 1000, key.encode(), value, (("trace", b"1"),)
        )
        self.log.append(record)
        return record

    def view(self, user_id: str = "user-1", event_id: str | None = None, **changes: Any) -> LogRecord:
        """Append an event, by default a view of a moment ago."""
        now_ms = START_MS + len(self.log) * 1000
        event = {
            "eventId": event_id or str(uuid.uuid4()),
            "type": "view_item",
            "userId": user_id,
            "eventTime": now_ms - 5,
            "receivedAt": now_ms - 3,
            "itemId": f"item-{len(self.log)}",
        }
        return self.append(json.dumps({**event, **changes}).encode(), user_id)

    async def state(self, user_id: str = "user-1") -> UserState:
        return unpack((await self.store.load_states([user_id]))[user_id], CATALOGUE)

    async def feature(self, name: str, user_id: str = "user-1") -> object:
        state = await self.state(user_id)
        [feature] = derive(CATALOGUE, state, state.append_ms, [name])
        return feature.value

    async def timeline(self, user_id: str = "user-1") -> list[bytes]:
        day = START_MS // DAY_MS
        entries = await self.store.timeline(user_id, newest_day=day + 1, oldest_day=day - 60, first=10_000)
        return [entry.payload for entry in entries]

    def letters(self) -> list[tuple[bytes | None, str]]:
        """Value and code of each dead letter."""
        return [(record.value, dict(record.headers)["code"].decode()) for record in self.producer.of(DEAD_LETTERS.name)]

    def announced(self) -> list[bytes | None]:
        return [record.value for record in self.producer.of(FEATURES.name)]


@pytest.fixture
async def world() -> World:
    return World()


# --- the order of things


async def test_a_view_becomes_a_feature_and_a_line_of_the_timeline(world: World) -> None:
    record = world.view()
    await world.worker().handle(world.log)
    assert await world.feature("viewCount5m") == 1
    assert await world.feature("recentItems") == ["item-0"]
    assert await world.timeline() == [record.value]
    assert (await world.state()).position == Position(1, PARTITION, 0)


async def test_rows_are_durable_before_anything_is_published(world: World) -> None:
    class Onlooker(MemoryProducer):
        async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> LogRecord:
            if topic == FEATURES.name:
                assert value is not None
                seen.append((json.loads(value)["version"], (await world.state()).version))
            return await super().send(topic, key, value, headers)

    seen: list[tuple[int, int]] = []
    world.producer = Onlooker()
    worker = world.worker()
    for _ in range(3):
        await worker.handle([world.view()])
    assert len(seen) == 3
    assert all(published == stored for published, stored in seen)


async def test_nothing_is_finished_before_it_is_published(world: World) -> None:
    world.view()
    world.producer.stalled = True
    handling = asyncio.create_task(world.worker().handle(world.log))
    await world.store.written.wait()
    assert not handling.done()
    world.producer.stalled = False
    await handling
    assert len(world.announced()) == 1


async def test_nothing_is_folded_before_its_dead_letters_are_acknowledged(world: World) -> None:
    world.view()
    world.append(b"poison")
    world.producer.stalled = True
    handling = asyncio.create_task(world.worker().handle(world.log))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not handling.done()
    assert await world.store.load_states(["user-1"]) == {}
    world.producer.stalled = False
    await handling
    assert world.letters() == [(b"poison", "NOT_JSON")]


async def test_a_store_that_is_away_is_waited_for_before_the_states_are_loaded(world: World) -> None:
    world.view()
    world.store.available = False
    handling = asyncio.create_task(world.worker().handle(world.log))
    await world.store.refused.wait()
    assert not handling.done()
    assert world.announced() == []
    world.store.available = True
    await handling
    assert await world.feature("viewCount5m") == 1


async def test_a_store_that_goes_away_before_the_write_is_waited_for_and_nothing_is_published_meanwhile(
    world: World,
) -> None:
    worker = world.worker()
    await worker.handle([world.view()])
    world.store.available = False  # the state is held, so the first thing that fails is the write
    handling = asyncio.create_task(worker.handle([world.view(), world.append(b"poison"), world.view()]))
    await world.store.refused.wait()
    world.store.refused.clear()
    await world.store.refused.wait()
    assert not handling.done()
    assert len(world.announced()) == 1
    world.store.available = True
    await handling
    assert await world.feature("viewCount5m") == 3
    assert len(world.announced()) == 2
    assert world.letters() == [(b"poison", "NOT_JSON")], "trying again sends no letter twice"


async def test_a_batch_writes_and_publishes_each_changed_user_once(world: World) -> None:
    for index in range(30):
        world.view(f"user-{index % 3}")
    await world.worker().handle(world.log)
    users = [json.loads(value or b"")["userId"] for value in world.announced()]
    assert sorted(users) == ["user-0", "user-1", "user-2"]
    assert [await world.feature("viewCount5m", user) for user in sorted(users)] == [10, 10, 10]


async def test_an_empty_batch_changes_nothing(world: World) -> None:
    await world.worker().handle([])
    assert not world.producer.records


# --- duplicates, late events and poison


@pytest.mark.parametrize("batches", [1, 2])
async def test_an_event_sent_twice_counts_once(world: World, batches: int) -> None:
    event_id = "0199AAAA-0000-7000-8000-000000000001"
    first = world.view(event_id=event_id)
    world.view(event_id=event_id.lower())
    worker = world.worker()
    for records in (world.log,) if batches == 1 else (world.log[:1], world.log[1:]):
        await worker.handle(records)
    assert await world.feature("viewCount5m") == 1
    assert (await world.state()).duplicate_events == 1
    assert await world.timeline() == [first.value]
    assert (await world.state()).position == Position(1, PARTITION, 1), "a receipt of the second one is answered"


async def test_an_id_means_the_same_in_capitals(world: World) -> None:
    """Or a resent event would have a second line in the timeline once its id is out of the duplicate guard."""
    world.view(event_id="0199AAAA-0000-7000-8000-000000000001")
    await world.worker().handle(world.log)
    [row] = world.store.rows_written
    assert row.event_id == "0199aaaa-0000-7000-8000-000000000001"


async def test_the_same_id_of_another_user_is_another_event(world: World) -> None:
    event_id = str(uuid.uuid4())
    world.view("user-1", event_id)
    world.view("user-2", event_id)
    await world.worker().handle(world.log)
    assert [await world.feature("viewCount5m", user) for user in ("user-1", "user-2")] == [1, 1]


async def test_poison_goes_to_the_dead_letters_while_its_neighbours_are_folded(world: World) -> None:
    world.view()
    nested = b'{"a":' + b"[" * 900_000
    for value in (b"not json", None, b"{}", nested):
        world.append(value)
        world.view()
    await world.worker().handle(world.log)
    assert await world.feature("viewCount5m") == 5
    assert len(await world.timeline()) == 5
    wanted = [(b"not json", "NOT_JSON"), (None, "EMPTY"), (b"{}", "WRONG_SHAPE"), (nested, "WRONG_SHAPE")]
    assert world.letters() == wanted


async def test_a_batch_of_nothing_but_poison_is_finished(world: World) -> None:
    world.append(b"not json")
    await world.worker().handle(world.log)
    assert world.letters() == [(b"not json", "NOT_JSON")]
    assert world.announced() == []


async def test_a_run_of_nothing_but_poison_stops_the_worker_before_it_is_acknowledged(world: World) -> None:
    world.most_excess = 10
    worker = world.worker()
    for _ in range(3):
        await worker.handle([world.append(b"poison") for _ in range(3)])
    with pytest.raises(TooManyDeadLetters):
        await worker.handle([world.append(b"poison")])


async def test_a_record_whose_fold_fails_is_put_aside_and_harms_no_other_of_its_user(world: World) -> None:
    class Failing(Folder):
        def fold(self, state: UserState, event: Event, position: Position, append_ms: int) -> Outcome:
            outcome = super().fold(state, event, position, append_ms)
            if event.item_id == "bad":
                raise ArithmeticError("half done")
            return outcome

    world.folder = Failing(CATALOGUE)
    worker = world.worker()
    await worker.handle([world.view()])
    bad = world.view(itemId="bad")
    await worker.handle([world.view(), bad, world.view(), world.view("user-2")])
    assert world.letters() == [(bad.value, "FOLD_FAILED")]
    assert (await world.feature("viewCount5m"), await world.feature("viewCount5m", "user-2")) == (3, 1)
    assert bad.value not in await world.timeline()
    assert len(await world.timeline()) == 3


async def test_failing_records_of_many_users_cost_as_many_passes_as_one_user_has(world: World) -> None:
    folds = 0

    class Failing(Folder):
        def fold(self, state: UserState, event: Event, position: Position, append_ms: int) -> Outcome:
            nonlocal folds
            folds += 1
            if event.item_id == "bad":
                raise ArithmeticError("never works")
            return super().fold(state, event, position, append_ms)

    world.folder = Failing(CATALOGUE)
    for user in range(5):
        for item in ("good", "bad", "good"):
            world.view(f"user-{user}", itemId=item)
    again = world.view("user-4", itemId="bad")
    with capture_logs():  # as text, tracebacks with their variables take seconds
        await world.worker().handle(world.log)
    assert len(world.letters()) == 6
    assert (again.value, "FOLD_FAILED") in world.letters()
    assert folds == 5 * 2 + (5 * 2 + 1) + 5 * 2


NEVER_PAST_HOUR = 1 << 22


class Spoiling(Folder):
    """Leaves a state behind that does not pack, or of which no feature can be derived."""

    def fold(self, state: UserState, event: Event, position: Position, append_ms: int) -> Outcome:
        outcome = super().fold(state, event, position, append_ms)
        if event.item_id == "does not pack":
            state.duplicates.left_packed = True
        if event.item_id == "does not derive":
            for part in state.parts:
                if isinstance(part, DistinctPart):
                    part.newest = NEVER_PAST_HOUR
                    part.sketch = {0: [(NEVER_PAST_HOUR, "of no rank")]}  # type: ignore[list-item]
        return outcome


async def test_a_user_whose_state_does_not_pack_loses_the_records_of_the_batch_and_no_other_does(world: World) -> None:
    world.folder = Spoiling(CATALOGUE)
    worker = world.worker()
    await worker.handle([world.view(), world.view("user-2")])
    bad = [world.view(), world.view(itemId="does not pack"), world.view("user-3", itemId="does not pack")]
    await worker.handle([*bad, world.view("user-2")])
    assert world.letters() == [(record.value, "FOLD_FAILED") for record in bad]
    await worker.handle([world.view()])
    assert (await world.feature("viewCount5m"), await world.feature("viewCount5m", "user-2")) == (2, 2)
    assert len(world.announced()) == 4


async def test_a_user_whose_features_do_not_derive_is_put_aside_and_the_others_are_announced(world: World) -> None:
    world.folder = Spoiling(CATALOGUE)
    bad = world.view(itemId="does not derive")
    await world.worker().handle([bad, world.view("user-2")])
    assert world.letters() == [(bad.value, "FOLD_FAILED")]
    assert [json.loads(value or b"")["userId"] for value in world.announced()] == ["user-2"]
    assert await world.timeline() == [bad.value]


async def test_a_worker_that_can_derive_no_features_stops(world: World) -> None:
    world.folder = Spoiling(CATALOGUE)
    world.most_excess = 10
    worker = world.worker()
    for _ in range(8):
        await worker.handle([world.view(itemId="does not derive")])
    with pytest.raises(TooManyDeadLetters, match="deriving features: TypeError"):
        await worker.handle([world.view(itemId="does not derive")])


async def test_a_record_in_the_partition_of_others_is_put_aside(world: World) -> None:
    world.partitions["user-9"] = PARTITION + 1
    strange = world.view("user-9")
    await world.worker().handle([world.view(), strange, world.view()])
    assert world.letters() == [(strange.value, "WRONG_PARTITION")]
    assert await world.feature("viewCount5m") == 2
    assert await world.store.load_states(["user-9"]) == {}


@given(user_id=st.text(max_size=40))
def test_the_partition_of_a_user_is_the_one_aiokafka_chooses(user_id: str) -> None:
    everything = list(range(EVENTS.partitions))
    assert partition_of_user(user_id) == DefaultPartitioner()(user_id.encode(), everything, everything)


async def test_a_late_event_is_counted_as_late_and_put_aside(world: World) -> None:
    late = world.view(eventTime=START_MS - 32 * DAY_MS)
    in_time = world.view(eventTime=START_MS - 29 * DAY_MS)
    await world.worker().handle(world.log)
    state = await world.state()
    assert state.late_events == 1
    assert state.first_event_ms == START_MS - 29 * DAY_MS
    assert await world.timeline() == [in_time.value]
    assert world.letters() == [(late.value, "TOO_OLD")]
    [letter] = world.producer.of(DEAD_LETTERS.name)
    assert dict(letter.headers)["stage"] == b"fold"


async def test_an_undo_is_a_line_of_the_timeline_and_takes_its_original_back(world: World) -> None:
    viewed = str(uuid.uuid4())
    world.view(event_id=viewed, itemId="a")
    undo = world.view(type="undo", undoes=viewed, itemId="a")
    await world.worker().handle(world.log)
    assert await world.feature("viewCount5m") == 0
    assert undo.value in await world.timeline()
    assert world.letters() == []


async def test_an_undo_that_comes_too_late_or_does_not_fit_is_put_aside_once(world: World) -> None:
    viewed = str(uuid.uuid4())
    world.view(event_id=viewed, itemId="a")
    other = world.view(type="undo", undoes=viewed, itemId="b")
    await world.worker().handle(world.log)
    day_later = [replace(world.view(), timestamp=START_MS + 2 * DAY_MS)]
    late = replace(world.view(type="undo", undoes=viewed, itemId="a"), timestamp=START_MS + 2 * DAY_MS)
    await world.worker().handle([*world.log[:2], *day_later, late])
    await world.worker().handle([late])
    assert world.letters() == [(other.value, "UNDO_MISMATCH"), (late.value, "UNDO_TOO_LATE")]
    assert other.value not in await world.timeline()


async def test_a_late_event_that_is_durable_is_not_put_aside_again(world: World) -> None:
    world.view(eventTime=START_MS - 32 * DAY_MS)
    await world.worker().handle(world.log)
    await world.worker().handle(world.log)
    assert (await world.state()).late_events == 1
    assert len(world.letters()) == 1


async def test_a_topic_that_was_made_anew_is_folded_from_its_beginning_and_old_ids_stay_known(world: World) -> None:
    first = world.view()
    world.view()
    await world.worker().handle(world.log)
    again = World(store=world.store, events_epoch=2)
    again.append(first.value)
    again.view()
    await again.worker().handle(again.log)
    assert await world.feature("viewCount5m") == 3
    state = await world.state()
    assert (state.duplicate_events, state.position) == (1, Position(2, PARTITION, 1))


# --- the cache


@pytest.mark.parametrize("cache_bytes", [1, 1_000, 1 << 20])
async def test_the_size_of_the_cache_changes_no_result(cache_bytes: int) -> None:
    world = shop(seed=5, users=7)
    world.cache_bytes = cache_bytes
    await fold_all(world, random.Random(1), crashes=0)
    await check(world)


async def test_the_users_not_seen_for_longest_are_forgotten_first(world: World) -> None:
    await world.worker().handle([world.view("user-0")])
    [packed] = (await world.store.load_states(["user-0"])).values()
    world.store.loads.clear()
    world.cache_bytes = len(packed) * 5 // 2  # room for two users like this one
    worker = world.worker()
    for user_id in ("user-1", "user-2", "user-1", "user-3", "user-1", "user-2"):
        await worker.handle([world.view(user_id)])
    assert world.store.loads == [["user-1"], ["user-2"], ["user-3"], ["user-2"]]
    assert [await world.feature("viewCount5m", f"user-{number}") for number in (1, 2, 3)] == [3, 2, 1]


async def test_the_states_of_a_batch_are_loaded_together_and_once(world: World) -> None:
    for index in range(9):
        world.view(f"user-{index % 3}")
    worker = world.worker()
    await worker.handle(world.log)
    await worker.handle([world.view("user-0")])
    assert world.store.loads == [["user-0", "user-1", "user-2"]]


async def test_a_write_whose_answer_was_lost_is_repeated_whole(world: World) -> None:
    records = [world.view(), world.view("user-2")]
    world.store.crash_at = "before the answer"
    await world.worker().handle(world.log)
    assert [row.payload for row in world.store.rows_written] == [record.value for record in records] * 2


# --- replays


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
