"""Gathers reads of states: few statements are under way to the same replicas at a time, and what comes meanwhile shares
the next ones.

A key in a statement costs a tenth of a statement. Only reads that have not been sent are shared: an answer that was
under way before somebody asked could be older than what they have seen.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from math import ceil
from typing import Final

from storage.grouping import grouped

# A statement has up to 50 keys, and up to 150 where more than 400 are read at once: it costs the driver what ten keys
# do, but a node reads its keys one after another, and has five seconds for all of them.
KEYS_PER_READ: Final = 50
MOST_KEYS_PER_READ: Final = 150
# Enough to keep a node busy; more would only make the statements smaller.
READS_UNDER_WAY: Final = 8
# A read that is not full waits for company while another such read is under way: with 16 readers each costs a quarter
# less. But not for long, as that one may hang.
PATIENCE_SECONDS: Final = 0.01

ReadStates = Callable[[Sequence[str]], Awaitable[dict[str, bytes]]]


class _Read:
    """One statement that is to be sent, and those who wait for its answer."""

    def __init__(self, most_keys: int) -> None:
        self.user_ids: list[str] = []
        self.overdue = False
        """Whether it has waited for company long enough."""
        self._most_keys = most_keys
        self._answers: list[asyncio.Future[dict[str, bytes]]] = []

    def answer(self) -> asyncio.Future[dict[str, bytes]]:
        """The states; one's own, as somebody who gives up cancels what they wait for."""
        answer = asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        return answer

    def succeed(self, states: dict[str, bytes]) -> None:
        """Hand the states to all who still wait."""
        for answer in self._answers:
            if not answer.done():
                answer.set_result(states)

    def fail(self, error: Exception) -> None:
        """Raise the error in all who still wait."""
        for answer in self._answers:
            if not answer.done():
                answer.set_exception(error)
                answer.exception()  # marks it as seen: who waits for several answers may have raised another's

    @property
    def full(self) -> bool:
        """Whether no more keys have room in it."""
        return len(self.user_ids) >= self._most_keys


class StateReads:
    """Reads by key through `read`, which is called with at most MOST_KEYS_PER_READ keys of the same replicas."""

    def __init__(self, read: ReadStates) -> None:
        self._read = read
        self._groups: dict[Hashable, _Group] = {}
        self._last_failed = False

    async def load(self, user_ids: Sequence[str], replicas: Callable[[str], Hashable] | None) -> dict[str, bytes]:
        """The states of those who have one. `replicas` gives those of a key; None: all keys have the same.

        Raises what `read` raises.
        """
        if not user_ids:
            return {}
        reads: set[_Read] = set()
        groups: Mapping[Hashable, Sequence[str]]
        groups = {None: user_ids} if replicas is None else grouped(user_ids, replicas)
        for key, of_group in groups.items():
            group = self._group(key)
            reads |= group.reads_of(of_group, self._most_keys(len(of_group)))
            group.start()
        found: dict[str, bytes] = {}
        try:
            for answer in [read.answer() for read in reads]:
                found |= await answer
        except Exception:
            self._last_failed = True
            raise
        self._last_failed = False
        return {user_id: found[user_id] for user_id in user_ids if user_id in found}

    def _most_keys(self, keys: int) -> int:
        """As many as spread them over what may be under way; few where the last load failed, maybe for want of time."""
        if self._last_failed:
            return KEYS_PER_READ
        return min(max(KEYS_PER_READ, ceil(keys / READS_UNDER_WAY)), MOST_KEYS_PER_READ)

    def _group(self, replicas: Hashable) -> _Group:
        group = self._groups.get(replicas)
        if group is None:
            group = self._groups[replicas] = _Group(self._read, lambda: self._groups.pop(replicas, None))
        return group


class _Group:
    """The reads of keys that have the same replicas; calls `on_idle` when none is left."""

    def __init__(self, read: ReadStates, on_idle: Callable[[], object]) -> None:
        self._read = read
        self._on_idle = on_idle
        self._waiting: deque[_Read] = deque()
        self._by_user: dict[str, _Read] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._partial: set[_Read] = set()
        """Those under way that were not full."""
        self._timed: _Read | None = None
        """The last one that a timer was set for."""

    def reads_of(self, user_ids: Iterable[str], most_keys: int) -> set[_Read]:
        """The reads that wait to be sent and have these keys; a new one takes up to `most_keys`."""
        reads: set[_Read] = set()
        for user_id in user_ids:
            read = self._by_user.get(user_id)
            if read is None:
                if not self._waiting or self._waiting[-1].full:
                    self._waiting.append(_Read(most_keys))
                read = self._by_user[user_id] = self._waiting[-1]
                read.user_ids.append(user_id)
            reads.add(read)
        return reads

    def start(self) -> None:
        """Send what may be sent; what is left is sent as soon as there is room for it, or in PATIENCE_SECONDS."""
        while self._waiting and len(self._under_way) < READS_UNDER_WAY and self._may_leave(self._waiting[0]):
            self._send_next()
        if self._waiting and self._waiting[-1] is not self._timed:
            self._timed = self._waiting[-1]
            asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._give_up_waiting, self._timed)

    def _may_leave(self, read: _Read) -> bool:
        return read.full or read.overdue or not self._partial

    def _give_up_waiting(self, read: _Read) -> None:
        """Send it as if it were full; all before it are."""
        read.overdue = True
        self.start()

    def _send_next(self) -> None:
        read = self._waiting.popleft()
        for user_id in read.user_ids:
            del self._by_user[user_id]
        if not read.full:
            self._partial.add(read)
        self._under_way.add(asyncio.create_task(self._send(read)))

    async def _send(self, read: _Read) -> None:
        try:
            read.succeed(await self._read(read.user_ids))
        except Exception as error:
            read.fail(error)
        finally:
            task = asyncio.current_task()
            assert task is not None
            self._under_way.discard(task)
            self._partial.discard(read)
            self.start()
            if not self._under_way:
                self._on_idle()
