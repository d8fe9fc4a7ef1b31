"""What every aggregation promises: any order, any split, and an undo that leaves nothing behind."""

from __future__ import annotations

import random
from copy import deepcopy
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import cells
from features.adding import Adder
from features.catalogue import (
    Catalogue,
    Count,
    Decayed,
    DecayedSum,
    Distinct,
    DistinctCount,
    Edge,
    EdgeValue,
    Extreme,
    Last,
    LastDistinct,
    Moments,
    Recent,
    SeenAt,
    SessionCount,
    Sessions,
    Sum,
    Top,
    WindowedExtreme,
)
from features.decayed import DecayedPart
from features.definitions import ANY, Part, PartMeasure
from features.derive import derive
from features.fold import Folder, Outcome
from features.packing import pack, unpack
from features.state import new_state
from loadgen.oracle import differences
from schemas.events import Event
from schemas.receipts import Position
from tests.unit.feature_world import CATALOGUE, NOW_MS, Log, make_event, undo_of
from tests.unit.test_fold import PROPERTY, some_events, some_records

MEASURES: list[PartMeasure[Any]] = [
    Distinct("d", of="view_item", field="item_id"),
    Last("l", of="view_item", field="item_id", k=4),
    LastDistinct("ld", of="view_item", field="item_id", k=3),
    Decayed("dk", weights={"view_item": 1, "purchase": 10}, half_life="2h", by="item_id"),
    Decayed("dt", weights={"purchase": 1}, half_life="24h", value="value"),
    Sessions("s", gap="30m"),
    Moments("m"),
    Edge("ef", of=("view_item", "search"), field="item_id", which="first"),
    Edge("el", of="view_item", field="item_id", which="last"),
    Extreme("min", of="purchase", value="value", which="min"),
    Extreme("max", of="purchase", value="value", which="max"),
]
EVERY_KIND = Catalogue(
    MEASURES,
    [
        DistinctCount("distinct7d", "d", window="7d", doc=""),
        Recent("last", "l", doc=""),
        Recent("lastDistinct", "ld", doc=""),
        Top("top", "dk", k=3, doc=""),
        DecayedSum("spent", "dt", doc=""),
        SessionCount("sessions7d", "s", window="7d", doc=""),
        SeenAt("firstAt", "m", "first", doc=""),
        SeenAt("lastAt", "m", "last", doc=""),
        EdgeValue("firstItem", "ef", doc=""),
        EdgeValue("lastItem", "el", doc=""),
        WindowedExtreme("min30d", "min", window="30d", doc=""),
        WindowedExtreme("max30d", "max", window="30d", doc=""),
    ],
)
DECAYED_WITHIN = 1e-6  # an undo leaves of a decayed sum 1e-12 of what it takes out at most, here of some thousands
CATALOGUES = pytest.mark.parametrize("catalogue", [CATALOGUE, EVERY_KIND], ids=["shipped", "every kind"])
ALL_MEASURES = pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.name)
Numbered = list[tuple[int, Event]]


@ALL_MEASURES
def test_every_measure_adds_events_and_takes_them_back(measure: PartMeasure[Any]) -> None:
    adder = type(measure.adder(measure.event_types()[0]))
    assert adder.add is not Adder.add
    assert adder.undo is not Adder.undo


@ALL_MEASURES
def test_a_measure_counts_nothing_but_events(measure: PartMeasure[Any]) -> None:
    with pytest.raises(TypeError, match="is not an Event"):
        measure.add(measure.zero(), SimpleNamespace(type="view_item", event_time=NOW_MS), 0, NOW_MS)  # type: ignore[arg-type]


def counted(measure: PartMeasure[Any], events: Numbered) -> Part:
    part: Part = measure.zero()
    types = measure.event_types()
    for offset, event in events:
        if event.type in types or ANY in types:
            measure.add(part, event, offset, NOW_MS)
    return part


class Close(dict[str, float]):
    """Scores that are equal within what forgetting and rounding may change."""

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Close)
        keys = self.keys() | other.keys()
        return all(self.get(key, 0.001) == pytest.approx(other.get(key, 0.001), rel=1e-9, abs=1e-5) for key in keys)

    __hash__ = None  # as dict


def plain(measure: PartMeasure[Any], part: Part) -> object:
    """The part as comparable values. Scores as of now: where they refer to depends on the order of events."""
    if isinstance(part, DecayedPart) and isinstance(measure, Decayed):
        factor = 0.5 ** ((NOW_MS - part.reference_ms) / measure.half_life_ms)
        scores = {key: score * factor for key, score in part.scores().items()}
        return Close({key: score for key, score in scores.items() if score > 0.001})
    return msgspec.to_builtins(part, str_keys=True, enc_hook=list)


