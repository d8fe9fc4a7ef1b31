"""Compares every user as served with an independent fold of what was accepted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Final

import aiohttp

from loadgen.client import ApiAnswer, Client, ServedUser
from loadgen.drive import Books
from loadgen.oracle import differences, expected_features

_READERS: Final = 8


async def verify(client: Client, books: Books, progress: Callable[[int, int], None]) -> list[str]:
    """Read all users of the books back; what differs, a line each. `progress` gets (users done, all users)."""
    waiting = iter(list(books.accepted_events))
    total = len(books.accepted_events)
    mismatches: list[str] = []
    done = 0

    async def reader() -> None:
        nonlocal done
        for user_id in waiting:
            try:
                served = await client.user(user_id, books.receipts.get(user_id))
            except (ApiAnswer, aiohttp.ClientError, TimeoutError, OSError) as error:
                mismatches.append(f"{user_id}: could not be read: {type(error).__name__}: {error}")
            else:
                mismatches.extend(compare(user_id, books, served))
            done += 1
            progress(done, total)

    async with asyncio.TaskGroup() as readers:
        for _ in range(_READERS):
            readers.create_task(reader())
    return mismatches


def compare(user_id: str, books: Books, served: ServedUser) -> list[str]:
    """What differs for one user, a line each: features, the count of duplicates, the timeline's event ids."""
    events = books.accepted_events[user_id]
    found = [] if served.fresh else ["not fresh in time"]
    expected = expected_features(events, served.as_of_ms)
    found += [f"{name} is served and not known to the verifier" for name in served.values.keys() - expected.keys()]
    comparable = {name: _in_ms(expected[name], served.values[name]) for name in served.values.keys() & expected.keys()}
    found += differences(expected, comparable, served.approximate)
    sent_ids = Counter({event["eventId"]: 1 for event in events})
    served_ids = Counter(served.timeline)
    # An event of unknown outcome that was sent again may be in the log once or twice.
    again = len(events) - len(sent_ids)
    if not again <= served.duplicate_events <= again + books.retried_events[user_id]:
        found.append(f"{served.duplicate_events} duplicates were seen, {again} were sent")
    if missing := sent_ids - served_ids:
        found.append(f"timeline: {len(missing)} events are missing, such as {min(missing)}")
    if extra := served_ids - sent_ids:
        found.append(f"timeline: {len(extra)} events are there too often or were never sent, such as {min(extra)}")
    return [f"{user_id}: {line}" for line in found]


def _in_ms(expected: object, served: object) -> object:
    """The oracle speaks of moments in ms, GraphQL in ISO 8601."""
    if isinstance(expected, int) and isinstance(served, str):
        return round(datetime.fromisoformat(served).timestamp() * 1000)
    return served
