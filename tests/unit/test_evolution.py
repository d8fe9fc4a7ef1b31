"""A catalogue that changes under stored states, and the manifest that tells what changed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from features.catalogue import (
    Catalogue,
    CatalogueError,
    Count,
    DaysActive,
    Decayed,
    LastDistinct,
    Moments,
    Recent,
    SeenAt,
    Sum,
    Top,
    Windowed,
)
from features.definitions import ANY
from features.derive import DerivedFeature, derive
from features.fold import Folder, Outcome
from features.manifest import catalogue_manifest, compare
from features.packing import pack, unpack
from features.state import UserState, new_state
from schemas.receipts import Position
from tests.unit.feature_world import CATALOGUE, HOUR_MS, MINUTE_MS, NOW_MS, make_event, undo_of

VIEWS = Count("views", of="view_item")
CARTS = Count("carts", of="add_to_cart")
REVENUE = Sum("revenue", of="purchase", value="value")
ITEMS = LastDistinct("items", of="view_item", field="item_id", k=5)
SEEN = Moments("seen")
VIEWS_1H = Windowed("views1h", "views", window="1h", doc="")
NEW_FEATURES = (
    Windowed("views1h", "views", window="1h", doc=""),
    Windowed("any1h", "any", window="1h", doc=""),
    Top("top", "interest", k=1, doc=""),
    SeenAt("last", "seen", "last", doc=""),
)
CARTS_1H = Windowed("carts1h", "carts", window="1h", doc="")


def made(*measures: Any, features: tuple[Any, ...] = (VIEWS_1H,)) -> Catalogue:
    return Catalogue(measures=measures, features=features)


def stored(catalogue: Catalogue) -> bytes:
    state, folder = new_state(catalogue), Folder(catalogue)
    for offset, kind in enumerate(["view_item", "add_to_cart", "view_item", "purchase"]):
        event = make_event(NOW_MS - 10 * MINUTE_MS, kind, item_id=f"i{offset}", value=1.5)
        folder.fold(state, event, Position(1, 0, offset), NOW_MS)
    return pack(state, catalogue)


def read(state: UserState, catalogue: Catalogue) -> dict[str, DerivedFeature]:
    return {feature.name: feature for feature in derive(catalogue, state, NOW_MS)}


def test_a_new_feature_over_an_old_measure_works_at_once() -> None:
    blob = stored(made(VIEWS, ITEMS))
    more = made(
        VIEWS, ITEMS, features=(DaysActive("days", "views", window="7d", doc=""), Recent("items", "items", doc=""))
    )
    served = read(unpack(blob, more), more)
    assert (served["days"].value, served["days"].counts_from_ms) == (1, None)
    assert served["items"].value == ["i2", "i0"]


def test_a_new_measure_starts_empty_and_says_since_when_it_counts() -> None:
    blob = stored(made(VIEWS))
    more = made(CARTS, VIEWS, SEEN, features=(VIEWS_1H, CARTS_1H, SeenAt("first", "seen", "first", doc="")))
    state = unpack(blob, more)
    served = read(state, more)
    assert (served["views1h"].value, served["views1h"].counts_from_ms) == (2, None)
    assert (served["carts1h"].value, served["carts1h"].counts_from_ms) == (0, NOW_MS)
    assert served["carts1h"].covered_from_ms == NOW_MS
    assert served["first"].counts_from_ms == NOW_MS
    Folder(more).fold(state, make_event(NOW_MS, "add_to_cart"), Position(1, 0, 99), NOW_MS + 5)
    again = unpack(pack(state, more), more)
    assert again == state
    assert read(again, more)["carts1h"].value == 1
    assert read(again, more)["carts1h"].counts_from_ms == NOW_MS


def test_an_undo_leaves_measures_alone_that_never_counted_its_original() -> None:
    interest = Decayed("interest", weights={"view_item": 1}, half_life="1h", by="item_id")
    old, new = made(VIEWS), made(VIEWS, Count("any", of=ANY), interest, SEEN, features=NEW_FEATURES)
    state, (first, second) = new_state(old), (make_event(item_id="x"), make_event(item_id="x"))
    Folder(old).fold(state, first, Position(1, 0, 0), NOW_MS)
    for packed_again in (False, True):
        later = unpack(pack(state, old), new)
        folder = Folder(new)
        folder.fold(later, second, Position(1, 0, 1), NOW_MS)
        if packed_again:
            later = unpack(pack(later, new), new)
        assert folder.fold(later, undo_of(first), Position(1, 0, 2), NOW_MS) is Outcome.UNDONE
        values = {name: feature.value for name, feature in read(later, new).items()}
        assert values == {"views1h": 1, "any1h": 1, "top": [{"key": "x", "score": 1.0}], "last": NOW_MS}
        folder.fold(later, undo_of(second), Position(1, 0, 3), NOW_MS)
        values = {name: feature.value for name, feature in read(later, new).items()}
        assert values == {"views1h": 0, "any1h": 0, "top": [], "last": None}


def test_an_undo_knows_what_new_measures_counted_when_the_topic_was_made_anew() -> None:
    old, new = made(VIEWS), made(VIEWS, Count("any", of=ANY), features=(VIEWS_1H, NEW_FEATURES[1]))
    state, (first, second) = new_state(old), (make_event(), make_event())
    Folder(old).fold(state, first, Position(1, 0, 70), NOW_MS)
    state, folder = unpack(pack(state, old), new), Folder(new)
    folder.fold(state, second, Position(2, 0, 0), NOW_MS)
    folder.fold(state, undo_of(first), Position(2, 0, 1), NOW_MS)
    assert [feature.value for feature in read(state, new).values()] == [1, 1]
    folder.fold(state, undo_of(second), Position(2, 0, 2), NOW_MS)
    assert [feature.value for feature in read(state, new).values()] == [0, 0]


def test_the_past_of_a_new_measure_fades_out_of_what_is_covered() -> None:
    more = made(VIEWS, CARTS, features=(CARTS_1H,))
    state = unpack(stored(made(VIEWS)), more)
    (later,) = derive(more, state, NOW_MS + 3 * HOUR_MS)
    assert later.covered_from_ms == (NOW_MS + 2 * HOUR_MS) // MINUTE_MS * MINUTE_MS


def test_measures_keep_their_data_wherever_they_stand() -> None:
    blob = stored(made(VIEWS, CARTS, ITEMS, SEEN))
    turned = made(SEEN, ITEMS, CARTS, VIEWS, features=(VIEWS_1H, CARTS_1H, Recent("items", "items", doc="")))
    served = read(unpack(blob, turned), turned)
    assert [served[name].value for name in ("views1h", "carts1h", "items")] == [2, 1, ["i2", "i0"]]


def test_the_data_of_a_removed_measure_is_dropped() -> None:
    both, one = made(VIEWS, CARTS, ITEMS), made(VIEWS)
    state = unpack(stored(both), one)
    assert [len(cell) for layer in state.cells for _, cell in layer.items()] == [1, 1, 1]
    back = read(unpack(pack(state, one), both), both)
    assert back["views1h"].counts_from_ms is None
    assert unpack(pack(state, one), both).counts_from_ms == (0, NOW_MS, NOW_MS)


def test_a_measure_with_a_new_version_never_reads_old_state() -> None:
    newer = made(Count("views", of=("view_item", "share"), version=2))
    served = read(unpack(stored(made(VIEWS)), newer), newer)
    assert (served["views1h"].value, served["views1h"].counts_from_ms) == (0, NOW_MS)


def test_a_weight_written_as_a_whole_number_is_the_same_weight() -> None:
    whole, floating = (made(Decayed("d", {"view_item": weight}, half_life="1h"), features=()) for weight in (1, 1.0))
    assert compare(catalogue_manifest(whole), catalogue_manifest(floating)) == []
    state = unpack(stored(whole), floating)
    assert state.counts_from_ms == (0,)
    assert state.parts == unpack(stored(whole), whole).parts


def test_a_manifest_is_json_and_equal_to_itself() -> None:
    manifest = catalogue_manifest(CATALOGUE)
    assert compare(json.loads(json.dumps(manifest)), manifest) == []


def test_what_was_added_and_removed_is_listed_with_its_effect() -> None:
    old = catalogue_manifest(made(VIEWS, CARTS, features=(VIEWS_1H, CARTS_1H)))
    new = catalogue_manifest(made(VIEWS, SEEN, features=(VIEWS_1H, SeenAt("first", "seen", "first", doc=""))))
    assert [str(change) for change in compare(old, new)] == [
        "removed measure 'carts': what it kept is dropped",
        "added measure 'seen': starts empty",
        "removed feature 'carts1h': readers no longer get it",
        "added feature 'first': works at once over measures that are kept already",
    ]


def test_a_changed_definition_without_a_new_version_is_refused_with_the_diff() -> None:
    old = catalogue_manifest(made(VIEWS))
    new = catalogue_manifest(made(Count("views", of="share")))
    with pytest.raises(
        CatalogueError, match=r"(?s)changed measure 'views': raise its version.*of: 'view_item' -> 'share'"
    ):
        compare(old, new)


def test_a_changed_feature_is_refused_as_well_and_so_is_an_older_version() -> None:
    old = catalogue_manifest(made(VIEWS, features=(Windowed("views1h", "views", window="1h", doc="", version=2),)))
    for changed in (
        Windowed("views1h", "views", window="2h", doc="", version=2),
        Windowed("views1h", "views", window="1h", doc="", version=1),
    ):
        with pytest.raises(CatalogueError, match="changed feature 'views1h'"):
            compare(old, catalogue_manifest(made(VIEWS, features=(changed,))))


def test_a_changed_definition_with_a_new_version_is_accepted() -> None:
    old = catalogue_manifest(made(VIEWS))
    (change,) = compare(old, catalogue_manifest(made(Count("views", of="share", version=2))))
    assert (change.kind, change.name, change.effect) == ("changed", "views", "starts empty")
    assert change.details == ("of: 'view_item' -> 'share'", "version: 1 -> 2")


def test_words_and_order_change_nothing() -> None:
    old = catalogue_manifest(made(VIEWS, CARTS, features=(VIEWS_1H, CARTS_1H)))
    other = Windowed("views1h", "views", window="1h", doc="Other words.")
    assert compare(old, catalogue_manifest(made(CARTS, VIEWS, features=(CARTS_1H, other)))) == []
