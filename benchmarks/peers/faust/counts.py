"""Idiomatic Faust: an agent over typed records that counts per user in a table.

With a Cassandra port it also writes each event's new count with `execute_async`.
Argument: {"kafka", "topic", "partitions", "group", "records", "cassandraPort", "keyspace", "results"}.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import faust
import uvloop

from benchmarks.meter import Meter

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
arguments: dict[str, Any] = json.loads(sys.argv[1])

app = faust.App(
    arguments["group"],
    broker=f"kafka://{arguments['kafka']}",
    topic_partitions=arguments["partitions"],
    datadir=f"{arguments['results']}.data",
    web_enabled=False,
)


class View(faust.Record, serializer="json"):
    """An event."""

    eventId: str
    type: str
    userId: str
    itemId: str
    category: str
    eventTime: int
    receivedAt: int


views = app.topic(arguments["topic"], key_type=bytes, value_type=View)
counts = app.Table("counts", default=int, partitions=arguments["partitions"])
meter = Meter()
handled = 0
written: list[Any] = []

if arguments.get("cassandraPort"):
    from cassandra.cluster import Cluster

    session = Cluster(["127.0.0.1"], port=arguments["cassandraPort"]).connect(arguments["keyspace"])
    insert = session.prepare("INSERT INTO user_counts (user_id, events, last_event_ms) VALUES (?, ?, ?)")
else:
    session = insert = None


@app.agent(views)
async def count(stream: Any) -> None:
    """Count, and write the count."""
    async for view in stream:
        meter.begin()
        counts[view.userId] += 1
        if session is not None:
            written.append(session.execute_async(insert, (view.userId, counts[view.userId], view.eventTime)))
        await note()


async def note() -> None:
    """After the last event: wait until it is durable, report, and end."""
    global handled
    handled += 1
    if len(written) >= 2_000:  # not to hold the futures of all events
        await asyncio.to_thread(settle)
    if handled == arguments["records"]:
        await asyncio.to_thread(settle)
        await app.producer.flush()
        meter.report("", handled)
        await asyncio.to_thread(Path(arguments["results"]).write_text, json.dumps(dict(counts.items())))
        os._exit(0)


def settle() -> None:
    """Wait for the writes in flight; raises what failed."""
    for future in written:
        future.result()
    written.clear()


if __name__ == "__main__":
    sys.argv[1:] = ["worker", "-l", "warn", "--without-web"]
    app.main()
