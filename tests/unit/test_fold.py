"""The fold: replay, versions, lateness, and that order does not matter."""

from __future__ import annotations

import random
from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.fold import Folder, Outcome
from features.state import NEVER, new_state
from loadgen.oracle import differences, expected_features
from schemas.events import Event
from schemas.receipts import Position
from tests.unit.feature_world import CATALOGUE, DAY_MS, HOUR_MS, NOW_MS, Log, as_sent, make_event, undo_of

PROPERTY = settings(max_examples=40, deadline=None)


@st.composite
def some_events(draw: st.DrawFn) -> list[Event]:
    """Up to 40 events of one user within 32 days before NOW_MS, ids repeated now and then."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    span_ms = draw(st.sampled_from([HOUR_MS, DAY_MS, 30 * DAY_MS]))
    events: list[Event] = []
    for _ in range(draw(st.integers(0, 40))):
        kind = rng.choice(["view_item", "add_to_cart", "purchase", "search", "select_item", "view_item_list", "share"])
        events.append(
            make_event(
                NOW_MS - rng.randrange(span_ms),
                kind,
                str(rng.choice(events).event_id) if events and rng.random() < 0.1 else "",
                item_id=rng.choice([None, "a", "b", "c", "d"]),
                category=rng.choice([None, "x", "y"]),
                value=rng.choice([None, 0.1, 19.99, 1e6]) if kind == "purchase" else None,
                search_term=rng.choice(["red", "blue"]) if kind == "search" else None,
            )
        )
    return events


@st.composite
def some_records(draw: st.DrawFn) -> list[Event]:
    """The same with undos of some of them among them, now and then twice or before their events."""
    events: list[Event] = draw(some_events())
    rng = random.Random(draw(st.integers(0, 2**32)))
    for event in [event for event in events if rng.random() < 0.3]:
        for _ in range(rng.choice([1, 1, 2])):
            events.insert(rng.randint(0, len(events)), undo_of(event))
    return events


def folded(events: list[Event]) -> Log:
    log = Log()
    for event in events:
        log.send(event)
    return log


def test_a_record_that_was_folded_is_skipped_as_what_it_was() -> None:
    log = Log()
    original = make_event()
    log.send(original)
    log.send(original)
    before = deepcopy(log.state)
    assert log.replay() == [Outcome.REPLAYED_ORIGINAL, Outcome.REPLAYED]
    assert log.state == before


def test_only_events_are_folded() -> None:
    class Later(Event, frozen=True):
        pass

    folder, state = Folder(CATALOGUE), new_state(CATALOGUE)
    for other in (None, Later("e1", "view_item", "u1", NOW_MS, NOW_MS)):
        with pytest.raises(TypeError, match="is not an Event"):
            folder.fold(state, other, Position(0, 0, 0), NOW_MS)  # type: ignore[arg-type]
    assert state == new_state(CATALOGUE)


def test_a_version_is_the_append_time_in_microseconds_and_always_rises() -> None:
    log = Log()
    versions = []
    for append_ms in (NOW_MS, NOW_MS, NOW_MS - 5, NOW_MS + 1):
        log.send(make_event(), append_ms=append_ms)
        versions.append(log.state.version)
    assert versions == [NOW_MS * 1000, NOW_MS * 1000 + 1, NOW_MS * 1000 + 2, (NOW_MS + 1) * 1000]


def test_an_event_older_than_every_window_is_late_and_counts_nowhere() -> None:
    log = Log()
    assert log.send(make_event(NOW_MS - 31 * DAY_MS - 1)) is Outcome.LATE
    assert (log.state.late_events, log.state.first_event_ms) == (1, NEVER)
    assert log.send(make_event(NOW_MS - 31 * DAY_MS)) is Outcome.FOLDED


def test_a_topic_made_anew_goes_on_from_its_first_offset() -> None:
    log = Log()
    for _ in range(5):
        log.send(make_event())
    log.offset = 0
    assert log.send(make_event(), epoch=2) is Outcome.FOLDED
    assert log.value("viewCount1h") == 6


def test_a_type_that_no_measure_filters_is_seen_all_the_same() -> None:
    log = Log()
    log.send(make_event(type="from_a_newer_writer"))
    assert (log.value("viewCount1h"), log.value("lastSeenAt")) == (0, NOW_MS)


def test_recent_items_are_newest_first_and_each_once() -> None:
    log = Log()
    for minute, item in enumerate(["a", "b", "a", "c"]):
        log.send(make_event(NOW_MS - HOUR_MS + minute, item_id=item))
    assert log.value("recentItems") == ["c", "a", "b"]
    log.send(make_event(NOW_MS - 2 * HOUR_MS, item_id="c"))
    assert log.value("recentItems") == ["c", "a", "b"]


def test_of_equal_times_the_later_record_is_newer() -> None:
    log = Log()
    for item in ("a", "b"):
        log.send(make_event(item_id=item))
    assert log.value("recentItems") == ["b", "a"]


def test_only_the_newest_k_are_kept_whatever_the_order() -> None:
    log = Log()
    items = [(NOW_MS - n * 1000, f"i{n}") for n in range(30)]
    random.Random(5).shuffle(items)
    for time_ms, item in items:
        log.send(make_event(time_ms, item_id=item))
    assert log.value("recentItems") == [f"i{n}" for n in range(20)]


@PROPERTY
@given(some_events())
def test_the_fold_agrees_with_plain_loops(events: list[Event]) -> None:
    served = folded(events).values()
    assert events == [] or differences(expected_features([as_sent(event) for event in events], NOW_MS), served) == []


@PROPERTY
@given(some_events(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_no_windowed_value(events: list[Event], rng: random.Random) -> None:
    events = [*{event.event_id: event for event in events}.values()]
    shuffled = list(events)
    rng.shuffle(shuffled)
    windowed = [feature.name for feature in CATALOGUE.features if feature.window is not None]
    assert folded(events).values(names=windowed) == folded(shuffled).values(names=windowed)


@PROPERTY
@given(some_records(), st.integers(0, 40))
def test_replaying_any_suffix_changes_nothing(events: list[Event], start: int) -> None:
    log = folded(events)
    before = deepcopy(log.state)
    outcomes = log.replay(start)
    assert log.state == before
    assert set(outcomes) <= {Outcome.REPLAYED, Outcome.REPLAYED_ORIGINAL}


@PROPERTY
@given(some_records())
def test_the_same_prefix_gives_the_same_state(events: list[Event]) -> None:
    log = folded(events)
    again = new_state(CATALOGUE)
    for record in log.records:
        log.folder.fold(again, *record)
    assert again == log.state
