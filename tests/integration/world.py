"""The whole system as tests drive it: processes on a real Kafka and a real Cassandra, and looks behind the curtain."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient

from cli.system import Service, System
from loadgen.client import Client
from loadgen.drive import Books, Driver
from loadgen.traffic import Request, Shape, plan
from loadgen.verify import verify
from runtime.settings import Settings
from schemas.topics import EVENTS
from storage import CassandraUserStore
from storage.session import connect, execute_all

SABOTAGED = Path(__file__).with_name("sabotaged_worker.py")


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 60, what: str = "a condition") -> None:
    """Await a condition of the world outside."""
    try:
        async with asyncio.timeout(seconds):
            while not await condition():  # noqa: ASYNC110  # it lies in other processes
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"{what} did not come true within {seconds} s") from None


def view(user_id: str) -> dict[str, Any]:
    """An event of this moment, as the books keep it."""
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    return {
        "eventId": str(uuid.uuid4()),
        "type": "view_item",
        "userId": user_id,
        "itemId": "sku-1",
        "category": "books",
        "eventTime": now_ms,
    }


@dataclass
class World:
    """A system whose processes a test starts, kills and asks."""

    system: System
    http: aiohttp.ClientSession
    client: Client

    @property
    def api(self) -> Service:
        """The API."""
        return self.system.api

    @property
    def worker(self) -> Service:
        """The first worker."""
        return self.system.worker

    async def start(self, *services: Service, sabotage: str | None = None) -> None:
        """Start processes and wait until they are ready; `sabotage` makes it a worker with a guard removed."""
        for service in services:
            await self.launch(service, sabotage=sabotage)
        for service in services:
            await asyncio.to_thread(self.system.await_ready, service)

    async def launch(self, service: Service, *, sabotage: str | None = None) -> None:
        """Start a process without waiting for it."""
        argv = None if sabotage is None else (sys.executable, str(SABOTAGED), sabotage)
        await asyncio.to_thread(self.system.start, service, argv=argv)

    async def stop(self, *services: Service, kill: bool = False) -> None:
        """Stop processes, orderly or by SIGKILL, and return when they are gone."""
        for service in services:
            await asyncio.to_thread(self.system.stack.keeper.stop, service.name, kill=kill)

    async def readyz(self, service: Service) -> tuple[bool, dict[str, Any]]:
        """Whether the process says that it is ready, and its checks; no checks if nobody answers."""
        try:
            async with self.http.get(f"{service.admin_url}/readyz") as response:
                report = await response.json()
                return bool(report["ready"]), dict(report["checks"])
        except (aiohttp.ClientError, OSError):
            return False, {}

    async def metric(self, service: Service, name: str) -> float:
        """The sum of a metric over its labels."""
        async with self.http.get(f"{service.admin_url}/metrics") as response:
            lines = (await response.text()).splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def rss_bytes(self, service: Service) -> int:
        """Resident memory of the process."""
        process = self.system.stack.keeper.running(service.name)
        assert process is not None
        return process.rss_bytes

    async def drive(self, shape: Shape) -> Traffic:
        """Begin to send a run of traffic in the background."""
        requests = plan(shape, run=f"t{time.time_ns() // 1_000_000:x}")
        books = Books()
        task = asyncio.create_task(Driver(self.client, books, probes_per_second=1).run(requests))
        return Traffic(requests, books, task)

    async def mismatches(self, books: Books) -> list[str]:
        """What is served differently from the independent fold, over all users; and verdicts out of the plan."""
        return [*books.surprises, *await verify(self.client, books, lambda done, total: None)]

    async def graphql(self, query: str, **variables: Any) -> Any:
        """The answer to an operation, errors included."""
        async with self.http.post(f"{self.api.url}/graphql", json={"query": query, "variables": variables}) as response:
            return await response.json()


@dataclass
class Traffic:
    """A run that is being sent."""

    requests: list[Request]
    books: Books
    task: asyncio.Task[float]

    async def sent(self, count: int) -> None:
        """Returns when that many events have been accepted."""

        async def reached() -> bool:
            return self.books.accepted >= count or self.task.done()

        await until(reached, 120, f"{count} accepted events")

    async def finished(self) -> Books:
        """Returns when every event has a verdict."""
        await asyncio.wait_for(self.task, 180)
        return self.books


@asynccontextmanager
async def new_world(system: System) -> AsyncIterator[World]:
    """A world in which nothing of ours runs yet; whatever the test starts is stopped at its end."""
    async with aiohttp.ClientSession() as http, Client(system.api.url) as client:
        try:
            yield World(system, http, client)
        finally:
            await asyncio.to_thread(_stop_ours, system)


def _stop_ours(system: System) -> None:
    for process in system.stack.keeper.all():
        if process.role in ("api", "worker"):
            system.stack.keeper.stop(process.name)


@asynccontextmanager
async def log_of(bootstrap: str, topic: str) -> AsyncIterator[Callable[[], Awaitable[list[ConsumerRecord]]]]:
    """A function that returns what has come into a topic since its last call, at first everything."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()

    async def read_on() -> list[ConsumerRecord]:
        places = list(consumer.assignment())
        ends = await consumer.end_offsets(places)
        records: list[ConsumerRecord] = []
        while any([await consumer.position(place) < ends[place] for place in places]):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                records += batch
        return records

    try:
        yield read_on
    finally:
        await consumer.stop()


