"""The engine against the naive reference: every feature of 2 000 users over 35 simulated days, read at 5 moments."""

from __future__ import annotations

import re
from collections import Counter, defaultdict

import msgspec

from features.derive import derive
from features.fold import Folder, Outcome
from features.packing import pack, unpack
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
