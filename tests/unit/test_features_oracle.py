"""The engine against the naive reference: every feature of 2 000 users over 35 simulated days, read at 5 moments."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from typing import Any

import msgspec
import pytest

from features.derive import derive
from features.fold import Folder, Outcome
from features.packing import pack, unpack
from features.sliding_hll import STANDARD_ERROR
from features.state import UserState, new_state
from loadgen.oracle import differences, expected_features
from loadgen.simulation import DAY_MS, Simulation
from schemas.events import Event
from schemas.receipts import Position
from tests.unit.feature_world import CATALOGUE

SIMULATION = Simulation()
_NOT_ALWAYS_REVERSIBLE = {
    "recentItems",
    "recentSearches",
    "sessionCount7d",
    "sessionEventCount",
    "sessionLengthSeconds",
    "firstSeenAt",
    "lastSeenAt",
    "secondsSinceLastPurchase",
}
MOMENTS_MS = [SIMULATION.start_ms + days * DAY_MS + DAY_MS // 3 for days in (3, 10, 20, 31, 34)]


def test_every_feature_of_every_user_is_what_plain_loops_say() -> None:
    folder = Folder(CATALOGUE)
    states: dict[str, UserState] = {}
    sent: dict[str, list[dict[str, object]]] = defaultdict(list)
    outcomes: Counter[Outcome] = Counter()
    estimates: Counter[str] = Counter()
    moments = list(MOMENTS_MS)
    wrong: list[str] = []
    read = 0
    for offset, (append_ms, fields) in enumerate(SIMULATION.log()):
        while moments and append_ms > moments[0]:
            moment = moments.pop(0)
            for user_id, state in states.items():
                wrong += _compare(state, sent[user_id], moment, estimates)
                read += 1
            if moments:
                # As if the users had been written and loaded again.
                states = {user_id: unpack(pack(state, CATALOGUE), CATALOGUE) for user_id, state in states.items()}
        event = msgspec.convert({"receivedAt": append_ms, **fields}, Event)
        state = states.setdefault(event.user_id, new_state(CATALOGUE))
        outcomes[folder.fold(state, event, Position(1, 0, offset), append_ms)] += 1
        sent[event.user_id].append(fields)
    assert not moments
    assert wrong == []
    sizes = sorted(len(pack(state, CATALOGUE)) for state in states.values())
    assert sizes[len(sizes) * 99 // 100] <= 2_048
    assert min(outcomes[each] for each in (Outcome.FOLDED, Outcome.DUPLICATE, Outcome.UNDONE)) > 0
    assert outcomes[Outcome.UNDO_MISMATCH] == outcomes[Outcome.LATE] == 0
    # Estimates are what an undo leaves behind where it cannot be reversed; 1 % of events are undone.
    assert set(estimates) <= _NOT_ALWAYS_REVERSIBLE
    assert all(count < read * 0.15 for count in estimates.values()), estimates


def test_users_of_many_items_are_served_within_the_stated_error() -> None:
    """More items than a ranking keeps keys, and for some more than distinct values are kept exactly."""
    rng = random.Random(11)
    now_ms = SIMULATION.start_ms + 7 * DAY_MS
    estimated: Counter[str] = Counter()
    cut: list[int] = []
    for items in (150, 300, 900, 1_500, 3_000):
        folder, state = Folder(CATALOGUE), new_state(CATALOGUE)
        sent: list[dict[str, object]] = []
        times = sorted(now_ms - int(rng.random() ** 2 * 6 * DAY_MS) for _ in range(2 * items))
        for offset, time_ms in enumerate(times):
            fields: dict[str, object] = {
                "eventId": f"{items}-{offset}",
                "type": rng.choice(["view_item", "view_item", "view_item", "add_to_cart", "purchase"]),
                "userId": "ann",
                "eventTime": time_ms,
                "itemId": f"sku-{rng.randrange(items)}",
                "category": f"category-{rng.randrange(items)}",
            }
            event = msgspec.convert({"receivedAt": time_ms, **fields}, Event)
            assert folder.fold(state, event, Position(1, 0, offset), time_ms) is Outcome.FOLDED
            sent.append(fields)
        expected: dict[str, Any] = expected_features(sent, now_ms)
        assert _compare(state, sent, now_ms, estimated) == []
        for feature in derive(CATALOGUE, state, now_ms):
            value: Any = feature.value
            if feature.approximate and feature.name.startswith("distinct"):
                assert value <= expected[feature.name] * (1 + 4 * STANDARD_ERROR)
                assert feature.reason is not None
                if feature.reason.startswith("estimated, standard error"):
                    assert value == pytest.approx(expected[feature.name], rel=4 * STANDARD_ERROR)
                else:
                    assert "want of room" in feature.reason
                    cut.append(items)
            elif feature.approximate:
                # Even where every key is as likely as any other, those that were cut cost no place half of its score.
                for served, true in zip(value, expected[feature.name], strict=True):
                    assert true["score"] / 2 <= served["score"] <= true["score"] + 1e-5
    assert set(cut) == {3_000}, "only of a user near the cap"
    assert set(estimated) == {"topCategories", "topItems", "distinctItemsViewed24h", "distinctItemsViewed7d"}


def _compare(state: UserState, events: list[dict[str, object]], moment: int, estimates: Counter[str]) -> list[str]:
    derived = derive(CATALOGUE, state, moment)
    estimates.update(feature.name for feature in derived if feature.approximate)
    exact = {feature.name: feature.value for feature in derived if not feature.approximate}
    expected = expected_features(events, moment)
    assert exact.keys() <= expected.keys()
    covered = {feature.name: feature.covered_from_ms for feature in derived}
    return differences(expected, exact) + [
        f"{name} is covered from {since_ms}" for name, since_ms in covered.items() if since_ms != _covered(name, moment)
    ]


def _covered(name: str, moment: int) -> int | None:
    """Where the window that the name ends with starts, by the formula of the guide."""
    window = re.search(r"(\d+)([mhd])$", name)
    if window is None:
        return None
    hour_ms = 3_600_000
    window_ms = int(window[1]) * {"m": 60_000, "h": hour_ms, "d": 24 * hour_ms}[window[2]]
    hop_ms = 60_000 if window_ms <= hour_ms else hour_ms if window_ms <= 7 * 24 * hour_ms else 24 * hour_ms
    return (moment - window_ms) // hop_ms * hop_ms