@ALL_MEASURES
@PROPERTY
@given(events=some_events(), rng=st.randoms(use_true_random=False))
def test_events_in_any_order_give_the_same_part(
    measure: PartMeasure[Any], events: list[Event], rng: random.Random
) -> None:
    numbered = list(enumerate(events))
    shuffled = list(numbered)
    rng.shuffle(shuffled)
    ours, theirs = counted(measure, numbered), counted(measure, shuffled)
    assert plain(measure, ours) == plain(measure, theirs)


@ALL_MEASURES
@PROPERTY
@given(events=some_events(), rng=st.randoms(use_true_random=False))
def test_the_merge_of_any_split_is_the_whole(
    measure: PartMeasure[Any], events: list[Event], rng: random.Random
) -> None:
    numbered = list(enumerate(events))
    sides: tuple[Numbered, Numbered] = ([], [])
    for entry in numbered:
        sides[rng.random() < 0.5].append(entry)
    left, right = (counted(measure, side) for side in sides)
    before = deepcopy((left, right))
    merged, whole = measure.merge(left, right), counted(measure, numbered)
    assert (left, right) == before
    assert plain(measure, merged) == plain(measure, whole)


@PROPERTY
@given(events=some_events(), rng=st.randoms(use_true_random=False))
def test_the_cells_of_any_split_merge_to_the_whole(events: list[Event], rng: random.Random) -> None:
    catalogue = Catalogue(measures=[Count("n", of=ANY), Sum("v", of="purchase", value="value")])
    folder = Folder(catalogue)
    whole, left, right = (new_state(catalogue) for _ in range(3))
    for offset, event in enumerate({event.event_id: event for event in events}.values()):
        for state in (whole, left if rng.random() < 0.5 else right):
            folder.fold(state, event, Position(1, 0, offset), NOW_MS)
    assert cells.merge(left.cells, right.cells) == whole.cells


@CATALOGUES
@PROPERTY
@given(events=some_events(), rng=st.randoms(use_true_random=False))
def test_undoing_every_event_in_any_order_leaves_nothing(
    catalogue: Catalogue, events: list[Event], rng: random.Random
) -> None:
    events = [*{event.event_id: event for event in events}.values()]
    log = Log(catalogue)
    for event in events:
        log.send(event)
    rng.shuffle(events)
    for event in events:
        log.send(undo_of(event))
    zero = {feature.name: feature.value for feature in derive(catalogue, new_state(catalogue), NOW_MS)}
    served = {feature.name: feature for feature in derive(catalogue, log.state, NOW_MS)}
    exact = {name for name in zero if not served[name].approximate}
    for name in exact:
        expected = pytest.approx(zero[name], abs=DECAYED_WITHIN) if name == "spent" else zero[name]
        assert served[name].value == expected, name
    always = {"viewCount30d", "revenue30d", "distinctItemsViewed7d", "daysActive30d", "topItems"}
    assert exact >= (always if catalogue is CATALOGUE else {"distinct7d", "top", "spent"})
    assert [len(layer) for layer in log.state.cells] == [0, 0, 0]


@CATALOGUES
@pytest.mark.parametrize("extra_type", ["view_item", "purchase"])
@PROPERTY
@given(events=some_events())
def test_an_event_and_its_undo_leave_every_other_value_as_it_was(
    catalogue: Catalogue, extra_type: str, events: list[Event]
) -> None:
    log, without = Log(catalogue), Log(catalogue)
    extra = make_event(NOW_MS - 1000, extra_type, item_id="extra", category="extra", value=1e3)
    for event in events:
        log.send(event)
        without.send(event)
    log.send(extra)
    log.send(undo_of(extra))
    expected = without.values()
    for feature in derive(catalogue, log.state, NOW_MS):
        if feature.name == "spent":
            assert feature.value == pytest.approx(expected[feature.name], abs=DECAYED_WITHIN)
        elif not feature.approximate:
            assert differences({feature.name: expected[feature.name]}, {feature.name: feature.value}) == []


@PROPERTY
@given(events=some_records(), start=st.integers(0, 40))
def test_replaying_any_suffix_changes_no_kind_of_part(events: list[Event], start: int) -> None:
    log = Log(EVERY_KIND)
    for event in events:
        log.send(event)
    before = deepcopy(log.state)
    assert set(log.replay(start)) <= {Outcome.REPLAYED, Outcome.REPLAYED_ORIGINAL}
    assert log.state == before


@PROPERTY
@given(events=some_records())
def test_every_kind_of_part_packs_and_unpacks(events: list[Event]) -> None:
    catalogue = Catalogue(measures=[*MEASURES, Count("n", of=ANY)])
    log = Log(catalogue)
    for event in events:
        log.send(event)
    assert unpack(pack(log.state, catalogue), catalogue) == log.state
