"""Publishes changed features for data teams: one compacted record per changed user and batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import orjson

from features.catalogue import Catalogue
from features.derive import derive_values
from features.state import UserState
from runtime import metrics
from runtime.delivery import Producer, send_all_until_acknowledged
from schemas.topics import FEATURES
from streams.lane import Finish


class FeatureAnnouncer:
    """Derives features as of the last folded record's append time, so that a replay publishes the same bytes."""

    def __init__(self, producer: Producer, catalogue: Catalogue) -> None:
        self._producer = producer
        self._catalogue = catalogue

    def prepare(self, changed: Sequence[tuple[str, UserState]]) -> Finish:
        """Encode the features as they are now; what is returned sends them and waits until all are acknowledged.

        Batches of one partition must be sent one after the other: the topic keeps what was sent last.
        """
        records = [(user_id.encode(), self._encode(user_id, state)) for user_id, state in changed]
        return partial(self._send_all, records)

    async def _send_all(self, records: Sequence[tuple[bytes, bytes]]) -> None:
        await send_all_until_acknowledged(self._producer, FEATURES.name, records)
        metrics.FEATURES_PUBLISHED.inc(len(records))

    def _encode(self, user_id: str, state: UserState) -> bytes:
        return orjson.dumps(
            {
                "userId": user_id,
                "version": state.version,
                "epoch": state.epoch,
                "partition": state.partition,
                "offset": state.offset,
                "asOf": state.append_ms,
                "features": derive_values(self._catalogue, state, state.append_ms),
            }
        )
