"""Compiled operations answer as Strawberry does, to the byte, and write the same records."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from loadgen.client import _FEATURES, _TRACK
from tests.unit.api_world import CATALOGUE, NOW_MS, TRACK, TRACK_JSON
from tests.unit.compiled_world import Pair, answered
from tests.unit.event_strategies import IDS, MOMENTS, ODD, RECEIVED_MS, fit, fit_events, near_events

PROPERTY = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PARTS = """mutation Parts($e: [EventInput!]!, $at: DateTime) {
    sent: trackEvents(input: {events: $e, sentAt: $at}) {
        __typename n: acceptedCount rejected { code path } receipt } }"""
LATER = """mutation Later($events: [JSON!]!, $now: DateTime) { trackEventsJson(sentAt: $now, events: $events) {
    retry { eventId reason index __typename } acceptedCount rejected { index message } } }"""
USER = """query User($id: ID!, $at: DateTime, $names: [String!] = null, $ms: Int = 0, $after: String) {
    user(id: $id, after: $after, deadlineMs: $ms) { __typename id fresh
        features(at: $at) { __typename viewCount1h { value coveredFrom asOf version } topItems { value { score key } }
            recentItems { value } lastSeenAt { value lastEventAt } cartRate7d { value reason approximate } }
        values: featureValues(names: $names) { name value window lateEvents duplicateEvents countsFrom } } }"""
USERS = "query Users($ids: [ID!]!) { users(ids: $ids) { id features { viewCount7d { value __typename } } } }"
PIECES = """query Pieces($ids: [ID!]!) { ...Root }
fragment Root on Query { users(ids: $ids) { ...A __typename ...B ...A } }
fragment A on User { __typename features { viewCount7d { value } ... { revenue7d { ...F } } } }
fragment B on User { id features { viewCount7d { version value ...I } __typename } ... on User { fresh ...A } }
fragment I on IntFeature { asOf }
fragment F on FloatFeature { value ... on FloatFeature { reason value } }"""
CONSTANT = '{ user(id: "ann", deadlineMs: null) { features(at: "2026-03-01T12:00:00+01:00") { revenue7d { value } } } }'


WRITES: Final = (TRACK, TRACK_JSON, *_TRACK.values(), PARTS, LATER)


def write(query: str, events: Any, **variables: Any) -> dict[str, Any]:
    if query == PARTS:
        return {"query": query, "variables": {"e": events, **variables}}
    if "trackEventsJson" in query:
        return {"query": query, "variables": {"events": events, **variables}}
    return {"query": query, "variables": {"input": {"events": events, **variables}}}


@pytest.fixture(scope="module")
async def writes() -> Pair:
    pair = Pair(RECEIVED_MS)
    await pair.learn(*WRITES)
    return pair


@pytest.fixture(scope="module")
async def reads() -> Pair:
    pair = Pair(NOW_MS)
    await pair.seed()
    await pair.learn(USER, USERS, PIECES, CONSTANT, _FEATURES)
    return pair


ODD_VALUES = st.sampled_from(ODD)
TIMES = st.sampled_from(MOMENTS) | ODD_VALUES
SENT_AT = {name: TIMES for name in ("sentAt", "at", "now")}


@PROPERTY
@given(
    st.sampled_from(WRITES),
    st.lists(near_events(), max_size=4) | near_events() | ODD_VALUES,
    st.fixed_dictionaries({}, optional=SENT_AT),
)
@example(TRACK, [fit(properties=2**64)], {})
@example(TRACK, [fit(occurredAt=MOMENTS[4], properties={"a": [2**64]})], {})
@example(TRACK, [fit(type="undo", undoes=IDS[1])], {})
@example(TRACK, [fit(position=2**31)], {})
@example(TRACK, [fit(position=-(2**31) - 1)], {})
@example(TRACK, [fit(occurredAt=MOMENTS[4])], {})
@example(TRACK_JSON, [fit(occurredAt=MOMENTS[4])], {})
@example(TRACK_JSON, [fit(occurredAt=MOMENTS[4]), fit(eventId=IDS[1], occurredAt=MOMENTS[13])], {})
async def test_events_are_taken_and_answered_as_by_strawberry(
    writes: Pair, query: str, events: Any, sent_at: dict[str, Any]
) -> None:
    await writes.same(json.dumps(write(query, events, **sent_at), ensure_ascii=False).encode())


@PROPERTY
@given(st.sampled_from(WRITES), st.lists(fit_events(), max_size=4))
async def test_fit_events_are_not_replayed(writes: Pair, query: str, events: list[Any]) -> None:
    with answered("compiled"):
        await writes.same(json.dumps(write(query, events)).encode())


@PROPERTY
@given(st.dictionaries(st.sampled_from(["query", "variables", "operationName", "documentId", "extensions", "x"]),
    ODD_VALUES | st.sampled_from([TRACK, USER, "Track", "Parts", {"input": {"events": []}}, {"a": {"b": "c"}}])),
)  # fmt: skip
async def test_odd_requests_are_answered_as_by_strawberry(writes: Pair, changes: dict[str, Any]) -> None:
    request = write(PARTS, [fit()]) | changes
    await writes.same(json.dumps(request).encode())


@PROPERTY
@given(
    st.sampled_from(
        [write(TRACK, [fit(), fit(eventId=IDS[1], category="é")]), write(LATER, [fit(properties={"a": 1})])]
    ),
    st.integers(0, 2000),
    st.integers(0, 20),
    st.sampled_from(
        [b"", b"\xff", b"\x00", b'"', b"{", b"}", b"1e999", b"\\ud800", b"[" * 2000, b',"variables":5', b"-0"]
    ),
)
async def test_broken_bodies_are_answered_as_by_strawberry(
    writes: Pair, request: dict[str, Any], place: int, gap: int, put: bytes
) -> None:
    body = json.dumps(request, ensure_ascii=False).encode()
    place = min(place, len(body))
    await writes.same(body[:place] + put + body[place + gap :])


@pytest.mark.parametrize("body", [
    b'{"query":%(q)b,"variables":{"input":{"events":[]}},"variables":{"input":{"events":5}}}',
    b'{"query":%(q)b,"variables":{"input":{"events":1e999}},"variables":{"input":{"events":[]}}}',
    b'{"query":%(q)b,"variables":{"input":{"events":[],"events":[null]}}}',
    b'{"query":%(q)b,"query":"{__typename}","variables":{"input":{"events":[]}}}',
    b'{"query":"{__typename}","query":%(q)b,"variables":{"input":{"events":[]}}}',
    b'{"query":%(q)b,"x":"\xff","variables":{"input":{"events":[]}}}',
    b'{"x":1e999,"query":%(q)b,"variables":{"input":{"events":[]}}}',
    b'{"variables":{"input":{"events":[]}},"query":%(q)b} ',
    b'{"variables":{"input":{"events":[]}},"query":%(q)b} x',
    b'\xef\xbb\xbf{"variables":{"input":{"events":[]}},"query":%(q)b}',
])  # fmt: skip
async def test_repeated_keys_and_what_is_skipped_change_nothing(writes: Pair, body: bytes) -> None:
    await writes.same(body % {b"q": json.dumps(TRACK).encode()})


@PROPERTY
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "id": st.sampled_from(["ann", "nobody", "", "x" * 257, 7, None]),
            "at": TIMES,
            "names": st.lists(st.sampled_from(["revenue30d", "topItems", "lastSeenAt", "nothing"])) | ODD_VALUES,
            "ms": ODD_VALUES,
            "after": st.sampled_from([None, "nonsense", 5]),
            "ids": st.lists(st.sampled_from(["ann", "nobody", ""]), max_size=3) | ODD_VALUES,
            "other": ODD_VALUES,
        },
    ),
    st.sampled_from([USER, USERS, PIECES, CONSTANT, _FEATURES]),
)
@example({"id": "ann", "at": MOMENTS[4]}, USER)
@example({"ids": ["ann", "nobody", "ann"]}, USERS)
@example({"ids": ["ann", "nobody", "ann"]}, PIECES)
@example({"ids": ["ann"] * 101}, USERS)
async def test_reads_are_answered_as_by_strawberry(reads: Pair, variables: dict[str, Any], query: str) -> None:
    await reads.same(json.dumps({"query": query, "variables": variables}).encode())


async def test_fragments_are_compiled(reads: Pair) -> None:
    with answered("compiled"):
        await reads.same(json.dumps({"query": PIECES, "variables": {"ids": ["ann"]}}).encode())


PROVENANCE = [
    "version", "window", "coveredFrom", "asOf", "lastEventAt", "lateEvents", "duplicateEvents", "approximate",
    "countsFrom", "reason",
]  # fmt: skip


@st.composite
def selections(draw: st.DrawFn) -> str:
    """Queries of a user with any features and any of their fields, some in fragments, some more than once."""

    def fields(of: list[str], aliased: bool = False) -> str:
        chosen = draw(st.lists(st.sampled_from([*of, "__typename"]), min_size=1, max_size=4, unique=True))
        return " ".join(f"last: {name}" if aliased and name == chosen[-1] else name for name in chosen)

    def feature(name: str) -> str:
        kind = next(feature.kind for feature in CATALOGUE.features if feature.name == name)
        value = "value { key score }" if kind == "scored_list" else "value"
        return f"{name} {{ {fields([*PROVENANCE, value])} }}"

    known = st.sampled_from([feature.name for feature in CATALOGUE.features])
    names = draw(st.lists(known, min_size=1, max_size=8, unique=True))
    listed = f"featureValues {{ {fields([*PROVENANCE, 'name', 'value'], aliased=True)} }}"
    parts = ["id", "fresh", listed, f"features {{ {' '.join(map(feature, names))} }}"]
    fragments = " ".join(f"fragment F{place} on User {{ {part} }}" for place, part in enumerate(parts))
    wraps = ["{part}", "... {{ {part} }}", "... on User {{ {part} ...F{place} }}", "...F{place}"]
    chosen = draw(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(wraps)), min_size=1, max_size=5))
    selected = [wrap.format(part=parts[place], place=place) for place, wrap in chosen]
    unused = [place for place in range(4) if not any(f"...F{place}" in text for text in selected)]
    selected += [f"...F{place}" for place in unused]
    return f'{{ user(id: "ann") {{ {" ".join(selected)} }} }} {fragments}'


@PROPERTY
@given(selections())
async def test_any_selection_is_answered_as_by_strawberry(reads: Pair, query: str) -> None:
    await reads.learn(query)
    with answered("compiled"):
        answer = await reads.same(json.dumps({"query": query}).encode())
    assert b"errors" not in answer.body
