"""Plans of `user` and `users`: the rows are loaded, and each is derived and spliced into the reply at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import Any, Final

from graphql import FieldNode, GraphQLObjectType

from features.catalogue import Catalogue, Feature, FeatureKind
from features.derive import DerivedFeature, derive_each
from graphql_api.compiled.errors import NotCompiled, Replay
from graphql_api.compiled.inputs import Read, Variables
from graphql_api.compiled.replies import Get, Nested, One, Shape, template
from graphql_api.compiled.selections import plain_fields
from graphql_api.context import RequestContext
from graphql_api.feature_types import FEATURE_TYPES, json_value, moment_asked_for
from graphql_api.reads import UserRow
from graphql_api.scalars import format_moment, moment
from graphql_api.schema import DEFAULT_DEADLINE_MS
from schemas.events import INT32_MAX

Show = Callable[[UserRow], object]
"""Makes one field of a user from the row."""
Bind = Callable[[Any], Show]
"""Makes the above from a request's variables."""


class Users:
    """A selection of the type User."""

    def __init__(self, field: FieldNode, user: GraphQLObjectType, variables: Variables, catalogue: Catalogue) -> None:
        self._user = user
        self._variables = variables
        self._catalogue = catalogue
        self._parts = tuple((key, self._bind(node)) for key, node in plain_fields(field.selection_set))

    def bind(self, variables: Any) -> Show:
        """What makes the selected object of a row. Raises Replay."""
        try:
            shown = [(key, bind(variables)) for key, bind in self._parts]
        except Exception as error:
            raise Replay from error
        return lambda row: {key: show(row) for key, show in shown}

    def _bind(self, node: FieldNode) -> Bind:
        name = node.name.value
        if name in _PLAIN:
            return lambda _: _PLAIN[name]
        if name not in ("features", "featureValues"):
            raise NotCompiled(name)
        arguments = self._variables.readers(node, self._user.fields[name].args)
        return self._features(node, arguments) if name == "features" else self._feature_values(node, arguments)

    def _features(self, node: FieldNode, arguments: Mapping[str, Read]) -> Bind:
        selected = {field.name.value for _, field in plain_fields(node.selection_set)}
        features = [feature for feature in self._catalogue.features if feature.name in selected]
        typed = {each.name: One(itemgetter(place), _TYPED[each.kind]) for place, each in enumerate(features)}
        render = template(node.selection_set, Shape("UserFeatures", typed))

        def bind(variables: Any) -> Show:
            derived_of = _derived_at(features, arguments["at"](variables))
            return lambda row: render(derived_of(row))

        return bind

    def _feature_values(self, node: FieldNode, arguments: Mapping[str, Read]) -> Bind:
        render = template(node.selection_set, _LISTED)
        everything = self._catalogue.features

        def bind(variables: Any) -> Show:
            names = arguments["names"](variables)
            features = everything if names is None else [feature for feature in everything if feature.name in names]
            if names is not None and len(features) < len(set(names)):
                raise Replay("an unknown feature")
            derived_of = _derived_at(features, arguments["at"](variables))
            return lambda row: [render(derived) for derived in derived_of(row)]

        return bind


def _derived_at(features: Sequence[Feature], at: datetime | None) -> Callable[[UserRow], list[DerivedFeature]]:
    """Derives `features` of a row as of `at`, or of the moment of the read."""
    if at is None:
        return lambda row: derive_each(features, row.state, row.read_at_ms)
    return lambda row: derive_each(features, row.state, moment_asked_for(at, row.read_at_ms), past=True)


@lru_cache(maxsize=4096)  # a read names the same few moments for each of its features
def _text(epoch_ms: int) -> str:
    return format_moment(moment(epoch_ms))


def _moment(read: Callable[[Any], int | None]) -> Get:
    def get(source: Any) -> str | None:
        epoch_ms = read(source)
        return None if epoch_ms is None else _text(epoch_ms)

    return get


def _int(read: Callable[[Any], Any]) -> Get:
    def get(source: Any) -> int | None:
        value = read(source)
        if value is None or (type(value) is int and -INT32_MAX <= value <= INT32_MAX):
            return value
        raise Replay("no Int of GraphQL")

    return get


def _float(value: Any) -> float | None:
    if value is None:
        return None
    if not math.isfinite(value):
        raise Replay("no Float of GraphQL")
    return float(value)


_PLAIN: Final[Mapping[str, Show]] = {
    "__typename": lambda _: "User",
    "id": attrgetter("user_id"),
    "fresh": attrgetter("fresh"),
}
_PROVENANCE: Final[Mapping[str, Get]] = {
    "version": _int(attrgetter("feature.version")),
    "window": attrgetter("feature.window"),
    "coveredFrom": _moment(attrgetter("covered_from_ms")),
    "asOf": _moment(attrgetter("facts.as_of_ms")),
    "lastEventAt": _moment(attrgetter("facts.last_event_ms")),
    "lateEvents": _int(attrgetter("facts.late_events")),
    "duplicateEvents": _int(attrgetter("facts.duplicate_events")),
    "approximate": attrgetter("answer.approximate"),
    "countsFrom": _moment(attrgetter("counts_from_ms")),
    "reason": attrgetter("answer.reason"),
}
_SCORED_KEY: Final = Shape(
    "ScoredKey", {"key": lambda entry: entry["key"], "score": lambda entry: _float(entry["score"])}
)
_VALUE: Final = attrgetter("answer.value")
_VALUES: Final[Mapping[FeatureKind, Get | Nested]] = {
    "int": _int(_VALUE),
    "float": lambda derived: _float(derived.answer.value),
    "string": _VALUE,
    "string_list": _VALUE,
    "scored_list": Nested(_VALUE, _SCORED_KEY),
    "timestamp": _moment(_VALUE),
}
_TYPED: Final = {kind: Shape(FEATURE_TYPES[kind].__name__, {**_PROVENANCE, "value": _VALUES[kind]}) for kind in _VALUES}
_LISTED: Final = Shape("FeatureValue", {**_PROVENANCE, "name": attrgetter("feature.name"), "value": json_value})


class ReadUser:
    """Answers `user`."""

    def __init__(self, users: Users, arguments: Mapping[str, Read]) -> None:
        self._users = users
        self._id, self._after, self._deadline_ms = (arguments[name] for name in ("id", "after", "deadlineMs"))

    async def __call__(self, variables: Any, context: RequestContext) -> object:
        """The user. Raises Replay."""
        show = self._users.bind(variables)
        deadline_ms = self._deadline_ms(variables)
        row = await context.reads.user(
            self._id(variables),
            after=self._after(variables),
            deadline_ms=DEFAULT_DEADLINE_MS if deadline_ms is None else deadline_ms,
        )
        return _shown([row], show)[0]


class ReadUsers:
    """Answers `users`."""

    def __init__(self, users: Users, arguments: Mapping[str, Read]) -> None:
        self._users = users
        self._ids = arguments["ids"]

    async def __call__(self, variables: Any, context: RequestContext) -> object:
        """The users. Raises Replay."""
        show = self._users.bind(variables)
        return _shown(await context.reads.users(self._ids(variables)), show)


def _shown(rows: Iterable[UserRow], show: Show) -> list[object]:
    try:
        return [show(row) for row in rows]
    except Exception as error:
        raise Replay from error
