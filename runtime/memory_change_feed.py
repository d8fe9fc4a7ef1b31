"""The change feed's fake: what a test announces. While `away`, it behaves like a Kafka that does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Container, Sequence
from contextlib import asynccontextmanager

from runtime.change_feed import Change, FeedInterrupted
from schemas.receipts import Position


class MemoryChangeFeed:
    """ChangeFeed without Kafka. `openings` counts the followers; `followed` is set while there are any, else `idle`."""

    def __init__(self) -> None:
        self.away = False
        self.openings = 0
        self.followed = asyncio.Event()
        self.idle = asyncio.Event()
        self._followers: list[asyncio.Queue[Change | None]] = []

    def announce(self, user_id: str, position: Position | None) -> None:
        """The features of a user have changed; whoever does not follow now is not told."""
        for queue in self._followers:
            queue.put_nowait(Change(user_id, position))

    def interrupt(self) -> None:
        """End the feed of every follower with FeedInterrupted."""
        for queue in self._followers:
            queue.put_nowait(None)

    @asynccontextmanager
    async def follow(self, wanted: Container[str]) -> AsyncIterator[AsyncIterator[Sequence[Change]]]:
        """See ChangeFeed.follow."""
        if self.away:
            raise FeedInterrupted("away")
        queue: asyncio.Queue[Change | None] = asyncio.Queue()
        self._followers.append(queue)
        self.openings += 1
        self.idle.clear()
        self.followed.set()
        try:
            yield _changes(queue, wanted)
        finally:
            self._followers.remove(queue)
            if not self._followers:
                self.followed.clear()
                self.idle.set()


async def _changes(queue: asyncio.Queue[Change | None], wanted: Container[str]) -> AsyncIterator[Sequence[Change]]:
    while True:
        change = await queue.get()
        if change is None:
            raise FeedInterrupted("interrupted")
        if change.user_id in wanted:
            yield [change]
