"""Decayed sums at their edges: scores below zero, events ahead of the read, ties and rounding in rankings."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from features.catalogue import Catalogue, Decayed, DecayedSum, Top
from features.decayed import LEAST_SCORE, MAX_WEIGHT, part_of, rounded
from features.derive import DerivedFeature, derive, derive_values
from features.state import new_state
from schemas.events import MAX_VALUE
from tests.unit.feature_world import DAY_MS, HOUR_MS, MINUTE_MS, NOW_MS, Log, make_event


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


def test_a_ranking_is_approximate_while_what_was_dropped_could_change_a_decimal() -> None:
    log = Log(
        Catalogue(
            [Decayed("d", weights={"view_item": 1}, half_life="1h", by="item_id", keys=1)],
            [Top("top", "d", k=1, doc="")],
        )
    )
    for item_id in ("lost", "kept", "kept", "other", "other", "other"):
        log.send(make_event(item_id=item_id))
    later_ms = NOW_MS + 12 * HOUR_MS
    log.send(make_event(later_ms, item_id="lost"))
    (soon,) = derive(log.catalogue, log.state, later_ms)
    assert soon.value == [{"key": "lost", "score": 1.0}]
    assert soon.approximate, "its lost view is worth 0.000244 by then"
    (late,) = derive(log.catalogue, log.state, later_ms + 12 * HOUR_MS)
    assert not late.approximate


def test_an_event_ahead_of_the_read_weighs_by_the_formula_until_it_would_overflow() -> None:
    log = Log(Catalogue([Decayed("d", weights={"view_item": 1}, half_life="1m")], [DecayedSum("sum", "d", doc="")]))
    log.send(make_event(NOW_MS + 5 * MINUTE_MS))
    assert served(log).value == pytest.approx(32)
    (far,) = derive(log.catalogue, log.state, NOW_MS - 1000 * DAY_MS)
    assert isinstance(far.value, float)
    assert math.isfinite(far.value)


def test_powers_of_two_are_exact() -> None:
    assert [math.exp2(number) for number in range(-1_100, 513)] == [math.ldexp(1.0, n) for n in range(-1_100, 513)]


MIDDLES = st.integers(-(2**50), 2**50).map(lambda whole: (whole + 0.5) / 1e6)  # between two of 6 decimals


@given(st.floats(allow_nan=False) | MIDDLES | MIDDLES.map(lambda score: math.nextafter(score, 0.0)))
@example(0.0005005)
@example(2.0**40 / 1e6)
def test_a_score_is_rounded_as_python_rounds(score: float) -> None:
    assert rounded(score) == round(score, 6)


@given(
    st.dictionaries(
        st.text(max_size=2),
        st.floats(0.0, MAX_WEIGHT * MAX_VALUE)
        | st.integers(0, 4_000).map(lambda ten_millionths: ten_millionths / 1e7 + 0.0008),
        max_size=9,
    )
)
@example({"a": LEAST_SCORE, "b": 0.0009995, "c": 0.00099949})
@example({"a": 1e11, "b": 1e11, "c": 1e11, "d": 1e11})
@example({"d": 1.0, "c": 1.0 + 1e-7, "b": 1.0 - 1e-7, "a": 1.0})
def test_a_ranking_is_that_of_all_rounded_scores(scores: dict[str, float]) -> None:
    catalogue = Catalogue(
        [Decayed("d", weights={"view_item": 1}, half_life="2h", by="item_id")], [Top("top", "d", k=3, doc="")]
    )
    state = new_state(catalogue)
    state.parts[0] = part_of(scores)
    ranked = sorted((-round(score, 6), key) for key, score in scores.items() if round(score, 6) >= LEAST_SCORE)
    assert derive_values(catalogue, state, 0)["top"] == [{"key": key, "score": -score} for score, key in ranked[:3]]
