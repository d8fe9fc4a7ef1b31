"""The real store: prepared, idempotent statements, absolute rows, `USING TIMESTAMP version`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import structlog
from cassandra.cluster import Session
from cassandra.query import PreparedStatement

from runtime.settings import CassandraSettings
from storage.errors import NotMigrated, StoreUnavailable
from storage.packed_batch import batches, understand_packed_batches
from storage.row_encoding import SHARD, WRITE_EVENT, WRITE_STATE, RowEncoder
from storage.rows import DAY_MS, Deployment, StateRow, TimelineCursor, TimelineEntry, TimelineRow
from storage.session import connect, execute_all, execute_in_order, prepare
from storage.state_reads import StateReads

log = structlog.get_logger()

_DAYS_AT_ONCE: Final = 4
_CATALOGUE: Final = "users"

_READ_STATES = "SELECT user_id, state FROM user_state WHERE user_id IN ?"
_READ_DAY = (
    "SELECT event_ts, event_id, type, payload, WRITETIME(payload) AS version FROM user_events "
    "WHERE user_id = ? AND day = ? AND shard = ? AND (event_ts, event_id) < (?, ?) LIMIT ?"
)
_STATEMENTS = (WRITE_STATE, WRITE_EVENT, _READ_STATES, _READ_DAY)
_RECONNECT_SECONDS: Final = 1.0
_END_OF_TIME: Final = TimelineCursor(2**63 - 1, "")


@dataclass(frozen=True, slots=True)
class _Connection:
    """A live session and its prepared statements."""

    session: Session
    encoder: RowEncoder
    read_states: PreparedStatement
    read_day: PreparedStatement

    @classmethod
    def open(cls, settings: CassandraSettings) -> Self:
        """Connect and prepare; blocks."""
        session = connect(settings, settings.keyspace)
        try:
            understand_packed_batches(session)
            write_state, write_event, *reads = (prepare(session, query) for query in _STATEMENTS)
            return cls(session, RowEncoder(write_state, write_event), *reads)
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
        self._reads = StateReads(self._read_states)
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
        replicas = self._replicas()
        return await self._reads.load(user_ids, replicas and (lambda user_id: replicas(user_id.encode())))

    async def _read_states(self, user_ids: Sequence[str]) -> dict[str, bytes]:
        connection = self._connection
        [rows] = await execute_all(connection.session, [(connection.read_states, (user_ids,))])
        return dict(rows)

    async def write(self, states: Sequence[StateRow], events: Iterable[TimelineRow]) -> None:
        """See UserStore."""
        connection, encoder = self._connection, self._connection.encoder
        stages = [encoder.timeline(events), map(encoder.state, states)]
        await execute_in_order(
            connection.session,
            [[(batch, None) for batch in batches(self._settings.keyspace, rows, self._replicas())] for rows in stages],
        )

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
        if not rows or rows[0][1] is None:
            raise NotMigrated("this store has no identity yet; run ./headrace migrate")
        return Deployment(*rows[0])

    async def load_manifest(self) -> bytes | None:
        """See UserStore."""
        query = f"SELECT manifest FROM catalogue WHERE name = '{_CATALOGUE}'"
        [rows] = await execute_all(self._connection.session, [(query, None)])
        return next((bytes(manifest) for (manifest,) in rows), None)

    async def replace_manifest(self, expected: bytes | None, manifest: bytes) -> bool:
        """See UserStore. Two workers that start at the same moment must not both believe to be the first."""
        if expected is None:
            query = f"INSERT INTO catalogue (name, manifest) VALUES ('{_CATALOGUE}', %s) IF NOT EXISTS"
            parameters: tuple[bytes, ...] = (manifest,)
        else:
            query = f"UPDATE catalogue SET manifest = %s WHERE name = '{_CATALOGUE}' IF manifest = %s"
            parameters = (manifest, expected)
        [rows] = await execute_all(self._connection.session, [(query, parameters)])
        applied, *_ = rows[0]
        return bool(applied)

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
            read = (connection.read_day, (user_id, day, SHARD, *before, page_rows))
            [rows] = await execute_all(connection.session, [read])
            entries.extend(
                TimelineEntry(event_ts, event_id, payload, version)
                for event_ts, event_id, event_type, payload, version in rows
                if types is None or event_type in types
            )
            if len(rows) < page_rows or len(entries) >= first:
                return entries
            last_ts, last_id, *_ = rows[-1]
            before = TimelineCursor(last_ts, last_id)

    def _replicas(self) -> Callable[[bytes], Hashable] | None:
        """Which hosts hold a routing key; None if there is only one host."""
        metadata, keyspace = self._connection.session.cluster.metadata, self._settings.keyspace
        if len(metadata.all_hosts()) == 1:
            return None
        return lambda routing_key: frozenset(metadata.get_replicas(keyspace, routing_key))
