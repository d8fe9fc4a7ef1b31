"""The real store: prepared, idempotent statements, absolute rows, `USING TIMESTAMP version`."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import structlog
from cassandra.cluster import Session
from cassandra.query import BatchStatement, BatchType, BoundStatement, PreparedStatement

from runtime.settings import CassandraSettings
from storage.errors import NotMigrated, StoreUnavailable
from storage.rows import DAY_MS, Deployment, StateRow, TimelineCursor, TimelineEntry, TimelineRow
from storage.session import connect, execute_all, prepare

log = structlog.get_logger()

BATCH_BYTES: Final = 40_000  # a stock server refuses batches above 50 KiB; the rest is for the frame
_ROW_OVERHEAD_BYTES: Final = 100
_KEYS_PER_READ: Final = 50
_DAYS_AT_ONCE: Final = 4
_SHARD: Final = 0
_CATALOGUE: Final = "users"

_WRITE_STATE = (
    "INSERT INTO user_state (user_id, state, src_epoch, src_partition, src_offset) "
    "VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?"
)
_WRITE_EVENT = (
    "INSERT INTO user_events (user_id, day, shard, event_ts, event_id, type, payload) "
    "VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
)
_READ_STATES = "SELECT user_id, state FROM user_state WHERE user_id IN ?"
_READ_DAY = (
    "SELECT event_ts, event_id, type, payload FROM user_events "
    "WHERE user_id = ? AND day = ? AND shard = ? AND (event_ts, event_id) < (?, ?) LIMIT ?"
)
_STATEMENTS = (_WRITE_STATE, _WRITE_EVENT, _READ_STATES, _READ_DAY)
_RECONNECT_SECONDS: Final = 1.0
_END_OF_TIME: Final = TimelineCursor(2**63 - 1, "")


@dataclass(frozen=True, slots=True)
class _Connection:
    """A live session and its prepared statements."""

    session: Session
    write_state: PreparedStatement
    write_event: PreparedStatement
    read_states: PreparedStatement
    read_day: PreparedStatement

    @classmethod
    def open(cls, settings: CassandraSettings) -> Self:
        """Connect and prepare; blocks."""
        session = connect(settings, settings.keyspace)
        try:
            return cls(session, *(prepare(session, query) for query in _STATEMENTS))
        except BaseException:
            session.cluster.shutdown()
            raise


class CassandraUserStore:
    """See UserStore. Statements may be repeated at will: every row is absolute and carries its version.

    Connects in the background and keeps trying, for Cassandra may come up after us; until then every method raises
    StoreUnavailable with the reason.
    """

    def __init__(self, settings: CassandraSettings) -> None:
        self._settings = settings
        self._open: _Connection | None = None
        self._reason = "not started"
        self._connecting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        self._connecting = asyncio.create_task(self._connect())

    async def connected(self) -> None:
        """Returns when the store can be used, however long that takes."""
        assert self._connecting is not None, "start() comes first"
        await asyncio.shield(self._connecting)

    async def close(self) -> None:
        """Stop connecting and close every connection."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if self._open is not None:
            await asyncio.to_thread(self._open.session.cluster.shutdown)

    async def _connect(self) -> None:
        while self._open is None:
            try:
                self._open = await asyncio.to_thread(_Connection.open, self._settings)
            except (StoreUnavailable, NotMigrated) as error:
                self._reason = str(error)
                log.warning("waiting for Cassandra", reason=self._reason)
                await asyncio.sleep(_RECONNECT_SECONDS)

    @property
    def _connection(self) -> _Connection:
        if self._open is None:
            raise StoreUnavailable(self._reason)
        return self._open

    async def load_states(self, user_ids: Sequence[str]) -> dict[str, bytes]:
        """See UserStore."""
        connection = self._connection
        reads = [
            (connection.read_states, (user_ids[start : start + _KEYS_PER_READ],))
            for start in range(0, len(user_ids), _KEYS_PER_READ)
        ]
        pages = await execute_all(connection.session, reads)
        return {row.user_id: row.state for page in pages for row in page}

    async def write(self, states: Sequence[StateRow], events: Sequence[TimelineRow]) -> None:
        """See UserStore."""
        connection = self._connection
        bound_events = [
            (connection.write_event.bind((
                row.user_id, row.event_time_ms // DAY_MS, _SHARD, row.event_time_ms, row.event_id, row.type,
                row.payload, row.version,
            )), len(row.payload)) for row in events
        ]  # fmt: skip
        bound_states = [
            (connection.write_state.bind((row.user_id, row.state, *row.position, row.version)), len(row.state))
            for row in states
        ]
        for sized in (bound_events, bound_states):
            await execute_all(connection.session, [(statement, None) for statement in self._batches(sized)])

    async def timeline(
        self,
        user_id: str,
        *,
        newest_day: int,
        oldest_day: int,
        first: int,
        before: TimelineCursor | None = None,
        types: frozenset[str] | None = None,
    ) -> list[TimelineEntry]:
        """See UserStore. Reads a few days at a time, newest first, until the page is full."""
        entries: list[TimelineEntry] = []
        before = before or _END_OF_TIME
        day = min(newest_day, before.event_time_ms // DAY_MS)
        while day >= oldest_day and len(entries) < first:
            days = range(day, max(day - _DAYS_AT_ONCE, oldest_day - 1), -1)
            pages = await asyncio.gather(*(self._day(user_id, each, first, before, types) for each in days))
            entries.extend(entry for page in pages for entry in page)
            day -= _DAYS_AT_ONCE
        return entries[:first]

    async def deployment(self) -> Deployment:
        """See UserStore."""
        query = "SELECT store_id, events_epoch FROM deployment WHERE name = 'headrace'"
        [rows] = await execute_all(self._connection.session, [(query, None)])
        row = next(iter(rows), None)
        if row is None or row.events_epoch is None:
            raise NotMigrated("this store has no identity yet; run ./headrace migrate")
        return Deployment(row.store_id, row.events_epoch)

    async def load_manifest(self) -> bytes | None:
        """See UserStore."""
        query = f"SELECT manifest FROM catalogue WHERE name = '{_CATALOGUE}'"
        [rows] = await execute_all(self._connection.session, [(query, None)])
        return next((bytes(row.manifest) for row in rows), None)

    async def replace_manifest(self, expected: bytes | None, manifest: bytes) -> bool:
        """See UserStore. Two workers that start at the same moment must not both believe to be the first."""
        if expected is None:
            query = f"INSERT INTO catalogue (name, manifest) VALUES ('{_CATALOGUE}', %s) IF NOT EXISTS"
            parameters: tuple[bytes, ...] = (manifest,)
        else:
            query = f"UPDATE catalogue SET manifest = %s WHERE name = '{_CATALOGUE}' IF manifest = %s"
            parameters = (manifest, expected)
        [rows] = await execute_all(self._connection.session, [(query, parameters)])
        return bool(rows[0].applied)

    async def ping(self) -> None:
        """See UserStore."""
        await execute_all(self._connection.session, [("SELECT release_version FROM system.local", None)])

    async def _day(
        self, user_id: str, day: int, first: int, before: TimelineCursor, types: frozenset[str] | None
    ) -> list[TimelineEntry]:
        """Up to `first` matching events of one day. Filters by type here: a day is small, an index is not."""
        connection = self._connection
        entries: list[TimelineEntry] = []
        page_rows = first if types is None else max(first, 100)
        while True:
            read = (connection.read_day, (user_id, day, _SHARD, *before, page_rows))
            [rows] = await execute_all(connection.session, [read])
            entries.extend(
                TimelineEntry(row.event_ts, row.event_id, row.payload)
                for row in rows
                if types is None or row.type in types
            )
            if len(rows) < page_rows or len(entries) >= first:
                return entries
            before = TimelineCursor(rows[-1].event_ts, rows[-1].event_id)

    def _batches(self, sized: Iterable[tuple[BoundStatement, int]]) -> list[Any]:
        """Unlogged batches, bounded in bytes, of rows that share their replicas, so one coordinator holds all."""
        by_replicas: defaultdict[tuple[Any, ...], list[tuple[BoundStatement, int]]] = defaultdict(list)
        for statement, size in sized:
            by_replicas[self._replicas(statement)].append((statement, size))
        batches: list[Any] = []
        for group in by_replicas.values():
            room = 0
            for statement, size in group:
                size += _ROW_OVERHEAD_BYTES
                if size > room:
                    room = BATCH_BYTES
                    batches.append(BatchStatement(BatchType.UNLOGGED))
                    batches[-1].is_idempotent = True
                batches[-1].add(statement)
                room -= size
        return batches

    def _replicas(self, statement: BoundStatement) -> tuple[Any, ...]:
        metadata = self._connection.session.cluster.metadata
        if len(metadata.all_hosts()) == 1:
            return ()
        return tuple(metadata.get_replicas(self._settings.keyspace, statement.routing_key))
