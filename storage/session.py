"""The Cassandra session: how we connect, and how its callback futures become awaitable."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

from cassandra import (
    ConsistencyLevel,
    DriverException,
    InvalidRequest,
    OperationTimedOut,
    RequestExecutionException,
)
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable, Session
from cassandra.connection import ConnectionException
from cassandra.policies import ConstantReconnectionPolicy, DCAwareRoundRobinPolicy, TokenAwarePolicy
from cassandra.query import PreparedStatement, tuple_factory

from runtime.settings import CassandraSettings
from storage.errors import NotMigrated, StoreUnavailable

REQUEST_TIMEOUT_SECONDS = 5.0
Statement = tuple[Any, Any]
"""What the driver executes, and its parameters."""
_UNAVAILABLE = (NoHostAvailable, OperationTimedOut, RequestExecutionException, ConnectionException, DriverException)


class _Connection(Cluster.connection_class):  # type: ignore[misc]  # the driver ships no types
    """Moves a whole batch at once: in the driver's 4 KiB it is ten system calls, each a wait for the GIL."""

    in_buffer_size = out_buffer_size = 64 << 10


def connect(settings: CassandraSettings, keyspace: str | None) -> Session:
    """Connect; blocks. Answers hold rows as tuples.

    Raises StoreUnavailable, or NotMigrated where the keyspace is missing.
    """
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(local_dc=settings.local_datacenter)),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        request_timeout=REQUEST_TIMEOUT_SECONDS,
        row_factory=tuple_factory,  # the driver's own makes a new class for each answer, which costs more than the rest
    )
    cluster = Cluster(
        contact_points=settings.contact_points,
        port=settings.port,
        connection_class=_Connection,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        protocol_version=5,
        # The driver leaves Nagle on, which costs 40 ms on every small concurrent write.
        sockopts=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        reconnection_policy=ConstantReconnectionPolicy(delay=1.0, max_attempts=None),
        idle_heartbeat_interval=3,
        connect_timeout=2,
    )
    try:
        session = cluster.connect()
        session.default_fetch_size = None  # whole answers: every statement of ours bounds its rows by itself
        if keyspace is not None:
            session.set_keyspace(keyspace)  # by itself, for the driver hides a missing keyspace among dead hosts
        return session
    except InvalidRequest as error:
        cluster.shutdown()
        raise NotMigrated(f"keyspace {keyspace!r} does not exist; run ./headrace migrate") from error
    except _UNAVAILABLE as error:
        cluster.shutdown()
        where = f"{','.join(settings.contact_points)}:{settings.port}"
        raise StoreUnavailable(f"Cassandra at {where} does not answer: {type(error).__name__}") from error


def prepare(session: Session, query: str) -> PreparedStatement:
    """Prepare a statement that may be repeated; blocks. Raises StoreUnavailable or NotMigrated."""
    try:
        statement = session.prepare(query)
    except InvalidRequest as error:
        raise NotMigrated(f"{error}; run ./headrace migrate") from error
    except _UNAVAILABLE as error:
        raise StoreUnavailable(f"Cassandra did not prepare a statement: {error}") from error
    statement.is_idempotent = True
    return statement


async def execute_all(session: Session, statements: Sequence[Statement]) -> list[Any]:
    """Run (statement, parameters) pairs concurrently; the rows of each, in order.

    The event loop is woken once for all of them. Raises StoreUnavailable if any got no answer.
    """
    return (await execute_in_order(session, [statements]))[0]


async def execute_in_order(session: Session, stages: Sequence[Sequence[Statement]]) -> list[list[Any]]:
    """Like `execute_all` for each stage, which starts when the one before it has succeeded.

    The event loop is woken once, at the end. Where it raises, later stages have not been started.
    """
    if not any(stages):
        return [[] for _ in stages]
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    run = _Run(session, stages, loop, done)
    run.start()
    try:
        await done
    except InvalidRequest as error:
        if "unconfigured table" in str(error) or "does not exist" in str(error):
            raise NotMigrated(f"{error}; run ./headrace migrate") from error
        raise
    except _UNAVAILABLE as error:
        raise StoreUnavailable(f"Cassandra did not answer: {type(error).__name__}: {error}") from error
    return run.results


class _Run:
    """Starts stages and counts answers, mostly in the driver's thread; resolves the future after the last one."""

    def __init__(
        self,
        session: Session,
        stages: Sequence[Sequence[Statement]],
        loop: asyncio.AbstractEventLoop,
        done: asyncio.Future[None],
    ) -> None:
        self._session = session
        self._loop = loop
        self._done = done
        self._lock = threading.Lock()
        self._missing = 0
        self._error: BaseException | None = None
        self.results: list[list[Any]] = [[None] * len(stage) for stage in stages]
        self._upcoming = deque((stage, rows) for stage, rows in zip(stages, self.results, strict=True) if stage)

    def start(self) -> None:
        """Start the next stage."""
        stage, results = self._upcoming.popleft()
        self._missing = len(stage)
        for index, (statement, parameters) in enumerate(stage):
            try:
                future = self._session.execute_async(statement, parameters)
            except Exception as error:  # the driver's thread would swallow it, and nobody would be woken
                self._failed(error)
            else:
                future.add_callbacks(self._succeeded, self._failed, callback_args=(results, index), errback_args=())

    def _succeeded(self, rows: Any, results: list[Any], index: int) -> None:
        results[index] = rows
        self._answered()

    def _failed(self, error: BaseException) -> None:
        self._error = error
        self._answered()

    def _answered(self) -> None:
        # Callbacks run in the driver's thread, or in ours where the answer was already there.
        with self._lock:
            self._missing -= 1
            last = self._missing == 0
        if not last:
            return
        if self._upcoming and self._error is None:
            self.start()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._resolve)

    def _resolve(self) -> None:
        if self._done.done():
            return
        if self._error is not None:
            self._done.set_exception(self._error)
        else:
            self._done.set_result(None)
