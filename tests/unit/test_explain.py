"""Explaining a value: what it was computed from, so that a person can follow it."""

from __future__ import annotations

import msgspec
import pytest

from features.explain import explain
from schemas.receipts import Position
from tests.unit.feature_world import CATALOGUE, HOUR_MS, NOW_MS, Log, make_event, undo_of


def shopper() -> Log:
    log = Log()
    cart = make_event(NOW_MS - 1000, "add_to_cart", item_id="a")
    for event in (
        make_event(NOW_MS - 30 * HOUR_MS, item_id="old"),
        make_event(NOW_MS - 2 * HOUR_MS, item_id="a"),
        make_event(NOW_MS, item_id="b"),
        cart,
        undo_of(cart),
    ):
        log.send(event)
    log.send(cart)
    return log


def test_a_windowed_value_is_the_sum_of_the_cells_shown() -> None:
    told = explain(CATALOGUE, shopper().state, "viewCount24h", NOW_MS)
    assert told.value == 2 == sum(cell.amounts["views"] for cell in told.cells)
    assert [cell.index for cell in told.cells] == [NOW_MS // HOUR_MS - 2, NOW_MS // HOUR_MS]
    assert [cell.starts_ms for cell in told.cells] == [cell.index * HOUR_MS for cell in told.cells]
    assert (told.hop_ms, told.first_cell, told.last_cell) == (HOUR_MS, NOW_MS // HOUR_MS - 24, NOW_MS // HOUR_MS)
    assert told.feature.covered_from_ms == (NOW_MS // HOUR_MS - 24) * HOUR_MS
    assert told.formula == "views"
    assert "view_item" in told.measures["views"]


def test_it_says_how_far_the_state_has_got_and_what_did_not_count() -> None:
    told = explain(CATALOGUE, shopper().state, "viewCount24h", NOW_MS)
    assert told.position == Position(1, 0, 5)
    assert told.state_version >= NOW_MS * 1000
    assert (told.late_events, told.duplicate_events, told.undone_events) == (0, 1, 1)


def test_a_ratio_shows_both_measures_and_its_prior() -> None:
    told = explain(CATALOGUE, shopper().state, "cartRate7d", NOW_MS)
    assert told.formula == "(cart_adds + 20 x 0.05) / (views + 20)"
    assert told.value == pytest.approx(1 / 23)
    assert set(told.measures) == {"cart_adds", "views"}


@pytest.mark.parametrize("name", [feature.name for feature in CATALOGUE.features])
def test_what_explains_a_feature_can_be_shown_as_json(name: str) -> None:
    told = explain(CATALOGUE, shopper().state, name, NOW_MS)
    assert told.formula
    assert msgspec.json.encode((told.feature.answer, told.feature.facts, told.measures, told.cells, told.inputs))


def test_a_measure_outside_of_cells_shows_what_it_keeps() -> None:
    told = explain(CATALOGUE, shopper().state, "recentItems", NOW_MS)
    kept = told.inputs["viewed_items"]
    assert isinstance(kept, dict)
    assert kept["values"] == told.value == ["b", "a", "old"]


def test_a_measure_of_scores_or_of_distinct_values_shows_no_hashes_of_this_process() -> None:
    state = shopper().state
    shown = explain(CATALOGUE, state, "topItems", NOW_MS).inputs["item_interest"]
    assert isinstance(shown, dict)
    assert shown.keys() == {"scores", "reference_ms", "dropped"}
    assert set(shown["scores"]) == {"a", "b", "old"}
    distinct = explain(CATALOGUE, state, "distinctItemsViewed7d", NOW_MS).inputs["items_viewed"]
    assert isinstance(distinct, dict)
    assert {place["hour"] for place in distinct["places"]} <= {NOW_MS // HOUR_MS - back for back in range(24 * 7)}
    sequence = explain(CATALOGUE, state, "recentItems", NOW_MS).inputs["viewed_items"]
    assert isinstance(sequence, dict)
    assert sequence.keys() == {"values", "times_ms", "offsets", "displaced_ms", "doubt_ms"}


def test_an_unknown_user_is_explained_as_unknown() -> None:
    told = explain(CATALOGUE, None, "viewCount1h", NOW_MS)
    assert (told.value, told.feature.reason, told.cells) == (None, "nothing is known of this user", [])


def test_an_unknown_feature_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="nope"):
        explain(CATALOGUE, None, "nope", NOW_MS)
