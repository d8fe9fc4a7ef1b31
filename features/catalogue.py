"""The catalogue: which measures the stream keeps and which features a reader may ask for.

A measure is an event filter and an aggregation; a feature is a way to read measures. Features cost nothing until read.
"""

from __future__ import annotations

import importlib
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, get_args

from features.cells import parse_window
from schemas.events import EVENT_TYPES

FeatureKind = Literal["int", "float", "string_list", "timestamp"]
TextField = Literal["item_id", "category", "search_term", "list_id", "currency"]
NumberField = Literal["value", "position"]
MAX_LAST = 100  # a sequence is part of every user's state, which must stay small


class CatalogueError(ValueError):
    """A catalogue that cannot be used; the message names the definition and the fix."""


@dataclass(frozen=True, slots=True)
class Count:
    """Number of events of type `of`."""

    name: str
    of: str
    version: int = 1


@dataclass(frozen=True, slots=True)
class Sum:
    """Sum of the number `value` over the events of type `of`; events without it add nothing."""

    name: str
    of: str
    value: NumberField
    version: int = 1


@dataclass(frozen=True, slots=True)
class LastDistinct:
    """The `k` values of `field` seen last, newest by (event time, offset) first, each only at its newest place."""

    name: str
    of: str
    field: TextField
    k: int
    version: int = 1


@dataclass(frozen=True, slots=True)
class Windowed:
    """A count or sum over the last `window` (`5m`, `24h`, `30d`), sliding with the moment of the read."""

    name: str
    measure: str
    window: str
    doc: str
    version: int = 1


@dataclass(frozen=True, slots=True)
class Recent:
    """The list that a `LastDistinct` measure keeps."""

    name: str
    measure: str
    doc: str
    version: int = 1


@dataclass(frozen=True, slots=True)
class Seen:
    """The earliest or latest event time of the user, over all event types."""

    name: str
    which: Literal["first", "last"]
    doc: str
    version: int = 1


CellMeasure = Count | Sum
Measure = CellMeasure | LastDistinct
FeatureDefinition = Windowed | Recent | Seen


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature with its references resolved: `slot` is the measure's place in cells or sequences."""

    name: str
    kind: FeatureKind
    doc: str
    version: int
    window: str | None
    window_ms: int | None
    slot: int
    definition: FeatureDefinition


@dataclass(frozen=True)
class Catalogue:
    """Measures and features that belong together. Raises CatalogueError where they do not fit."""

    measures: Sequence[Measure]
    definitions: Sequence[FeatureDefinition] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        for what, names in (
            ("measures", [measure.name for measure in self.measures]),
            ("features", [definition.name for definition in self.definitions]),
        ):
            for name, count in Counter(names).items():
                if count > 1:
                    raise CatalogueError(f"two {what} are called {name!r}; rename one")
        for measure in self.measures:
            _check_measure(measure)
        _ = self.features  # resolves every reference

    @cached_property
    def cell_measures(self) -> tuple[CellMeasure, ...]:
        """Measures kept in cells; the position is the slot in a cell's vector."""
        return tuple(measure for measure in self.measures if isinstance(measure, Count | Sum))

    @cached_property
    def sequences(self) -> tuple[LastDistinct, ...]:
        """Measures kept as sequences; the position is the slot."""
        return tuple(measure for measure in self.measures if isinstance(measure, LastDistinct))

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """Every feature, resolved, in the order of the definitions."""
        return tuple(self._resolve(definition) for definition in self.definitions)

    @cached_property
    def layout(self) -> int:
        """Fingerprint of what the packed state holds: changes with the measures, not with the features."""
        return zlib.crc32(repr((self.cell_measures, self.sequences)).encode())

    def _resolve(self, definition: FeatureDefinition) -> Feature:
        window: str | None = None
        window_ms: int | None = None
        slot = 0
        kind: FeatureKind
        match definition:
            case Windowed():
                names = [measure.name for measure in self.cell_measures]
                slot = _slot(definition.name, definition.measure, names)
                kind = "int" if isinstance(self.cell_measures[slot], Count) else "float"
                window = definition.window
                try:
                    window_ms = parse_window(window)
                except ValueError as error:
                    raise CatalogueError(f"feature {definition.name!r}: {error}") from error
            case Recent():
                slot = _slot(definition.name, definition.measure, [measure.name for measure in self.sequences])
                kind = "string_list"
            case Seen():
                kind = "timestamp"
        return Feature(definition.name, kind, definition.doc, definition.version, window, window_ms, slot, definition)


def load_catalogue(reference: str) -> Catalogue:
    """The catalogue that `module:NAME` names. Raises CatalogueError with the reference and the cause."""
    module_name, _, attribute = reference.partition(":")
    try:
        catalogue = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise CatalogueError(f"cannot load catalogue {reference!r}: {error}") from error
    if not isinstance(catalogue, Catalogue):
        raise CatalogueError(f"{reference!r} is a {type(catalogue).__name__}, not a Catalogue")
    return catalogue


def _slot(feature: str, measure: str, names: list[str]) -> int:
    if measure not in names:
        raise CatalogueError(f"feature {feature!r} reads {measure!r}; such measures are: {', '.join(names)}")
    return names.index(measure)


def _check_measure(measure: Measure) -> None:
    if measure.of not in EVENT_TYPES:
        raise CatalogueError(
            f"measure {measure.name!r} filters unknown event type {measure.of!r}; known: {', '.join(EVENT_TYPES)}"
        )
    if isinstance(measure, Sum) and measure.value not in get_args(NumberField):
        raise CatalogueError(f"measure {measure.name!r} sums {measure.value!r}; numbers are: value, position")
    if isinstance(measure, LastDistinct):
        if measure.field not in get_args(TextField):
            known = ", ".join(get_args(TextField))
            raise CatalogueError(f"measure {measure.name!r} keeps unknown field {measure.field!r}; known: {known}")
        if not 1 <= measure.k <= MAX_LAST:
            raise CatalogueError(f"measure {measure.name!r} keeps {measure.k} values; use 1 to {MAX_LAST}")
