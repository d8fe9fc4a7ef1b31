"""Reads as of an earlier moment: exact where the state still can, an estimate or nothing where it says so."""

from __future__ import annotations

import pytest

from features.catalogue import Catalogue, Edge, EdgeValue, Extreme, Last, Recent, WindowedExtreme
from features.derive import DerivedFeature, derive
from features.distinct import DistinctPart
from loadgen.oracle import differences, expected_features
from tests.unit.feature_world import CATALOGUE, DAY_MS, HOUR_MS, MINUTE_MS, NOW_MS, Log, as_sent, make_event, undo_of


def past(log: Log, at_ms: int) -> dict[str, DerivedFeature]:
    return {feature.name: feature for feature in derive(CATALOGUE, log.state, at_ms, past=True)}


def visited(*ago_ms: int) -> Log:
    log = Log()
    for n, ago in enumerate(sorted(ago_ms, reverse=True)):
        log.send(make_event(NOW_MS - ago, item_id=f"i{n}", category="x"))
    return log


def test_at_the_end_of_a_cell_windows_are_exact() -> None:
    log = visited(*(hours * HOUR_MS + 5 * MINUTE_MS for hours in range(60)))
    at_ms = (NOW_MS - 20 * HOUR_MS) // HOUR_MS * HOUR_MS - 1
    before = [as_sent(event) for event, _, _ in log.records if event.event_time <= at_ms]
    served = {name: each.value for name, each in past(log, at_ms).items() if not each.approximate and not each.reason}
    assert {"viewCount24h", "distinctItemsViewed24h", "cartAddCount24h", "firstSeenAt"} <= served.keys()
    assert differences(expected_features(before, at_ms), served) == []


def test_inside_a_cell_the_whole_cell_counts_and_the_answer_says_so() -> None:
    log = visited(10 * MINUTE_MS, 0)
    served = past(log, NOW_MS - 5 * MINUTE_MS)["viewCount24h"]
    assert (served.value, served.approximate) == (2, True)
    assert served.reason == "counts up to the end of the 3600 s cell of that moment"


@pytest.mark.parametrize(
    ("name", "ago_ms"), [("viewCount1h", 2 * HOUR_MS), ("viewCount7d", DAY_MS), ("viewCount30d", 2 * DAY_MS)]
)
def test_cells_that_are_gone_are_said_to_be_gone(name: str, ago_ms: int) -> None:
    served = past(visited(20 * DAY_MS, 0), NOW_MS - ago_ms)[name]
    assert served.value is None
    assert served.reason == "the state no longer has all cells of this window at that moment"


def test_after_the_last_event_every_feature_is_as_it_is_now() -> None:
    log = visited(3 * HOUR_MS, HOUR_MS)
    at_ms = NOW_MS - 30 * MINUTE_MS
    then = {name: each.value for name, each in past(log, at_ms).items() if each.reason is None}
    assert then == {name: value for name, value in log.values(at_ms).items() if name in then}
    assert {"topItems", "sessionEventCount", "lastSeenAt", "secondsSinceLastPurchase", "viewCount24h"} <= then.keys()


def test_what_cannot_be_told_apart_is_null_with_the_reason() -> None:
    served = past(visited(3 * HOUR_MS, 0), NOW_MS - HOUR_MS)
    for name in ("topItems", "topCategories", "lastSeenAt"):
        assert served[name].value is None, name
        assert served[name].reason, name
    assert served["firstSeenAt"].value == NOW_MS - 3 * HOUR_MS
    assert served["recentItems"].value == ["i0"]


def test_a_session_that_went_on_is_null_and_one_that_had_ended_is_not() -> None:
    log = visited(120 * MINUTE_MS, 110 * MINUTE_MS, 20 * MINUTE_MS, 0)
    assert past(log, NOW_MS - 10 * MINUTE_MS)["sessionEventCount"].value is None
    assert past(log, NOW_MS - 100 * MINUTE_MS)["sessionEventCount"].value == 2
    assert past(log, NOW_MS - 60 * MINUTE_MS)["sessionEventCount"].value == 0


