"""Sessions around the end of what is kept of them."""

from __future__ import annotations

import msgspec
import pytest

from features.definitions import Base
from features.sessions import Sessions, SessionsPart, SessionsWire
from tests.unit.feature_world import DAY_MS, HOUR_MS, NOW_MS, make_event

MEASURE = Sessions("sessions", gap="1d")
BEGIN_MS = NOW_MS // HOUR_MS * HOUR_MS


def day_ms(day: float) -> int:
    return BEGIN_MS + round(day * DAY_MS)


def visited(*days: float) -> SessionsPart:
    """Events at these days, in order of arrival; each is appended when the latest of them happens."""
    part, append_ms = MEASURE.zero(), 0
    for offset, day in enumerate(days):
        append_ms = max(append_ms, day_ms(day))
        MEASURE.add(part, make_event(day_ms(day)), offset, append_ms)
    return part


def test_a_late_event_joins_no_session_that_is_over_for_longer_than_is_kept() -> None:
    going_on = (2.1, 3, 4, 5, 6, 7, 8)
    assert len(visited(0, *going_on).runs()) == 2, "the old session must still be there, or this shows nothing"
    assert visited(0, *going_on, 1.0).runs() == visited(*going_on, 1.0).runs()


def test_nor_the_latest_one_where_that_is_over_for_so_long() -> None:
    for days in ((0.9, 7.5), (7.5, 0.9)):
        part = visited(0)
        for offset, day in enumerate(days, start=1):
            MEASURE.add(part, make_event(day_ms(day)), offset, day_ms(7.5))
        assert [run.start_ms for run in part.runs()] == [day_ms(0.9), day_ms(7.5)]


def test_a_late_event_inside_the_current_session_belongs_to_it() -> None:
    (run,) = visited(0, 0.5, 1, 0.7).runs()
    assert (run.start_ms, run.end_ms, run.events) == (BEGIN_MS, BEGIN_MS + DAY_MS, 4)


def test_an_event_before_all_that_is_kept_makes_no_session() -> None:
    assert len(visited(10, 1).runs()) == 1


@pytest.mark.parametrize(
    ("numbers", "refusal"), [([0, 5, 2, 1], ValueError), ([-(2**63), 0, 3], OverflowError), ([2**63], OverflowError)]
)
def test_numbers_that_are_no_runs_are_refused(numbers: list[int], refusal: type[Exception]) -> None:
    wire = msgspec.msgpack.decode(msgspec.msgpack.encode((numbers,)), type=SessionsWire)
    with pytest.raises(refusal):
        MEASURE.from_wire(wire, Base(NOW_MS, 0))
