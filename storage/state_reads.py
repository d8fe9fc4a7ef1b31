"""Gathers reads of states: a few statements are under way at a time, and what comes meanwhile shares the next ones.

A key in a statement costs a tenth of a statement. Only reads that have not been sent are shared: an answer that was
under way before somebody asked could be older than what they have seen.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Final

KEYS_PER_READ: Final = 50
# Of the same replicas. Enough to keep a node busy; more would only make the statements smaller.
FULL_READS_UNDER_WAY: Final = 8
# With so many under way, what is not full waits for company: with 16 readers a read costs a sixth less than with 8.
READS_UNDER_WAY: Final = 2

ReadStates = Callable[[Sequence[str]], Awaitable[dict[str, bytes]]]


class _Read:
    """One statement that is to be sent, and the answer that everybody with a key in it waits for."""

    def __init__(self, replicas: Hashable) -> None:
        self.replicas = replicas
        self.user_ids: list[str] = []
        self.states: asyncio.Future[dict[str, bytes]] = asyncio.get_running_loop().create_future()

    @property
    def full(self) -> bool:
        """Whether no more keys have room in it."""
        return len(self.user_ids) == KEYS_PER_READ


class StateReads:
    """Reads by key through `read`, which is called with at most KEYS_PER_READ keys of the same replicas."""

    def __init__(self, read: ReadStates) -> None:
        self._read = read
        self._waiting: defaultdict[Hashable, deque[_Read]] = defaultdict(deque)
        self._by_user: dict[str, _Read] = {}
        self._under_way: Counter[Hashable] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    async def load(self, user_ids: Sequence[str], replicas: Callable[[str], Hashable] | None) -> dict[str, bytes]:
        """The states of those who have one. `replicas` gives those of a key; None: all keys have the same.

        Raises what `read` raises.
        """
        reads = {self._read_of(user_id, replicas) for user_id in user_ids}
        for group in {read.replicas for read in reads}:
            self._start(group)
        if not reads:
            return {}
        await asyncio.wait([read.states for read in reads])
        found: dict[str, bytes] = {}
        for read in reads:
            found |= read.states.result()
        return {user_id: found[user_id] for user_id in user_ids if user_id in found}

    def _read_of(self, user_id: str, replicas: Callable[[str], Hashable] | None) -> _Read:
        """The read that waits to be sent and has the key."""
        read = self._by_user.get(user_id)
        if read is None:
            group = None if replicas is None else replicas(user_id)
            waiting = self._waiting[group]
            if not waiting or waiting[-1].full:
                waiting.append(_Read(group))
            read = self._by_user[user_id] = waiting[-1]
            read.user_ids.append(user_id)
        return read

    def _start(self, group: Hashable) -> None:
        waiting = self._waiting[group]
        while waiting and self._under_way[group] < (FULL_READS_UNDER_WAY if waiting[0].full else READS_UNDER_WAY):
            read = waiting.popleft()
            for user_id in read.user_ids:
                del self._by_user[user_id]
            self._under_way[group] += 1
            task = asyncio.create_task(self._send(read))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, read: _Read) -> None:
        try:
            read.states.set_result(await self._read(read.user_ids))
        except Exception as error:
            read.states.set_exception(error)
            read.states.exception()  # marks it as seen: those who wait may have given up
        finally:
            self._under_way[read.replicas] -= 1
            self._start(read.replicas)
