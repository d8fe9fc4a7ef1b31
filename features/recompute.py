"""Fold a user's timeline again, as a check of what is served. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from features.catalogue import Catalogue, Feature
from features.definitions import ANY, FeatureValue
from features.derive import DerivedFeature, derive
from features.fold import Folder
from features.state import new_state
from schemas.events import Event
from schemas.receipts import Position

# Decayed scores are sums of floats, which commute to about this.
_SCORE_TOLERANCE = 1e-5


def recompute(
    catalogue: Catalogue, events: Sequence[Event], name: str, now_ms: int, *, past: bool = False
) -> DerivedFeature:
    """The feature called `name` by a fold of `events` from nothing, in the order in which the API received them.

    `events` are all that count, each once, undos included. Their places in the log are not known any more, so events
    of one request at one millisecond may change places.
    """
    state, folder = new_state(catalogue), Folder(catalogue)
    for offset, event in enumerate(sorted(events, key=lambda event: event.received_at)):
        folder.fold(state, event, Position(0, 0, offset), event.received_at)
    (derived,) = derive(catalogue, state, now_ms, (name,), past=past)
    return derived


def contributing(catalogue: Catalogue, feature: Feature, events: Sequence[Event], from_ms: int | None) -> list[Event]:
    """Those of `events` that the feature's measures count, from `from_ms` on where it has a window."""
    types: set[str] = set()
    for measure in catalogue.measures:
        if measure.name in feature.measures:
            types.update(measure.event_types())
    return [
        event
        for event in events
        if (ANY in types or event.type in types) and (from_ms is None or event.event_time >= from_ms)
    ]


def same(left: FeatureValue, right: FeatureValue) -> bool:
    """Whether two values agree, scores within 1e-5."""
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=_SCORE_TOLERANCE)
    if isinstance(left, list) and isinstance(right, list) and left and isinstance(left[0], dict):
        return len(left) == len(right) and all(
            isinstance(one, dict) and isinstance(other, dict)
            and math.isclose(one["score"], other["score"], abs_tol=_SCORE_TOLERANCE)
            for one, other in zip(left, right, strict=True)
        )  # fmt: skip
    return left == right
