"""GraphQL types of features: a typed field per feature of the catalogue, generated from it, and the same as a list."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

import strawberry
from strawberry.scalars import JSON
from strawberry.tools import create_type

from features.catalogue import Catalogue, Feature, FeatureKind
from features.derive import DerivedFeature, derive
from features.state import UserState
from graphql_api.errors import BadUserInput
from graphql_api.scalars import format_moment, moment, moment_or_none
from schemas.events import epoch_ms

# Seconds since any event stay an Int of GraphQL, and windows begin in years that have four digits.
MOST_AHEAD_MS: Final = 366 * 86_400_000


@strawberry.type
class Provenance:
    """What every feature value says about where it comes from; the fields of the types below."""

    version: int = strawberry.field(description="Rises when the feature's definition changes its values.")
    window: str | None = strawberry.field(description="Time span the value covers, such as `1h`; null for all time.")
    covered_from: datetime | None = strawberry.field(description="Start of what the window covers, to cell precision.")
    as_of: datetime = strawberry.field(description="The moment at which the value was derived.")
    last_event_at: datetime | None = strawberry.field(description="Time of the user's latest event.")
    late_events: int = strawberry.field(
        description="Events of the user that came when they were older than 31 days, and count nowhere."
    )
    duplicate_events: int = strawberry.field(description="Events of the user that came again and were not counted.")
    approximate: bool = strawberry.field(description="Whether the value is an estimate; `reason` says why.")
    counts_from: datetime | None = strawberry.field(
        description="Since when the measure counts, if it came with a later version of the catalogue; else null."
    )
    reason: str | None = strawberry.field(description="Why there is no value, or only an estimate; null otherwise.")


@strawberry.type(description="A feature that is a whole number.")
class IntFeature(Provenance):
    value: int | None = strawberry.field(description="The value; 0 without such events, null for an unknown user.")


@strawberry.type(description="A feature that is a number.")
class FloatFeature(Provenance):
    value: float | None = strawberry.field(
        description="The value; null where it is not defined, such as a mean of nothing, and for an unknown user."
    )


@strawberry.type(description="A feature that is a list of texts.")
class StringListFeature(Provenance):
    value: list[str] | None = strawberry.field(
        description="The values; empty without such events, null for an unknown user."
    )


@strawberry.type(description="A feature that is a text.")
class StringFeature(Provenance):
    value: str | None = strawberry.field(description="The text; null for a user without such events.")


@strawberry.type(description="A key and its score.")
class ScoredKey:
    key: str = strawberry.field(description="What is ranked.")
    score: float = strawberry.field(description="Its score at the moment of the read.")


@strawberry.type(description="A feature that is a ranking, highest score first.")
class ScoredListFeature(Provenance):
    value: list[ScoredKey] | None = strawberry.field(
        description="The ranking; empty without such events, null for an unknown user."
    )


@strawberry.type(description="A feature that is a moment.")
class TimestampFeature(Provenance):
    value: datetime | None = strawberry.field(description="The moment; null for a user without such events.")


@strawberry.type(name="FeatureValue", description="Any feature, for tools that do not know the catalogue.")
class ListedFeature(Provenance):
    name: str = strawberry.field(description="The feature's name, as in `features`.")
    value: JSON | None = strawberry.field(
        description="Number, text, list of texts, list of key and score, or ISO 8601 text, by its kind."
    )


FEATURE_TYPES: Final[dict[FeatureKind, type[Provenance]]] = {
    "int": IntFeature,
    "float": FloatFeature,
    "string": StringFeature,
    "string_list": StringListFeature,
    "scored_list": ScoredListFeature,
    "timestamp": TimestampFeature,
}

T = TypeVar("T", bound=Provenance)


@dataclass(frozen=True, slots=True)
class UserFeatures:
    """One user's features at one moment, derived field by field as the query asks for them."""

    catalogue: Catalogue
    state: UserState | None
    now_ms: int
    past: bool = False

    def typed(self, name: str) -> Provenance:
        """The value of feature `name` as its GraphQL type."""
        (derived,) = derive(self.catalogue, self.state, self.now_ms, (name,), past=self.past)
        return _with_provenance(FEATURE_TYPES[derived.kind], derived, value=_typed(derived))

    def listed(self, names: list[str] | None) -> list[ListedFeature]:
        """The features called `names`, or all. Raises BadUserInput for a name that the catalogue lacks."""
        for name in names or ():
            known_feature(self.catalogue, name)
        return [
            listed_value(derived) for derived in derive(self.catalogue, self.state, self.now_ms, names, past=self.past)
        ]


