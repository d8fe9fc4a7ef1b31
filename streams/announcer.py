"""Publishes changed features for data teams: one compacted record per changed user and batch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import orjson

from features.catalogue import Catalogue
from features.derive import derive
from features.state import UserState
from runtime import metrics
from runtime.producer import Producer, SendFailed
from schemas.topics import FEATURES


class FeatureAnnouncer:
    """Derives features as of the last folded record's append time, so that a replay publishes the same bytes."""

    def __init__(self, producer: Producer, catalogue: Catalogue) -> None:
        self._producer = producer
        self._catalogue = catalogue

    async def announce(self, changed: Sequence[tuple[str, UserState]]) -> None:
        """Returns when every record is acknowledged."""
        await asyncio.gather(*(self._send(user_id, self._encode(user_id, state)) for user_id, state in changed))
        metrics.FEATURES_PUBLISHED.inc(len(changed))

    def _encode(self, user_id: str, state: UserState) -> bytes:
        assert state.position is not None
        return orjson.dumps(
            {
                "userId": user_id,
                "version": state.version,
                "epoch": state.position.epoch,
                "partition": state.position.partition,
                "offset": state.position.offset,
                "asOf": state.append_ms,
                "features": {
                    feature.name: feature.value for feature in derive(self._catalogue, state, state.append_ms)
                },
            }
        )

    async def _send(self, user_id: str, value: bytes) -> None:
        while True:
            try:
                await self._producer.send(FEATURES.name, user_id.encode(), value)
            except SendFailed:
                continue  # unknown outcome: the same record again, compaction keeps one
            return
