"""The naive reference: every feature of the default catalogue by plain loops over all events of one user.

It shares no code with the engine and imports nothing of ours, so that two implementations agree instead of one that
agrees with itself. Slow on purpose.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import cast

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
SESSION_GAP_MS = 30 * MINUTE_MS
INTEREST = {"view_item": 1.0, "add_to_cart": 3.0, "purchase": 10.0}
LEAST_SCORE = 0.001

Sent = Mapping[str, object]


def expected_features(events: Sequence[Sent], as_of_ms: int) -> dict[str, object]:
    """Every feature by name. Timestamps are milliseconds, None where it never happened.

    `events` are the JSON objects as sent plus `eventTime` in ms, in order of arrival; duplicates and undos included.
    """
    kept = surviving(events)
    views = _Typed(kept, "view_item", as_of_ms)
    carts = _Typed(kept, "add_to_cart", as_of_ms)
    purchases = _Typed(kept, "purchase", as_of_ms)
    selects = _Typed(kept, "select_item", as_of_ms)
    lists = _Typed(kept, "view_item_list", as_of_ms)
    revenue30d = _total(purchases(30 * DAY_MS))
    times = [_time(event) for event in kept]
    bought = [_time(event) for event in kept if event["type"] == "purchase"]
    length, count, sessions7d = _sessions(times, as_of_ms)
    return {
        "viewCount5m": len(views(5 * MINUTE_MS)),
        "viewCount1h": len(views(HOUR_MS)),
        "viewCount24h": len(views(DAY_MS)),
        "viewCount7d": len(views(7 * DAY_MS)),
        "viewCount30d": len(views(30 * DAY_MS)),
        "cartAddCount1h": len(carts(HOUR_MS)),
        "cartAddCount24h": len(carts(DAY_MS)),
        "cartAddCount7d": len(carts(7 * DAY_MS)),
        "purchaseCount24h": len(purchases(DAY_MS)),
        "purchaseCount30d": len(purchases(30 * DAY_MS)),
        "revenue7d": float(_total(purchases(7 * DAY_MS))),
        "revenue30d": float(revenue30d),
        "averageOrderValue30d": (float(revenue30d) / len(purchases(30 * DAY_MS)) if purchases(30 * DAY_MS) else None),
        "distinctItemsViewed24h": len({event["itemId"] for event in views(DAY_MS) if event.get("itemId")}),
        "distinctItemsViewed7d": len({event["itemId"] for event in views(7 * DAY_MS) if event.get("itemId")}),
        "cartRate7d": (len(carts(7 * DAY_MS)) + 20 * 0.05) / (len(views(7 * DAY_MS)) + 20),
        "purchaseRate30d": (len(purchases(30 * DAY_MS)) + 50 * 0.02) / (len(views(30 * DAY_MS)) + 50),
        "clickThroughRate24h": (len(selects(DAY_MS)) + 20 * 0.03) / (len(lists(DAY_MS)) + 20),
        "recentItems": _recent(kept, "view_item", "itemId", 20),
        "recentSearches": _recent(kept, "search", "searchTerm", 10),
        "topCategories": _top(kept, "category", 24 * HOUR_MS, as_of_ms),
        "topItems": _top(kept, "itemId", 2 * HOUR_MS, as_of_ms),
        "sessionLengthSeconds": length,
        "sessionEventCount": count,
        "sessionCount7d": sessions7d,
        "daysActive30d": len({t // DAY_MS for t in times if t // DAY_MS >= (as_of_ms - 30 * DAY_MS) // DAY_MS}),
        "firstSeenAt": min(times, default=None),
        "lastSeenAt": max(times, default=None),
        "secondsSinceLastPurchase": max(0, as_of_ms - max(bought)) // 1000 if bought else None,
    }


def surviving(events: Sequence[Sent]) -> list[Sent]:
    """The events that count, in order of arrival: the first of each id, without what was undone and the undos."""
    seen: set[str] = set()
    kept: dict[str, Sent] = {}
    for event in events:
        event_id = str(event["eventId"]).lower()
        if event_id in seen:
            continue
        seen.add(event_id)
        if event["type"] == "undo":
            kept.pop(str(event["undoes"]).lower(), None)
        else:
            kept[event_id] = event
    return list(kept.values())


def differences(
    expected: Mapping[str, object], served: Mapping[str, object], approximate: Collection[str] = ()
) -> list[str]:
    """One line for each served value that is not the expected one. Scores may differ by 1e-5, sums by 1e-9 of them.

    An `approximate` ranking has dropped keys for want of room: its scores may be too low, and none too high.
    """
    return [
        f"{name}: served {value!r}, expected {expected[name]!r}"
        for name, value in served.items()
        if not (_same(expected[name], value) or (name in approximate and _none_too_high(expected[name], value)))
    ]


def _none_too_high(expected: object, served: object) -> bool:
    if not (isinstance(expected, list) and isinstance(served, list) and len(expected) == len(served) > 0):
        return False
    wanted = {entry["key"]: entry["score"] for entry in expected}
    most = expected[-1]["score"]  # of a key that is not among the expected ones
    return all(entry["score"] <= wanted.get(entry["key"], most) + 1e-5 for entry in served)


def _same(expected: object, served: object) -> bool:
    if isinstance(expected, float) and isinstance(served, int | float):
        return abs(expected - served) <= 1e-9 * max(1.0, abs(expected))
    if isinstance(expected, list) and isinstance(served, list) and expected and isinstance(expected[0], dict):
        return _same_ranking(expected, served)
    return expected == served


def _same_ranking(expected: list[dict[str, object]], served: list[dict[str, object]]) -> bool:
    """Equal scores in order, and equal keys except among scores that cannot be told apart (or tie with the cut)."""
    if len(expected) != len(served):
        return False
    wanted = {entry["key"]: cast(float, entry["score"]) for entry in expected}
    last = cast(float, expected[-1]["score"])
    for here, there in zip(expected, served, strict=True):
        score = cast(float, there["score"])
        if abs(cast(float, here["score"]) - score) > 1e-5:
            return False
        if abs(wanted.get(there["key"], last) - score) > 1e-5:
            return False
    return True


class _Typed:
    """Events of one type, asked for by window: cells of 1 minute up to 1 h, 1 hour up to 7 d, 1 day beyond."""

    def __init__(self, events: Sequence[Sent], event_type: str, as_of_ms: int) -> None:
        self._events = [event for event in events if event["type"] == event_type]
        self._as_of_ms = as_of_ms

    def __call__(self, window_ms: int) -> list[Sent]:
        hop_ms = MINUTE_MS if window_ms <= HOUR_MS else HOUR_MS if window_ms <= 7 * DAY_MS else DAY_MS
        oldest = (self._as_of_ms - window_ms) // hop_ms
        return [event for event in self._events if _time(event) // hop_ms >= oldest]


def _time(event: Sent) -> int:
    return cast(int, event["eventTime"])


def _total(events: Sequence[Sent]) -> Decimal:
    return sum((Decimal(str(event["value"])) for event in events if event.get("value") is not None), Decimal(0))


def _recent(events: Sequence[Sent], event_type: str, field: str, k: int) -> list[str]:
    """Newest by (event time, place of arrival) first, each value only at its newest place."""
    places = [(_time(event), place, event) for place, event in enumerate(events) if event["type"] == event_type]
    values: list[str] = []
    for _, _, event in sorted(places, key=lambda entry: entry[:2], reverse=True):
        value = event.get(field)
        if value is not None and value not in values:
            values.append(str(value))
    return values[:k]


def _top(events: Sequence[Sent], field: str, half_life_ms: int, as_of_ms: int) -> list[dict[str, object]]:
    scores: dict[str, float] = {}
    for event in events:
        key = event.get(field)
        if key is not None and event["type"] in INTEREST:
            weight = INTEREST[str(event["type"])]
            decayed = weight * 0.5 ** ((as_of_ms - _time(event)) / half_life_ms)
            scores[str(key)] = scores.get(str(key), 0.0) + decayed
    rounded = [(round(score, 6), key) for key, score in scores.items()]
    ranking = sorted((-score, key) for score, key in rounded if score >= LEAST_SCORE)
    return [{"key": key, "score": -score} for score, key in ranking[:5]]


def _sessions(times: Sequence[int], as_of_ms: int) -> tuple[int, int, int]:
    """(length in whole seconds and events of the current session, sessions whose last event is in the last 7 days)."""
    sessions: list[list[int]] = []
    for time_ms in sorted(times):
        if sessions and time_ms - sessions[-1][-1] <= SESSION_GAP_MS:
            sessions[-1].append(time_ms)
        else:
            sessions.append([time_ms])
    oldest = (as_of_ms - 7 * DAY_MS) // HOUR_MS
    recent = sum(session[-1] // HOUR_MS >= oldest for session in sessions)
    if not sessions or as_of_ms - sessions[-1][-1] > SESSION_GAP_MS:
        return 0, 0, recent
    return (sessions[-1][-1] - sessions[-1][0]) // 1000, len(sessions[-1]), recent