def moment_asked_for(at: datetime | None, read_at_ms: int) -> int:
    """`at` in ms since the epoch, by default the moment of the read. Raises BadUserInput if too far away."""
    if at is None:
        return read_at_ms
    at_ms = epoch_ms(at)
    if not 0 <= at_ms <= read_at_ms + MOST_AHEAD_MS:
        raise BadUserInput("`at` must lie between 1970-01-01T00:00:00Z and a year from now")
    return at_ms


def known_feature(catalogue: Catalogue, name: str) -> Feature:
    """The feature called `name`. Raises BadUserInput with the nearest names."""
    by_name = {feature.name: feature for feature in catalogue.features}
    if name not in by_name:
        nearest = difflib.get_close_matches(name[:64], by_name, n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(nearest)}?" if nearest else f"known: {', '.join(by_name)}"
        raise BadUserInput(f"unknown feature `{name[:64]}`; {hint}")
    return by_name[name]


def listed_value(derived: DerivedFeature) -> ListedFeature:
    """The value as an entry of a list of any features."""
    return _with_provenance(ListedFeature, derived, name=derived.name, value=json_value(derived))


def user_features_type(catalogue: Catalogue) -> type:
    """The GraphQL type `UserFeatures`, with one field per feature of `catalogue`."""
    return create_type(
        "UserFeatures",
        [_feature_field(feature) for feature in catalogue.features],
        description="The features of one user, derived at the moment of the read.",
    )


def _feature_field(feature: Feature) -> Any:  # Strawberry's own field type is private to its decorators
    return strawberry.field(
        resolver=_typed_value(feature.name),
        name=feature.name,
        graphql_type=FEATURE_TYPES[feature.kind],
        description=feature.doc,
    )


def _typed_value(name: str) -> Callable[[UserFeatures], Provenance]:
    def resolve(root: strawberry.Parent[UserFeatures]) -> Provenance:
        return root.typed(name)

    resolve.__name__ = name  # Strawberry tells fields of a generated type apart by it
    return resolve


def _with_provenance(kind: type[T], derived: DerivedFeature, **fields: object) -> T:
    feature, facts = derived.feature, derived.facts
    return kind(
        version=feature.version,
        window=feature.window,
        covered_from=moment_or_none(derived.covered_from_ms),
        as_of=moment(facts.as_of_ms),
        last_event_at=moment_or_none(facts.last_event_ms),
        late_events=facts.late_events,
        duplicate_events=facts.duplicate_events,
        approximate=derived.approximate,
        counts_from=moment_or_none(derived.counts_from_ms),
        reason=derived.reason,
        **fields,
    )


def _typed(derived: DerivedFeature) -> object:
    value = derived.value
    if derived.kind == "timestamp" and isinstance(value, int):
        return moment(value)
    if derived.kind == "scored_list" and isinstance(value, list):
        return [ScoredKey(key=entry["key"], score=entry["score"]) for entry in value if isinstance(entry, dict)]
    return value


def json_value(derived: DerivedFeature) -> JSON | None:
    """The value as JSON; moments as ISO 8601."""
    if derived.kind == "timestamp" and isinstance(derived.value, int):
        return JSON(format_moment(moment(derived.value)))
    return None if derived.value is None else JSON(derived.value)
