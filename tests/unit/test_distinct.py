"""Distinct values in a window: exact while there are few, a sketch beyond, exact again once the window is past it."""

from __future__ import annotations

import pytest

from features.derive import DerivedFeature, derive
from features.distinct import EXACT_VALUES, MAX_PLACES
from features.packing import pack, unpack
from features.sliding_hll import STANDARD_ERROR
from tests.unit.feature_world import CATALOGUE, DAY_MS, HOUR_MS, NOW_MS, Log, make_event
from tests.unit.test_aggregations import undo_of


def distinct(log: Log, now_ms: int = NOW_MS, *, past: bool = False) -> DerivedFeature:
    (feature,) = derive(CATALOGUE, log.state, now_ms, ("distinctItemsViewed7d",), past=past)
    return feature


def test_it_is_exact_at_the_stated_number_of_values() -> None:
    log = Log()
    for n in range(EXACT_VALUES):
        log.send(make_event(NOW_MS - n * 1000, item_id=f"i{n}"))
    assert (distinct(log).value, distinct(log).approximate) == (EXACT_VALUES, False)


def test_few_values_in_many_hours_stay_exact() -> None:
    log = Log()
    for hour in range(160):
        for n in range(20):
            log.send(make_event(NOW_MS - hour * HOUR_MS, item_id=f"i{n}"))
    assert (distinct(log).value, distinct(log).approximate) == (20, False)


def test_beyond_it_is_a_sketch_and_says_so() -> None:
    log = Log()
    count = MAX_PLACES * 2
    for n in range(count):
        log.send(make_event(NOW_MS - n, item_id=f"i{n}"))
    served = distinct(log)
    assert served.value == pytest.approx(count, rel=4 * STANDARD_ERROR)
    assert served.approximate
    assert served.reason == "estimated, standard error 4.6%"
    log.state = unpack(pack(log.state, CATALOGUE), CATALOGUE)
    assert distinct(log) == served


def test_once_the_window_is_past_the_sketch_it_is_exact_again() -> None:
    log = Log()
    for n in range(MAX_PLACES * 2):
        log.send(make_event(NOW_MS - n, item_id=f"i{n}"))
    later_ms = NOW_MS + 8 * DAY_MS
    log.send(make_event(later_ms, item_id="new"), append_ms=later_ms)
    assert (distinct(log, later_ms).value, distinct(log, later_ms).approximate) == (1, False)


def test_whether_it_was_packed_in_between_makes_no_difference() -> None:
    straight, packed = Log(), Log()
    for n in range(MAX_PLACES + 200):
        event = make_event(NOW_MS + n * 400_000, item_id=f"i{n}")
        straight.send(event, append_ms=event.event_time)
        packed.send(event, append_ms=event.event_time)
        if n % 50 == 0:
            packed.state = unpack(pack(packed.state, CATALOGUE), CATALOGUE)
    pack(straight.state, CATALOGUE)
    pack(packed.state, CATALOGUE)
    assert packed.state.parts == straight.state.parts


def test_an_item_seen_in_two_hours_survives_the_undo_of_one() -> None:
    log = Log()
    views = [make_event(NOW_MS - hours * HOUR_MS, item_id="a") for hours in (5, 1)]
    for view in views:
        log.send(view)
    log.send(undo_of(views[1]))
    assert (distinct(log).value, distinct(log).approximate) == (1, False)
    log.send(undo_of(views[0]))
    assert distinct(log).value == 0
