"""Derive feature values from a user's state at the moment of the read, so that windows slide for quiet users too."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from features.catalogue import Catalogue, Feature, FeatureKind, Recent, Seen
from features.cells import covered_from, window_sum
from features.state import UserState, new_state

FeatureValue = int | float | list[str] | None
"""Timestamps are milliseconds since the epoch, or None where nothing was ever seen."""


@dataclass(frozen=True, slots=True)
class DerivedFeature:
    """A value and where it comes from. Times in ms; `covered_from_ms` is None for features without a window."""

    name: str
    kind: FeatureKind
    value: FeatureValue
    version: int
    window: str | None
    covered_from_ms: int | None
    as_of_ms: int
    last_event_ms: int | None
    late_events: int
    duplicate_events: int
    approximate: bool = False


def derive(
    catalogue: Catalogue, state: UserState | None, now_ms: int, names: Collection[str] | None = None
) -> list[DerivedFeature]:
    """The features called `names` (all by default) as of `now_ms`, in catalogue order. No state: zero values."""
    known = new_state(catalogue) if state is None else state
    return [
        DerivedFeature(
            name=feature.name,
            kind=feature.kind,
            value=_value(feature, known, now_ms),
            version=feature.version,
            window=feature.window,
            covered_from_ms=None if feature.window_ms is None else covered_from(feature.window_ms, now_ms),
            as_of_ms=now_ms,
            last_event_ms=known.last_event_ms,
            late_events=known.late_events,
            duplicate_events=known.duplicate_events,
        )
        for feature in catalogue.features
        if names is None or feature.name in names
    ]


def _value(feature: Feature, state: UserState, now_ms: int) -> FeatureValue:
    match feature.definition:
        case Recent():
            return [entry[2] for entry in state.sequences[feature.slot]]
        case Seen(which=which):
            return state.first_event_ms if which == "first" else state.last_event_ms
        case _:
            assert feature.window_ms is not None
            total = window_sum(state.cells, feature.slot, feature.window_ms, now_ms)
            return float(total) if feature.kind == "float" else total
