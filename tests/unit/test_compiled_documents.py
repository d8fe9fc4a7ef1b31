"""Which texts are compiled, how they are known again, and what happens when a compiled operation fails."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from graphql import GraphQLInputObjectType, GraphQLNonNull, get_named_type

from graphql_api.compiled.documents import document_id
from graphql_api.compiled.errors import NotCompiled
from graphql_api.compiled.inputs import SCALARS
from graphql_api.compiled.mutations import CoercedEvent
from graphql_api.compiled.operations import Operations
from graphql_api.compiled.plan import compile_text
from graphql_api.context import RequestContext
from graphql_api.ingest import Ingest, Judged, Outcome
from graphql_api.reads import Reads
from graphql_api.schema import build_schema
from graphql_api.watch import Hub
from runtime.memory_change_feed import MemoryChangeFeed
from runtime.memory_producer import MemoryProducer
from runtime.producer import SendFailed
from runtime.settings import Settings
from schemas.fit_events import FitEvent
from storage.errors import StoreUnavailable
from storage.memory import MemoryUserStore
from tests.asgi import Answer, call
from tests.unit.api_world import CATALOGUE, NOW_MS, TRACK, World, event, make_world
from tests.unit.compiled_world import JSON_TYPE, Pair, answered

USER = "query User($id: ID!) { user(id: $id) { id } }"
SCHEMA = build_schema(CATALOGUE)
GRAPHQL = SCHEMA._schema


async def post(world: World, **request: Any) -> Answer:
    return await call(world.app, "POST", "/graphql", json.dumps(request).encode(), JSON_TYPE)


@pytest.mark.parametrize("text", [
    "{ __typename }",
    "{ a: user(id: 1) { id } b: user(id: 2) { id } }",
    'query A { user(id: "a") { id } } query B { user(id: "b") { id } }',
    '{ user(id: "a") { id } user(id: "a") { fresh } }',
    'query { user(id: "a") { ...F } } fragment F on User @live { id }',
    'query { user(id: "a") { ...F @skip(if: false) } } fragment F on User { id }',
    'query { user(id: "a") { ... on User { timeline { edges { cursor } } } } }',
    'query { user(id: "a") { id @skip(if: false) } }',
    'query @live { user(id: "a") { id } }',
    'query { user(id: "a") { timeline { edges { cursor } } } }',
    'query { user(id: "a") { explain(name: "revenue7d") { formula } } }',
    'query($id: ID = "a") { user(id: $id) { id } }',
    'query($id: ID!) { users(ids: [$id]) { id } }',
    'query($n: [String!] = ["a"]) { user(id: "a") { featureValues(names: $n) { name } } }',
    'mutation { trackEventsJson(events: [{a: 1}]) { acceptedCount } }',
    'mutation { trackEvents(input: {events: []}) { acceptedCount } }',
    'mutation($e: EventInput!) { trackEvents(input: {events: [$e]}) { acceptedCount } }',
    "{ __schema { queryType { name } } }",
    'subscription { featuresChanged(userId: "a") { token } }',
])  # fmt: skip
def test_what_plans_do_not_know_is_not_compiled(text: str) -> None:
    with pytest.raises(NotCompiled):
        compile_text(text, GRAPHQL, CATALOGUE)


def test_fragments_that_double_at_each_step_are_spread_once() -> None:
    steps = " ".join(f"fragment F{step} on User {{ ...F{step + 1} ...F{step + 1} }}" for step in range(60))
    compile_text(f'{{ user(id: "a") {{ ...F0 }} }} {steps} fragment F60 on User {{ id }}', GRAPHQL, CATALOGUE)


@pytest.mark.parametrize("own", [FitEvent, CoercedEvent])
def test_the_types_of_events_are_those_of_the_input_type(own: type[msgspec.Struct]) -> None:
    declared = GRAPHQL.get_type("EventInput")
    assert isinstance(declared, GraphQLInputObjectType)
    fields = {field.encode_name: field for field in msgspec.structs.fields(own)}
    ours = ["eventTime", "receivedAt"] if own is FitEvent else []
    assert list(fields) == [*declared.fields, *ours]
    samples = {"ID": "x", "String": "x", "Float": 1.5, "Int": 1, "DateTime": "2026-03-01T12:00:00Z", "JSON": [1]}
    special = {"type": "search", "undoes": None} if own is FitEvent else {}
    whole = {
        name: special.get(name, samples[get_named_type(field.type).name]) for name, field in declared.fields.items()
    }
    msgspec.convert(whole, own)
    for name, field in declared.fields.items():
        assert fields[name].required == isinstance(field.type, GraphQLNonNull)
        odd = {"ID": 1.5, "String": 1, "Float": "1", "Int": 1.5, "DateTime": "2026-03-01T12:00:00"}
        kind = get_named_type(field.type).name
        if kind in SCALARS:
            with pytest.raises(msgspec.ValidationError):
                msgspec.convert(whole | {name: odd[kind]}, own)


async def send_twice(world: World, query: str) -> None:
    """So that the text is compiled; its answer does not matter."""
    for _ in range(2):
        await post(world, query=query)


async def test_a_text_is_compiled_once_it_was_answered_twice() -> None:
    world = make_world()
    with answered("interpreted", times=2):
        first, second = [await post(world, query=USER, variables={"id": "ann"}) for _ in range(2)]
    with answered("compiled"):
        third = await post(world, query=USER, variables={"id": "ann"})
    assert first.body == second.body == third.body == b'{"data":{"user":{"id":"ann"}}}'


async def test_a_request_for_a_stream_is_left_to_strawberry() -> None:
    pair = Pair(NOW_MS)
    await pair.learn(USER)
    body = json.dumps({"query": USER, "variables": {"id": "ann"}}).encode()
    with answered("compiled", times=0):
        answer = await pair.same(body, {"accept": "text/event-stream"})
    assert answer.headers["content-type"].startswith("text/event-stream")


async def test_an_odd_request_is_replayed() -> None:
    world = make_world()
    await send_twice(world, USER)
    with answered("replayed"):
        assert (await post(world, query=USER, variables={"id": 7})).json() == {"data": {"user": {"id": "7"}}}


async def test_invalid_texts_are_not_learnt() -> None:
    world = make_world()
    text = "{ nothing }"
    await post(world, query=text)
    assert (await post(world, documentId=document_id(text))).status == 404


async def test_a_text_that_is_large_is_not_kept() -> None:
    world = make_world()
    text = USER + " " * 8_192
    for _ in range(3):
        with answered("interpreted"):
            await post(world, query=text, variables={"id": "ann"})


async def test_the_text_that_was_not_used_for_longest_is_forgotten() -> None:
    world = make_world(known_documents=2)
    one, two, three = (USER.replace("User(", f"{name}(") for name in ("One", "Two", "Three"))
    for text in (one, two, one, three):
        await post(world, query=text, variables={"id": "ann"})
    statuses = [(await post(world, documentId=document_id(text), variables={"id": "a"})).status for text in (one, two)]
    assert statuses == [200, 404]


@pytest.mark.parametrize("text", [USER, "query User($id: ID!) { user(id: $id) { ...F } } fragment F on User { id }"])
async def test_a_text_that_was_sent_is_known_by_its_id(text: str) -> None:
    world = make_world()
    await post(world, query=text, documentId=document_id(text), variables={"id": "ann"})
    identifier = document_id(text)
    for name in (None, "User"):
        answer = await post(world, documentId=identifier, variables={"id": "bob"}, operationName=name)
        assert answer.json() == {"data": {"user": {"id": "bob"}}}
    variables = quote('{"id":"eve"}')
    answer = await call(world.app, "GET", f"/graphql?documentId={identifier}&variables={variables}")
    assert answer.json() == {"data": {"user": {"id": "eve"}}}


async def test_a_request_by_id_is_compiled() -> None:
    world = make_world()
    await send_twice(world, TRACK)
    with answered("compiled"):
        answer = await post(world, documentId=document_id(TRACK), variables={"input": {"events": [event()]}})
    assert answer.json()["data"]["trackEvents"]["acceptedCount"] == 1


async def test_the_id_is_that_of_the_specification() -> None:
    text = "query ($id: ID!) {\n  user(id: $id) {\n    name\n  }\n}"
    assert document_id(text) == "sha256:7dba4bd717b41f10434822356a93c32b1fb4907b983e854300ad839f84cdcd6e"


async def test_an_unknown_id_asks_for_the_text() -> None:
    answer = await post(make_world(), documentId=document_id(USER), variables={"id": "ann"})
    (error,) = answer.json()["errors"]
    assert (answer.status, error["extensions"]["code"]) == (404, "DOCUMENT_NOT_FOUND")
    assert "`query`" in error["message"]


async def test_an_id_that_is_not_that_of_the_text_is_refused() -> None:
    world = make_world()
    await post(world, query=USER, variables={"id": "ann"})
    answer = await post(world, query=USER, documentId=document_id(TRACK), variables={"id": "ann"})
    assert (answer.status, answer.json()["errors"][0]["extensions"]["code"]) == (400, "BAD_USER_INPUT")


async def test_what_became_of_events_is_told_as_by_strawberry() -> None:
    pair = Pair(NOW_MS)
    await pair.learn(TRACK)
    for world in (pair.compiled, pair.reference):
        world.producer.failures = {"bob": SendFailed("replaced")}
    events = [event("ann"), event("bob"), event("ann", occurredAt="2001-01-01T00:00:00Z")]
    with answered("compiled"):
        answer = await pair.same(json.dumps({"query": TRACK, "variables": {"input": {"events": events}}}).encode())
    payload = answer.json()["data"]["trackEvents"]
    assert (payload["acceptedCount"], len(payload["rejected"]), len(payload["retry"])) == (1, 1, 1)


class BrokenStore(MemoryUserStore):
    """Fails each read."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    async def load_states(self, user_ids: Sequence[str]) -> dict[str, bytes]:
        """Raises."""
        raise self._error


