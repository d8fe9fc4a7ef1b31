"""Derive feature values from a user's state at the moment of the read, so that windows slide for quiet users too."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from features.catalogue import Catalogue, Feature
from features.cells import covered_from
from features.definitions import Answer, FeatureKind, FeatureValue
from features.reading import Reading
from features.state import NEVER, UserState

UNKNOWN_USER = "nothing is known of this user"
NOT_COUNTED_YET = "what it is read from has been counted only since after that moment"


class DerivedFeature(msgspec.Struct, frozen=True, gc=False):
    """A value and where it comes from. Times in ms.

    `value` is None where nothing ever happened, and where `reason` says that it cannot be known. `covered_from_ms` is
    where the window starts, to cell precision, and never before the moment since which the measure counts; None for
    features without a window. `counts_from_ms` is that moment; None if the measure counts since the user's beginning.
    """

    name: str
    kind: FeatureKind
    value: FeatureValue
    version: int
    window: str | None
    covered_from_ms: int | None
    counts_from_ms: int | None
    as_of_ms: int
    last_event_ms: int | None
    late_events: int
    duplicate_events: int
    approximate: bool = False
    reason: str | None = None


def derive(
    catalogue: Catalogue,
    state: UserState | None,
    now_ms: int,
    names: Collection[str] | None = None,
    *,
    past: bool = False,
) -> list[DerivedFeature]:
    """The features called `names` (all by default) as of `now_ms`, in catalogue order; see `derive_each`."""
    features = catalogue.features
    if names is not None:
        features = tuple(feature for feature in features if feature.name in names)
    return derive_each(features, state, now_ms, past=past)


def derive_each(
    features: Sequence[Feature], state: UserState | None, now_ms: int, *, past: bool = False
) -> list[DerivedFeature]:
    """Each of `features`, all of one catalogue, as of `now_ms`.

    With `past`, as of an earlier moment of this state: windows end there, to the precision of their cells, and what the
    state can no longer tell is None with the reason. No state: every value is None, with the reason.
    """
    if state is None:
        return [_derived(feature, UserState(), now_ms, Answer(None, reason=UNKNOWN_USER)) for feature in features]
    reading = Reading(state, now_ms, past=past)
    if not any(state.counts_from_ms):
        return [_derived(feature, state, now_ms, feature.read(reading)) for feature in features]
    return [_derived_since(feature, reading) for feature in features]


def derive_values(catalogue: Catalogue, state: UserState, now_ms: int) -> dict[str, FeatureValue]:
    """The values alone, by name: what `derive` gives, in two thirds of the time."""
    reading = Reading(state, now_ms)
    return {feature.name: feature.read(reading).value for feature in catalogue.features}


def _derived_since(feature: Feature, reading: Reading) -> DerivedFeature:
    counts_from_ms = max(reading.state.counts_from_ms[place] for place in feature.places)
    if reading.past and reading.now_ms < counts_from_ms:
        answer = Answer(None, reason=NOT_COUNTED_YET)
    else:
        answer = feature.read(reading)
    return _derived(feature, reading.state, reading.now_ms, answer, counts_from_ms)


def _derived(
    feature: Feature, state: UserState, now_ms: int, answer: Answer, counts_from_ms: int = 0
) -> DerivedFeature:
    covered_from_ms = None
    if feature.window_ms is not None:
        covered_from_ms = max(covered_from(feature.window_ms, now_ms, feature.hop_ms), counts_from_ms)
    return DerivedFeature(
        feature.name,
        feature.kind,
        answer.value,
        feature.version,
        feature.window,
        covered_from_ms,
        counts_from_ms or None,
        now_ms,
        None if state.last_event_ms == NEVER else state.last_event_ms,
        state.late_events,
        state.duplicate_events,
        answer.approximate,
        answer.reason,
    )
