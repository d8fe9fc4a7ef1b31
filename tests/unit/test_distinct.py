"""Distinct values in a window: exact while there are few, a sketch beyond, exact again once the window is past it."""

from __future__ import annotations

from array import array

import pytest

from features.definitions import Base
from features.derive import DerivedFeature, derive
from features.distinct import EXACT_VALUES, MAX_PLACES, Distinct, DistinctPart, DistinctWire
from features.fold import Outcome
from features.packed_places import LATEST_HOUR, block_of, places_of
from features.packing import pack, unpack
from features.sliding_hll import HASH_BITS, STANDARD_ERROR
from features.state import new_state
from schemas.events import LATEST_MS
from tests.unit.feature_world import CATALOGUE, DAY_MS, HOUR_MS, NOW_MS, Log, make_event, undo_of


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


def test_it_is_exact_again_for_a_user_who_goes_on() -> None:
    log = Log()
    for n in range(MAX_PLACES + 100):
        log.send(make_event(NOW_MS - n, item_id=f"i{n}"))
    for day in range(1, 20):
        now_ms = NOW_MS + day * DAY_MS
        log.send(make_event(now_ms, item_id=f"i{day % 3}"), append_ms=now_ms)
        log.state = unpack(pack(log.state, CATALOGUE), CATALOGUE)
        served = {feature.name: feature for feature in derive(CATALOGUE, log.state, now_ms)}
        day_ago, week_ago = served["distinctItemsViewed24h"], served["distinctItemsViewed7d"]
        assert (day_ago.value, day_ago.approximate) == ((2, False) if day > 1 else (day_ago.value, True))
        assert week_ago.approximate == (day <= 7)
        assert week_ago.value == (3 if day > 7 else pytest.approx(MAX_PLACES + 100, rel=4 * STANDARD_ERROR))


def test_a_user_who_stays_busy_stays_estimated() -> None:
    log = Log()
    for hour in range(300):
        now_ms = NOW_MS + hour * HOUR_MS
        for n in range(20):
            log.send(make_event(now_ms - n * 1000, item_id=f"i{20 * hour + n}"), append_ms=now_ms)
    served = distinct(log, log.append_ms)
    assert served.value == pytest.approx(20 * 169, rel=4 * STANDARD_ERROR)
    assert served.approximate


def test_an_undo_beside_the_sketch_is_exact_in_the_hours_after_it() -> None:
    log = Log()
    for n in range(MAX_PLACES + 100):
        log.send(make_event(NOW_MS - 25 * HOUR_MS, item_id=f"i{n}"))
    views = [make_event(NOW_MS - minutes, item_id=f"i{minutes}") for minutes in range(2)]
    for view in views:
        log.send(view)
    assert log.send(undo_of(views[0])) is Outcome.UNDONE
    (served,) = derive(CATALOGUE, log.state, NOW_MS, ("distinctItemsViewed24h",))
    assert (served.value, served.approximate) == (1, False)


def test_a_part_with_a_sketch_merges_to_what_one_pass_gives() -> None:
    measure = Distinct("d", of="view_item", field="item_id")
    whole, left, right = (measure.zero() for _ in range(3))
    for n in range(2 * MAX_PLACES):
        event = make_event(NOW_MS - 9 * HOUR_MS + 20_000 * n, item_id=f"i{n}")
        for part in (whole, left if n < MAX_PLACES + 10 else right):
            measure.add(part, event, n, NOW_MS)
    merged = measure.merge(left, right)
    assert merged.sketch == whole.sketch
    assert (merged.newest, merged.places) == (whole.newest, whole.places)


def test_an_event_of_a_year_beyond_2926_is_not_among_the_distinct_values() -> None:
    log = Log()
    far = make_event(LATEST_MS, item_id="far")
    assert [log.send(each) for each in (far, make_event(item_id="near"))] == [Outcome.FOLDED, Outcome.FOLDED]
    log.state = unpack(pack(log.state, CATALOGUE), CATALOGUE)
    assert log.send(undo_of(far)) is Outcome.UNDONE
    for moment_ms, past in ((NOW_MS, False), (NOW_MS, True)):
        (served,) = derive(CATALOGUE, log.state, moment_ms, ("distinctItemsViewed24h",), past=past)
        assert served.value == 1
    (served,) = derive(CATALOGUE, log.state, LATEST_MS, ("distinctItemsViewed24h",))
    assert served.value == 0


def part_of(*places: tuple[int, int, int]) -> DistinctPart:
    """Of (hour, hash, how often it was seen)."""
    return DistinctPart(block_of({hour << HASH_BITS | hashed: times for hour, hashed, times in places}))


def test_places_in_any_order_are_read_as_formats_before_5_wrote_them() -> None:
    low = array("I", [7, 5, 6]).tobytes()
    columns = DistinctWire([1, 2], [2, 1], low, bytes([0, 0, 1]), [1, 3, 2], False, 0, None, 0)
    base = Base(NOW_MS, 0)
    hour = NOW_MS // HOUR_MS
    read = Distinct("d", of="view_item", field="item_id").from_wire(columns, base)
    assert read == part_of((hour - 1, 7, 1), (hour - 1, 5, 3), (hour - 2, 1 << 32 | 6, 2))


@pytest.mark.parametrize(
    ("hours", "counts", "low", "times"),
    [([0], [2**62], b"", []), ([0], [2**64], b"", []), ([0], [1], b"\0" * 4, [1, 1]), ([0, 1], [1], b"\0" * 4, [])],
)
def test_columns_that_do_not_fit_together_are_refused(
    hours: list[int], counts: list[int], low: bytes, times: list[int]
) -> None:
    with pytest.raises(ValueError, match=r"count all of them|argument"):
        places_of(hours, counts, low, bytes(len(low) // 4), times)


def test_the_latest_hour_that_there_is_leaves_the_window_as_any_other() -> None:
    part = part_of((LATEST_HOUR - 1, 1, 1), (LATEST_HOUR, 2, 1))
    state = new_state(CATALOGUE)
    state.parts[[measure.name for measure in CATALOGUE.part_measures].index("items_viewed")] = part
    counts = [
        derive(CATALOGUE, state, (LATEST_HOUR + later) * HOUR_MS, ("distinctItemsViewed24h",))[0].value
        for later in (0, 23, 24, 25)
    ]
    assert counts == [2, 2, 1, 0]
    part.drop_until(LATEST_HOUR - 1)
    assert part == part_of((LATEST_HOUR, 2, 1))
    part.drop_until(LATEST_HOUR)
    assert part == part_of()


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