@pytest.mark.parametrize("error", [StoreUnavailable("away"), TimeoutError(), RuntimeError("bug")])
async def test_a_read_that_fails_is_told_as_by_strawberry(error: Exception) -> None:
    pair = Pair(NOW_MS, BrokenStore(error))
    text = "\n  " + USER
    await pair.learn(text)
    with answered("compiled"):
        answer = await pair.same(json.dumps({"query": text, "variables": {"id": "ann"}}).encode())
    (told,) = answer.json()["errors"]
    assert (told["path"], told["locations"]) == (["user"], [{"line": 2, "column": 26}])
    assert b"bug" not in answer.body


class LosesTheOutcome(Ingest):
    """Fails after it has sent."""

    sent = 0

    async def send(self, judged: Judged) -> Outcome:
        self.sent += len(judged.records)
        raise RuntimeError("bug")


async def test_a_failure_after_sending_is_an_error_and_no_replay() -> None:
    operations = Operations(SCHEMA, CATALOGUE, capacity=1)
    for _ in range(2):
        operations.learn(TRACK)
    settings = Settings().api
    ingest = LosesTheOutcome(MemoryProducer(), settings, clock=lambda: NOW_MS, events_epoch=lambda: 1)
    reads = Reads(MemoryUserStore(), CATALOGUE, settings, clock=lambda: NOW_MS)
    body = json.dumps({"query": TRACK, "variables": {"input": {"events": [event()]}}}).encode()
    context = RequestContext(ingest, reads, Hub(MemoryChangeFeed(), linger_seconds=0), "trace")
    operation = operations.find(body)
    assert operation is not None
    result = await operations.execute(operation, context)
    assert result is not None
    assert result.errors is not None
    assert [str(error.original_error) for error in result.errors] == ["bug"]
    assert ingest.sent == 1
