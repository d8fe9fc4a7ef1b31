"""Explain a feature: its formula, its window, the cells and parts it was read from, and how far the state has got."""

from __future__ import annotations

import msgspec

from features.catalogue import Catalogue, Feature
from features.cells import LAYERS, covered_from
from features.counting import MICRO, Count
from features.definitions import FeatureValue
from features.derive import DerivedFeature, derive
from features.reading import Reading
from features.state import UserState, blank_state
from schemas.receipts import Position


class UsedCell(msgspec.Struct, frozen=True):
    """A cell of the window and what it holds of each measure of the feature, in the measures' own unit."""

    index: int
    starts_ms: int
    amounts: dict[str, int | float]


class Explanation(msgspec.Struct, frozen=True):
    """Where a value comes from. Cell indexes count hops of `hop_ms` since the epoch.

    `inputs` shows what a measure outside of cells keeps, as it is stored. `position` and `state_version` say which
    prefix of the log was folded.
    """

    feature: DerivedFeature
    formula: str
    measures: dict[str, str]
    hop_ms: int | None
    first_cell: int | None
    last_cell: int | None
    cells: list[UsedCell]
    inputs: dict[str, object]
    position: Position | None
    state_version: int
    late_events: int
    duplicate_events: int
    undone_events: int

    @property
    def value(self) -> FeatureValue:
        """The value that is explained."""
        return self.feature.value


def explain(
    catalogue: Catalogue, state: UserState | None, feature_name: str, now_ms: int, *, past: bool = False
) -> Explanation:
    """Explain the feature called `feature_name` as of `now_ms`. Raises KeyError for a name the catalogue lacks."""
    feature = next((each for each in catalogue.features if each.name == feature_name), None)
    if feature is None:
        raise KeyError(feature_name)
    (derived,) = derive(catalogue, state, now_ms, (feature_name,), past=past)
    known = blank_state() if state is None else state
    reading = Reading(known, now_ms, past=past)
    cells = _cells(catalogue, feature, reading)
    definitions = {measure.name: repr(measure) for measure in catalogue.measures}
    first_cell = last_cell = None
    if feature.window_ms is not None and feature.hop_ms is not None:
        first_cell = covered_from(feature.window_ms, now_ms, feature.hop_ms) // feature.hop_ms
        last_cell = now_ms // feature.hop_ms
    return Explanation(
        feature=derived,
        formula=feature.formula,
        measures={name: definitions[name] for name in feature.measures},
        hop_ms=feature.hop_ms,
        first_cell=first_cell,
        last_cell=last_cell,
        cells=cells,
        inputs=_inputs(catalogue, feature, known),
        position=known.position,
        state_version=known.version,
        late_events=known.late_events,
        duplicate_events=known.duplicate_events,
        undone_events=known.undone_events,
    )


def _cells(catalogue: Catalogue, feature: Feature, reading: Reading) -> list[UsedCell]:
    if not feature.slots or feature.window_ms is None:
        return []
    layer = next(layer for layer in LAYERS if layer.hop_ms == feature.hop_ms)
    used = []
    for index, cell in reading.cells(feature.window_ms, layer):
        amounts: dict[str, int | float] = {}
        for slot in feature.slots:
            measure = catalogue.cell_measures[slot]
            amounts[measure.name] = cell[slot] if isinstance(measure, Count) else cell[slot] / MICRO
        if any(amounts.values()):
            used.append(UsedCell(index, index * layer.hop_ms, amounts))
    return used


def _inputs(catalogue: Catalogue, feature: Feature, state: UserState) -> dict[str, object]:
    """What the feature's parts keep."""
    shown: dict[str, object] = {}
    for measure, part in zip(catalogue.part_measures, state.parts, strict=False):
        if measure.name in feature.measures:
            shown[measure.name] = msgspec.to_builtins(measure.shown(part), str_keys=True, enc_hook=list)
    return shown
