"""What clients get wrong, sent over HTTP to the running API: a clear answer, never a 500, and no harm to neighbours."""

from __future__ import annotations

import asyncio
import io
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.world import World

PAYLOAD = "{ acceptedCount rejected { index eventId code message path } retry { index } }"
TYPED = f"mutation($input: TrackEventsInput!) {{ trackEvents(input: $input) {PAYLOAD} }}"
JSON = f"mutation($events: [JSON!]!) {{ trackEventsJson(events: $events) {PAYLOAD} }}"
MUTATIONS = pytest.mark.parametrize("mutation", ["trackEvents", "trackEventsJson"])


def fit(**fields: Any) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {"eventId": str(uuid.uuid4()), "type": "view_item", "userId": "bad-input", "occurredAt": now, **fields}


def moment(**ago: float) -> str:
    return (datetime.now(UTC) - timedelta(**ago)).isoformat()


async def track(world: World, mutation: str, events: list[Any]) -> dict[str, Any]:
    """The answer; fails on any HTTP status but 200."""
    if mutation == "trackEvents":
        body = {"query": TYPED, "variables": {"input": {"events": events}}}
    else:
        body = {"query": JSON, "variables": {"events": events}}
    async with world.http.post(f"{world.api.url}/graphql", json=body) as response:
        assert response.status == 200, await response.text()
        answer: dict[str, Any] = await response.json()
        return answer


def without(event: dict[str, Any], name: str) -> dict[str, Any]:
    return {kept: value for kept, value in event.items() if kept != name}


Case = tuple[Callable[[], dict[str, Any]], str, str]

REJECTED: dict[str, Case] = {
    "no-uuid": (lambda: fit(eventId="42"), "INVALID_TYPE", "eventId"),
    "future": (lambda: fit(occurredAt=moment(minutes=-10)), "IN_THE_FUTURE", "occurredAt"),
    "too-old": (lambda: fit(occurredAt=moment(days=31)), "TOO_OLD", "occurredAt"),
    "unknown-type": (lambda: fit(type="veiw_item"), "UNKNOWN_EVENT_TYPE", "type"),
    "empty-user": (lambda: fit(userId=""), "VALUE_OUT_OF_RANGE", "userId"),
    "too-large": (lambda: fit(properties={"text": "x" * 70_000}), "TOO_LARGE", ""),
}
COERCED: dict[str, Case] = {
    "unknown-field": (lambda: fit(colour="red"), "INVALID_TYPE", "colour"),
    "wrong-type": (lambda: fit(value="12"), "INVALID_TYPE", "value"),
    "missing-user": (
        lambda: {name: value for name, value in fit().items() if name != "userId"},
        "MISSING_FIELD",
        "userId",
    ),
}


@MUTATIONS
@pytest.mark.parametrize("case", REJECTED)
async def test_a_bad_event_is_rejected_alone(served: World, mutation: str, case: str) -> None:
    bad, code, path = REJECTED[case]
    payload = (await track(served, mutation, [fit(), bad(), fit()]))["data"][mutation]
    assert payload["acceptedCount"] == 2
    assert [(entry["index"], entry["code"], entry["path"]) for entry in payload["rejected"]] == [(1, code, path)]
    assert payload["rejected"][0]["message"]


