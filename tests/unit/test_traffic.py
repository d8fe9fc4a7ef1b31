"""A run of traffic is decided by its seed, and holds as much disorder as was asked for."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from loadgen.client import as_sent
from loadgen.traffic import FLUSH_EVENTS, PlannedEvent, Request, Shape, Zipf, plan
from schemas.events import AcceptedEvent, Rejection, judge_json

SHAPE = Shape(events=4_000, rate=1_000, seed=5)
START_MS = 1_790_000_000_000


@pytest.fixture(scope="module")
def requests() -> list[Request]:
    return plan(SHAPE, "run")


def all_events(requests: list[Request]) -> list[PlannedEvent]:
    return [event for request in requests for event in request.events]


def test_a_seed_is_one_run_and_another_seed_another(requests: list[Request]) -> None:
    assert plan(SHAPE, "run") == requests
    assert plan(Shape(events=4_000, rate=1_000, seed=6), "run") != requests


def test_the_asked_number_of_events_is_sent_in_the_order_of_time(requests: list[Request]) -> None:
    assert len(all_events(requests)) == SHAPE.events
    assert [request.due_ms for request in requests] == sorted(request.due_ms for request in requests)
    assert all(0 < len(request.events) <= 2 * FLUSH_EVENTS for request in requests)


def test_the_asked_shares_are_sent_twice_and_invalid(requests: list[Request]) -> None:
    ids = Counter(event.fields["eventId"] for event in all_events(requests) if event.fault is None)
    assert sum(count - 1 for count in ids.values()) == SHAPE.events * 0.05
    assert sum(event.fault is not None for event in all_events(requests)) == SHAPE.events * 0.01


def test_users_and_items_are_skewed() -> None:
    ranks = Counter(Zipf(1_000, 1.1).rank(rng) for rng in [random.Random(1)] for _ in range(10_000))
    assert ranks[0] > 10 * ranks[50] > 0
    assert max(ranks) < 1_000


def test_events_of_a_user_never_share_a_millisecond(requests: list[Request]) -> None:
    first_of_each_id = {event.fields["eventId"]: event for event in reversed(all_events(requests)) if not event.fault}
    times = Counter((event.fields["userId"], event.occurred_ms) for event in first_of_each_id.values())
    assert max(times.values()) == 1


def test_the_judge_accepts_exactly_the_fit_events_and_gives_the_planned_code_to_the_others(
    requests: list[Request],
) -> None:
    for request in requests:
        for event in request.events:
            verdict = judge_json(
                as_sent(event.json(START_MS)), received_at_ms=START_MS + request.due_ms, sent_at_ms=None
            )
            if event.fault is None:
                assert isinstance(verdict, AcceptedEvent)
            else:
                assert isinstance(verdict, Rejection)
                assert verdict.code == event.fault
