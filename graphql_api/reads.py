"""Reads of one user: the packed state, waited for until a receipt's position is reached, and the timeline.

Knows nothing of GraphQL.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from features.catalogue import Catalogue
from features.packing import unpack
from features.state import NEVER, UserState
from graphql_api.errors import BadUserInput
from graphql_api.pace import Pace
from runtime.settings import ApiSettings
from schemas.events import MAX_ID_CHARS, WIRE_TYPES
from schemas.receipts import InvalidReceipt, Position, decode_receipt
from schemas.topics import DAY_MS
from storage.rows import TimelineCursor, TimelineEntry, UserStore

MAX_PAGE: Final = 500
MAX_USERS: Final = 100


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user's state at one read. `state` is None for a user of whom nothing is stored."""

    user_id: str
    state: UserState | None
    read_at_ms: int
    fresh: bool


@dataclass(frozen=True, slots=True)
class TimelinePage:
    """Entries newest first; `has_next` says whether older ones match as well."""

    entries: list[TimelineEntry]
    has_next: bool


class Reads:
    """Reads from the store."""

    def __init__(
        self, store: UserStore, catalogue: Catalogue, settings: ApiSettings, *, clock: Callable[[], int]
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._settings = settings
        self._clock = clock
        self._pace = Pace()

    async def user(self, user_id: str, *, after: str | None, deadline_ms: int) -> UserRow:
        """The user's row; with a receipt, as soon as the row holds its position, at most `deadline_ms` later.

        Raises BadUserInput, StoreUnavailable.
        """
        require_id(user_id)
        if deadline_ms < 0:
            raise BadUserInput("`deadlineMs` must not be negative")
        if after is None:
            return await self._row(user_id)
        try:
            position = decode_receipt(after)
        except InvalidReceipt as error:
            raise BadUserInput("`after` is not a receipt of trackEvents") from error
        return await self.user_at(user_id, position, min(deadline_ms, self._settings.max_deadline_ms) / 1000)

    async def user_at(self, user_id: str, position: Position, seconds: float) -> UserRow:
        """The user's row as soon as it holds `position`, at most `seconds` later. Raises StoreUnavailable."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        deadline = began + seconds
        paused = False
        while True:
            row = await self._row(user_id)
            now = loop.time()
            if position.reached_by(None if row.state is None else row.state.position):
                if paused:
                    self._pace.learn(now - began)
                return row
            if now >= deadline:
                return replace(row, fresh=False)
            await asyncio.sleep(min(self._pace.pause(now - began), deadline - now))
            paused = True

    async def users(self, user_ids: Sequence[str]) -> Iterator[UserRow]:
        """The rows of up to 100 users, in the order of their ids. Raises BadUserInput, StoreUnavailable.

        Each is unpacked as its turn comes: a hundred states at once cost the garbage collector more than the reader.
        """
        if len(user_ids) > MAX_USERS:
            raise BadUserInput(f"{len(user_ids)} users in one request; the limit is {MAX_USERS}")
        for user_id in user_ids:
            require_id(user_id)
        packed = await self._store.load_states(list(dict.fromkeys(user_ids)))
        return (self._unpacked(user_id, packed.get(user_id)) for user_id in user_ids)

    async def _row(self, user_id: str) -> UserRow:
        return self._unpacked(user_id, (await self._store.load_states([user_id])).get(user_id))

    def _unpacked(self, user_id: str, packed: bytes | None) -> UserRow:
        state = None if packed is None else unpack(packed, self._catalogue, with_ids=False)
        return UserRow(user_id, state, self._clock(), fresh=True)

    async def timeline(self, row: UserRow, *, first: int, after: str | None, types: list[str] | None) -> TimelinePage:
        """One page of the user's events. Raises BadUserInput, StoreUnavailable."""
        if not 1 <= first <= MAX_PAGE:
            raise BadUserInput(f"`first` must be between 1 and {MAX_PAGE}")
        unknown = sorted(set(types or ()) - set(WIRE_TYPES))
        if unknown:
            named = ", ".join(name[:64] for name in unknown[:5])
            raise BadUserInput(f"unknown event types: {named}; known: {', '.join(WIRE_TYPES)}")
        before = None if after is None else decode_cursor(after)
        entries = await self._entries(row, first + 1, before, None if types is None else frozenset(types))
        return TimelinePage(entries[:first], has_next=len(entries) > first)

    async def whole_timeline(self, row: UserRow, most: int) -> list[TimelineEntry]:
        """The user's newest events of every type, at most `most`. Raises StoreUnavailable."""
        return await self._entries(row, most, None, None)

    async def _entries(
        self, row: UserRow, most: int, before: TimelineCursor | None, types: frozenset[str] | None
    ) -> list[TimelineEntry]:
        state = row.state
        if state is None or state.last_event_ms == NEVER:
            return []
        # The state knows the span of days, so that a quiet user costs no reads of empty ones.
        newest_day = state.last_event_ms // DAY_MS
        if before is not None:
            newest_day = min(newest_day, before.event_time_ms // DAY_MS)
        return await self._store.timeline(
            row.user_id,
            newest_day=newest_day,
            oldest_day=state.first_event_ms // DAY_MS,
            first=most,
            before=before,
            types=types,
        )


def require_id(user_id: str) -> None:
    """Raises BadUserInput for a text that cannot be a user's id."""
    if not 0 < len(user_id) <= MAX_ID_CHARS:
        raise BadUserInput(f"a user's id must have 1 to {MAX_ID_CHARS} characters")


def encode_cursor(entry: TimelineEntry) -> str:
    """The opaque cursor of a timeline entry."""
    return base64.urlsafe_b64encode(f"e1.{entry.event_time_ms}.{entry.event_id}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> TimelineCursor:
    """The place that `cursor` names. Raises BadUserInput."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        tag, event_time_ms, event_id = text.split(".")
        if tag != "e1" or len(event_time_ms) > 15:
            raise ValueError(text)
        return TimelineCursor(int(event_time_ms), str(UUID(event_id)))
    except (ValueError, binascii.Error) as error:
        raise BadUserInput("`after` is not a cursor of this connection") from error
