"""An undo subtracts where its original was added, once, and says where it cannot."""

from __future__ import annotations

import msgspec
import pytest

from features.catalogue import Catalogue, Edge, LastDistinct
from features.derive import derive
from features.duplicates import MAX_IDS
from features.fold import Outcome
from features.packing import pack, unpack
from tests.unit.feature_world import CATALOGUE, DAY_MS, HOUR_MS, MINUTE_MS, NOW_MS, Log, make_event, undo_of


def approximate(log: Log, now_ms: int = NOW_MS) -> set[str]:
    return {feature.name for feature in derive(CATALOGUE, log.state, now_ms) if feature.approximate}


def test_an_order_that_is_cancelled_is_subtracted_where_it_was_added() -> None:
    log = Log()
    order = make_event(NOW_MS - 20 * DAY_MS, "purchase", item_id="a", category="x", value=19.99)
    log.send(order)
    log.send(make_event(NOW_MS - DAY_MS, "purchase", item_id="b", value=0.01))
    assert log.send(undo_of(order)) is Outcome.UNDONE
    assert log.values(names=("purchaseCount30d", "revenue30d", "daysActive30d", "firstSeenAt")) == {
        "purchaseCount30d": 1,
        "revenue30d": 0.01,
        "daysActive30d": 1,
        "firstSeenAt": NOW_MS - 20 * DAY_MS,
    }
    assert approximate(log) == {"firstSeenAt"}
    assert log.state.undone_events == 1


def test_the_originals_time_and_type_count_not_those_of_the_undo() -> None:
    log = Log()
    view = make_event(NOW_MS - 3 * HOUR_MS)
    log.send(view)
    log.send(undo_of(view))
    assert log.value("viewCount24h") == 0


def test_a_second_undo_of_the_same_event_changes_nothing() -> None:
    log = Log()
    view, other = make_event(), make_event()
    log.send(view)
    log.send(other)
    outcomes = [log.send(undo_of(view)) for _ in range(2)]
    assert outcomes == [Outcome.UNDONE, Outcome.NOTHING_TO_UNDO]
    assert log.value("viewCount1h") == 1


def test_a_redelivered_undo_is_a_duplicate() -> None:
    log = Log()
    view = make_event()
    undo = undo_of(view)
    log.send(view)
    assert [log.send(undo), log.send(undo)] == [Outcome.UNDONE, Outcome.DUPLICATE]
    assert log.state.duplicate_events == 1


def test_an_undone_event_that_comes_again_stays_undone() -> None:
    log = Log()
    view = make_event()
    log.send(view)
    log.send(undo_of(view))
    assert log.send(view) is Outcome.DUPLICATE
    assert log.value("viewCount1h") == 0


def test_an_undo_of_an_event_that_never_came_changes_nothing() -> None:
    log = Log()
    before = log.values()
    assert log.send(undo_of(make_event())) is Outcome.NOTHING_TO_UNDO
    assert log.values() == before


def test_the_span_of_the_timeline_holds_the_undo_but_the_user_was_not_seen_then() -> None:
    log = Log()
    view = make_event(NOW_MS - 3 * DAY_MS)
    log.send(view)
    log.send(make_event(NOW_MS - 2 * DAY_MS))
    log.send(undo_of(view))
    assert (log.state.first_event_ms, log.state.last_event_ms) == (NOW_MS - 3 * DAY_MS, NOW_MS)
    assert log.value("lastSeenAt") == NOW_MS - 2 * DAY_MS


def test_an_undo_cannot_be_undone() -> None:
    log = Log()
    view = make_event()
    log.send(view)
    undo = undo_of(view)
    log.send(undo)
    assert log.send(undo_of(undo)) is Outcome.NOTHING_TO_UNDO
    assert log.value("viewCount1h") == 0


@pytest.mark.parametrize(("hours", "outcome"), [(24, Outcome.UNDONE), (26, Outcome.UNDO_TOO_LATE)])
def test_an_undo_beyond_the_duplicate_horizon_is_too_late(hours: int, outcome: Outcome) -> None:
    log = Log()
    view = make_event()
    log.send(view)
    assert log.send(undo_of(view), append_ms=NOW_MS + hours * HOUR_MS) is outcome
    assert log.value("viewCount7d") == (outcome is Outcome.UNDO_TOO_LATE)


def test_the_oldest_event_of_a_full_window_can_be_undone() -> None:
    log = Log()
    views = [make_event() for _ in range(MAX_IDS)]
    for view in views:
        log.send(view)
    assert log.send(undo_of(views[0])) is Outcome.UNDONE
    assert log.value("viewCount1h") == MAX_IDS - 1


def test_an_undo_with_other_fields_than_its_original_is_refused() -> None:
    log = Log()
    order = make_event(type="purchase", item_id="a", value=20.0)
    log.send(order)
    assert log.send(undo_of(order, value=19.0)) is Outcome.UNDO_MISMATCH
    assert log.value("revenue30d") == 20.0
    assert log.send(undo_of(order)) is Outcome.UNDONE


