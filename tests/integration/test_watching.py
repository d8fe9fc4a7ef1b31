"""Watching features on real servers: over both protocols, at every API, across restarts, and from the command line."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from cli.system import ROOT, Service
from runtime.settings import as_environment
from tests.conftest import free_ports
from tests.integration.world import World, until, view

WATCH = """subscription($id: ID!, $names: [String!], $after: String) {
    featuresChanged(userId: $id, names: $names, after: $after) { token featureValues { name value } } }"""


@pytest.fixture
def ann() -> str:
    """A user of this test only."""
    return f"ann-{uuid.uuid4()}"


def other_api() -> Service:
    """A second API of the same cluster."""
    return Service("api-2", "api", *free_ports(2))


def variables(user_id: str, after: str = "") -> dict[str, Any]:
    return {"id": user_id, "names": ["viewCount24h"], "after": after}


def views(change: Any) -> Any:
    return change["featureValues"][0]["value"]


class OverSocket:
    """graphql-transport-ws."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def change(self) -> Any:
        message = json.loads(await self.socket.receive_str(timeout=60))
        assert message["type"] == "next", message
        return message["payload"]["data"]["featuresChanged"]


class OverEvents:
    """graphql-sse."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer

    async def event(self) -> bytes:
        """Up to the empty line; empty at the end of the answer."""
        event = b""
        async with asyncio.timeout(60):
            while line := await self.answer.content.readline():
                if line == b"\r\n":
                    return event
                event += line
        return event

    async def change(self) -> Any:
        event = (await self.event()).decode()
        assert event.startswith("event: next\r\ndata: "), event
        return json.loads(event.removeprefix("event: next\r\ndata: "))["data"]["featuresChanged"]


@asynccontextmanager
async def over_socket(world: World, service: Service, user_id: str, after: str = "") -> AsyncIterator[OverSocket]:
    url = f"{service.url}/graphql"
    async with world.http.ws_connect(url, protocols=("graphql-transport-ws",)) as socket:
        await socket.send_json({"type": "connection_init"})
        assert json.loads(await socket.receive_str())["type"] == "connection_ack"
        payload = {"query": WATCH, "variables": variables(user_id, after)}
        await socket.send_json({"type": "subscribe", "id": "1", "payload": payload})
        yield OverSocket(socket)


@asynccontextmanager
async def over_events(world: World, service: Service, user_id: str, after: str = "") -> AsyncIterator[OverEvents]:
    body = {"query": WATCH, "variables": variables(user_id, after)}
    headers = {"Accept": "text/event-stream"}
    async with world.http.post(f"{service.url}/graphql", json=body, headers=headers) as answer:
        assert answer.content_type == "text/event-stream"
        yield OverEvents(answer)


async def test_a_change_is_seen_over_both_protocols_at_every_api(world: World, ann: str) -> None:
    second = other_api()
    await world.start(world.api, second, world.worker)
    async with over_socket(world, world.api, ann) as first, over_events(world, second, ann) as other:
        for watcher in (first, other):
            assert views(await watcher.change()) is None
        for count in (1, 2, 3):
            await world.client.track("trackEvents", [view(ann)])
            assert [views(await first.change()), views(await other.change())] == [count, count]
        for service in (world.api, second):
            assert await world.metric(service, "headrace_watchers") == 1

    async def forgotten() -> bool:
        return [await world.metric(service, "headrace_watchers") for service in (world.api, second)] == [0, 0]

    await until(forgotten, 60, "nobody who watches")


async def test_behind_a_token_nothing_is_missed_across_a_restart_of_the_api(world: World, ann: str) -> None:
    second = other_api()
    await world.start(world.api, second, world.worker)
    async with over_socket(world, second, ann) as socket, over_events(world, second, ann) as events:
        assert views(await socket.change()) is None
        await events.change()
        await world.client.track("trackEvents", [view(ann)])
        token = (await socket.change())["token"]
        await events.change()
        await world.stop(second)
        assert (await socket.socket.receive()).data == 1012
        assert await events.event() == b"", "a stream that is cut must not look complete"
    receipt = (await world.client.track("trackEvents", [view(ann), view(ann)])).receipt
    assert receipt is not None
    assert await world.client.wait_until_fresh(ann, receipt)
    await world.start(second)
    async with over_socket(world, second, ann, after=token) as again:
        assert views(await again.change()) == 3
        await world.client.track("trackEvents", [view(ann)])
        assert views(await again.change()) == 4


async def test_a_kafka_that_was_away_is_followed_again(world: World, ann: str) -> None:
    stack = world.system.stack
    await world.start(world.api, world.worker)
    async with over_socket(world, world.api, ann) as watcher:
        assert views(await watcher.change()) is None
        await world.client.track("trackEvents", [view(ann)])
        assert views(await watcher.change()) == 1
        try:
            await asyncio.to_thread(stack.stop, "kafka", kill=True)
        finally:
            await asyncio.to_thread(stack.start, "kafka")

        async def accepted() -> bool:
            return (await world.client.track("trackEvents", [view(ann)])).accepted == 1

        await until(accepted, 60, "an event that is taken")
        assert views(await watcher.change()) >= 2


async def test_a_message_that_is_too_large_closes_the_socket(world: World) -> None:
    await world.start(world.api)
    async with world.http.ws_connect(f"{world.api.url}/graphql", protocols=("graphql-transport-ws",)) as socket:
        await socket.send_str("x" * ((1 << 20) + 1))
        assert (await socket.receive()).data == 1009


@asynccontextmanager
async def command(world: World, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`./headrace features watch`, as a process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "headrace.py"),
        "features",
        "watch",
        *arguments,
        cwd=ROOT,
        env={**os.environ, **as_environment(world.system.settings)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def line(stream: asyncio.StreamReader | None) -> str:
    assert stream is not None
    return (await asyncio.wait_for(stream.readline(), 60)).decode().strip()


async def test_the_command_prints_changes_across_a_restart_of_the_api_until_ctrl_c(world: World, ann: str) -> None:
    await world.start(world.api, world.worker)
    async with command(world, ann, "--names", "viewCount24h,recentItems", "--json") as process:
        first = json.loads(await line(process.stdout))
        assert (first["userId"], first["values"]) == (ann, {"viewCount24h": None, "recentItems": None})
        await world.client.track("trackEvents", [view(ann)])
        change = json.loads(await line(process.stdout))
        assert change["values"] == {"viewCount24h": 1, "recentItems": ["sku-1"]}
        await world.stop(world.api)
        assert "the API went away" in await line(process.stderr)
        await world.start(world.api)
        assert "the API is back" in await line(process.stderr)
        await world.client.track("trackEvents", [view(ann)])
        assert json.loads(await line(process.stdout))["values"]["viewCount24h"] == 2
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 60) == 0


async def test_the_command_shows_eyes_what_has_changed(world: World, ann: str) -> None:
    await world.start(world.api, world.worker)
    async with command(world, ann, "--names", "viewCount24h,purchaseCount24h") as process:
        shown = [(await line(process.stdout)).split()[1:] for _ in range(2)]
        assert shown == [["viewCount24h", "null"], ["purchaseCount24h", "null"]]
        await world.client.track("trackEvents", [view(ann)])
        shown = [(await line(process.stdout)).split()[1:] for _ in range(2)]
        assert shown == [["viewCount24h", "1"], ["purchaseCount24h", "0"]]
        await world.client.track("trackEvents", [view(ann)])
        assert (await line(process.stdout)).split()[1:] == ["viewCount24h", "2"]


async def test_the_command_says_in_three_lines_what_is_wrong(world: World) -> None:
    async with command(world, "ann") as process:
        errors = (await process.communicate())[1].decode()
    assert (process.returncode, len(errors.splitlines())) == (4, 3), errors
    assert "does not answer" in errors
    await world.start(world.api)
    async with command(world, "ann", "--names", "viewCount1") as process:
        errors = (await process.communicate())[1].decode()
    assert (process.returncode, len(errors.splitlines())) == (7, 3), errors
    assert "did you mean viewCount1h" in errors
