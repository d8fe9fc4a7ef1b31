"""Every store keeps the manifest of the catalogue, and lets only one of two starting workers replace it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import closing

import pytest

from runtime.settings import CassandraSettings
from storage import CassandraUserStore, MemoryUserStore, UserStore
from storage.migrate import Migrator


@pytest.fixture(params=["memory", "cassandra"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[UserStore]:
    """A store that no worker has used."""
    if request.param == "memory":
        yield MemoryUserStore()
        return
    cassandra: CassandraSettings = request.getfixturevalue("cassandra")
    own = cassandra.model_copy(update={"keyspace": f"manifest_{uuid.uuid4().hex[:8]}"})

    def make() -> None:
        with closing(Migrator(own)) as migrator, migrator.in_turn():
            migrator.migrate()

    await asyncio.to_thread(make)
    made = CassandraUserStore(own)
    await made.start()
    await made.connected()
    yield made
    await made.close()


async def test_a_new_store_has_no_manifest_and_keeps_the_first_one(store: UserStore) -> None:
    assert await store.load_manifest() is None
    assert await store.replace_manifest(None, b'{"a": 1}')
    assert await store.load_manifest() == b'{"a": 1}'


async def test_a_manifest_is_replaced_only_by_who_knows_the_one_that_is_stored(store: UserStore) -> None:
    assert await store.replace_manifest(None, b"first")
    assert not await store.replace_manifest(None, b"another first")
    assert not await store.replace_manifest(b"something else", b"second")
    assert await store.load_manifest() == b"first"
    assert await store.replace_manifest(b"first", b"second")
    assert await store.load_manifest() == b"second"


async def test_of_two_that_start_together_one_succeeds(store: UserStore) -> None:
    results = await asyncio.gather(*(store.replace_manifest(None, b"%d" % n) for n in range(4)))
    assert sorted(results) == [False, False, False, True]
