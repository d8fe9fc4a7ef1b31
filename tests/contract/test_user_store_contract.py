"""What every user store promises, the fake and the real one alike."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence

import pytest

from runtime.settings import CassandraSettings
from schemas.receipts import Position
from storage import (
    CassandraUserStore,
    MemoryUserStore,
    StateRow,
    StoreUnavailable,
    TimelineCursor,
    TimelineEntry,
    TimelineRow,
    UserStore,
)
from storage.rows import DAY_MS

TODAY = 20_000  # days since the epoch
NOON_MS = TODAY * DAY_MS + DAY_MS // 2


@pytest.fixture(scope="module")
async def real_store(cassandra: CassandraSettings) -> AsyncIterator[CassandraUserStore]:
    store = CassandraUserStore(cassandra)
    await store.start()
    await store.connected()
    yield store
    await store.close()


@pytest.fixture(params=["memory", "cassandra"])
def store(request: pytest.FixtureRequest) -> UserStore:
    if request.param == "memory":
        return MemoryUserStore()
    real: CassandraUserStore = request.getfixturevalue("real_store")
    return real


@pytest.fixture
def user() -> str:
    """A user of this test's own: the real store is shared."""
    return f"user-{uuid.uuid4()}"


def now_us() -> int:
    return 1_760_000_000_000_000


def state(user_id: str, blob: bytes, version: int = now_us(), offset: int = 7) -> StateRow:
    return StateRow(user_id, blob, version, Position(1, 3, offset))


def event(user_id: str, time_ms: int, name: str = "a", type_: str = "view_item", payload: bytes = b"{}") -> TimelineRow:
    return TimelineRow(user_id, time_ms, name, type_, payload, now_us())


async def timeline(
    store: UserStore,
    user_id: str,
    *,
    first: int = 50,
    before: TimelineCursor | None = None,
    types: frozenset[str] | None = None,
    newest_day: int = TODAY,
    oldest_day: int = TODAY - 30,
) -> list[TimelineEntry]:
    return await store.timeline(
        user_id, newest_day=newest_day, oldest_day=oldest_day, first=first, before=before, types=types
    )


def names(entries: Sequence[TimelineEntry]) -> list[str]:
    return [entry.event_id for entry in entries]


# --- states


async def test_an_unknown_user_is_absent(store: UserStore, user: str) -> None:
    assert await store.load_states([]) == {}
    assert await store.load_states([user]) == {}
    await store.write([state(user, b"state")], [])
    assert await store.load_states([user, "nobody-" + user]) == {user: b"state"}


@pytest.mark.parametrize("blob", [b"\x00\xff{}'\n", bytes(range(256)) * 256], ids=["odd bytes", "64 KiB"])
async def test_a_state_comes_back_as_the_same_bytes(store: UserStore, user: str, blob: bytes) -> None:
    await store.write([state(user, blob)], [])
    assert await store.load_states([user]) == {user: blob}


@pytest.mark.parametrize("name", ["é-ключ-鍵-🔑", "o'clock; DROP TABLE user_state", "x" * 256])
async def test_any_text_is_a_user_id(store: UserStore, user: str, name: str) -> None:
    user_id = name + user
    await store.write([state(user_id, b"state")], [event(user_id, NOON_MS)])
    assert await store.load_states([user_id]) == {user_id: b"state"}
    assert names(await timeline(store, user_id)) == ["a"]


async def test_a_higher_version_replaces_a_lower_one(store: UserStore, user: str) -> None:
    await store.write([state(user, b"old", now_us())], [])
    await store.write([state(user, b"new", now_us() + 1)], [])
    assert await store.load_states([user]) == {user: b"new"}


async def test_the_late_write_of_a_zombie_changes_nothing(store: UserStore, user: str) -> None:
    await store.write([state(user, b"owner", now_us() + 5, offset=12)], [])
    await store.write([state(user, b"zombie", now_us() + 4, offset=11)], [])
    assert await store.load_states([user]) == {user: b"owner"}


async def test_writing_again_changes_nothing(store: UserStore, user: str) -> None:
    rows = [state(user, b"state")], [event(user, NOON_MS, "a", payload=b"first"), event(user, NOON_MS + 1, "b")]
    await store.write(*rows)
    before = await timeline(store, user)
    await store.write(*rows)
    assert await store.load_states([user]) == {user: b"state"}
    assert await timeline(store, user) == before
    assert names(before) == ["b", "a"]


async def test_nothing_to_write_is_fine(store: UserStore) -> None:
    await store.write([], [])