@pytest.mark.parametrize("case", COERCED)
async def test_what_graphql_cannot_coerce_fails_the_typed_request_and_names_the_event(served: World, case: str) -> None:
    bad, _, path = COERCED[case]
    answer = await track(served, "trackEvents", [fit(), bad(), fit()])
    assert answer.get("data") is None
    [error] = answer["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert error["extensions"]["path"].startswith("input.events[1]")
    assert path in error["message"]


@pytest.mark.parametrize("case", COERCED)
async def test_what_graphql_cannot_coerce_is_a_rejection_in_the_json_mutation(served: World, case: str) -> None:
    bad, code, path = COERCED[case]
    payload = (await track(served, "trackEventsJson", [fit(), bad(), fit()]))["data"]["trackEventsJson"]
    assert payload["acceptedCount"] == 2
    [entry] = payload["rejected"]
    assert (entry["index"], entry["code"]) == (1, code)
    assert path in entry["message"] or path == entry["path"]


@pytest.mark.parametrize("value", [True, 7, "text", [], [[]]])
async def test_what_is_no_event_is_a_rejection_in_the_json_mutation(served: World, value: Any) -> None:
    payload = (await track(served, "trackEventsJson", [fit(), value, fit()]))["data"]["trackEventsJson"]
    assert payload["acceptedCount"] == 2
    assert [(entry["index"], entry["code"]) for entry in payload["rejected"]] == [(1, "INVALID_TYPE")]


@MUTATIONS
async def test_1001_events_are_refused_whole_with_the_limit(served: World, mutation: str) -> None:
    answer = await track(served, mutation, [fit() for _ in range(1_001)])
    [error] = answer["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "1000" in error["message"]


@MUTATIONS
async def test_1000_events_are_accepted(served: World, mutation: str) -> None:
    payload = (await track(served, mutation, [fit() for _ in range(1_000)]))["data"][mutation]
    assert payload["acceptedCount"] == 1_000


def around(query: str, events: bytes) -> bytes:
    """The body of a mutation whose events are any bytes."""
    variables = b'{"input":{"events":%b}}' if "$input" in query else b'{"events":%b}'
    return b'{"query":%b,"variables":%b}' % (json.dumps(query).encode(), variables % events)


BODIES = {
    "2-mib": (around(JSON, b'["%b"]' % (b"x" * (2 << 20))), 413, "BAD_USER_INPUT"),
    "2-mib-typed": (around(TYPED, b'["%b"]' % (b"x" * (2 << 20))), 413, "BAD_USER_INPUT"),
    "deep-brackets": (b"[" * 100_000, 400, "GRAPHQL_PARSE_FAILED"),
    "deep-brackets-as-events": (around(JSON, b"[" * 100_000), 400, "GRAPHQL_PARSE_FAILED"),
    "deep-brackets-as-typed-events": (around(TYPED, b"[" * 100_000), 400, "GRAPHQL_PARSE_FAILED"),
    "true-as-typed-events": (around(TYPED, b"true"), 200, "BAD_USER_INPUT"),
    "invalid-utf8-as-events": (around(JSON, b'["\xff"]'), 400, "GRAPHQL_PARSE_FAILED"),
    "invalid-utf8-as-typed-events": (around(TYPED, b'["\xff"]'), 400, "GRAPHQL_PARSE_FAILED"),
    "deep-query": (json.dumps({"query": "{" + "a{" * 100_000}).encode(), 200, "GRAPHQL_PARSE_FAILED"),
    "true": (b"true", 400, "BAD_USER_INPUT"),
    "invalid-utf8": (b'{"query": "\xff\xfe"}', 400, "GRAPHQL_PARSE_FAILED"),
    "empty": (b"", 400, "GRAPHQL_PARSE_FAILED"),
}


@pytest.mark.parametrize("case", BODIES)
async def test_a_bad_body_is_refused_with_a_reason(served: World, case: str) -> None:
    body, status, code = BODIES[case]
    headers = {"Content-Type": "application/json"}
    async with served.http.post(f"{served.api.url}/graphql", data=io.BytesIO(body), headers=headers) as response:
        answer = await response.json()
        assert response.status == status, answer
    [error] = answer["errors"]
    assert error["extensions"]["code"] == code
    assert error["extensions"]["traceId"]


@MUTATIONS
async def test_deep_nesting_inside_an_event_is_a_rejection_of_that_event(served: World, mutation: str) -> None:
    deep: Any = []
    for _ in range(400):
        deep = [deep]
    payload = (await track(served, mutation, [fit(), fit(properties=deep), fit()]))["data"][mutation]
    assert payload["acceptedCount"] == 2
    assert [entry["code"] for entry in payload["rejected"]] == ["TOO_LARGE"]


async def test_after_all_of_it_the_api_is_ready_and_has_logged_no_failure(served: World) -> None:
    ready, _ = await served.readyz(served.api)
    assert ready
    log = served.system.stack.keeper.log_path(served.api.name).read_text()
    assert '"event": "request failed"' not in log


async def test_a_chunked_body_above_the_limit_is_refused_while_it_streams(served: World) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.api.port)
    writer.write(
        b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    writer.write(chunk * 17)  # just above the limit, and the body does not end here
    async with asyncio.timeout(30):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413")
    writer.close()
