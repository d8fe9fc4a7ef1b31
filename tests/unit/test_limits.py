"""The cap of a packed state: never beyond it, in the stated order, the same on every replay."""

from __future__ import annotations

import random
from copy import deepcopy

import pytest

from features.catalogue import (
    Catalogue,
    Count,
    Decayed,
    Distinct,
    Edge,
    EdgeValue,
    Extreme,
    LastDistinct,
    SessionEvents,
    Sessions,
    Sum,
    Windowed,
    WindowedExtreme,
)
from features.definitions import ANY, TextField
from features.derive import derive
from features.duplicates import MAX_IDS
from features.fold import Outcome
from features.limits import MAX_PACKED_BYTES, ROOM_BYTES
from features.moments import EdgePart
from features.packing import pack, unpack
from features.state import UserState, new_state
from schemas import zstd
from schemas.events import EVENT_TYPES
from tests.unit.feature_world import CATALOGUE, DAY_MS, HOUR_MS, NOW_MS, Log, make_event, undo_of
from tests.unit.test_undo import approximate

_SLACK = MAX_PACKED_BYTES - ROOM_BYTES


def greedy(count: int, seed: int = 1) -> Log:
    """A user who does everything at once, with the longest texts in three-byte characters."""
    rng = random.Random(seed)
    log = Log()
    for n in range(count):
        log.send(
            make_event(
                NOW_MS - rng.randrange(30 * DAY_MS),
                rng.choice(["view_item", "search", "purchase", "add_to_cart"]),
                item_id=f"{n}" + "字" * 250,
                category=f"{n}" + "類" * 1_000,
                search_term=f"{n}" + "索" * 1_000,
                value=1e12 * rng.random(),
            )
        )
    return log


def packed_bytes(state: UserState, catalogue: Catalogue = CATALOGUE) -> int:
    """Before a long one is compressed, which the cap does not count on: texts of random letters do not shrink."""
    packed = pack(deepcopy(state), catalogue)
    return len(zstd.decompressed(packed, 1 << 20)) if packed.startswith(b"\x28\xb5\x2f\xfd") else len(packed)


def test_no_state_packs_to_more_than_the_cap() -> None:
    log = Log()
    largest = 0
    for record in greedy(400).records:
        log.send(record[0])
        largest = max(largest, packed_bytes(log.state))
    assert MAX_PACKED_BYTES // 2 < largest <= MAX_PACKED_BYTES


def test_a_user_with_thousands_of_events_a_day_stays_below_the_cap() -> None:
    log = Log()
    for n in range(2 * MAX_IDS):
        log.send(make_event(NOW_MS - n * 1000, item_id=f"sku-{n}", category=f"category-{n % 300}"))
    assert packed_bytes(log.state) <= MAX_PACKED_BYTES
    assert len(log.state.duplicates) == MAX_IDS
    assert log.value("viewCount24h") == 2 * MAX_IDS


def test_what_was_dropped_shows_as_approximate_and_counts_are_never_dropped() -> None:
    log = greedy(600)
    features = {feature.name: feature for feature in derive(CATALOGUE, log.state, NOW_MS)}
    assert features["topCategories"].approximate
    kinds = [event.type for event, _, _ in log.records]
    assert features["viewCount30d"].value == kinds.count("view_item")
    assert not features["viewCount30d"].approximate


def test_dropping_depends_on_the_log_alone() -> None:
    straight = greedy(300)
    packed = Log()
    for n, (event, _, _) in enumerate(straight.records):
        assert packed.send(event) is Outcome.FOLDED
        if n % 7 == 0:
            packed.state = unpack(pack(packed.state, CATALOGUE), CATALOGUE)
    assert pack(packed.state, CATALOGUE) == pack(straight.state, CATALOGUE)


def test_undos_that_find_nothing_to_undo_drop_what_the_log_alone_says() -> None:
    straight, packed = greedy(100), Log()
    original = make_event()
    for event in [*(event for event, _, _ in straight.records), original]:
        packed.send(event)
    straight.send(original)
    for n in range(1_500):
        undo = make_event(type="undo", undoes=original.event_id)
        assert straight.send(undo) is packed.send(undo) is (Outcome.NOTHING_TO_UNDO if n else Outcome.UNDONE)
        if n % 100 == 0:
            packed.state = unpack(pack(packed.state, CATALOGUE), CATALOGUE)
    assert straight.state.size_bound <= ROOM_BYTES
    assert pack(packed.state, CATALOGUE) == pack(straight.state, CATALOGUE)


VIEWS = [Count("views", of="view_item")]
SUMS = Catalogue([*VIEWS, *(Sum(f"s{n}", of="purchase", value="value") for n in range(20))], features=[])


def sums_that_grow_in_cells_that_were_there() -> Log:
    log = Log(SUMS)
    times_ms = [NOW_MS - n * HOUR_MS for n in range(240)]
    for n in range(2_400):
        log.send(make_event(times_ms[n % 240]))
    for time_ms in times_ms:
        log.send(make_event(time_ms, "purchase", value=1e6))
    for n in range(300):
        log.send(make_event(times_ms[n % 240]))
    return log


def test_a_state_is_never_larger_than_it_is_taken_to_be() -> None:
    log, again = sums_that_grow_in_cells_that_were_there(), Log(SUMS)
    largest = 0
    for event, _, _ in log.records:
        again.send(event)
        size = packed_bytes(again.state, SUMS)
        assert size <= again.state.size_bound + _SLACK
        largest = max(largest, size)
    assert largest > MAX_PACKED_BYTES // 2
    assert pack(again.state, SUMS) == pack(log.state, SUMS), "packing at other moments changed what was dropped"