async def test_many_users_are_loaded_at_once(store: UserStore, user: str) -> None:
    users = [f"{user}-{index}" for index in range(173)]
    await store.write([state(user_id, user_id.encode()) for user_id in users[:160]], [])
    assert await store.load_states(users) == {user_id: user_id.encode() for user_id in users[:160]}


async def test_rows_far_above_what_a_server_takes_in_one_batch_are_written(store: UserStore, user: str) -> None:
    """A stock Cassandra refuses a batch above 50 KiB; one state here is larger by itself."""
    users = [f"{user}-{index}" for index in range(60)]
    states = [state(user_id, bytes([index]) * 5_000) for index, user_id in enumerate(users)]
    events = [event(user, NOON_MS + index, f"{index:03}", payload=bytes([index]) * 2_000) for index in range(100)]
    await store.write([*states, state(user, b"x" * 90_000)], events)
    loaded = await store.load_states([*users, user])
    assert loaded == {**{row.user_id: row.state for row in states}, user: b"x" * 90_000}
    assert await timeline(store, user, first=200) == [
        TimelineEntry(row.event_time_ms, row.event_id, row.payload, row.version) for row in reversed(events)
    ]


async def test_writes_at_the_same_time_all_arrive(store: UserStore, user: str) -> None:
    users = [f"{user}-{index}" for index in range(40)]
    await asyncio.gather(*(store.write([state(user_id, b"state")], [event(user_id, NOON_MS)]) for user_id in users))
    assert (await store.load_states(users)).keys() == set(users)


# --- timelines


async def test_a_user_without_events_has_an_empty_timeline(store: UserStore, user: str) -> None:
    assert await timeline(store, user) == []


async def test_a_timeline_is_newest_first_by_time_and_then_by_id(store: UserStore, user: str) -> None:
    rows = [event(user, NOON_MS, "b"), event(user, NOON_MS + 1, "a"), event(user, NOON_MS, "c"), event(user, 0, "z")]
    await store.write([], [*rows, event(user, NOON_MS - DAY_MS, "d")])
    assert names(await timeline(store, user)) == ["a", "c", "b", "d"]


async def test_events_of_the_same_id_at_different_times_are_different_events(store: UserStore, user: str) -> None:
    await store.write([], [event(user, NOON_MS, "a"), event(user, NOON_MS + 1, "a")])
    assert [entry.event_time_ms for entry in await timeline(store, user)] == [NOON_MS + 1, NOON_MS]


