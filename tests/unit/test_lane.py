"""Lanes: in order, one batch at a time, acknowledged only when it is finished."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial

import pytest

from features.duplicates import MAX_IDS
from runtime.delivery import LogRecord
from streams.lane import Budget, Delivery, Finish, Lane

LONG_SECONDS = 60.0  # a grace that no test uses up


class Desk:
    """A handler that shows each batch it was given and keeps it until it may finish; and the list of what was
    acknowledged."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[list[int]] = asyncio.Queue()
        self.acknowledged: list[int] = []
        self.error: Exception | None = None
        self._may_finish = asyncio.Semaphore(0)
        self.may_acknowledge = asyncio.Event()
        self.may_acknowledge.set()
        self.finished: list[list[int]] = []
        self.finish_error: Exception | None = None

    async def fold(self, records: Sequence[LogRecord]) -> Finish:
        self.begun.put_nowait([record.offset for record in records])
        await self._may_finish.acquire()
        if self.error is not None:
            raise self.error
        return partial(self._finish, [record.offset for record in records])

    async def _finish(self, offsets: list[int]) -> None:
        await self.may_acknowledge.wait()
        self.finished.append(offsets)
        if self.finish_error is not None:
            raise self.finish_error

    def finish(self, batches: int = 1) -> None:
        for _ in range(batches):
            self._may_finish.release()

    def delivery(self, *offsets: int, behind: int = 0) -> Delivery:
        records = [LogRecord("events", 3, offset, 0, None, b"{}", ()) for offset in offsets]
        return Delivery(records, lambda: self.acknowledged.append(offsets[-1]), behind)


async def turns(count: int = 20) -> None:
    """Let every task that can go on do so."""
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.fixture
async def desk() -> Desk:
    return Desk()


@pytest.fixture
def budget() -> Budget:
    return Budget(100, 1 << 20)


@pytest.fixture
async def lane(desk: Desk, budget: Budget) -> AsyncIterator[Lane]:
    made = Lane(desk.fold, budget, flush_records=5)
    yield made
    await made.stop(0)


async def test_a_delivery_is_acknowledged_only_after_it_was_handled(lane: Lane, desk: Desk) -> None:
    lane.offer(desk.delivery(1, 2))
    assert await desk.begun.get() == [1, 2]
    await turns()
    assert desk.acknowledged == []
    desk.finish()
    await turns()
    assert desk.acknowledged == [2]


async def test_what_arrives_while_a_batch_is_in_hand_becomes_the_next_batch(lane: Lane, desk: Desk) -> None:
    lane.offer(desk.delivery(1))
    assert await desk.begun.get() == [1]
    for offset in (2, 3, 4):
        lane.offer(desk.delivery(offset))
    await turns()
    assert desk.begun.empty(), "one batch at a time"
    desk.finish()
    assert await desk.begun.get() == [2, 3, 4]
    desk.finish()
    await turns()
    assert desk.acknowledged == [1, 2, 3, 4]


async def test_a_batch_holds_whole_deliveries_up_to_the_flush_limit(lane: Lane, desk: Desk) -> None:
    for first in (0, 2, 4, 6):
        lane.offer(desk.delivery(first, first + 1))
    desk.finish(2)
    assert await desk.begun.get() == [0, 1, 2, 3]
    assert await desk.begun.get() == [4, 5, 6, 7]


async def test_a_delivery_above_the_flush_limit_is_a_batch_by_itself(lane: Lane, desk: Desk) -> None:
    lane.offer(desk.delivery(1))
    lane.offer(desk.delivery(*range(2, 9)))
    lane.offer(desk.delivery(9))
    desk.finish(3)
    assert [await desk.begun.get() for _ in range(3)] == [[1], [*range(2, 9)], [9]]


async def test_everything_is_handled_in_the_order_of_the_log(lane: Lane, desk: Desk) -> None:
    desk.finish(1000)
    offset = 0
    handled: list[int] = []
    for count in (1, 3, 2, 5, 1, 1, 4, 7, 2) * 5:
        lane.offer(desk.delivery(*range(offset, offset + count)))
        offset += count
        if offset % 4 == 0:
            await turns()
    while len(handled) < offset:
        handled += await desk.begun.get()
    await turns()
    assert handled == list(range(offset))
    assert desk.acknowledged == sorted(desk.acknowledged)
    assert desk.acknowledged[-1] == offset - 1


