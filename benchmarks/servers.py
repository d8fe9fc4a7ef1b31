"""A real Kafka and a real Cassandra for the benchmarks: own ports, own data, started when the first entry asks."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import psutil
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.partitioner import murmur2
from cassandra.cluster import Session

from cli.migrate import migrate
from cli.system import System
from runtime.settings import CassandraSettings, KafkaSettings, LogSettings, Settings, StackSettings, WorkerSettings
from schemas import topics
from stack import versions
from storage.session import connect

NAMES: Final = f"Kafka {versions.KAFKA}, Cassandra {versions.CASSANDRA}, one node each, on the same machine"
KAFKA_NAME: Final = f"Kafka {versions.KAFKA}, one node, on the same machine"
_BATCH_BYTES: Final = 64 << 10


class Servers:
    """What entries do with the servers. `system` is up."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._numbers = itertools.count()

    @property
    def kafka(self) -> str:
        """Bootstrap address."""
        return self._system.settings.kafka.bootstrap_servers

    @property
    def cassandra_port(self) -> int:
        """CQL port on loopback."""
        return self._system.settings.cassandra.port

    def settings(self, **sections: Any) -> Settings:
        """Settings of the product against these servers, with some sections replaced."""
        return self._system.settings.model_copy(update=sections)

    def new_store(self, **sections: Any) -> Settings:
        """Settings with a keyspace of their own, migrated: nothing has been folded there yet."""
        keyspace = f"bench_{os.getpid()}_{next(self._numbers)}"
        cassandra = self._system.settings.cassandra.model_copy(update={"keyspace": keyspace})
        settings = self.settings(cassandra=cassandra, **sections)
        migrate(settings)
        return settings

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A plain session of the driver, without a keyspace."""
        session = connect(self._system.settings.cassandra, None)
        try:
            yield session
        finally:
            session.cluster.shutdown()

    def drop(self, keyspace: str) -> None:
        """Remove a keyspace."""
        with self.session() as session:
            session.execute(f"DROP KEYSPACE IF EXISTS {keyspace}", timeout=60)

    def refill(self, records: Iterable[tuple[str, bytes]]) -> int:
        """Make the product's topics anew and put (key, value) records into the events topic; returns how many."""
        return asyncio.run(self._refill(records))

    def cpu_seconds(self) -> dict[str, float]:
        """CPU that each server has spent so far."""
        spent = {}
        for name in ("kafka", "cassandra"):
            process = self._system.stack.keeper.running(name)
            assert process is not None, f"{name} has died"
            times = psutil.Process(process.pid).cpu_times()
            spent[name] = times.user + times.system
        return spent

    async def _refill(self, records: Iterable[tuple[str, bytes]]) -> int:
        await self._remove_topics()
        await asyncio.to_thread(migrate, self._system.settings)
        return await fill(self.kafka, topics.EVENTS.name, topics.EVENTS.partitions, records)

    async def _remove_topics(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        try:
            left = set(await admin.list_topics()) - {"__consumer_offsets"}
            if left:
                await admin.delete_topics(sorted(left))
            while left & set(await admin.list_topics()):  # noqa: ASYNC110  # the broker tells nobody
                await asyncio.sleep(0.1)
        finally:
            await admin.close()


async def fill(kafka: str, topic: str, partitions: int, records: Iterable[tuple[str, bytes]]) -> int:
    """Send (key, value) records, each key to its partition as every Kafka client places it; returns how many."""
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka,
        acks="all",
        enable_idempotence=True,
        compression_type="zstd",
        max_batch_size=_BATCH_BYTES,
    )
    await producer.start()
    places: dict[str, int] = {}
    builders = {partition: producer.create_batch() for partition in range(partitions)}
    sent: list[asyncio.Future[Any]] = []
    count = 0
    try:
        for key, value in records:
            partition = places.get(key)
            if partition is None:
                partition = places[key] = (murmur2(key.encode()) & 0x7FFFFFFF) % partitions
            if builders[partition].append(key=key.encode(), value=value, timestamp=None) is None:
                sent.append(await producer.send_batch(builders[partition], topic, partition=partition))
                builders[partition] = producer.create_batch()
                builders[partition].append(key=key.encode(), value=value, timestamp=None)
            count += 1
        for partition, builder in builders.items():
            if builder.record_count():
                sent.append(await producer.send_batch(builder, topic, partition=partition))
        await asyncio.gather(*sent)
    finally:
        await producer.stop()
    return count


@contextmanager
def running(home: Path, say: Callable[[str], None]) -> Iterator[Servers]:
    """Servers under `home`, stopped and removed afterwards, as are those of a run that was killed."""
    for left in home.glob("[0-9]*"):
        if not psutil.pid_exists(int(left.name)):
            System(_settings(left), lambda line: None).down()
            shutil.rmtree(left, ignore_errors=True)
    directory = home / str(os.getpid())
    system = System(_settings(directory), say)
    try:
        system.stack.up()
        yield Servers(system)
    finally:
        system.down()
        shutil.rmtree(directory, ignore_errors=True)


def _settings(directory: Path) -> Settings:
    ports = free_ports(6)
    return Settings(
        _env_file=None,  # type: ignore[call-arg]  # an argument of pydantic-settings
        kafka=KafkaSettings(bootstrap_servers=f"127.0.0.1:{ports[0]}"),  # type: ignore[call-arg]
        cassandra=CassandraSettings(port=ports[2]),  # type: ignore[call-arg]
        worker=WorkerSettings(port=0),  # type: ignore[call-arg]
        log=LogSettings(level="WARNING"),  # type: ignore[call-arg]
        stack=StackSettings(  # type: ignore[call-arg]
            directory=directory,
            kafka_port=ports[0],
            kafka_controller_port=ports[1],
            cassandra_port=ports[2],
            cassandra_storage_port=ports[3],
            cassandra_jmx_port=ports[4],
            jolokia_port=ports[5],
            kafka_heap_mb=512,
            cassandra_heap_mb=1024,
        ),
    )


def free_ports(count: int) -> list[int]:
    """Distinct ports of loopback on which nobody listens, chosen by the system."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