async def test_pages_lead_through_many_days_without_gaps_or_repeats(store: UserStore, user: str) -> None:
    # Days that hold nothing, days that hold more than a page, and equal times at the border of a page.
    rows = [
        event(user, NOON_MS - day * DAY_MS - index // 2, f"{day}-{index}")
        for day in (0, 1, 2, 6, 7, 15, 29)
        for index in range(7)
    ]
    await store.write([], rows)
    everything = sorted(((row.event_time_ms, row.event_id) for row in rows), reverse=True)
    seen: list[tuple[int, str]] = []
    before: TimelineCursor | None = None
    while page := await timeline(store, user, first=5, before=before):
        assert len(page) <= 5
        seen += [(entry.event_time_ms, entry.event_id) for entry in page]
        before = TimelineCursor(*seen[-1])
    assert seen == everything


async def test_a_page_is_as_long_as_asked_for_where_there_is_enough(store: UserStore, user: str) -> None:
    await store.write([], [event(user, NOON_MS - day * DAY_MS, f"{day:02}") for day in range(20)])
    for first in (1, 4, 19):
        assert len(await timeline(store, user, first=first)) == first
    assert len(await timeline(store, user, first=500)) == 20


async def test_only_the_wanted_types_are_returned_however_rare(store: UserStore, user: str) -> None:
    crowd = [event(user, NOON_MS + index, f"{index:04}") for index in range(450)]
    wanted = [
        event(user, NOON_MS + 3, "early", "purchase"),
        event(user, NOON_MS + 250, "middle", "search"),
        event(user, NOON_MS - 5 * DAY_MS, "days before", "purchase"),
    ]
    await store.write([], [*crowd, *wanted])
    assert names(await timeline(store, user, types=frozenset({"purchase"}))) == ["early", "days before"]
    both = frozenset({"purchase", "search"})
    assert names(await timeline(store, user, types=both)) == ["middle", "early", "days before"]
    assert names(await timeline(store, user, types=both, first=1)) == ["middle"]
    after = TimelineCursor(NOON_MS + 250, "middle")
    assert names(await timeline(store, user, types=both, first=1, before=after)) == ["early"]
    assert await timeline(store, user, types=frozenset({"share"})) == []
    assert await timeline(store, user, types=frozenset()) == []


async def test_days_outside_of_the_bounds_are_left_out(store: UserStore, user: str) -> None:
    first_of_today = TODAY * DAY_MS
    await store.write(
        [],
        [
            event(user, first_of_today + DAY_MS, "tomorrow"),
            event(user, first_of_today + DAY_MS - 1, "today's last"),
            event(user, first_of_today, "today's first"),
            event(user, first_of_today - 1, "yesterday's last"),
            event(user, first_of_today - DAY_MS - 1, "two days ago"),
        ],
    )
    assert names(await timeline(store, user, oldest_day=TODAY)) == ["today's last", "today's first"]
    assert names(await timeline(store, user, newest_day=TODAY - 1)) == ["yesterday's last", "two days ago"]
    assert names(await timeline(store, user, newest_day=TODAY - 1, oldest_day=TODAY - 1)) == ["yesterday's last"]
    assert await timeline(store, user, newest_day=TODAY - 1, oldest_day=TODAY) == []


async def test_a_cursor_outside_of_the_bounds_does_not_widen_them(store: UserStore, user: str) -> None:
    await store.write([], [event(user, NOON_MS, "today"), event(user, NOON_MS - DAY_MS, "yesterday")])
    beyond = TimelineCursor(NOON_MS + 9 * DAY_MS, "z")
    assert names(await timeline(store, user, before=beyond, newest_day=TODAY - 1)) == ["yesterday"]
    too_old = TimelineCursor(NOON_MS - 9 * DAY_MS, "a")
    assert await timeline(store, user, before=too_old, oldest_day=TODAY - 1) == []


async def test_timelines_of_different_users_do_not_mix(store: UserStore, user: str) -> None:
    await store.write([], [event(user, NOON_MS, "mine"), event(user + "2", NOON_MS, "theirs")])
    assert names(await timeline(store, user)) == ["mine"]


# --- the store itself


async def test_a_store_knows_its_identity_and_the_epoch_of_the_log(store: UserStore) -> None:
    deployment = await store.deployment()
    assert deployment == await store.deployment()
    assert deployment.store_id
    assert deployment.events_epoch == 1, "the topic has been made once"


async def test_a_store_that_is_there_answers_a_ping(store: UserStore) -> None:
    await store.ping()


async def every_method_fails(store: UserStore, reason: str) -> None:
    for call in (
        store.load_states(["user-1"]),
        store.write([state("user-1", b"state")], [event("user-1", NOON_MS)]),
        timeline(store, "user-1"),
        store.deployment(),
        store.ping(),
    ):
        with pytest.raises(StoreUnavailable, match=reason) as failed:
            await call
        assert failed.value.retriable


async def test_a_memory_store_that_was_switched_off_is_unavailable_until_it_is_switched_on() -> None:
    store = MemoryUserStore()
    await store.write([state("user-1", b"state")], [])
    store.available = False
    await every_method_fails(store, "switched off")
    store.available = True
    assert await store.load_states(["user-1"]) == {"user-1": b"state"}


async def test_a_store_that_was_not_started_says_so() -> None:
    await every_method_fails(CassandraUserStore(CassandraSettings()), "not started")  # type: ignore[call-arg]


async def test_a_store_without_a_server_says_why_it_is_unavailable() -> None:
    store = CassandraUserStore(CassandraSettings(port=1))  # type: ignore[call-arg]  # nobody listens on port 1
    await store.start()
    await connection_refused(store)
    await every_method_fails(store, "Cassandra at 127.0.0.1:1 does not answer: NoHostAvailable")
    await store.close()


async def connection_refused(store: UserStore) -> None:
    """Returns once the store has tried to connect in vain."""
    async with asyncio.timeout(30):
        while True:
            with pytest.raises(StoreUnavailable) as failed:
                await store.ping()
            if "not started" not in str(failed.value):
                return
            await asyncio.sleep(0.01)  # it tries in a thread and tells nobody


async def test_a_store_without_tables_says_what_to_run(cassandra: CassandraSettings) -> None:
    store = CassandraUserStore(cassandra.model_copy(update={"keyspace": "never_migrated"}))
    await store.start()
    await connection_refused(store)
    await every_method_fails(store, "'never_migrated' does not exist; run ./headrace migrate")
    await store.close()
