"""Windows over cells, as a reader sees them.

[##|##][####][####|   ]
^ covered from    ^ now
"""

from __future__ import annotations

import pytest

from features.cells import LARGEST_TOTAL, LAYERS, covered_from, layer_of, parse_window
from features.counting import MICRO
from features.derive import derive
from schemas.events import MAX_VALUE
from tests.unit.feature_world import CATALOGUE, DAY_MS, HOUR_MS, MINUTE_MS, NOW_MS, Log, make_event


@pytest.mark.parametrize(("text", "ms"), [("5m", 300_000), ("1h", HOUR_MS), ("24h", DAY_MS), ("30d", 30 * DAY_MS)])
def test_a_window_is_a_number_and_a_unit(text: str, ms: int) -> None:
    assert parse_window(text) == ms


@pytest.mark.parametrize("text", ["", "5", "5s", "-5m", "05m", "5 m", "1.5h", "m", "\u0665m", "5m\n"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write for example 5m, 24h or 30d"):
        parse_window(text)


@pytest.mark.parametrize("text", ["31d", "721h", "99999999999d"])
def test_a_window_longer_than_the_longest_layer_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="use at most 30d"):
        parse_window(text)


@pytest.mark.parametrize(
    ("window", "hop"), [("5m", 60_000), ("1h", 60_000), ("61m", HOUR_MS), ("7d", HOUR_MS), ("8d", DAY_MS)]
)
def test_a_window_is_read_in_the_finest_layer_that_holds_it(window: str, hop: int) -> None:
    assert layer_of(parse_window(window)).hop_ms == hop


@pytest.mark.parametrize("layer", LAYERS)
def test_the_longest_window_of_a_layer_needs_no_dropped_cell(layer: object) -> None:
    for now_ms in (NOW_MS, NOW_MS // DAY_MS * DAY_MS, NOW_MS // HOUR_MS * HOUR_MS - 1):
        for each in LAYERS:
            assert each.oldest_cell(now_ms) * each.hop_ms == covered_from(each.longest_window_ms, now_ms)


@pytest.mark.parametrize(
    ("name", "window_ms", "hop_ms"),
    [
        ("viewCount5m", 5 * MINUTE_MS, MINUTE_MS),
        ("viewCount1h", HOUR_MS, MINUTE_MS),
        ("viewCount24h", DAY_MS, HOUR_MS),
        ("viewCount7d", 7 * DAY_MS, HOUR_MS),
        ("purchaseCount30d", 30 * DAY_MS, DAY_MS),
    ],
)
def test_the_old_end_is_rounded_outwards_to_its_cell(name: str, window_ms: int, hop_ms: int) -> None:
    kind = "purchase" if name.startswith("purchase") else "view_item"
    edge = (NOW_MS - window_ms) // hop_ms * hop_ms
    log = Log()
    log.send(make_event(edge - 1, kind))
    assert log.value(name) == 0
    log.send(make_event(edge, kind))
    assert log.value(name) == 1
    (derived,) = derive(CATALOGUE, log.state, NOW_MS, (name,))
    assert derived.covered_from_ms == edge == covered_from(window_ms, NOW_MS)


def test_a_quiet_users_window_slides_at_the_read() -> None:
    log = Log()
    log.send(make_event(NOW_MS))
    assert [log.value("viewCount5m", NOW_MS + minutes * MINUTE_MS) for minutes in (0, 5, 6)] == [1, 1, 0]


def test_a_late_event_lands_in_its_own_cell() -> None:
    log = Log()
    log.send(make_event(NOW_MS))
    log.send(make_event(NOW_MS - 2 * HOUR_MS))
    assert log.values(names=("viewCount1h", "viewCount24h")) == {"viewCount1h": 1, "viewCount24h": 2}


def test_no_event_adds_more_than_a_total_can_take_in_one_step() -> None:
    assert MAX_VALUE * MICRO <= LARGEST_TOTAL
