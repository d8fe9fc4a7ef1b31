"""Which reads of states share a statement."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pytest

from storage.errors import StoreUnavailable
from storage.state_reads import KEYS_PER_READ, MOST_KEYS_PER_READ, PATIENCE_SECONDS, READS_UNDER_WAY, StateReads

ANSWERED = {f"user-{n}": b"%d" % n for n in range(2000)}


class Store:
    """Statements that wait until the test answers them; users beyond ANSWERED are unknown."""

    def __init__(self) -> None:
        self.sent: list[list[str]] = []
        self.asked = asyncio.Event()
        self._answers: list[asyncio.Future[None]] = []

    async def read(self, user_ids: Sequence[str]) -> dict[str, bytes]:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sent.append(list(user_ids))
        self.asked.set()
        self._answers.append(answer)
        await answer
        return {user_id: ANSWERED[user_id] for user_id in user_ids if user_id in ANSWERED}

    def answer(self, number: int, error: Exception | None = None) -> None:
        if error is None:
            self._answers[number].set_result(None)
        else:
            self._answers[number].set_exception(error)


async def turns() -> None:
    """Let every task run as far as it gets."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_read_of_an_idle_store_leaves_at_once_and_unknown_users_are_absent() -> None:
    store = Store()
    loading = asyncio.create_task(StateReads(store.read).load(["user-1", "nobody"], None))
    await turns()
    assert store.sent == [["user-1", "nobody"]]
    store.answer(0)
    assert await loading == {"user-1": b"1"}


async def test_many_users_are_read_concurrently_in_statements_of_bounded_size() -> None:
    store = Store()
    users = [f"user-{n}" for n in range(KEYS_PER_READ * 2 + 1)]
    loading = asyncio.create_task(StateReads(store.read).load(users, None))
    await turns()
    assert [len(sent) for sent in store.sent] == [KEYS_PER_READ, KEYS_PER_READ, 1]
    for number in range(3):
        store.answer(number)
    assert await loading == {user_id: ANSWERED[user_id] for user_id in users}


async def test_a_load_of_more_is_spread_over_what_may_be_under_way() -> None:
    store = Store()
    users = [f"user-{n}" for n in range((KEYS_PER_READ + 9) * READS_UNDER_WAY + 1)]
    loading = asyncio.create_task(StateReads(store.read).load(users, None))
    await turns()
    assert [len(sent) for sent in store.sent] == [KEYS_PER_READ + 10] * (READS_UNDER_WAY - 1) + [KEYS_PER_READ + 3]
    for number in range(READS_UNDER_WAY):
        store.answer(number)
    assert len(await loading) == len(users)


async def test_each_replica_set_has_its_share_spread() -> None:
    store = Store()
    users = [f"user-{n}" for n in range(12 * 100)]
    loading = asyncio.create_task(StateReads(store.read).load(users, lambda user_id: int(user_id[5:]) % 12))
    await turns()
    assert [len(sent) for sent in store.sent] == [KEYS_PER_READ] * 24
    for number in range(24):
        store.answer(number)
    assert len(await loading) == len(users)


async def test_after_a_failure_statements_are_small_until_one_load_succeeds() -> None:
    store = Store()
    reads = StateReads(store.read)
    users = [f"user-{n}" for n in range(MOST_KEYS_PER_READ * READS_UNDER_WAY)]
    sizes = []
    for error in (StoreUnavailable("too slow"), None, None):
        begun = answered = len(store.sent)
        loading = asyncio.create_task(reads.load(users, None))
        await turns()
        sizes.append(len(store.sent[begun]))
        while answered < len(store.sent):
            store.answer(answered, error)
            answered += 1
            await turns()
        with suppress(StoreUnavailable):
            await loading
    assert sizes == [MOST_KEYS_PER_READ, KEYS_PER_READ, MOST_KEYS_PER_READ]


async def test_while_a_small_read_is_under_way_others_share_the_next_statement() -> None:
    store = Store()
    reads = StateReads(store.read)
    first = asyncio.create_task(reads.load(["user-0"], None))
    await turns()
    later = [asyncio.create_task(reads.load([user_id], None)) for user_id in ("user-8", "user-9", "user-8")]
    await turns()
    assert store.sent == [["user-0"]]
    store.answer(0)
    await turns()
    assert store.sent[1:] == [["user-8", "user-9"]]
    store.answer(1)
    assert [await each for each in later] == [{"user-8": b"8"}, {"user-9": b"9"}, {"user-8": b"8"}]
    assert await first == {"user-0": b"0"}


