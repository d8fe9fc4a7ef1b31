"""The dead-letter topic: original bytes under the original key, the reason in the headers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from runtime import metrics
from runtime.clock import now_ms
from runtime.producer import Producer, send_until_acknowledged
from schemas.topics import DEAD_LETTERS
from streams.errors import TooManyDeadLetters
from streams.records import DeadLetter

log = structlog.get_logger()

_MESSAGE_CHARS = 500


class DeadLetterOffice:
    """Sends dead letters and stops the worker when nothing else comes any more."""

    def __init__(self, producer: Producer, *, longest_run: int) -> None:
        self._producer = producer
        self._longest_run = longest_run
        self._run = 0

    async def send(self, letters: Sequence[DeadLetter], *, good_records: int) -> None:
        """Send the letters of a batch, which may be none; returns when every one is acknowledged.

        Raises TooManyDeadLetters; those sent so far stay sent.
        """
        self._run = len(letters) if good_records else self._run + len(letters)
        await asyncio.gather(*(self._send_one(letter) for letter in letters))
        if self._run >= self._longest_run:
            raise TooManyDeadLetters(
                f"{self._run} records in a row were refused, the last one because: {letters[-1].message}; "
                "look at the dead letters before starting again"
            )

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
        await send_until_acknowledged(self._producer, DEAD_LETTERS.name, record.key, record.value, encoded)
        metrics.RECORDS.labels(outcome="dead_letter").inc()