async def read_topic(bootstrap: str, topic: str) -> list[ConsumerRecord]:
    """Everything that is in a topic now."""
    async with log_of(bootstrap, topic) as read_on:
        return await read_on()


@asynccontextmanager
async def commits_of(settings: Settings) -> AsyncIterator[Callable[[], Awaitable[dict[int, int]]]]:
    """A function that returns what the workers of this store have committed; other stores share the Kafka."""
    store = CassandraUserStore(settings.cassandra)
    await store.start()
    await store.connected()
    group = (await store.deployment()).consumer_group(settings.worker.group)
    await store.close()
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers)
    await admin.start()

    async def offsets() -> dict[int, int]:
        found = await admin.list_consumer_group_offsets(group)
        return {
            place.partition: meta.offset
            for place, meta in found.items()
            if place.topic == EVENTS.name and meta.offset >= 0
        }

    try:
        yield offsets
    finally:
        await admin.close()


class CommitWatch:
    """Samples the invariant of at-least-once, in the background and when asked: what is committed is durable.

    At each sample: for every user with a record below its partition's committed offset, the row in Cassandra must be
    the fold of at least that record.
    """

    def __init__(self, settings: Settings) -> None:
        self.samples = 0
        self.violations: list[str] = []
        self._settings = settings
        self._log: list[ConsumerRecord] = []
        self._one_at_a_time = asyncio.Lock()
        self._running = AsyncExitStack()

    async def __aenter__(self) -> CommitWatch:
        cassandra = self._settings.cassandra
        self._committed = await self._running.enter_async_context(commits_of(self._settings))
        self._session = await asyncio.to_thread(connect, cassandra, cassandra.keyspace)
        self._running.push_async_callback(asyncio.to_thread, self._session.cluster.shutdown)
        log = log_of(self._settings.kafka.bootstrap_servers, EVENTS.name)
        self._read_on = await self._running.enter_async_context(log)
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._task.cancel()
        try:
            with suppress(asyncio.CancelledError):
                await self._task
        finally:
            await self._running.aclose()

    async def offsets(self) -> dict[int, int]:
        """What is committed now, by partition."""
        async with self._one_at_a_time:
            return await self._committed()

    async def sample(self) -> None:
        """Compare once, now."""
        async with self._one_at_a_time:
            offsets = await self._committed()
            [rows] = await execute_all(self._session, [("SELECT user_id, src_offset FROM user_state", None)])
            self._log += await self._read_on()
            self._compare(offsets, dict(rows))
            self.samples += 1

    async def _watch(self) -> None:
        while True:
            await self.sample()
            await asyncio.sleep(0.3)

    def _compare(self, offsets: dict[int, int], durable: dict[str, int]) -> None:
        latest: dict[str, int] = defaultdict(int)
        for record in self._log:
            if record.key and record.offset < offsets.get(record.partition, 0):
                latest[record.key.decode()] = record.offset
        for user_id, offset in latest.items():
            if durable.get(user_id, -1) < offset:
                self.violations.append(f"{user_id}: committed past {offset}, durable to {durable.get(user_id)}")
