"""Migrations on a real Cassandra, each test in a keyspace of its own."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from cassandra.cluster import Session

from runtime.settings import CassandraSettings
from storage import CassandraUserStore, StoreUnavailable
from storage.errors import MigrationConflict, NotMigrated
from storage.migrate import Migrator, read_migrations
from storage.session import connect, prepare

NAMES = [migration.name for migration in read_migrations()]


@pytest.fixture
def session(cassandra: CassandraSettings) -> Iterator[Session]:
    """A connection that belongs to no keyspace."""
    made = connect(cassandra, None)
    yield made
    made.cluster.shutdown()


@pytest.fixture
def settings(cassandra: CassandraSettings, session: Session) -> Iterator[CassandraSettings]:
    """A keyspace of this test's own, not made yet."""
    keyspace = f"migrations_{uuid.uuid4().hex[:12]}"
    yield cassandra.model_copy(update={"keyspace": keyspace})
    session.execute(f"DROP KEYSPACE IF EXISTS {keyspace}", timeout=30)


def migrate(settings: CassandraSettings) -> list[str]:
    with closing(Migrator(settings)) as migrator, migrator.in_turn():
        return migrator.migrate()


def test_the_first_run_makes_everything_and_the_second_nothing(settings: CassandraSettings) -> None:
    assert migrate(settings) == NAMES
    assert migrate(settings) == []


async def test_the_identity_of_a_store_survives_migrating_again(settings: CassandraSettings) -> None:
    """The consumer group carries the identity: a new one would fold the whole topic again."""

    def made_anew() -> None:
        with closing(Migrator(settings)) as migrator, migrator.in_turn():
            migrator.migrate()
            migrator.start_epoch()

    await asyncio.to_thread(made_anew)
    store = CassandraUserStore(settings)
    await store.start()
    await store.connected()
    first = await store.deployment()
    await asyncio.to_thread(migrate, settings)
    assert await store.deployment() == first
    await asyncio.to_thread(made_anew)
    second = await store.deployment()
    await store.close()
    assert (second.store_id, second.events_epoch) == (first.store_id, first.events_epoch + 1)
    assert first.events_epoch == 1


async def test_a_store_whose_topics_were_never_made_is_not_migrated(settings: CassandraSettings) -> None:
    await asyncio.to_thread(migrate, settings)
    store = CassandraUserStore(settings)
    await store.start()
    await store.connected()
    with pytest.raises(NotMigrated, match=r"run \./headrace migrate"):
        await store.deployment()
    await store.close()


def test_an_applied_migration_that_was_changed_is_refused_by_its_name(
    settings: CassandraSettings, session: Session
) -> None:
    migrate(settings)
    session.execute(
        f"UPDATE {settings.keyspace}.schema_migrations SET checksum = 'of other statements' WHERE name = %s",
        (NAMES[0],),
    )
    for _ in range(2):  # the second attempt does not wait: the first has given the lock back
        with pytest.raises(MigrationConflict, match=f"{NAMES[0]} was changed after it had been applied"):
            migrate(settings)
    assert list(session.execute(f"SELECT * FROM {settings.keyspace}.schema_lock")) == []


def test_a_migration_that_was_cut_short_is_finished_by_the_next_run(
    settings: CassandraSettings, session: Session
) -> None:
    migrate(settings)
    session.execute(f"DROP TABLE {settings.keyspace}.user_events", timeout=30)
    session.execute(f"DELETE FROM {settings.keyspace}.schema_migrations WHERE name = %s", (NAMES[0],))
    assert migrate(settings) == NAMES[:1]
    assert list(session.execute(f"SELECT * FROM {settings.keyspace}.user_events")) == []


def test_two_first_migrations_at_the_same_time_make_everything_once(settings: CassandraSettings) -> None:
    with ThreadPoolExecutor(2) as threads:
        runs = [threads.submit(migrate, settings) for _ in range(2)]
        made = sorted(run.result() for run in runs)
    assert made == [[], NAMES]


def test_a_migration_waits_for_the_one_that_holds_the_lock(settings: CassandraSettings, session: Session) -> None:
    migrate(settings)
    lock = f"{settings.keyspace}.schema_lock"
    session.execute(f"INSERT INTO {lock} (name, owner) VALUES ('migrate', 'another') IF NOT EXISTS")
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(migrate, settings)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=1)
        session.execute(f"DELETE FROM {lock} WHERE name = 'migrate' IF owner = 'another'")
        assert waiting.result(timeout=30) == []


async def test_a_keyspace_without_tables_is_not_migrated(settings: CassandraSettings, session: Session) -> None:
    replication = "{'class': 'NetworkTopologyStrategy', 'dc1': 1}"
    session.execute(f"CREATE KEYSPACE {settings.keyspace} WITH replication = {replication}", timeout=30)
    ours = connect(settings, settings.keyspace)
    with pytest.raises(NotMigrated, match=r"run \./headrace migrate"):
        prepare(ours, "SELECT state FROM user_state WHERE user_id = ?")
    ours.cluster.shutdown()

    store = CassandraUserStore(settings)
    await store.start()
    async with asyncio.timeout(60):
        with pytest.raises(StoreUnavailable, match=r"run \./headrace migrate"):
            await until_refused(store)
        await asyncio.to_thread(migrate, settings)
        await store.connected()
    assert await store.load_states(["user-1"]) == {}
    await store.close()


async def until_refused(store: CassandraUserStore) -> None:
    """Raises what the store says once it has tried to connect."""
    while True:
        try:
            await store.ping()
        except StoreUnavailable as error:
            if "not started" not in str(error):
                raise
        await asyncio.sleep(0.01)  # it tries in a thread and tells nobody
