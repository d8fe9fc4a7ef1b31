"""GraphQL over HTTP: media types, statuses, limits, and nothing a client sends that becomes a 500."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote

import orjson
import pytest
from starlette.types import Receive, Scope, Send

from runtime import metrics
from tests.asgi import call, graphql
from tests.unit.api_world import TRACK, TRACK_JSON, event, make_world

JSON = {"content-type": "application/json"}
RESPONSE = "application/graphql-response+json"
DEEP = b"[" * 900 + b"]" * 900


def variables(query: str, text: bytes) -> bytes:
    return orjson.dumps({"query": query})[:-1] + b',"variables":' + text + b"}"


@pytest.mark.parametrize("body", [
    b"[" * 100_000, b"true", b"null", b"5", b'"x"', b"[]", b"", b"{", b"{}", b'{"query":"\xff"}', b"\xff\xfe{",
    b'{"query":5}', b'{"query":""}', b'{"query":"{a}","variables":[]}', b'{"query":"{a}","operationName":5}',
    b'{"query":"{a}","extensions":"x"}', b'{"query":"{__typename}","operationName":"other"}',
    b'{"query":"\\ud800"}', b'{"a":1e999}',
])  # fmt: skip
async def test_a_body_that_is_no_request_is_answered_with_400(body: bytes) -> None:
    answer = await call(make_world().app, "POST", "/graphql", body, JSON)
    assert answer.status == 400
    (error,) = answer.json()["errors"]
    assert error["extensions"]["code"] in ("BAD_USER_INPUT", "GRAPHQL_PARSE_FAILED")
    assert error["extensions"]["traceId"] == answer.headers["x-trace-id"]


@pytest.mark.parametrize(("query", "code"), [
    ("{", "GRAPHQL_PARSE_FAILED"),
    ("{" * 20_000, "GRAPHQL_PARSE_FAILED"),
    ("{ user(id: " + "[" * 10_000 + "]" * 10_000 + ") { id } }", "GRAPHQL_PARSE_FAILED"),
    ("{ user(id: " + '"a" ' * 30_000 + ") { id } }", "GRAPHQL_PARSE_FAILED"),
    ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
    ("{ " + " ".join(f"a{number}: __typename" for number in range(16)) + " }", "GRAPHQL_VALIDATION_FAILED"),
    ('mutation { trackEvents(input: {events: [{occurredAt: "x"}]}) { acceptedCount } }', "GRAPHQL_VALIDATION_FAILED"),
    ("query A { __typename } query B { __typename }", "GRAPHQL_VALIDATION_FAILED"),
    ("query($id: ID!) { user(id: $id) { id } }", "BAD_USER_INPUT"),
])  # fmt: skip
async def test_request_errors_have_a_code_and_no_data(query: str, code: str) -> None:
    app = make_world().app
    for accept, status in ((RESPONSE, 400), ("application/json", 200), ("*/*", 200)):
        answer = await graphql(app, query, accept=accept)
        assert answer.status == status
        assert answer.headers["content-type"].startswith("application/json" if accept == "*/*" else accept)
        assert "data" not in answer.json()
        assert {error["extensions"]["code"] for error in answer.json()["errors"]} == {code}


@pytest.mark.parametrize("body", [
    variables("query($id: ID!) { user(id: $id) { id } }", b'{"id":' + DEEP + b"}"),
    variables(TRACK, b'{"input":{"events":' + DEEP + b"}}"),
    variables(TRACK, b'{"input":' + DEEP + b"}"),
])  # fmt: skip
async def test_deep_nesting_in_variables_is_bad_user_input(body: bytes) -> None:
    answer = await call(make_world().app, "POST", "/graphql", body, JSON)
    assert {error["extensions"]["code"] for error in answer.json()["errors"]} == {"BAD_USER_INPUT"}


async def test_deep_nesting_in_an_event_is_a_rejection_of_that_event() -> None:
    deep = orjson.dumps(event())[:-1] + b',"properties":' + DEEP + b"}"
    body = variables(TRACK_JSON, b'{"events":[' + deep + b"," + orjson.dumps(event()) + b"]}")
    payload = (await call(make_world().app, "POST", "/graphql", body, JSON)).json()["data"]["trackEventsJson"]
    assert payload["acceptedCount"] == 1
    assert [entry["code"] for entry in payload["rejected"]] == ["TOO_LARGE"]


async def test_a_body_too_large_by_its_declared_length_is_413() -> None:
    answer = await call(make_world().app, "POST", "/graphql", b" " * (2 << 20), JSON)
    assert answer.status == 413
    assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_body_too_large_while_streaming_is_413() -> None:
    read = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(100):
            read += 1
            yield b" " * 65_536

    answer = await call(make_world().app, "POST", "/graphql", chunks(), JSON)
    assert answer.status == 413
    assert read == 17  # the first chunk beyond 1 MiB is the last one that is read


async def test_a_body_of_exactly_the_limit_is_read() -> None:
    body = orjson.dumps({"query": "{__typename}"})
    answer = await call(make_world().app, "POST", "/graphql", body.ljust(1 << 20), JSON)
    assert answer.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/plain, application/json",
        "application/jsonx",
        "multipart/form-data",
        "application/json; charset=utf-16",
        "",
    ],
)
async def test_other_content_types_are_415(content_type: str) -> None:
    body = b'{"query":"{__typename}"}'
    answer = await call(make_world().app, "POST", "/graphql", body, {"content-type": content_type})
    assert answer.status == 415


async def test_a_mutation_by_get_is_405_and_a_query_works() -> None:
    world = make_world()
    mutation = quote("mutation { trackEventsJson(events: []) { acceptedCount } }")
    answer = await call(world.app, "GET", f"/graphql?query={mutation}")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    answer = await call(world.app, "GET", f"/graphql?query={quote('{__typename}')}")
    assert answer.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
async def test_other_methods_are_405(method: str) -> None:
    assert (await call(make_world().app, method, "/graphql")).status == 405


@pytest.mark.parametrize(
    "query", ["", "variables=%5B", "query=%7B__typename%7D&variables=%5B%5D", "query=%7Ba%7D&variables=%FF"]
)
async def test_a_bad_get_is_400(query: str) -> None:
    assert (await call(make_world().app, "GET", f"/graphql?{query}")).status == 400


async def test_unexpected_failures_are_masked_and_traceable(capsys: pytest.CaptureFixture[str]) -> None:
    world = make_world(clock=lambda: 1 // 0)
    answer = await graphql(world.app, TRACK_JSON, {"events": [event()]})
    (error,) = answer.json()["errors"]
    assert error["extensions"]["code"] == "INTERNAL"
    assert "division" not in answer.body.decode()
    assert error["extensions"]["traceId"] in "".join(capsys.readouterr())


async def test_a_response_prefers_what_accept_prefers() -> None:
    answer = await graphql(make_world().app, "{__typename}", accept=f"application/json;q=0.5, {RESPONSE}")
    assert answer.headers["content-type"] == f"{RESPONSE}; charset=utf-8"
    answer = await graphql(make_world().app, "{__typename}", accept=f"application/json, {RESPONSE};q=x")
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


async def test_the_root_leads_to_graphql() -> None:
    answer = await call(make_world().app, "GET", "/")
    assert (answer.status, answer.headers["location"]) == (307, "/graphql")


async def test_a_slash_too_many_is_redirected() -> None:
    answer = await call(make_world().app, "GET", "/graphql/", b"", {})
    assert (answer.status, answer.headers["location"]) == (307, "http://test/graphql")


async def test_behind_a_root_path_graphql_is_found() -> None:
    async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
        await make_world().app({**scope, "root_path": "/shop", "path": f"/shop{scope['path']}"}, receive, send)

    assert (await graphql(mounted, "{ __typename }")).json() == {"data": {"__typename": "Query"}}


async def test_refused_requests_are_timed_as_well() -> None:
    count = "headrace_request_seconds_count"
    before = metrics.REGISTRY.get_sample_value(count) or 0.0
    await call(make_world().app, "DELETE", "/graphql", b"", {})
    assert metrics.REGISTRY.get_sample_value(count) == before + 1


async def test_health_and_metrics_are_served() -> None:
    app = make_world().app
    assert (await call(app, "GET", "/livez")).body == b"ok"
    assert (await call(app, "GET", "/readyz")).json() == {"ready": True, "checks": {}}
    assert b"headrace_events" in (await call(app, "GET", "/metrics")).body