async def test_full_statements_keep_a_node_busy() -> None:
    store = Store()
    reads = StateReads(store.read)
    users = [f"user-{n}" for n in range(MOST_KEYS_PER_READ * (READS_UNDER_WAY + 1))]
    loading = asyncio.create_task(reads.load(users, None))
    await turns()
    assert [len(sent) for sent in store.sent] == [MOST_KEYS_PER_READ] * READS_UNDER_WAY
    store.answer(0)
    await turns()
    assert len(store.sent) == READS_UNDER_WAY + 1
    for number in range(1, len(store.sent)):
        store.answer(number)
    assert len(await loading) == len(users)


async def test_nobody_is_given_an_answer_that_was_under_way_before_they_asked() -> None:
    store = Store()
    reads = StateReads(store.read)
    early = asyncio.create_task(reads.load(["user-1"], None))
    await turns()
    late = asyncio.create_task(reads.load(["user-1"], None))
    await turns()
    store.answer(0)
    await early
    await turns()
    assert not late.done()
    assert store.sent == [["user-1"], ["user-1"]]
    store.answer(1)
    assert await late == {"user-1": b"1"}


async def test_users_of_different_replicas_never_share_a_statement() -> None:
    store = Store()
    users = [f"user-{n}" for n in range(10)]
    loading = asyncio.create_task(StateReads(store.read).load(users, lambda user_id: int(user_id[-1]) % 2))
    await turns()
    assert sorted(store.sent) == [users[0::2], users[1::2]]
    store.answer(0)
    store.answer(1)
    assert len(await loading) == 10


async def test_a_failure_is_told_to_all_who_share_it_and_ends_nothing_else() -> None:
    store = Store()
    reads = StateReads(store.read)
    first = asyncio.create_task(reads.load(["user-0"], None))
    await turns()
    sharing = [asyncio.create_task(reads.load(["user-8"], None)) for _ in range(2)]
    gave_up = asyncio.create_task(reads.load(["user-8"], None))
    await turns()
    gave_up.cancel()
    store.answer(0)
    await turns()
    store.answer(1, StoreUnavailable("away"))
    for each in sharing:
        with pytest.raises(StoreUnavailable):
            await each
    again = asyncio.create_task(reads.load(["user-8"], None))
    await turns()
    store.answer(2)
    assert await again == {"user-8": b"8"}
    assert await first == {"user-0": b"0"}


async def test_a_statement_that_hangs_holds_nobody_up_who_has_waited_a_moment() -> None:
    store = Store()
    reads = StateReads(store.read)
    hanging = asyncio.create_task(reads.load(["user-0"], None))
    await turns()
    store.asked.clear()
    patient = asyncio.create_task(reads.load(["user-8"], None))
    await asyncio.wait_for(store.asked.wait(), 30)
    store.answer(1)
    assert await patient == {"user-8": b"8"}
    assert not hanging.done()
    store.answer(0)
    await hanging


async def test_who_has_waited_a_moment_without_room_leaves_as_soon_as_there_is_some() -> None:
    store = Store()
    reads = StateReads(store.read)
    hanging = asyncio.create_task(reads.load(["user-0"], None))
    await turns()
    others = [f"user-{n}" for n in range(1, 1 + KEYS_PER_READ * (READS_UNDER_WAY - 1))]
    busy = asyncio.create_task(reads.load(others, None))
    await turns()
    late = asyncio.create_task(reads.load(["user-1999"], None))
    await turns()
    assert len(store.sent) == READS_UNDER_WAY, "one that hangs, and seven full ones: there is no room"
    await asyncio.sleep(2 * PATIENCE_SECONDS)  # timers fire in the order of their times
    for number in range(1, READS_UNDER_WAY):
        store.answer(number)
        await turns()
    assert "user-1999" in store.sent[READS_UNDER_WAY]
    store.answer(READS_UNDER_WAY)
    assert await late == {"user-1999": b"1999"}
    await busy
    assert not hanging.done()
    store.answer(0)
    await hanging