def test_a_state_that_gains_sums_is_measured_again() -> None:
    views = Catalogue(VIEWS, features=[])
    log = Log(views)
    for n in range(2_400):
        log.send(make_event(NOW_MS - n % 240 * HOUR_MS))
    log.state.size_bound = packed_bytes(log.state, views)
    adopted = unpack(pack(log.state, views), SUMS)
    assert packed_bytes(adopted, SUMS) <= adopted.size_bound


def test_the_widest_catalogue_stays_below_the_cap_and_says_what_it_gave_up() -> None:
    wide = Catalogue(
        measures=[
            *(Sum(f"s{n}", of=ANY, value="value") for n in range(32)),
            *(Extreme(f"e{n}", of=ANY, value="value", which="max") for n in range(8)),
            *(Distinct(f"d{n}", of=ANY, field="item_id") for n in range(8)),
            *(LastDistinct(f"l{n}", of=ANY, field="category", k=100) for n in range(8)),
            *(Decayed(f"t{n}", weights={"view_item": 1}, half_life="30d", by="item_id", keys=200) for n in range(8)),
        ],
        features=[
            Windowed("sum30d", "s0", window="30d", doc=""),
            Windowed("sum1h", "s0", window="1h", doc=""),
            WindowedExtreme("max30d", "e0", window="30d", doc=""),
        ],
    )
    log = Log(wide)
    rng = random.Random(1)
    for n in range(3_000):
        text = "x" * (1_000 if n % 40 == 0 else 20)
        age_ms = rng.randrange(rng.choice([3_600_000, 7 * DAY_MS, 30 * DAY_MS]))
        log.send(make_event(NOW_MS - age_ms, item_id=f"sku-{n}", category=f"{text}{n}", value=1e11 * rng.random()))
        if n % 100 == 0:
            assert len(pack(deepcopy(log.state), wide)) <= MAX_PACKED_BYTES, n
    served = {feature.name: feature for feature in derive(wide, log.state, NOW_MS)}
    assert served["sum30d"].counts_from_ms is not None
    assert served["max30d"].approximate


def test_a_sum_stops_at_what_packs_into_64_bits() -> None:
    log = Log()
    orders = [make_event(type="purchase", value=1e12) for _ in range(20)]
    for order in orders:
        log.send(order)
    assert log.value("revenue30d") == 2**62 / 1_000_000
    for order in orders:
        assert log.send(undo_of(order)) is Outcome.UNDONE
        assert unpack(pack(log.state, CATALOGUE), CATALOGUE) == log.state
    assert log.value("revenue30d") == 2**62 / 1_000_000, "the truth is lost, for good"


def test_values_over_a_sum_that_stopped_are_approximate_until_the_window_is_past_it() -> None:
    log = Log()
    for _ in range(4):
        log.send(make_event(type="purchase", value=1e12))
    assert not approximate(log)
    log.send(make_event(type="purchase", value=1e12))
    assert approximate(log) == {"revenue7d", "revenue30d", "averageOrderValue30d"}
    log.state = unpack(pack(log.state, CATALOGUE), CATALOGUE)
    assert approximate(log, NOW_MS + 8 * DAY_MS) == {"revenue30d", "averageOrderValue30d"}


def test_values_over_a_sum_that_an_undo_stops_are_approximate() -> None:
    log = Log()
    order = make_event(type="purchase", value=1e12)
    log.send(order)
    for _ in range(5):
        log.send(make_event(type="purchase", value=-1e12))
    assert not approximate(log)
    assert log.send(undo_of(order)) is Outcome.UNDONE
    assert approximate(log) >= {"revenue7d", "revenue30d", "averageOrderValue30d"}


def test_a_catalogue_of_texts_and_sessions_starts_measures_over_instead_of_passing_the_cap() -> None:
    fields: list[TextField] = ["category", "search_term", "currency"]
    kinds = EVENT_TYPES[:9]
    wide = Catalogue(
        measures=[
            *(Edge(f"{kind}_{field}", of=kind, field=field, which="last") for kind in kinds for field in fields),
            *(Sessions(f"runs{n}", gap="15m") for n in range(5)),
        ],
        features=[
            EdgeValue("lastCategory", "view_item_category", doc=""),
            SessionEvents("sessionEvents", "runs0", doc=""),
        ],
    )
    log = Log(wide)
    for n in range(2 * MAX_IDS):
        text = f"{n}" + "\N{GRINNING FACE}" * 1_000 if n % 20 < 9 else None
        time_ms = NOW_MS - n % 600 * 16 * 60_000
        log.send(make_event(time_ms, kinds[n % 9], category=text, search_term=text, currency=text))
        if n % 100 < 20:
            assert packed_bytes(log.state, wide) <= MAX_PACKED_BYTES, n
    served = {feature.name: feature for feature in derive(wide, log.state, NOW_MS)}
    assert served["lastCategory"].counts_from_ms == NOW_MS
    assert log.send(undo_of(log.records[-1][0])) is Outcome.UNDONE


def test_a_state_that_nothing_makes_small_enough_is_not_packed() -> None:
    class Tattooed(Edge):
        def zero(self) -> EdgePart:
            return EdgePart(value="x" * MAX_PACKED_BYTES)

    catalogue = Catalogue(measures=[Tattooed("e", of="share", field="category", which="last")])
    with pytest.raises(ValueError, match="at most 65536 are stored"):
        pack(new_state(catalogue), catalogue)