async def test_an_idle_lane_takes_up_what_comes_later(lane: Lane, desk: Desk) -> None:
    desk.finish(2)
    lane.offer(desk.delivery(1))
    assert await desk.begun.get() == [1]
    await turns()
    lane.offer(desk.delivery(2))
    assert await desk.begun.get() == [2]


async def test_an_error_ends_the_lane_and_nothing_more_is_acknowledged(lane: Lane, desk: Desk) -> None:
    lane.offer(desk.delivery(1))
    desk.finish()
    await desk.begun.get()
    lane.offer(desk.delivery(2))
    await desk.begun.get()
    lane.offer(desk.delivery(3))
    desk.error = RuntimeError("a broken invariant")
    desk.finish(10)
    with pytest.raises(RuntimeError, match="a broken invariant"):
        await lane.task
    lane.offer(desk.delivery(4))
    await turns()
    assert desk.begun.empty()
    assert desk.acknowledged == [1]


async def test_stopping_after_an_error_returns(lane: Lane, desk: Desk, budget: Budget) -> None:
    desk.error = RuntimeError("a broken invariant")
    desk.finish()
    lane.offer(desk.delivery(1))
    lane.offer(desk.delivery(2))
    await asyncio.wait([lane.task])
    await lane.stop(LONG_SECONDS)
    assert budget.records == 0
    assert isinstance(lane.task.exception(), RuntimeError)


async def test_stopping_an_idle_lane_ends_it(lane: Lane) -> None:
    await lane.stop(LONG_SECONDS)
    assert lane.task.done()
    assert lane.task.exception() is None


async def test_stopping_finishes_the_batch_in_hand_and_drops_what_is_pending(
    lane: Lane, desk: Desk, budget: Budget
) -> None:
    lane.offer(desk.delivery(1, 2))
    await desk.begun.get()
    lane.offer(desk.delivery(3))
    stopping = asyncio.create_task(lane.stop(LONG_SECONDS))
    await turns()
    assert not stopping.done(), "a batch in hand is worth waiting for"
    desk.finish(10)
    await stopping
    assert desk.begun.empty()
    assert desk.acknowledged == [2]
    assert budget.records == 0


async def test_a_batch_that_outlasts_the_grace_is_cancelled_and_stays_unacknowledged(
    lane: Lane, desk: Desk, budget: Budget
) -> None:
    lane.offer(desk.delivery(1))
    await desk.begun.get()
    lane.offer(desk.delivery(2))
    await lane.stop(0.001)
    assert lane.task.cancelled()
    assert desk.acknowledged == []
    assert budget.records == 0


# --- full flushes


async def test_a_flush_that_the_log_can_fill_waits_until_it_is_full(lane: Lane, desk: Desk) -> None:
    desk.finish(10)
    lane.offer(desk.delivery(1, 2, behind=8))
    await turns()
    lane.offer(desk.delivery(3, 4, behind=6))
    await turns()
    assert desk.begun.empty(), "one more is missing, and the log has it"
    lane.offer(desk.delivery(5, behind=5))
    assert await desk.begun.get() == [1, 2, 3, 4, 5]


async def test_a_flush_that_a_little_of_the_log_cannot_fill_does_not_wait(lane: Lane, desk: Desk) -> None:
    desk.finish(10)
    lane.offer(desk.delivery(1, 2, behind=2))
    assert await desk.begun.get() == [1, 2]


async def test_a_lane_that_is_far_behind_waits_for_what_the_log_holds(desk: Desk) -> None:
    lane = Lane(desk.fold, Budget(100_000, 1 << 40), flush_records=8_000)
    desk.finish(10)
    lane.offer(of_users(1, 2, behind=1_000))
    await turns()
    assert desk.begun.empty(), "the log cannot fill the flush, but holds much more than is there"
    lane.offer(of_users(3, behind=999))
    await turns()
    assert len(desk.begun.get_nowait()) == 3
    await lane.stop(0)


async def test_what_is_left_of_a_fetch_is_folded_when_the_rest_does_not_come(lane: Lane, desk: Desk) -> None:
    desk.finish(10)
    lane.offer(desk.delivery(1, 2, behind=8))
    assert await desk.begun.get() == [1, 2], "after a while, as when Kafka goes away"
    lane.offer(desk.delivery(3))
    assert await desk.begun.get() == [3]


