"""Derive feature values from a user's state at the moment of the read, so that windows slide for quiet users too."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from features.catalogue import Catalogue, Feature
from features.cells import covered_from
from features.definitions import Answer, FeatureKind, FeatureValue
from features.reading import Reading
from features.state import NEVER, UserState, blank_state

UNKNOWN_USER = "nothing is known of this user"
NOT_COUNTED_YET = "what it is read from has been counted only since after that moment"


class ReadFacts(msgspec.Struct, frozen=True, gc=False):
    """What all features of one read share. Times in ms."""

    as_of_ms: int
    last_event_ms: int | None
    late_events: int
    duplicate_events: int


class DerivedFeature(msgspec.Struct, frozen=True, gc=False):
    """A value and where it comes from.

    Its value is None where nothing ever happened, and where `reason` says that it cannot be known. `counts_from_ms` is
    the moment in ms since which the measure counts; None if it counts since the user's beginning.
    """

    feature: Feature
    answer: Answer
    facts: ReadFacts
    counts_from_ms: int | None = None

    @property
    def name(self) -> str:
        """Name of the feature."""
        return self.feature.name

    @property
    def kind(self) -> FeatureKind:
        """Kind of the value."""
        return self.feature.kind

    @property
    def value(self) -> FeatureValue:
        """See FeatureValue."""
        return self.answer.value

    @property
    def approximate(self) -> bool:
        """Whether the value is an estimate."""
        return self.answer.approximate

    @property
    def reason(self) -> str | None:
        """Why the value is missing, or an estimate."""
        return self.answer.reason

    @property
    def covered_from_ms(self) -> int | None:
        """Where the window starts, to cell precision, and never before `counts_from_ms`; None without a window."""
        feature = self.feature
        if feature.window_ms is None:
            return None
        return max(covered_from(feature.window_ms, self.facts.as_of_ms, feature.hop_ms), self.counts_from_ms or 0)


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
    facts = _facts_of(blank_state() if state is None else state, now_ms)
    if state is None:
        unknown = Answer(None, reason=UNKNOWN_USER)
        return [DerivedFeature(feature, unknown, facts) for feature in features]
    reading = Reading(state, now_ms, past=past)
    if not any(state.counts_from_ms):
        return [DerivedFeature(feature, feature.reader.answer(reading), facts) for feature in features]
    return [_derived_since(feature, reading, facts) for feature in features]


def derive_values(catalogue: Catalogue, state: UserState, now_ms: int) -> dict[str, FeatureValue]:
    """The values alone, by name: what `derive` gives, in less time."""
    reading = Reading(state, now_ms)
    values: dict[str, FeatureValue] = {}
    for name, reader in catalogue.readers:
        values[name] = reader.value(reading)
    return values


def _derived_since(feature: Feature, reading: Reading, facts: ReadFacts) -> DerivedFeature:
    counts_from_ms = max(reading.state.counts_from_ms[place] for place in feature.places)
    if reading.past and reading.now_ms < counts_from_ms:
        answer = Answer(None, reason=NOT_COUNTED_YET)
    else:
        answer = feature.reader.answer(reading)
    return DerivedFeature(feature, answer, facts, counts_from_ms or None)


def _facts_of(state: UserState, now_ms: int) -> ReadFacts:
    last_event_ms = None if state.last_event_ms == NEVER else state.last_event_ms
    return ReadFacts(now_ms, last_event_ms, state.late_events, state.duplicate_events)
