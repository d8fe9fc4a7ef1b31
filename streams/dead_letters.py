"""The dead-letter topic: original bytes under the original key, the reason in the headers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from runtime import metrics
from runtime.clock import now_ms
from runtime.producer import Producer, RecordTooLarge, send_until_acknowledged
from schemas.topics import DEAD_LETTERS
from streams.errors import TooManyDeadLetters
from streams.records import DeadLetter, DeadLetterCode

log = structlog.get_logger()

_MESSAGE_CHARS = 500
# What a client can cause with events that are well-formed: no sign of a bad deploy.
_OF_CLIENTS: Final[frozenset[DeadLetterCode]] = frozenset({"TOO_OLD", "UNDO_TOO_LATE", "UNDO_MISMATCH"})


class DeadLetterOffice:
    """Sends dead letters, and stops the worker when more records are broken than good."""

    def __init__(self, producer: Producer, *, most_excess: int) -> None:
        self._producer = producer
        self._most_excess = most_excess
        self._excess = 0

    async def send(self, letters: Sequence[DeadLetter], *, good_records: int) -> None:
        """Send the letters of a batch, which may be none; returns when every one is acknowledged.

        Raises TooManyDeadLetters before it sends any, so that a worker that is started again and again repeats none.
        """
        broken = [letter for letter in letters if letter.code not in _OF_CLIENTS]
        self._excess = max(0, self._excess + len(broken) - good_records)
        if broken and self._excess >= self._most_excess:
            raise TooManyDeadLetters(
                f"{self._excess} more records were broken than good, the last one at offset {broken[-1].record.offset} "
                f"of partition {broken[-1].record.partition} because: {broken[-1].message}"
            )
        await asyncio.gather(*(self._send_one(letter) for letter in letters))

    async def _send_one(self, letter: DeadLetter) -> None:
        record = letter.record
        log.warning("dead letter", partition=record.partition, offset=record.offset, code=letter.code)
        headers = {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "stage": letter.stage,
            "code": letter.code,
            "message": letter.message[:_MESSAGE_CHARS],
            "time": now_ms(),
            "attempt": 1,
        }
        encoded = [(name, str(value).encode("utf-8", "replace")) for name, value in headers.items()]
        try:
            await send_until_acknowledged(self._producer, DEAD_LETTERS.name, record.key, record.value, encoded)
        except RecordTooLarge:
            # Only where somebody has narrowed the topic; the original stays where the headers say, for its retention.
            encoded.append(("omitted", b"value"))
            await send_until_acknowledged(self._producer, DEAD_LETTERS.name, None, None, encoded)
        metrics.RECORDS.labels(outcome="dead_letter").inc()
