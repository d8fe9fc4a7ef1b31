"""The catalogue: which measures the stream keeps and which features a reader may ask for.

A measure is an event filter and an aggregation; a feature is a way to read measures. Features cost nothing until read.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import re
import traceback
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from features.cells import layer_of
from features.checks import wrong_types_refused
from features.counting import CellMeasure, Count, DaysActive, Ratio, Sum, Windowed
from features.decayed import Decayed, DecayedSum, Top
from features.definitions import (
    CatalogueError,
    FeatureDefinition,
    FeatureKind,
    Part,
    PartMeasure,
    described,
    fingerprint,
)
from features.distinct import Distinct, DistinctCount
from features.extremes import Extreme, WindowedExtreme
from features.moments import Edge, EdgeValue, Moments, SecondsSince, SeenAt
from features.reading import Reader
from features.recents import Last, LastDistinct, Recent
from features.sessions import SessionCount, SessionEvents, SessionLength, Sessions

__all__ = [
    "Catalogue",
    "CatalogueError",
    "Count",
    "DaysActive",
    "Decayed",
    "DecayedSum",
    "Distinct",
    "DistinctCount",
    "Edge",
    "EdgeValue",
    "Extreme",
    "Feature",
    "FeatureKind",
    "Last",
    "LastDistinct",
    "Moments",
    "Ratio",
    "Recent",
    "SecondsSince",
    "SeenAt",
    "SessionCount",
    "SessionEvents",
    "SessionLength",
    "Sessions",
    "Sum",
    "Top",
    "Windowed",
    "WindowedExtreme",
    "load_catalogue",
]

MAX_CELL_MEASURES: Final = 32  # each is a number in every cell of every user, of up to 261 cells
MAX_PART_MEASURES: Final = 32
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")  # what GraphQL takes as well
M = TypeVar("M")
AnyPartMeasure = PartMeasure[Any]  # each knows its own part; only the catalogue holds all kinds together


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature with its references resolved. `places` are those of its measures in `UserState.counts_from_ms`."""

    name: str
    kind: FeatureKind
    doc: str
    version: int
    window: str | None
    window_ms: int | None
    hop_ms: int | None
    formula: str
    measures: tuple[str, ...]
    places: tuple[int, ...]
    slots: tuple[int, ...]
    reader: Reader
    definition: FeatureDefinition


