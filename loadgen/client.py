"""A client application as a team would write one: GraphQL over HTTP, resending what is to be retried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

import aiohttp
import orjson

from loadgen.traffic import Mutation

_PAYLOAD: Final = "{ acceptedCount rejected { index code } retry { index } receipt }"
_TRACK: Final[dict[Mutation, str]] = {
    "trackEvents": f"mutation Track($input: TrackEventsInput!) {{ trackEvents(input: $input) {_PAYLOAD} }}",
    "trackEventsJson": f"mutation Track($events: [JSON!]!) {{ trackEventsJson(events: $events) {_PAYLOAD} }}",
}
_FRESH: Final = (
    "query Fresh($id: ID!, $after: String, $deadline: Int!) { user(id: $id, after: $after, deadlineMs: $deadline) "
    "{ fresh features { lastSeenAt { value } } } }"
)
_USER: Final = (
    "query User($id: ID!, $after: String, $deadline: Int!, $cursor: String) "
    "{ user(id: $id, after: $after, deadlineMs: $deadline) "
    "{ fresh featureValues { name value approximate asOf duplicateEvents } timeline(first: 500, after: $cursor) "
    "{ edges { node { eventId } } pageInfo { hasNextPage endCursor } } } }"
)
_FEATURES: Final = "query Features($id: ID!) { user(id: $id) { featureValues { name value } } }"
_SECONDS: Final = aiohttp.ClientTimeout(total=30)
_CONNECTIONS: Final = 100


class ApiAnswer(Exception):
    """The API answered with an error instead of data."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """The verdicts on a request: places of the rejected events with their code, and places to send again."""

    accepted: int
    rejected: dict[int, str]
    retry: list[int]
    receipt: str | None


@dataclass(frozen=True, slots=True)
class ServedUser:
    """A user as served: feature values as JSON, derived at `as_of_ms`, and the event ids of the timeline.

    `duplicate_events` came again and were not counted. `approximate` names the features that say that they are.
    """

    fresh: bool
    values: dict[str, Any]
    as_of_ms: int
    duplicate_events: int
    timeline: list[str]
    approximate: frozenset[str] = frozenset()


class Client:
    """One HTTP session to the API at `base_url`; `deadline_ms` is how long a read may wait for a receipt."""

    def __init__(self, base_url: str) -> None:
        self._url = f"{base_url}/graphql"
        self.deadline_ms = 10_000

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
        self._session = aiohttp.ClientSession(connector=connector, timeout=_SECONDS)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._session.close()

    async def track(self, mutation: Mutation, events: Sequence[dict[str, Any]]) -> Tracked:
        """Send events that carry `eventTime` in ms. Raises ApiAnswer, aiohttp.ClientError or TimeoutError."""
        sent = [as_sent(event) for event in events]
        variables = {"input": {"events": sent}} if mutation == "trackEvents" else {"events": sent}
        payload = (await self.ask(_TRACK[mutation], variables))[mutation]
        return Tracked(
            payload["acceptedCount"],
            {entry["index"]: entry["code"] for entry in payload["rejected"]},
            [entry["index"] for entry in payload["retry"]],
            payload["receipt"],
        )

    async def wait_until_fresh(self, user_id: str, receipt: str) -> bool:
        """Returns once a read shows what the receipt stands for; False if that did not happen in time."""
        data = await self.ask(_FRESH, {"id": user_id, "after": receipt, "deadline": self.deadline_ms})
        return bool(data["user"]["fresh"])

    async def user(self, user_id: str, receipt: str | None) -> ServedUser:
        """Everything about a user, the whole timeline included."""
        timeline: list[str] = []
        cursor = None
        while True:
            variables = {"id": user_id, "after": receipt, "deadline": self.deadline_ms, "cursor": cursor}
            user = (await self.ask(_USER, variables))["user"]
            timeline += [edge["node"]["eventId"] for edge in user["timeline"]["edges"]]
            page = user["timeline"]["pageInfo"]
            if not page["hasNextPage"]:
                break
            cursor = page["endCursor"]
        values = user["featureValues"]
        as_of = datetime.fromisoformat(values[0]["asOf"])
        return ServedUser(
            user["fresh"],
            {each["name"]: each["value"] for each in values},
            round(as_of.timestamp() * 1000),
            values[0]["duplicateEvents"],
            timeline,
            frozenset(each["name"] for each in values if each["approximate"]),
        )

    async def features(self, user_id: str) -> dict[str, Any]:
        """The feature values at this moment, by name."""
        user = (await self.ask(_FEATURES, {"id": user_id}))["user"]
        return {each["name"]: each["value"] for each in user["featureValues"]}

    async def ask(self, query: str, variables: dict[str, Any]) -> Any:
        """The data of an operation. Raises ApiAnswer, aiohttp.ClientError or TimeoutError."""
        body = orjson.dumps({"query": query, "variables": variables})
        async with self._session.post(self._url, data=body, headers={"Content-Type": "application/json"}) as response:
            answer = orjson.loads(await response.read())
        if answer.get("errors"):
            raise ApiAnswer(f"HTTP {response.status}: {answer['errors'][0]['message']}")
        return answer["data"]


def as_sent(event: dict[str, Any]) -> dict[str, Any]:
    """The event as a client writes it: `occurredAt` instead of our `eventTime` in ms."""
    fields = {name: value for name, value in event.items() if name != "eventTime"}
    moment = datetime.fromtimestamp(event["eventTime"] / 1000, UTC)
    return {**fields, "occurredAt": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