@pytest.mark.parametrize("field", ["category", "search_term", "currency"])
def test_an_empty_text_is_another_value_than_none(field: str) -> None:
    log = Log()
    view = msgspec.structs.replace(make_event(), **{field: ""})
    log.send(view)
    undo = make_event(type="undo", undoes=view.event_id)
    assert log.send(undo) is Outcome.UNDO_MISMATCH
    assert log.send(msgspec.structs.replace(undo, **{field: ""})) is Outcome.UNDONE


def test_a_refused_undo_may_be_sent_again_under_its_id() -> None:
    log = Log()
    order = make_event(type="purchase", value=20.0)
    log.send(order)
    event_id = "00000000-0000-0000-0000-000000000001"
    undos = [make_event(NOW_MS, "undo", event_id, undoes=order.event_id, value=value) for value in (1.0, 20.0)]
    assert [log.send(undo) for undo in undos] == [Outcome.UNDO_MISMATCH, Outcome.UNDONE]


def test_undo_works_across_packing_and_replay_decides_as_the_first_pass_did() -> None:
    log = Log()
    view = make_event()
    log.send(view)
    log.state = unpack(pack(log.state, CATALOGUE), CATALOGUE)
    assert log.send(undo_of(view)) is Outcome.UNDONE
    log.state = unpack(pack(log.state, CATALOGUE), CATALOGUE)
    assert log.replay() == [Outcome.REPLAYED_ORIGINAL, Outcome.REPLAYED_ORIGINAL]
    assert log.send(undo_of(view)) is Outcome.NOTHING_TO_UNDO


def test_the_only_place_of_an_item_leaves_the_list_exactly() -> None:
    log = Log()
    views = [make_event(NOW_MS - minutes * MINUTE_MS, item_id=f"i{minutes}") for minutes in (3, 2, 1)]
    for view in views:
        log.send(view)
    log.send(undo_of(views[1]))
    assert log.value("recentItems") == ["i1", "i3"]
    assert "recentItems" not in approximate(log)


def test_an_undo_takes_an_item_out_whose_topic_was_made_anew_since() -> None:
    log = Log()
    log.send(make_event(item_id="filler"))
    views = [make_event(item_id=item) for item in ("a", "b")]  # at one moment, and without offsets afterwards
    for view in views:
        log.send(view)
    log.offset = 0
    assert log.send(undo_of(views[0]), epoch=2) is Outcome.UNDONE
    log.state = unpack(pack(log.state, CATALOGUE), CATALOGUE)
    assert log.value("recentItems") == ["b", "filler"]
    assert "recentItems" not in approximate(log)


def test_what_comes_after_a_topic_was_made_anew_is_newer_at_the_same_moment() -> None:
    edge = Edge("last_item", of="view_item", field="item_id", which="last")
    log = Log(Catalogue([LastDistinct("items", of="view_item", field="item_id", k=3), edge], []))
    for item in ("a", "b", "c"):
        log.send(make_event(item_id=item))
    log.offset = 0
    log.send(make_event(item_id="d"), epoch=2)
    items, last = log.state.parts
    assert (items.values, last.value) == (["d", "c", "b"], "d")


def test_an_undone_event_beside_the_last_one_leaves_it_certain_also_where_the_topic_was_made_anew() -> None:
    log = Log(Catalogue([Edge("last_item", of="view_item", field="item_id", which="last")], []))
    views = [make_event(item_id=item) for item in ("a", "b")]
    for view in views:
        log.send(view)
    log.offset = 0
    doubts = []
    for view in views:
        assert log.send(undo_of(view), epoch=2) is Outcome.UNDONE
        doubts.append(log.state.parts[0].doubt)
    assert doubts == [False, True]


def test_an_item_whose_older_place_was_displaced_makes_the_list_approximate() -> None:
    log = Log()
    views = [make_event(NOW_MS - minutes * MINUTE_MS, item_id="a") for minutes in (2, 1)]
    for view in views:
        log.send(view)
    log.send(undo_of(views[1]))
    assert log.value("recentItems") == []
    assert "recentItems" in approximate(log)


def test_a_list_is_exact_again_once_it_is_full_of_newer_items() -> None:
    log = Log()
    views = [make_event(NOW_MS - minutes * MINUTE_MS, item_id="a") for minutes in (2, 1)]
    for view in views:
        log.send(view)
    log.send(undo_of(views[1]))
    for n in range(20):
        log.send(make_event(NOW_MS, item_id=f"b{n}"))
    assert "recentItems" not in approximate(log)


def test_the_only_purchase_undone_means_there_was_none() -> None:
    log = Log()
    order = make_event(type="purchase", value=1.0)
    log.send(order)
    log.send(undo_of(order))
    assert log.values(names=("secondsSinceLastPurchase", "lastSeenAt", "firstSeenAt", "averageOrderValue30d")) == {
        "averageOrderValue30d": None,
        "firstSeenAt": None,
        "lastSeenAt": None,
        "secondsSinceLastPurchase": None,
    }


def test_an_event_inside_a_short_session_leaves_it_exactly_and_at_its_border_does_not() -> None:
    log = Log()
    views = [make_event(NOW_MS - minutes * MINUTE_MS) for minutes in (10, 5, 0)]
    for view in views:
        log.send(view)
    log.send(undo_of(views[1]))
    assert log.value("sessionEventCount") == 2
    assert "sessionEventCount" not in approximate(log)
    log.send(undo_of(views[2]))
    assert "sessionEventCount" in approximate(log)