class Catalogue:
    """Measures and features that belong together. Raises CatalogueError where they do not fit."""

    def __init__(
        self, measures: Sequence[CellMeasure | AnyPartMeasure], features: Sequence[FeatureDefinition] = ()
    ) -> None:
        _check_names("measures", measures)
        _check_names("features", features)
        for measure in measures:
            if not isinstance(measure, Count | Sum | PartMeasure):
                raise CatalogueError(f"{measure!r} is not a measure; features go into `features`")
            with wrong_types_refused("measure", measure.name):
                measure.check()
                fingerprint(measure)
        self.cell_measures: tuple[CellMeasure, ...] = tuple(m for m in measures if isinstance(m, Count | Sum))
        """Measures kept in cells; the position is the slot in a cell's vector."""
        self.part_measures: tuple[AnyPartMeasure, ...] = tuple(m for m in measures if isinstance(m, PartMeasure))
        """Measures that keep a part of their own; the position is the place among a state's parts."""
        self.pruned: tuple[tuple[int, AnyPartMeasure], ...] = tuple(
            (place, each) for place, each in enumerate(self.part_measures) if type(each).prune is not PartMeasure.prune
        )
        """Place and measure of each part that may hold what no later read can need."""
        _check_width(self)
        self.fingerprints: tuple[int, ...] = tuple(map(fingerprint, (*self.cell_measures, *self.part_measures)))
        """What a packed state says about which measures it holds: of the cell measures, then of the parts."""
        self.features: tuple[Feature, ...] = tuple(self._resolve(definition) for definition in features)
        """Every feature, resolved, in the order of the definitions."""
        self.readers: tuple[tuple[str, Reader], ...] = tuple((each.name, each.reader) for each in self.features)
        """Name and reader of each."""

    @property
    def measures(self) -> tuple[CellMeasure | AnyPartMeasure, ...]:
        """Every measure, those in cells first."""
        return (*self.cell_measures, *self.part_measures)

    @property
    def measure_count(self) -> int:
        """Cell measures and parts together."""
        return len(self.fingerprints)

    def zero_parts(self) -> list[Part]:
        """The parts of a user without events."""
        return [measure.zero() for measure in self.part_measures]

    def cell_slot(self, feature: str, measure: str) -> int:
        """See features.definitions.Measures."""
        names = [each.name for each in self.cell_measures]
        if measure not in names:
            raise self._unknown(feature, measure, names, "Count or Sum")
        return names.index(measure)

    def part(self, feature: str, measure: str, kinds: type[M] | tuple[type[M], ...]) -> tuple[int, M]:
        """See features.definitions.Measures."""
        fitting = {each.name: (place, each) for place, each in enumerate(self.part_measures) if isinstance(each, kinds)}
        if measure not in fitting:
            wanted = kinds if isinstance(kinds, tuple) else (kinds,)
            raise self._unknown(feature, measure, fitting, " or ".join(kind.__name__ for kind in wanted))
        place, found = fitting[measure]
        return place, found

    def adds_whole_numbers(self, slot: int) -> bool:
        """See features.definitions.Measures."""
        return isinstance(self.cell_measures[slot], Count)

    def _unknown(self, feature: str, measure: str, known: Iterable[str], wanted: str) -> CatalogueError:
        fitting = list(known)
        if measure in (each.name for each in self.measures):
            return CatalogueError(
                f"feature {feature!r} reads {measure!r}, which is no {wanted}; "
                f"these are: {', '.join(fitting) or 'none'}"
            )
        nearest = difflib.get_close_matches(measure, fitting, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"such measures are: {', '.join(fitting) or 'none'}"
        return CatalogueError(f"feature {feature!r} reads unknown measure {measure!r}; {hint}")

    def _resolve(self, definition: FeatureDefinition) -> Feature:
        if not hasattr(definition, "bind"):
            raise CatalogueError(f"{definition!r} is not a feature; measures go into `measures`")
        with wrong_types_refused("feature", definition.name):
            bound = definition.bind(self)
        if not isinstance(bound.reader, Reader):
            raise CatalogueError(f"feature {definition.name!r} is read by {bound.reader!r}, which is no Reader")
        names = [measure.name for measure in self.measures]
        hop_ms = bound.hop_ms
        if hop_ms is None and bound.window_ms is not None:
            hop_ms = layer_of(bound.window_ms).hop_ms
        return Feature(
            name=definition.name,
            kind=bound.kind,
            doc=definition.doc,
            version=definition.version,
            window=getattr(definition, "window", None),
            window_ms=bound.window_ms,
            hop_ms=hop_ms,
            formula=bound.formula,
            measures=bound.measures,
            places=tuple(names.index(name) for name in bound.measures),
            slots=bound.slots,
            reader=bound.reader,
            definition=definition,
        )


def load_catalogue(reference: str) -> Catalogue:
    """The catalogue that `module:NAME` names. Raises CatalogueError with the reference, the file and the cause."""
    module_name, _, attribute = reference.partition(":")
    if not module_name or not attribute:
        raise CatalogueError(f"cannot load catalogue {reference!r}; write module:NAME, as shop.features:CATALOGUE")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # the file is its author's: anything may go wrong in it
        where = _place(module_name, error)
        said = str(error) if isinstance(error, CatalogueError) else f"{type(error).__name__}: {error}{_takes(error)}"
        raise CatalogueError(f"cannot load catalogue {reference!r}: {where}{said}") from error
    if not hasattr(module, attribute):
        raise CatalogueError(f"cannot load catalogue {reference!r}: {module.__file__} defines no {attribute}")
    catalogue = getattr(module, attribute)
    if not isinstance(catalogue, Catalogue):
        raise CatalogueError(f"{reference!r} is a {type(catalogue).__name__}, not a Catalogue")
    if not catalogue.features:
        raise CatalogueError(f"{reference!r} in {module.__file__} has no features; give it one at least")
    return catalogue


def _place(module_name: str, error: Exception) -> str:
    """`file:line: ` of the catalogue's author where it went wrong; nothing if no such file was reached."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: "
    try:
        spec = importlib.util.find_spec(module_name)
    except (ImportError, ValueError):
        return ""
    if spec is None or spec.origin is None:
        return ""
    theirs, ours = Path(spec.origin).parent, Path(__file__).parent
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if frame.filename == spec.origin or (path.is_relative_to(theirs) and not path.is_relative_to(ours)):
            return f"{frame.filename}:{frame.lineno}: "
    return f"{spec.origin}: "


def _takes(error: Exception) -> str:
    """What the definition takes whose arguments did not fit."""
    called = re.match(r"(\w+)\.__init__\(\)", str(error)) if isinstance(error, TypeError) else None
    kind = globals().get(called[1]) if called else None
    return "" if kind is None else f"; {kind.__name__}{inspect.signature(kind)}"


def describe(catalogue: Catalogue) -> dict[str, dict[str, dict[str, object]]]:
    """Every definition as JSON: what `features.manifest` compares."""
    return {
        "measures": {measure.name: described(measure) for measure in catalogue.measures},
        "features": {feature.name: described(feature.definition) for feature in catalogue.features},
    }


def _check_names(what: str, definitions: Sequence[object]) -> None:
    for name, count in Counter(getattr(each, "name", repr(each)) for each in definitions).items():
        if count > 1:
            raise CatalogueError(f"two {what} are called {name!r}; rename one")
    for each in definitions:
        name, version = getattr(each, "name", "x"), getattr(each, "version", 1)
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise CatalogueError(f"{name!r} is no name; use letters, digits and underscores, a letter first")
        if type(version) is not int or version < 1:
            raise CatalogueError(f"{name!r} has version {version!r}; use 1 or more, a whole number")
        if not isinstance(getattr(each, "doc", ""), str):
            raise CatalogueError(f"{name!r}: doc is {each.doc!r}; use a text")  # type: ignore[attr-defined]


def _check_width(catalogue: Catalogue) -> None:
    for what, count, most in (
        ("counts and sums", len(catalogue.cell_measures), MAX_CELL_MEASURES),
        ("other measures", len(catalogue.part_measures), MAX_PART_MEASURES),
    ):
        if count > most:
            raise CatalogueError(f"the catalogue has {count} {what}; a user's state has room for {most}")