async def test_a_full_budget_is_not_waited_on(desk: Desk) -> None:
    lane = Lane(desk.fold, Budget(2, 1 << 20), flush_records=5)
    desk.finish(10)
    lane.offer(desk.delivery(1, 2, behind=8))
    await turns()
    assert desk.begun.get_nowait() == [1, 2]
    await lane.stop(0)


async def test_a_budget_that_others_fill_is_not_waited_on(desk: Desk) -> None:
    budget = Budget(4, 1 << 20)
    lane, other = (Lane(desk.fold, budget, flush_records=5) for _ in range(2))
    lane.offer(desk.delivery(1, 2, behind=8))
    await turns()
    assert desk.begun.empty()
    other.offer(desk.delivery(11, 12, behind=8))
    await turns()
    assert sorted([desk.begun.get_nowait(), desk.begun.get_nowait()]) == [[1, 2], [11, 12]]
    for each in (lane, other):
        await each.stop(0)


async def test_a_flush_is_full_when_the_next_delivery_has_no_room_in_it(lane: Lane, desk: Desk) -> None:
    desk.finish(10)
    lane.offer(desk.delivery(1, 2, 3, behind=9))
    lane.offer(desk.delivery(4, 5, 6, behind=1))
    await turns()
    assert [desk.begun.get_nowait(), desk.begun.get_nowait()] == [[1, 2, 3], [4, 5, 6]]


async def test_a_flush_of_large_records_is_full_before_it_has_many(desk: Desk) -> None:
    lane = Lane(desk.fold, Budget(100, 1 << 40), flush_records=5)
    large = LogRecord("events", 0, 1, 0, None, b"x" * (16 << 20), ())
    lane.offer(Delivery([large], lambda: None, behind=100))
    await turns()
    assert desk.begun.get_nowait() == [1]
    await lane.stop(0)


def of_users(*numbers: int, behind: int = 0) -> Delivery:
    """A delivery with an event of each of these users; it is acknowledged by nobody."""
    records = [LogRecord("events", 3, 0, 0, b"user-%d" % number, b"{}", ()) for number in numbers]
    return Delivery(records, lambda: None, behind)


async def flushes(desk: Desk, *deliveries: Delivery) -> list[int]:
    """How many records each flush takes of what is pending."""
    lane = Lane(desk.fold, Budget(100_000, 1 << 40), flush_records=8_000)
    for delivery in deliveries:
        lane.offer(delivery)
    desk.finish(100)
    await turns(200)
    sizes = [len(desk.begun.get_nowait()) for _ in range(desk.begun.qsize())]
    await lane.stop(0)
    return sizes


async def test_a_flush_takes_many_records_of_few_users(desk: Desk) -> None:
    users = [*range(100)] * 5
    assert await flushes(desk, *[of_users(*users)] * 17) == [8_000, 500]


async def test_a_flush_takes_no_more_users_than_are_packed_at_a_stretch(desk: Desk) -> None:
    apart = [of_users(*range(first, first + 500)) for first in range(0, 3_000, 500)]
    assert await flushes(desk, *apart, apart[0]) == [2_000, 1_500]
    assert await flushes(desk, *apart[:4], apart[1], of_users(2_001)) == [2_500, 1]


async def test_a_flush_takes_no_more_events_of_a_user_than_the_duplicate_guard_remembers(desk: Desk) -> None:
    hot = of_users(*[7] * 500)
    assert await flushes(desk, *[hot] * 5) == [2_000, 500]
    assert await flushes(desk, *[hot] * 4, of_users(*[7] * 48), of_users(7), of_users(8)) == [MAX_IDS, 2]


async def test_users_that_come_while_a_batch_is_in_hand_are_counted_anew(desk: Desk) -> None:
    lane = Lane(desk.fold, Budget(100_000, 1 << 40), flush_records=8_000)
    lane.offer(of_users(*range(2_500)))
    assert len(await desk.begun.get()) == 2_500, "one delivery is always taken"
    for first in range(0, 2_500, 500):
        lane.offer(of_users(*range(first, first + 500)))
    desk.finish(3)
    assert [len(await desk.begun.get()) for _ in range(2)] == [2_000, 500]
    await lane.stop(0)


async def test_a_flush_takes_no_more_bytes_than_fit(desk: Desk) -> None:
    large = Delivery([LogRecord("events", 3, 0, 0, b"user-1", b"x" * (7 << 20), ())], lambda: None)
    assert await flushes(desk, large, large, large) == [2, 1]


