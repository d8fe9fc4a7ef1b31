"""FitEvent and judge_fit say what ClientEvent and judge say, only sooner."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from schemas.events import (
    MAX_AGE_MS,
    MAX_AHEAD_MS,
    MAX_EVENT_BYTES,
    AcceptedEvent,
    ClientEvent,
    Rejection,
    epoch_ms,
    judge,
)
from schemas.fit_events import FitEvent, judge_fit
from tests.unit.event_strategies import MOMENTS, RECEIVED_MS, fit, fit_events, near_events

PROPERTY = settings(max_examples=300, deadline=None)


def usual_verdict(body: bytes, sent_at_ms: int | None) -> AcceptedEvent | Rejection | None:
    """None where somebody else has to judge."""
    try:
        event = msgspec.json.decode(body, type=FitEvent)
        (verdict,) = judge_fit([event], received_at_ms=RECEIVED_MS, sent_at_ms=sent_at_ms)
        return verdict
    except (msgspec.ValidationError, OverflowError):
        return None


def has_wide_integer(value: object) -> bool:
    """Those are kept from here, see graphql_api.compiled.mutations."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (isinstance(value, int) and not -(2**63) <= value < 2**64) or any(map(has_wide_integer, inner))


@PROPERTY
@given(near_events(), st.none() | st.integers(RECEIVED_MS - 10**7, RECEIVED_MS + 10**7))
@example(fit(occurredAt="2026-03-01T12:00:00.123456789Z"), None)
@example(fit(occurredAt="2026-03-01T13:00:00+01:00"), None)
@example(fit(eventTime=1), None)
@example(fit(userId="é" * 256, category="𝄞" * 1024), None)
@example(fit(properties=[0.1, -0.0, 1e300, 18446744073709551615]), None)
def test_a_fit_event_is_judged_as_any_other(event: dict[str, Any], sent_at_ms: int | None) -> None:
    assume(not has_wide_integer(event))
    body = json.dumps(event).encode()
    verdict = usual_verdict(body, sent_at_ms)
    if verdict is not None:
        reference = msgspec.convert(orjson.loads(body), ClientEvent)
        assert verdict == judge(reference, received_at_ms=RECEIVED_MS, sent_at_ms=sent_at_ms)


@PROPERTY
@given(st.lists(near_events() | fit_events(), max_size=8), st.none() | st.integers(RECEIVED_MS - 10**7, RECEIVED_MS))
@example([fit(userId="a"), fit(userId="b", properties="x" * MAX_EVENT_BYTES), fit(userId="c")], None)
@example([fit(userId="a"), fit(userId="b", properties=json.loads("[" * 40 + "]" * 40)), fit(userId="c")], None)
@example([fit(userId="a", eventId="17"), fit(userId="b"), fit(userId="c", occurredAt=MOMENTS[3])], None)
def test_events_of_a_request_are_each_judged_as_alone(events: list[dict[str, Any]], sent_at_ms: int | None) -> None:
    decoded = [event for each in events if (event := _decoded(each)) is not None]
    alone = [verdict for event in events if (verdict := usual_verdict(json.dumps(event).encode(), sent_at_ms))]
    assume(len(alone) == len(decoded))  # one of them is no moment in UTC
    assert judge_fit(decoded, received_at_ms=RECEIVED_MS, sent_at_ms=sent_at_ms) == alone
    assert judge_fit([], received_at_ms=RECEIVED_MS, sent_at_ms=sent_at_ms) == []


def _decoded(event: dict[str, Any]) -> FitEvent | None:
    try:
        return msgspec.json.decode(json.dumps(event), type=FitEvent)
    except msgspec.ValidationError:
        return None


@given(fit_events())
def test_the_usual_event_is_accepted(event: dict[str, Any]) -> None:
    assert isinstance(usual_verdict(json.dumps(event).encode(), None), AcceptedEvent)


@pytest.mark.parametrize("ahead_ms", [-MAX_AGE_MS - 1, -MAX_AGE_MS, MAX_AHEAD_MS, MAX_AHEAD_MS + 1])
def test_the_edges_of_time_are_those_of_judge(ahead_ms: int) -> None:
    occurred_at = datetime.fromtimestamp((RECEIVED_MS + ahead_ms) / 1000, UTC)
    event = msgspec.convert(fit(occurredAt=occurred_at), FitEvent)
    (verdict,) = judge_fit([event], received_at_ms=RECEIVED_MS, sent_at_ms=None)
    assert isinstance(verdict, AcceptedEvent) == (-MAX_AGE_MS <= ahead_ms <= MAX_AHEAD_MS)
    if isinstance(verdict, AcceptedEvent):
        assert orjson.loads(verdict.value)["eventTime"] == epoch_ms(occurred_at)


@given(st.datetimes(timezones=st.just(UTC)))
@example(datetime(2028, 2, 29, 23, 59, 59, 999_999, UTC))
@example(datetime(2100, 3, 1, tzinfo=UTC))
@example(datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC))
def test_any_moment_is_the_same_millisecond_to_both(occurred_at: datetime) -> None:
    received_at_ms = (occurred_at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    (verdict,) = judge_fit(
        [msgspec.convert(fit(occurredAt=occurred_at), FitEvent)], received_at_ms=received_at_ms, sent_at_ms=None
    )
    assert isinstance(verdict, AcceptedEvent)
    assert orjson.loads(verdict.value)["eventTime"] == received_at_ms == epoch_ms(occurred_at)


UUID = "0190a5c8-9b1e-7cc3-98c4-dc0c0c07398f"


@pytest.mark.parametrize(
    "event_id",
    [
        UUID.upper(),
        UUID[:-1] + "F",
        "",
        UUID[:-1],
        UUID + "0",
        UUID.replace("-", ""),
        UUID.replace("-", "0", 1),
        UUID[:8] + "--" + UUID[10:],
        UUID[:7] + "-" + UUID[7] + UUID[9:],
        "g" + UUID[1:],
        "{" + UUID[1:],
        "\uff10" + UUID[1:],
        "\u0660" * 36,
        UUID[:-1] + "\0",
        "\n" + UUID[1:],
    ],
)
def test_the_form_of_an_id_is_judged_as_by_judge(event_id: str) -> None:
    body = json.dumps(fit(eventId=event_id)).encode()
    verdict = usual_verdict(body, None)
    reference = msgspec.convert(orjson.loads(body), ClientEvent)
    assert verdict == judge(reference, received_at_ms=RECEIVED_MS, sent_at_ms=None)
    assert isinstance(verdict, AcceptedEvent) == (event_id.lower() == UUID)


@pytest.mark.parametrize("excess", [0, 1])
def test_the_edge_of_size_is_that_of_judge(excess: int) -> None:
    empty = len(msgspec.json.encode(msgspec.convert(fit(properties=""), ClientEvent)))
    event = msgspec.convert(fit(properties="x" * (MAX_EVENT_BYTES - empty + excess)), FitEvent)
    (verdict,) = judge_fit([event], received_at_ms=RECEIVED_MS, sent_at_ms=None)
    assert isinstance(verdict, AcceptedEvent) == (excess == 0)


@pytest.mark.parametrize(
    "change", [{"type": "undo"}, {"type": "view_itm"}, {"undoes": fit()["eventId"]}, {"itemId": ""}]
)
def test_what_is_not_the_usual_case_is_no_fit_event(change: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(orjson.dumps(fit(**change)), type=FitEvent)
