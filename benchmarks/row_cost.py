"""What a row costs on its way to Cassandra: `python -m benchmarks.row_cost`.

In turn, on a real Cassandra of its own, flushes of 1 000 timeline rows (250 bytes) and 1 000 states (1 500 bytes):
  each     one `execute_async` per row;
  driver   bound statements in the driver's unlogged batches of the same size;
  ours     CassandraUserStore.write.
And reads of 64 users at a time who all come alone: one statement each, and CassandraUserStore.load_states.
CPU of this process, all its threads, medians of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from cassandra.query import BatchStatement, BatchType
from msgspec.structs import astuple

from cli import serving
from cli.migrate import migrate
from cli.system import System
from runtime.settings import CassandraSettings
from schemas.receipts import Position
from storage import CassandraUserStore, StateRow, TimelineRow
from storage.packed_batch import BATCH_BYTES
from storage.row_encoding import SHARD, WRITE_EVENT, WRITE_STATE
from storage.rows import DAY_MS
from storage.session import connect, execute_all, prepare
from tests.conftest import settings_in

ROWS = 1_000
FLUSHES = 10
READERS = 64
READS = 5_000
NOW_MS = 1_760_000_000_000

Flush = tuple[list[StateRow], list[TimelineRow]]


def flush(number: int) -> Flush:
    """The rows of a flush; the same users in each, at a higher version."""
    version = NOW_MS * 1000 + number
    states = [StateRow(f"user-{n:06d}", b"s" * 1_500, version, Position(1, n % 12, number)) for n in range(ROWS)]
    events = [
        TimelineRow(
            f"user-{n:06d}", NOW_MS + n, f"0197{number:04d}-0000-4000-8000-{n:012d}", "view_item", b"p" * 250, version
        )
        for n in range(ROWS)
    ]
    return states, events


class Driver:
    """The same rows as the driver binds them."""

    def __init__(self, settings: CassandraSettings) -> None:
        self.session = connect(settings, settings.keyspace)
        self.write_state = prepare(self.session, WRITE_STATE)
        self.write_event = prepare(self.session, WRITE_EVENT)
        self.read = prepare(self.session, "SELECT user_id, state FROM user_state WHERE user_id = ?")

    def bound(self, rows: Flush) -> tuple[list[Any], list[Any]]:
        states, events = rows
        bound_states = [
            (self.write_state.bind((row.user_id, row.state, *row.position, row.version)), len(row.state))
            for row in states
        ]
        bound_events = [
            (
                self.write_event.bind((row.user_id, row.event_time_ms // DAY_MS, SHARD, *astuple(row)[1:])),
                len(row.payload),
            )
            for row in events
        ]
        return bound_events, bound_states

    async def each(self, rows: Flush) -> None:
        """One request per row."""
        for bound in self.bound(rows):
            await execute_all(self.session, [(statement, None) for statement, _ in bound])

    async def batched(self, rows: Flush) -> None:
        """The driver's batches."""
        for bound in self.bound(rows):
            batches, room = [], 0
            for statement, size in bound:
                if size + 100 > room:
                    room = BATCH_BYTES
                    batches.append(BatchStatement(BatchType.UNLOGGED))
                batches[-1].add(statement)
                room -= size + 100
            await execute_all(self.session, [(batch, None) for batch in batches])

    async def load(self, user_id: str) -> None:
        """One user."""
        await execute_all(self.session, [(self.read, (user_id,))])


async def timed(work: Callable[[], Awaitable[None]], items: int) -> tuple[float, float]:
    """Microseconds of CPU and of wall time per item."""
    wall, cpu = time.perf_counter(), time.process_time()
    await work()
    return (time.process_time() - cpu) * 1e6 / items, (time.perf_counter() - wall) * 1e6 / items


async def compare(settings: CassandraSettings, rounds: int) -> int:
    """Print both tables."""
    store, driver = CassandraUserStore(settings), Driver(settings)
    await store.start()
    await store.connected()
    flushes = [flush(number) for number in range(FLUSHES)]

    def writing(write: Callable[[Flush], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            for rows in flushes:
                await write(rows)

        return work

    def reading(load: Callable[[str], Awaitable[object]]) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            left = iter(range(READS))

            async def reader() -> None:
                for n in left:
                    await load(f"user-{n * 7 % (2 * ROWS):06d}")

            await asyncio.gather(*(reader() for _ in range(READERS)))

        return work

    writes = {
        "each": writing(driver.each),
        "driver": writing(driver.batched),
        "ours": writing(lambda rows: store.write(*rows)),
    }
    reads = {"one by one": reading(driver.load), "load_states": reading(lambda user_id: store.load_states([user_id]))}
    for title, ways, items in (("row written", writes, FLUSHES * ROWS * 2), ("state read", reads, READS)):
        seen: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for turn in range(rounds + 1):
            for way, work in ways.items():
                measured = await timed(work, items)
                if turn:
                    seen[way].append(measured)
        for way, costs in seen.items():
            cpu, wall = (statistics.median(each) for each in zip(*costs, strict=True))
            print(f"{title:<14}{way:<14}{cpu:8.2f} us CPU{wall:10.2f} us wall", flush=True)
    await store.close()
    driver.session.cluster.shutdown()
    return 0


def main() -> None:
    """Start a Cassandra, measure, stop it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    directory = Path(mkdtemp(prefix="row-cost-"))
    system = System(settings_in(directory), lambda line: print(line, file=sys.stderr))
    try:
        system.stack.up()
        migrate(system.settings)
        serving.run(lambda stop: compare(system.settings.cassandra, arguments.rounds))
    finally:
        system.down()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
