"""Sends a plan at its own times (an open model: a slow answer delays nobody else) and keeps the books of it."""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from loadgen.client import ApiAnswer, Client, Tracked
from loadgen.traffic import PlannedEvent, Request
from schemas.receipts import decode_receipt

_RETRY_SECONDS: Final = 0.2
_GIVE_UP_SECONDS: Final = 120.0
_LEAD_SECONDS: Final = 0.2


@dataclass(slots=True)
class Books:
    """What was sent and what was answered; `accepted_events` per user in the order of their answers."""

    sent: int = 0
    accepted: int = 0
    rejected: int = 0
    retried: int = 0
    duplicates_sent: int = 0
    surprises: list[str] = field(default_factory=list)
    """Verdicts that the plan did not expect, and events that never got one."""
    stale: list[str] = field(default_factory=list)
    """Reads that did not show an answered mutation in time."""
    freshness_ms: list[float] = field(default_factory=list)
    """From a mutation's answer until a read showed its events."""
    accepted_events: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    receipts: dict[str, str] = field(default_factory=dict)
    """Each user's receipt that lies farthest in the log."""
    retried_events: Counter[str] = field(default_factory=Counter)
    """Per user, how often an event was sent again because its outcome was unknown."""
    known_ids: set[str] = field(default_factory=set)

    def accept(self, user_id: str, event: dict[str, Any]) -> None:
        """An event was acknowledged, for the first time or again."""
        self.accepted += 1
        if event["eventId"] in self.known_ids:
            self.duplicates_sent += 1
        self.known_ids.add(event["eventId"])
        self.accepted_events[user_id].append(event)

    def keep_receipt(self, user_id: str, receipt: str) -> None:
        """Keep it if it lies farther than what is kept."""
        kept = self.receipts.get(user_id)
        if kept is None or decode_receipt(kept).offset < decode_receipt(receipt).offset:
            self.receipts[user_id] = receipt


class Driver:
    """Drives one run through `client`."""

    def __init__(self, client: Client, books: Books, *, probes_per_second: float) -> None:
        self._client = client
        self._books = books
        self._probe_seconds = 1 / probes_per_second
        self._next_probe = 0.0

    async def run(self, requests: Sequence[Request]) -> float:
        """Send all requests; returns the seconds from the first one's time to the last answer.

        Without the garbage collector: its walk over all that was sent, up to 200 ms long, would count as freshness.
        """
        collected = gc.isenabled()
        gc.disable()
        try:
            return await self._send_all(requests)
        finally:
            if collected:
                gc.enable()

    async def _send_all(self, requests: Sequence[Request]) -> float:
        began = time.monotonic() + _LEAD_SECONDS
        start_ms = round((time.time() + _LEAD_SECONDS) * 1000)
        async with asyncio.TaskGroup() as answers:
            for request in requests:
                wait_seconds = began + request.due_ms / 1000 - time.monotonic()
                if wait_seconds > 0:
                    await asyncio.sleep(wait_seconds)
                answers.create_task(self._deliver(request, start_ms))
        return time.monotonic() - began

    async def _deliver(self, request: Request, start_ms: int) -> None:
        """Send until every event has a verdict that is not `retry`."""
        left = request.events
        give_up = time.monotonic() + _GIVE_UP_SECONDS
        self._books.sent += len(left)
        while True:
            tracked = await self._track(request, left, start_ms)
            left = self._note(request, left, tracked, start_ms)
            if not left:
                break
            if time.monotonic() > give_up:
                self._books.surprises.append(f"{len(left)} events of {request.user_id} never got a verdict")
                return
            self._books.retried += len(left)
            self._books.retried_events[request.user_id] += len(left)
            await asyncio.sleep(_RETRY_SECONDS)
        if tracked.receipt is not None:
            self._books.keep_receipt(request.user_id, tracked.receipt)
            await self._probe(request.user_id, tracked.receipt)

    async def _track(self, request: Request, events: Sequence[PlannedEvent], start_ms: int) -> Tracked:
        try:
            return await self._client.track(request.mutation, [event.json(start_ms) for event in events])
        except (ApiAnswer, aiohttp.ClientError, TimeoutError, OSError):
            return Tracked(0, {}, list(range(len(events))), None)  # no answer: unknown, so the same ids again

    def _note(
        self, request: Request, events: Sequence[PlannedEvent], tracked: Tracked, start_ms: int
    ) -> list[PlannedEvent]:
        """Enter the verdicts; returns what is to be sent again."""
        again = set(tracked.retry)
        for index, event in enumerate(events):
            if index in again:
                continue
            code = tracked.rejected.get(index)
            if code != event.fault:
                self._books.surprises.append(f"{request.user_id}: {code or 'accepted'} instead of {event.fault}")
            if code is None:
                self._books.accept(request.user_id, event.json(start_ms))
            else:
                self._books.rejected += 1
        return [events[index] for index in tracked.retry]

    async def _probe(self, user_id: str, receipt: str) -> None:
        """Now and then, measure how long the answered events take to be readable."""
        now = time.monotonic()
        if now < self._next_probe:
            return
        self._next_probe = now + self._probe_seconds
        try:
            fresh = await self._client.wait_until_fresh(user_id, receipt)
        except (ApiAnswer, aiohttp.ClientError, TimeoutError, OSError):
            fresh = False
        if fresh:
            self._books.freshness_ms.append((time.monotonic() - now) * 1000)
        else:
            self._books.stale.append(f"{user_id}: not readable in time")
