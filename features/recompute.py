"""Fold a user's timeline again, as a check of what is served. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from features.catalogue import Catalogue, Feature
from features.definitions import ANY, FeatureValue
from features.derive import DerivedFeature, derive_each
from features.fold import Folder
from features.moments import Edge
from features.packing import pack, unpack
from features.recents import Last, LastDistinct
from features.state import new_state
from schemas.events import UNDO, Event
from schemas.receipts import Position

# Decayed scores are sums of floats, which commute to about this.
_SCORE_TOLERANCE: Final = 1e-5
# Appends so close may stand in the log in the other order: the clocks of two leaders of a partition differ, and the
# records of one batch share their append time.
SAME_MOMENT_MS: Final = 1_000
# As many values are tried for events of which the state may not hold the last ones yet.
MOST_POSSIBLE: Final = 20
_READ_BY: Final = ("field", "value", "by")  # attributes of measures that name a field of events
_ORDERED: Final = (Last, LastDistinct, Edge)  # keep events of one event time by their order in the log


class Logged(NamedTuple):
    """An event of the timeline, and when it was appended to the log."""

    event: Event
    append_ms: int


def in_log_order(logged: Sequence[Logged]) -> list[Logged]:
    """By append time; where that is the same by arrival, and undos last."""
    return sorted(logged, key=lambda each: (each.append_ms, each.event.received_at, each.event.type == UNDO))


def recompute(
    catalogue: Catalogue,
    logged: Sequence[Logged],
    feature: Feature,
    now_ms: int,
    append_ms: int,
    *,
    past: bool = False,
) -> list[DerivedFeature]:
    """What `feature` may be by a fold of `logged` from nothing, for a state that was folded up to `append_ms`.

    `logged` are all events that count, each once, undos included, in the order of the log, none newer than the state.
    The last value is that of all of them; those before it are for events of the last ms that a worker has not folded.
    """
    state, folder = new_state(catalogue), Folder(catalogue)
    sure = sum(each.append_ms < append_ms for each in logged)
    possible = []
    for offset in range(len(logged) + 1):
        if offset == len(logged) or (offset >= sure and offset >= len(logged) - MOST_POSSIBLE):
            state.append_ms = max(state.append_ms, append_ms)
            stored = unpack(pack(state, catalogue), catalogue)  # as what is served: it drops what is old
            possible += derive_each((feature,), stored, now_ms, past=past)
        if offset < len(logged):
            folder.fold(state, logged[offset].event, Position(0, 0, offset), logged[offset].append_ms)
    return possible


def contributing(
    catalogue: Catalogue, feature: Feature, logged: Sequence[Logged], from_ms: int | None, until_ms: int | None = None
) -> list[Logged]:
    """Those of `logged`, in log order, that the feature's measures hold: of event times from `from_ms` to `until_ms`.

    Events that were taken back are left out, and so are the undos.
    """
    standing: dict[str, Logged] = {}
    for each in logged:
        if each.event.type != UNDO:
            standing[each.event.event_id.lower()] = each
        elif each.event.undoes is not None:
            standing.pop(each.event.undoes.lower(), None)
    return [
        each
        for each in standing.values()
        if (from_ms is None or each.event.event_time >= from_ms)
        and (until_ms is None or each.event.event_time <= until_ms)
        and is_counted(catalogue, feature, each.event)
    ]


def is_counted(catalogue: Catalogue, feature: Feature, event: Event) -> bool:
    """Whether a measure of the feature counts such an event."""
    return any(_counts(measure, event) for measure in catalogue.measures if measure.name in feature.measures)


def depends_on_order(catalogue: Catalogue, feature: Feature, logged: Sequence[Logged], undos: Sequence[Logged]) -> bool:
    """Whether the feature's value depends on the order of events that were appended at the same moment.

    `logged` are the events that it may count, `undos` all of the user.
    """
    kept = {each.event.event_id.lower(): each for each in logged if is_counted(catalogue, feature, each.event)}
    for each in undos:
        original = kept.get((each.event.undoes or "").lower())
        if original is not None and _at_once(original, each):
            return True
    measures = [measure for measure in catalogue.measures if measure.name in feature.measures]
    if not any(isinstance(measure, _ORDERED) for measure in measures):
        return False
    by_time = sorted(kept.values(), key=lambda each: (each.event.event_time, each.append_ms))
    return any(
        one.event.event_time == other.event.event_time and _at_once(one, other) for one, other in pairwise(by_time)
    )


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


def _counts(measure: object, event: Event) -> bool:
    types: tuple[str, ...] = measure.event_types()  # type: ignore[attr-defined]
    if event.type == UNDO or not (ANY in types or event.type in types):
        return False
    names = [getattr(measure, name, None) for name in _READ_BY]
    return all(getattr(event, name) is not None for name in names if name is not None)


def _at_once(one: Logged, other: Logged) -> bool:
    return abs(one.append_ms - other.append_ms) <= SAME_MOMENT_MS