def test_an_event_a_fast_clock_dated_ahead_counts_at_once_when_reading_now() -> None:
    log = Log()
    log.send(make_event(NOW_MS + 4 * MINUTE_MS))
    assert log.value("viewCount5m", NOW_MS) == 1
    assert past(log, NOW_MS)["viewCount5m"].value == 0


def test_an_undo_leaves_the_same_doubt_at_an_earlier_moment() -> None:
    catalogue = Catalogue(
        measures=[Last("items", of="view_item", field="item_id", k=2)], features=[Recent("recent", "items", doc="")]
    )
    log = Log(catalogue)
    views = [make_event(NOW_MS - ago * MINUTE_MS, item_id=f"i{ago}") for ago in (3, 2, 1)]
    for view in views:
        log.send(view)
    for view in views[1:]:
        log.send(undo_of(view))
    now, past = (derive(catalogue, log.state, NOW_MS - MINUTE_MS // 2, past=past)[0] for past in (False, True))
    assert now.value == past.value == []
    assert now.approximate
    assert past.approximate
    assert past.reason == now.reason


def test_a_distinct_count_in_doubt_is_so_at_an_earlier_moment() -> None:
    log = visited(*(MINUTE_MS + n for n in range(5)))
    (part,) = (each for each in log.state.parts if isinstance(each, DistinctPart))
    part.thinned, part.doubt = True, NOW_MS // HOUR_MS
    now, past = (
        derive(CATALOGUE, log.state, NOW_MS, ("distinctItemsViewed24h",), past=past)[0] for past in (False, True)
    )
    assert (now.value, now.approximate) == (past.value, past.approximate) == (5, True)


def test_before_a_measure_began_to_count_there_is_no_value_and_the_reason() -> None:
    log = visited(3 * HOUR_MS, HOUR_MS)
    log.state.counts_from_ms = (NOW_MS - 2 * HOUR_MS,) * len(log.state.counts_from_ms)
    served = past(log, NOW_MS - 2 * HOUR_MS - 1)
    reason = "what it is read from has been counted only since after that moment"
    assert {(each.value, each.reason) for each in served.values()} == {(None, reason)}
    assert past(log, NOW_MS - HOUR_MS // 2)["viewCount24h"].value == 2


def test_an_extreme_of_a_window_that_is_gone_says_so_whatever_was_undone_later() -> None:
    log = Log(
        Catalogue(
            [Extreme("largest", of="purchase", value="value", which="max")],
            [WindowedExtreme("largest24h", "largest", window="24h", doc="")],
        )
    )
    undone = make_event(NOW_MS - HOUR_MS, "purchase", value=70.0)
    for event in (make_event(NOW_MS - 8 * DAY_MS, "purchase", value=50.0), undone, undo_of(undone)):
        log.send(event)
    (served,) = derive(log.catalogue, log.state, NOW_MS - 7 * DAY_MS, past=True)
    assert (served.value, served.reason) == (None, "the state no longer has all cells of this window at that moment")


def test_a_first_value_was_not_there_before_its_event() -> None:
    log = Log(
        Catalogue(
            [Edge("entry", of="view_item", field="item_id", which="first")], [EdgeValue("entry", "entry", doc="")]
        )
    )
    log.send(make_event(NOW_MS, item_id="a"))
    (before,) = derive(log.catalogue, log.state, NOW_MS - HOUR_MS, past=True)
    assert (before.value, before.reason) == (None, None)


def test_of_events_that_were_all_undone_nothing_is_left_to_tell() -> None:
    log = Log()
    for event in (make_event(NOW_MS - HOUR_MS), make_event()):
        log.send(event)
        log.send(undo_of(event))
    for name in ("firstSeenAt", "lastSeenAt"):
        served = past(log, NOW_MS - MINUTE_MS)[name]
        assert (served.value, served.approximate, served.reason) == (None, False, None)
