"""Decayed sums at their edges: scores below zero, events ahead of the read."""

from __future__ import annotations

import math

import pytest

from features.catalogue import Catalogue, Decayed, DecayedSum, Top
from features.derive import DerivedFeature, derive
from tests.unit.feature_world import DAY_MS, MINUTE_MS, NOW_MS, Log, make_event


def served(log: Log, now_ms: int = NOW_MS) -> DerivedFeature:
    (feature,) = derive(log.catalogue, log.state, now_ms)
    return feature


def test_a_ranking_that_dropped_scores_below_zero_says_so() -> None:
    log = Log(
        Catalogue(
            [Decayed("d", weights={"purchase": 1}, half_life="1h", by="item_id", value="value", keys=1)],
            [Top("top", "d", k=1, doc="")],
        )
    )
    for item_id, value in (("a", 10.0), ("b", -5.0), ("c", -3.0)):
        log.send(make_event(type="purchase", item_id=item_id, value=value))
    assert served(log).value == [{"key": "a", "score": 10.0}]
    assert served(log).approximate


def test_an_event_ahead_of_the_read_weighs_by_the_formula_until_it_would_overflow() -> None:
    log = Log(Catalogue([Decayed("d", weights={"view_item": 1}, half_life="1m")], [DecayedSum("sum", "d", doc="")]))
    log.send(make_event(NOW_MS + 5 * MINUTE_MS))
    assert served(log).value == pytest.approx(32)
    (far,) = derive(log.catalogue, log.state, NOW_MS - 1000 * DAY_MS)
    assert isinstance(far.value, float)
    assert math.isfinite(far.value)
