"""Watching users: one feed of changes for the whole process, and for each subscriber a flag instead of a queue.

A change only wakes a subscriber up; the values are read when the subscriber is ready for them. So a slow one gets the
latest values instead of all of them, and holds no memory. Knows nothing of GraphQL.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from graphql_api.errors import BadUserInput
from graphql_api.reads import Reads, UserRow
from runtime import metrics
from runtime.change_feed import ChangeFeed, FeedInterrupted
from schemas.receipts import Position, decode_position, encode_position
from storage.errors import StoreUnavailable

# Clients that reconnect find the feed still open, and a process whose last one has left reads for nobody.
LINGER_SECONDS: Final = 30.0
# After each opening every subscriber looks at the store, so a feed that keeps breaking must not be opened too often.
_REOPEN_SECONDS: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
_REREAD_SECONDS: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
# A worker announces what it has written, so the row is there; a look at other tables must not wait for ever.
_REACH_SECONDS: Final = 1.0
_TOKEN_FORMAT: Final = "f1"
# Older than every record: where a user stands of whom nothing is stored.
NOWHERE: Final = Position(0, 0, -1)

_log = structlog.get_logger(__name__)


class Subscription:
    """One subscriber's signal. `seen` is the position of the last values it was given, None if it must get some."""

    def __init__(self, seen: Position | None) -> None:
        self.seen = seen
        self.ended = False
        self._reached: Position | None = None
        self._changed = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def wake(self, reached: Position | None = None) -> None:
        """There may be newer values; with `reached`, the user's row holds at least that position."""
        if reached is not None:
            if reached.reached_by(self.seen):
                return
            if not reached.reached_by(self._reached):
                self._reached = reached
        self._changed.set()

    def wake_later(self, reached: Position, seconds: float) -> None:
        """Like `wake`, in a while: the row could not be read yet. Only the last call counts."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.wake, reached)

    def end(self) -> None:
        """No more values."""
        self.ended = True
        self._changed.set()

    async def changed(self) -> Position | None:
        """Returns when there may be newer values or the end; what was told since the last call is told once."""
        await self._changed.wait()
        self._changed.clear()
        reached, self._reached = self._reached, None
        return reached


class Hub:
    """All subscribers of this process. The feed is followed while there are any, and a little longer."""

    def __init__(self, feed: ChangeFeed, *, linger_seconds: float = LINGER_SECONDS) -> None:
        self._feed = feed
        self._linger_seconds = linger_seconds
        self._subscriptions: dict[str, set[Subscription]] = {}
        self._following: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._idle: asyncio.TimerHandle | None = None
        self.ended = False

    @contextmanager
    def subscribed(self, user_id: str, seen: Position | None) -> Iterator[Subscription]:
        """A subscription to a user's changes. Returns at once: it is woken as soon as the feed is open, too."""
        subscription = Subscription(seen)
        if self.ended:
            subscription.end()
        self._subscriptions.setdefault(user_id, set()).add(subscription)
        self._keep_following()
        metrics.WATCHERS.inc()
        try:
            yield subscription
        finally:
            metrics.WATCHERS.dec()
            remaining = self._subscriptions[user_id]
            remaining.discard(subscription)
            if not remaining:
                del self._subscriptions[user_id]
            if not self._subscriptions and self._following is not None:
                self._idle = asyncio.get_running_loop().call_later(self._linger_seconds, self._stop_following)

    async def close(self) -> None:
        """End every subscription, also those that still come, and let go of the feed."""
        self.ended = True
        for subscription in self._all():
            subscription.end()
        self._stop_following()
        if self._leaving:
            await asyncio.wait(self._leaving)

    def _keep_following(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._following is None and not self.ended:
            self._following = asyncio.create_task(self._follow())

    def _stop_following(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        task, self._following = self._following, None
        if task is not None:
            task.cancel()
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _follow(self) -> None:
        attempts = 0
        while True:
            try:
                async with self._feed.follow(self._subscriptions) as batches:
                    for subscription in self._all():
                        subscription.wake()  # what happened before the feed was open has to be looked up
                    async for batch in batches:
                        attempts = 0
                        for change in batch:
                            for subscription in self._subscriptions.get(change.user_id, ()):
                                subscription.wake(change.position)
            except FeedInterrupted as error:
                _log.warning("waiting for the features topic", attempts=attempts, reason=str(error))
            except Exception as error:  # whoever watches must not be left without a feed, whatever it was
                _log.error("following the features topic failed", exc_info=error)
            metrics.FEED_INTERRUPTIONS.inc()
            await asyncio.sleep(_REOPEN_SECONDS[min(attempts, len(_REOPEN_SECONDS) - 1)])
            attempts += 1

    def _all(self) -> list[Subscription]:
        return [each for subscriptions in self._subscriptions.values() for each in subscriptions]


async def watch(hub: Hub, reads: Reads, user_id: str, after: str | None) -> AsyncGenerator[UserRow, None]:
    """The user's row, and again whenever it has changed, ending when the hub is closed.

    With the token of a row the first one is left out unless it is newer. No change is missed: rows between two that are
    given were replaced by the later one. Raises BadUserInput, and StoreUnavailable if the store does not answer at the
    start; later it is waited for.
    """
    with hub.subscribed(user_id, decode_token(after) if after else None) as subscription:
        row = await reads.user(user_id, after=None, deadline_ms=0)
        misses = 0
        while True:
            if _is_newer(row, subscription.seen):
                subscription.seen = row_position(row)
                yield row
            reached = await subscription.changed()
            if subscription.ended:
                return
            row = await _read(reads, user_id, reached, 0.0 if misses else _REACH_SECONDS)
            misses = 0 if row.fresh else misses + 1
            if reached is not None and not row.fresh:
                subscription.wake_later(reached, _pause(misses))


async def _read(reads: Reads, user_id: str, reached: Position | None, seconds: float) -> UserRow:
    attempts = 0
    while True:
        try:
            if reached is None:
                return await reads.user(user_id, after=None, deadline_ms=0)
            return await reads.user_at(user_id, reached, seconds)
        except StoreUnavailable:
            attempts += 1
            await asyncio.sleep(_pause(attempts))


def _pause(attempts: int) -> float:
    return _REREAD_SECONDS[min(attempts, len(_REREAD_SECONDS)) - 1]


def _is_newer(row: UserRow, seen: Position | None) -> bool:
    position = row_position(row)
    if seen is None or (row.state is None and seen != NOWHERE):  # the latter: the user was erased
        return True
    return not position.reached_by(seen)


def row_position(row: UserRow) -> Position:
    """Up to where the row holds the events."""
    return NOWHERE if row.state is None or row.state.position is None else row.state.position


def encode_token(row: UserRow) -> str:
    """The opaque token of a row, to go on behind it."""
    return encode_position(row_position(row), _TOKEN_FORMAT)


def decode_token(token: str) -> Position:
    """The position in `token`. Raises BadUserInput."""
    try:
        return decode_position(token, _TOKEN_FORMAT)
    except ValueError as error:
        raise BadUserInput("`after` is not a token of featuresChanged") from error
