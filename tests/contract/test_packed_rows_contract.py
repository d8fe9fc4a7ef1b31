"""Rows that were encoded by hand are those that the driver binds: values, nulls, write times, routing."""

from __future__ import annotations

import gc
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from cassandra.cluster import Session
from cassandra.query import BatchStatement, BatchType

from runtime.settings import CassandraSettings
from schemas.receipts import Position
from storage.packed_batch import batches, understand_packed_batches
from storage.row_encoding import SHARD, WRITE_EVENT, WRITE_STATE, RowEncoder
from storage.rows import DAY_MS, StateRow, TimelineRow
from storage.session import connect, execute_all, execute_in_order, prepare

# Versions and times at the edges of what a column holds; a null stands for what the types of ours never hold.
STATES = [
    ("", b"", 0, Position(0, 0, 0)),
    ("é-ключ-🔑", b"\x00\xff" * 5_000, 2**52, Position(2**31 - 1, 11, 2**63 - 1)),
    ("null", None, 1_760_000_000_000_000, Position(1, -1, -1)),
]
EVENTS = [
    (0, "", "", b"", 0),
    (-1, "before 1970", "view_item", b"{}", 1),
    (253_402_300_799_999, "é" * 300, "ключ", b"x" * 30_000, 2**52),
    (1_760_000_000_000, "null", "purchase", None, 1_760_000_000_000_000),
]


@pytest.fixture(scope="module")
def session(cassandra: CassandraSettings) -> Iterator[Session]:
    made = connect(cassandra, cassandra.keyspace)
    understand_packed_batches(made)
    yield made
    made.cluster.shutdown()


@pytest.fixture
def users() -> tuple[str, str]:
    """Prefixes of the users whose rows are written by hand and by the driver."""
    run = str(uuid.uuid4())
    return f"packed-{run}-", f"driver-{run}-"


async def rows_of(session: Session, query: str, user_id: str) -> list[tuple[Any, ...]]:
    [rows] = await execute_all(session, [(query, (user_id,))])
    return [tuple(row) for row in rows]


async def test_rows_read_back_as_those_that_the_driver_wrote(
    session: Session, cassandra: CassandraSettings, users: tuple[str, str]
) -> None:
    by_hand, by_driver = users
    write_state, write_event = prepare(session, WRITE_STATE), prepare(session, WRITE_EVENT)
    encoder = RowEncoder(write_state, write_event)
    packed, bound = [], []
    for name, blob, version, position in STATES:
        packed.append(encoder.state(StateRow(by_hand + name, blob, version, position)))  # type: ignore[arg-type]
        bound.append(write_state.bind((by_driver + name, blob, *position, version)))
    for time_ms, name, kind, payload, version in EVENTS:
        packed.append(encoder.event(TimelineRow(by_hand, time_ms, name, kind, payload, version)))  # type: ignore[arg-type]
        bound.append(write_event.bind((by_driver, time_ms // DAY_MS, SHARD, time_ms, name, kind, payload, version)))
    for ours, theirs in zip(packed, bound, strict=True):
        assert ours.routing_key.replace(by_hand.encode(), by_driver.encode()) == theirs.routing_key
    reference = BatchStatement(BatchType.UNLOGGED)
    for statement in bound:
        reference.add(statement)
    made = batches(cassandra.keyspace, packed, None)
    assert len(made) > 1
    await execute_all(session, [(batch, None) for batch in [*made, reference]])

    state = (
        "SELECT state, src_epoch, src_partition, src_offset, WRITETIME(src_offset) FROM user_state WHERE user_id = %s"
    )
    for name, *_ in STATES:
        expected = await rows_of(session, state, by_driver + name)
        assert len(expected) == 1
        assert await rows_of(session, state, by_hand + name) == expected
    for time_ms, *_ in EVENTS:
        day = time_ms // DAY_MS
        event = (
            "SELECT event_ts, event_id, type, payload, WRITETIME(type) FROM user_events "
            f"WHERE user_id = %s AND day = {day} AND shard = 0"
        )
        expected = await rows_of(session, event, by_driver)
        assert expected
        assert await rows_of(session, event, by_hand) == expected


async def test_a_batch_survives_that_the_server_has_forgotten_its_statements(
    session: Session, cassandra: CassandraSettings
) -> None:
    table = f"forgotten_{uuid.uuid4().hex}"
    make = (
        f"CREATE TABLE {table} (user_id text PRIMARY KEY, state blob, src_epoch int, src_partition int, "
        "src_offset bigint)"
    )
    await execute_all(session, [(make, None)])
    encoder = RowEncoder(prepare(session, WRITE_STATE.replace("user_state", table)), prepare(session, WRITE_EVENT))
    gc.collect()  # the driver knows only statements that somebody holds
    for statement in (f"DROP TABLE {table}", make):  # the server forgets statements of tables that are gone
        await execute_all(session, [(statement, None)])
    row = encoder.state(StateRow("ann", b"state", 1, Position(1, 2, 3)))
    await execute_all(session, [(batch, None) for batch in batches(cassandra.keyspace, [row], None)])
    assert await rows_of(session, f"SELECT state FROM {table} WHERE user_id = %s", "ann") == [(b"state",)]
    await execute_all(session, [(f"DROP TABLE {table}", None)])


async def test_a_table_with_other_columns_is_refused_before_anything_is_written(session: Session) -> None:
    other = prepare(session, "INSERT INTO user_state (user_id, state) VALUES (?, ?)")
    with pytest.raises(ValueError, match="expected"):
        RowEncoder(other, prepare(session, WRITE_EVENT))


async def test_a_stage_starts_only_after_the_one_before_it_has_succeeded(
    session: Session, cassandra: CassandraSettings, users: tuple[str, str]
) -> None:
    def write(name: str) -> tuple[str, tuple[str, bytes]]:
        return "INSERT INTO user_state (user_id, state) VALUES (%s, %s)", (users[0] + name, b"")

    with pytest.raises(Exception, match="no_such_table"):
        await execute_in_order(
            session, [[write("a")], [("INSERT INTO no_such_table (a) VALUES (1)", None)], [write("b")]]
        )
    query = "SELECT user_id FROM user_state WHERE user_id = %s"
    assert await rows_of(session, query, users[0] + "a")
    assert not await rows_of(session, query, users[0] + "b")
    stages = await execute_in_order(session, [[], [write("b")], [(query, (users[0] + "b",)), (query, ("x",))]])
    assert [len(results) for results in stages] == [0, 1, 2]
    assert [len(list(rows)) for rows in stages[2]] == [1, 0]
