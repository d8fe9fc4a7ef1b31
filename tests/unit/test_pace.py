"""The pauses of a read that waits for its row."""

from __future__ import annotations

from graphql_api.pace import LEAST_SECONDS, Pace


def looks(pace: Pace, wait_seconds: float) -> list[float]:
    """When the row is looked at, from 0 until it is there after `wait_seconds`; the pace learns from it."""
    at = [0.0]
    while at[-1] < wait_seconds:
        at.append(at[-1] + pace.pause(at[-1]))
    pace.learn(at[-1])
    return at


def test_waits_that_are_alike_come_to_cost_a_few_looks() -> None:
    pace = Pace()
    unlearned = len(looks(pace, 0.1))
    for _ in range(50):
        learned = looks(pace, 0.1)
    assert len(learned) <= 7 < unlearned
    assert learned[-1] <= 0.12


def test_after_long_waits_short_ones_are_short_again() -> None:
    pace = Pace()
    for _ in range(50):
        looks(pace, 0.1)
    for _ in range(50):
        last = looks(pace, 0.01)
    assert last[-1] <= 0.01 + 2 * LEAST_SECONDS


def test_an_outage_slows_no_later_read_by_more_than_a_tenth_of_a_second() -> None:
    pace = Pace()
    for _ in range(50):
        looks(pace, 60.0)
    assert pace.pause(0.0) <= 0.1
