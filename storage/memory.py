"""A store in memory for tests: the same contract as the real one, with a switch to be unavailable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from storage.errors import StoreUnavailable
from storage.rows import DAY_MS, Deployment, StateRow, TimelineCursor, TimelineEntry, TimelineRow


class MemoryUserStore:
    """Keeps the row of the highest version, as Cassandra does with `USING TIMESTAMP`."""

    def __init__(self, *, events_epoch: int = 1) -> None:
        self.available = True
        self._epoch = events_epoch
        self._states: dict[str, StateRow] = {}
        self._manifest: bytes | None = None
        self._events: dict[str, dict[TimelineCursor, TimelineRow]] = {}

    async def load_states(self, user_ids: Sequence[str]) -> dict[str, bytes]:
        """See UserStore."""
        self._check()
        return {user_id: self._states[user_id].state for user_id in user_ids if user_id in self._states}

    async def write(self, states: Sequence[StateRow], events: Iterable[TimelineRow]) -> None:
        """See UserStore."""
        self._check()
        for state in states:
            kept = self._states.get(state.user_id)
            if kept is None or kept.version <= state.version:
                self._states[state.user_id] = state
        for event in events:
            rows = self._events.setdefault(event.user_id, {})
            cursor = TimelineCursor(event.event_time_ms, event.event_id)
            known = rows.get(cursor)
            if known is None or known.version <= event.version:
                rows[cursor] = event

    async def timeline(
        self,
        user_id: str,
        *,
        newest_day: int,
        oldest_day: int,
        first: int,
        before: TimelineCursor | None = None,
        types: frozenset[str] | None = None,
    ) -> list[TimelineEntry]:
        """See UserStore."""
        self._check()
        rows = self._events.get(user_id, {})
        return [
            TimelineEntry(row.event_time_ms, row.event_id, row.payload, row.version)
            for cursor, row in sorted(rows.items(), reverse=True)
            if oldest_day <= row.event_time_ms // DAY_MS <= newest_day
            and (before is None or cursor < before)
            and (types is None or row.type in types)
        ][:first]

    async def deployment(self) -> Deployment:
        """See UserStore."""
        self._check()
        return Deployment("memory", self._epoch)

    async def load_manifest(self) -> bytes | None:
        """See UserStore."""
        self._check()
        return self._manifest

    async def replace_manifest(self, expected: bytes | None, manifest: bytes) -> bool:
        """See UserStore."""
        self._check()
        if self._manifest != expected:
            return False
        self._manifest = manifest
        return True

    async def ping(self) -> None:
        """See UserStore."""
        self._check()

    def _check(self) -> None:
        if not self.available:
            raise StoreUnavailable("the memory store was switched off")
