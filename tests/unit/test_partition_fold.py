"""The fold of one partition over a store and a producer in memory: what is durable when."""

from __future__ import annotations

import asyncio
import json
import uuid

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from structlog.testing import capture_logs

from features.default import CATALOGUE
from features.distinct import DistinctPart
from features.fold import Folder, Outcome
from features.state import UserState
from runtime.delivery import LogRecord
from runtime.memory_producer import MemoryProducer
from runtime.producer import Headers
from schemas.events import Event
from schemas.receipts import Position
from schemas.topics import DEAD_LETTERS, EVENTS, FEATURES
from storage.rows import DAY_MS
from streams.errors import TooManyDeadLetters
from streams.partition import partition_of_user
from tests.unit.fold_world import PARTITION, START_MS, World


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