async def test_a_flush_that_has_its_users_waits_for_no_more(desk: Desk) -> None:
    apart = [of_users(*range(first, first + 500), behind=50_000) for first in range(0, 2_500, 500)]
    assert await flushes(desk, *apart[:4]) == []
    assert await flushes(desk, *apart) == [2_000]


async def test_a_lane_that_waits_for_a_full_flush_stops_at_once(lane: Lane, desk: Desk, budget: Budget) -> None:
    lane.offer(desk.delivery(1, 2, behind=8))
    await turns()
    await lane.stop(LONG_SECONDS)
    assert desk.begun.empty()
    assert budget.records == 0


# --- two stages


async def test_one_batch_is_folded_while_the_one_before_is_finished_and_not_a_third(lane: Lane, desk: Desk) -> None:
    desk.may_acknowledge.clear()
    desk.finish(10)
    for offset in (1, 2, 3):
        lane.offer(desk.delivery(offset))
        await turns()
    assert [await desk.begun.get() for _ in range(2)] == [[1], [2]]
    assert desk.begun.empty(), "the third waits until the first is acknowledged"
    assert desk.acknowledged == []
    desk.may_acknowledge.set()
    assert await desk.begun.get() == [3]
    await turns()
    assert desk.finished == [[1], [2], [3]]
    assert desk.acknowledged == [1, 2, 3]


async def test_an_error_of_a_finish_ends_the_lane_and_leaves_its_batch_unacknowledged(
    lane: Lane, desk: Desk, budget: Budget
) -> None:
    desk.finish_error = RuntimeError("not to be published")
    desk.finish(10)
    lane.offer(desk.delivery(1))
    with pytest.raises(RuntimeError, match="not to be published"):
        await lane.task
    await lane.stop(LONG_SECONDS)
    assert desk.acknowledged == []
    assert budget.records == 0


# --- the budget


async def test_the_budget_counts_what_is_pending_and_what_is_in_hand(lane: Lane, desk: Desk, budget: Budget) -> None:
    lane.offer(desk.delivery(1, 2))
    await desk.begun.get()
    lane.offer(desk.delivery(3))
    assert budget.records == 3
    desk.finish()
    await desk.begun.get()
    assert budget.records == 1
    desk.finish()
    await turns()
    assert budget.records == 0


async def test_a_failed_batch_is_given_back_to_the_budget(lane: Lane, desk: Desk, budget: Budget) -> None:
    desk.error = RuntimeError("a broken invariant")
    lane.offer(desk.delivery(1, 2))
    desk.finish()
    with pytest.raises(RuntimeError, match="a broken invariant"):
        await lane.task
    assert budget.records == 0


async def test_a_reader_waits_while_all_lanes_together_hold_the_limit(desk: Desk) -> None:
    budget = Budget(4, 1 << 20)
    lanes = [Lane(desk.fold, budget, flush_records=5) for _ in range(2)]
    lanes[0].offer(desk.delivery(1, 2))
    await budget.wait_for_room()
    lanes[1].offer(desk.delivery(7, 8, 9))
    assert budget.records == 5, "one delivery may overshoot"
    waiting = asyncio.create_task(budget.wait_for_room())
    await turns()
    assert not waiting.done()
    desk.finish()
    await waiting
    assert budget.records < 4
    for lane in lanes:
        await lane.stop(0)
    assert budget.records == 0


async def test_large_records_use_the_budget_up_as_many_do(desk: Desk) -> None:
    budget = Budget(100, 1000)
    large = LogRecord("events", 0, 1, 0, None, b"x" * 1000, ())
    lane = Lane(desk.fold, budget, flush_records=5)
    lane.offer(Delivery([large], lambda: None))
    waiting = asyncio.create_task(budget.wait_for_room())
    await turns()
    assert not waiting.done()
    await lane.stop(0)
    await waiting
    assert budget.size_bytes == 0


async def test_records_dropped_by_a_stop_make_room_again(desk: Desk) -> None:
    budget = Budget(2, 1 << 20)
    lane = Lane(desk.fold, budget, flush_records=5)
    lane.offer(desk.delivery(1, 2))
    waiting = asyncio.create_task(budget.wait_for_room())
    await turns()
    assert not waiting.done()
    await lane.stop(0)
    await waiting
