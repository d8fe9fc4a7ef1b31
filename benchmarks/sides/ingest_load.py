"""The same requests for every side of `ingest`, and the loop that makes them."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final

from benchmarks.meter import Meter
from benchmarks.traffic import EVENT_BYTES

MUTATION: Final = "mutation Track($input: TrackEventsInput!) { trackEvents(input: $input) { acceptedCount } }"
KAFKA_CASE: Final = "batch {}"
ALONE_CASE: Final = "batch {}, GraphQL alone"
_BODIES_HOLD: Final = 20_000  # events; bodies are used again after that, Kafka does not mind
_IN_FLIGHT_EVENTS: Final = 4_000
_MOST_CALLS: Final = 64


def client_event(number: int) -> dict[str, Any]:
    """An event of EVENT_BYTES as a client sends it."""
    now = time.time()
    event = {
        "eventId": str(uuid.uuid4()),
        "type": "view_item",
        "userId": f"user-{number % 1_000:07}",
        "occurredAt": time.strftime(f"%Y-%m-%dT%H:%M:%S.{int(now % 1 * 1000):03}Z", time.gmtime(now)),
        "itemId": f"sku-{number % 5_000:06}",
        "category": "",
    }
    spare = EVENT_BYTES - len(json.dumps(event, separators=(",", ":")))
    return {**event, "category": f"{number % 40:0{spare}}"}


def bodies(batch: int) -> list[bytes]:
    """GraphQL request bodies of `batch` events each."""
    made = []
    for first in range(0, max(batch, _BODIES_HOLD), batch):
        events = [client_event(first + place) for place in range(batch)]
        request = {"query": MUTATION, "variables": {"input": {"events": events}}}
        made.append(json.dumps(request, separators=(",", ":")).encode())
    return made


async def drive(
    case: str, batch: int, events: int, requests: list[Any], call: Callable[[Any], Awaitable[None]]
) -> None:
    """Call with the requests in turn, several at a time, until `events` are done; reports after a warm-up."""
    at_once = max(1, min(_MOST_CALLS, _IN_FLIGHT_EVENTS // batch))

    async def take_turns(numbers: Any) -> None:
        for number in numbers:
            await call(requests[number % len(requests)])

    async def all_of(count: int) -> None:
        numbers = iter(range(count))
        await asyncio.gather(*(take_turns(numbers) for _ in range(at_once)))

    calls = max(2, events // batch)
    await all_of(max(2, calls // 10))
    meter = Meter()
    meter.begin()
    await all_of(calls)
    meter.report(case, calls * batch)


def arguments() -> dict[str, Any]:
    """{"kafka", "topic", "partitions", "batches": {"100": events to send}}."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    return {**given, "batches": {int(batch): events for batch, events in given["batches"].items()}}


def expect(answer: bytes, batch: int) -> None:
    """Raises unless the answer accepts the whole batch."""
    if b'"acceptedCount":%d}' % batch not in answer.replace(b" ", b""):
        raise RuntimeError(f"not all of {batch} events were accepted: {answer[:300]!r}")
