"""Make the keyspace and its tables, forward only: numbered `.cql` files, checksummed, under a lock."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cassandra import DriverException, RequestExecutionException
from cassandra.cluster import NoHostAvailable, Session

from runtime.settings import CassandraSettings
from storage.errors import MigrationConflict, StoreUnavailable
from storage.rows import Deployment
from storage.session import connect

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK_SECONDS = 60
_DDL_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    name: str
    statements: tuple[str, ...]
    checksum: str


def read_migrations(folder: Path = MIGRATIONS) -> list[Migration]:
    """The migrations in their order."""
    return [_parse(path) for path in sorted(folder.glob("[0-9]*.cql"))]


class Migrator:
    """Applies migrations and keeps the deployment row; blocking, for the `migrate` command."""

    def __init__(self, settings: CassandraSettings) -> None:
        self._settings = settings
        self._session: Session = connect(settings, None)

    def close(self) -> None:
        """Close every connection."""
        self._session.cluster.shutdown()

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Nobody else migrates meanwhile. Raises MigrationConflict, StoreUnavailable."""
        try:
            self._make_keyspace()
            with self._lock():
                yield
        except (NoHostAvailable, RequestExecutionException, DriverException) as error:
            raise StoreUnavailable(f"Cassandra did not answer while migrating: {error}") from error

    def migrate(self) -> list[str]:
        """Apply what is missing, in turn; the names of what was applied. Raises MigrationConflict."""
        applied = dict(self._run("SELECT name, checksum FROM schema_migrations"))
        fresh = []
        for migration in read_migrations():
            if migration.name not in applied:
                self._apply(migration)
                fresh.append(migration.name)
            elif applied[migration.name] != migration.checksum:
                raise MigrationConflict(
                    f"{migration.name} was changed after it had been applied; restore it and add a new file"
                )
        self._run(
            "INSERT INTO deployment (name, store_id) VALUES ('headrace', %s) IF NOT EXISTS",
            (uuid.uuid4().hex[:12],),
        )
        return fresh

    def start_epoch(self) -> None:
        """Note that the events topic is about to be made anew: its offsets begin again."""
        epoch = self.deployment().events_epoch + 1
        self._run("UPDATE deployment SET events_epoch = %s WHERE name = 'headrace'", (epoch,))

    def deployment(self) -> Deployment:
        """As it is now; epoch 0 where the events topic was never made."""
        store_id, events_epoch = self._one("SELECT store_id, events_epoch FROM deployment WHERE name = 'headrace'")
        return Deployment(store_id, events_epoch or 0)

    def adopt_topic(self) -> None:
        """The events topic exists; a store that never saw it made, being new beside an old Kafka, begins at epoch 1."""
        if self.deployment().events_epoch == 0:
            self.start_epoch()

    def _make_keyspace(self) -> None:
        settings = self._settings
        self._run(
            f"CREATE KEYSPACE IF NOT EXISTS {settings.keyspace} WITH replication = "
            f"{{'class': 'NetworkTopologyStrategy', '{settings.local_datacenter}': {settings.replication_factor}}}"
        )
        self._session.set_keyspace(settings.keyspace)
        self._run("CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY, checksum text)")
        self._run("CREATE TABLE IF NOT EXISTS schema_lock (name text PRIMARY KEY, owner text)")

    def _apply(self, migration: Migration) -> None:
        for statement in migration.statements:
            self._run(statement)
        self._run(
            "INSERT INTO schema_migrations (name, checksum) VALUES (%s, %s)", (migration.name, migration.checksum)
        )

    @contextmanager
    def _lock(self) -> Iterator[None]:
        owner = uuid.uuid4().hex
        acquire = (
            f"INSERT INTO schema_lock (name, owner) VALUES ('migrate', %s) IF NOT EXISTS USING TTL {_LOCK_SECONDS}"
        )
        deadline = time.monotonic() + _LOCK_SECONDS
        while not self._one(acquire, (owner,))[0]:
            if time.monotonic() > deadline:
                raise MigrationConflict("another process has been migrating for a minute; try again when it is done")
            time.sleep(0.5)
        try:
            yield
        finally:
            self._run("DELETE FROM schema_lock WHERE name = 'migrate' IF owner = %s", (owner,))

    def _run(self, query: str, parameters: tuple[object, ...] | None = None) -> Any:
        return self._session.execute(query, parameters, timeout=_DDL_TIMEOUT_SECONDS)

    def _one(self, query: str, parameters: tuple[object, ...] | None = None) -> Any:
        return self._run(query, parameters).one()


def _parse(path: Path) -> Migration:
    text = path.read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    statements = tuple(part.strip() for part in "\n".join(lines).split(";") if part.strip())
    return Migration(path.stem, statements, hashlib.sha256("\n".join(statements).encode()).hexdigest())
