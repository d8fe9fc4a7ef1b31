"""Reads as of an earlier moment: exact where the state still can, an estimate or nothing where it says so."""

from __future__ import annotations

import pytest

from features.derive import DerivedFeature, derive
from loadgen.oracle import differences, expected_features
from tests.unit.feature_world import CATALOGUE, DAY_MS, HOUR_MS, MINUTE_MS, NOW_MS, Log, as_sent, make_event


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
