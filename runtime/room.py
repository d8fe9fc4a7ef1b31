"""The bound on what is in flight, in records and in bytes: whoever finds no room is refused or waits in line."""

from __future__ import annotations

import asyncio
from collections import deque


class Room:
    """Taken by records before they are sent, given back when their outcome is known.

    What is too large for the whole room is let in once nothing else is there.
    """

    def __init__(self, limit_records: int, limit_bytes: int) -> None:
        self._limit_records = limit_records
        self._limit_bytes = limit_bytes
        self._line: deque[tuple[asyncio.Future[None], int, int]] = deque()
        self.records = 0
        self.bytes = 0

    def try_take(self, records: int, size_bytes: int) -> bool:
        """Take room at once, or nothing."""
        if self._line or not self._fits(records, size_bytes):
            return False
        self.records += records
        self.bytes += size_bytes
        return True

    async def take(self, records: int, size_bytes: int) -> None:
        """Take room as soon as there is some, first come first served."""
        if self.try_take(records, size_bytes):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append((turn, records, size_bytes))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(records, size_bytes)
            raise

    def give_back(self, records: int, size_bytes: int) -> None:
        """Leave room to others."""
        self.records -= records
        self.bytes -= size_bytes
        while self._line:
            turn, waiting_records, waiting_bytes = self._line[0]
            if not turn.cancelled():
                if not self._fits(waiting_records, waiting_bytes):
                    return
                self.records += waiting_records
                self.bytes += waiting_bytes
                turn.set_result(None)
            self._line.popleft()

    def _fits(self, records: int, size_bytes: int) -> bool:
        within = self.records + records <= self._limit_records and self.bytes + size_bytes <= self._limit_bytes
        return within or self.records == 0
