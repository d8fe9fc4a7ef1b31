"""The states that a worker holds in memory: of each partition those of its latest users, all within one room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from weakref import WeakSet

import msgspec

from features.state import UserState


class CacheRoom:
    """Bounds all caches of a worker together. A cache that is no longer referred to takes no room."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._caches: WeakSet[StateCache] = WeakSet()

    @property
    def packed_bytes(self) -> int:
        """Packed size of all states that are held."""
        return sum(cache.packed_bytes for cache in self._caches)

    @property
    def overfull(self) -> bool:
        """Whether something has to go."""
        return self.packed_bytes > self._limit_bytes

    def evict(self) -> None:
        """Forget states until the room is not overfull: those not seen for longest of the largest cache not in use."""
        while self.overfull:
            largest = max((cache for cache in self._caches if not cache.busy), key=_packed_bytes, default=None)
            if largest is None or not largest.forget_oldest():
                return

    def new_cache(self) -> StateCache:
        """An empty cache in this room."""
        cache = StateCache()
        self._caches.add(cache)
        return cache


class _Held(msgspec.Struct, frozen=True):
    state: UserState
    packed_bytes: int


class StateCache:
    """The states of one partition, in the order of their last use."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self.packed_bytes = 0
        self.busy = False

    def __contains__(self, user_id: str) -> bool:
        return user_id in self._held

    def __getitem__(self, user_id: str) -> UserState:
        """The state of a user who is held; counts as a use."""
        self._held.move_to_end(user_id)
        return self._held[user_id].state

    def put(self, user_id: str, state: UserState, packed_bytes: int) -> None:
        """Hold a state, or note the new size of one that is held."""
        known = self._held.get(user_id)
        self.packed_bytes += packed_bytes - (0 if known is None else known.packed_bytes)
        self._held[user_id] = _Held(state, packed_bytes)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Until the end every state stays, for it may hold what is not durable yet."""
        self.busy = True
        try:
            yield
        finally:
            self.busy = False

    def forget(self, user_ids: Iterable[str]) -> None:
        """Hold these states no longer."""
        for user_id in user_ids:
            held = self._held.pop(user_id, None)
            self.packed_bytes -= 0 if held is None else held.packed_bytes

    def forget_oldest(self) -> bool:
        """Forget the user not seen for longest; False if there is none."""
        if not self._held:
            return False
        _, forgotten = self._held.popitem(last=False)
        self.packed_bytes -= forgotten.packed_bytes
        return True


def _packed_bytes(cache: StateCache) -> int:
    return cache.packed_bytes
