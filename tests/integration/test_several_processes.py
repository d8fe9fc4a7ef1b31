"""Several APIs on one port and several workers: what each does, and how their numbers change."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from typing import Any

import aiohttp
import psutil

from cli.system import ROOT, Service, System
from loadgen.traffic import Shape
from runtime.settings import ApiSettings, Settings, as_environment
from stack.ports import is_free
from tests.conftest import free_ports
from tests.integration.world import World, until

TRACK = "mutation($events: [JSON!]!) { trackEventsJson(events: $events) { acceptedCount } }"


def second_api(world: World) -> Service:
    return dataclasses.replace(world.api, name="api-2", admin_port=free_ports(1)[0])


async def track_over_new_connection(world: World) -> None:
    """Send an event, which the kernel may deal out to any of the APIs; it must be accepted."""
    event = {
        "eventId": str(uuid.uuid4()),
        "type": "view_item",
        "userId": f"several-{uuid.uuid4()}",
        "occurredAt": datetime.now(UTC).isoformat(),
    }
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{world.api.url}/graphql", json={"query": TRACK, "variables": {"events": [event]}}) as response,
    ):
        answer: dict[str, Any] = await response.json()
    assert answer["data"]["trackEventsJson"]["acceptedCount"] == 1


async def test_both_apis_of_a_port_get_requests_and_one_takes_them_all_when_the_other_is_killed(world: World) -> None:
    second = second_api(world)
    await world.start(world.api)
    await world.start(second)

    async def both_asked() -> bool:
        await track_over_new_connection(world)
        asked = [await world.metric(each, "headrace_request_seconds_count") for each in (world.api, second)]
        return min(asked) > 0

    await until(both_asked, what="a request to each API")
    await world.stop(second, kill=True)
    before = await world.metric(world.api, "headrace_request_seconds_count")
    for _ in range(50):
        await track_over_new_connection(world)
    assert await world.metric(world.api, "headrace_request_seconds_count") == before + 50
    assert (await world.readyz(second)) == (False, {})
    assert (await world.readyz(world.api))[0]


async def test_an_api_that_leaves_under_traffic_loses_and_doubles_nothing(world: World) -> None:
    second = second_api(world)
    await world.start(world.api, world.worker)
    await world.start(second)
    traffic = await world.drive(Shape(events=3_000, rate=500, seed=31))
    await traffic.sent(800)
    await world.stop(second)
    await traffic.sent(1_600)
    await world.start(second)
    assert await world.mismatches(await traffic.finished()) == []


async def test_up_starts_the_missing_stops_the_surplus_and_leaves_alone_what_it_is_not_told(world: World) -> None:
    settings = with_consecutive_ports(world.system.settings)

    async def up(*numbers: str) -> dict[str, int]:
        """Run `up`; the pid of each process of ours, all of which must be ready."""
        result = await asyncio.to_thread(headrace, settings, "up", "--json", *numbers)
        assert result.returncode == 0, result.stderr
        processes = [each for each in json.loads(result.stdout)["processes"] if each["role"] in ("api", "worker")]
        assert all(process["ready"] for process in processes)
        admins = {process["admin"] for process in processes}
        assert len(admins) == len(processes), "each can be asked by itself"
        return {process["name"]: process["pid"] for process in processes}

    two = await up("--api", "2", "--workers", "2")
    assert sorted(two) == ["api", "api-2", "worker", "worker-2"]
    assert await up() == two
    os.kill(two["api-2"], signal.SIGKILL)
    await until(lambda: is_gone(two["api-2"]), what="the end of an API")
    healed = await up()
    assert healed.keys() == two.keys()
    assert {name for name in two if healed[name] != two[name]} == {"api-2"}
    two = healed
    three = await up("--api", "3")
    assert three.items() > two.items()
    one = await up("--api", "1", "--workers", "1")
    assert one == {name: two[name] for name in ("api", "worker")}
    await asyncio.to_thread(System(settings, print).stop_all_but, ("kafka", "cassandra"))
    assert {process.role for process in world.system.stack.keeper.all()} == {"kafka", "cassandra"}


async def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def headrace(settings: Settings, *arguments: str) -> Any:
    """Run `headrace.py` with these settings."""
    return subprocess.run(
        [sys.executable, str(ROOT / "headrace.py"), *arguments],
        cwd=ROOT,
        env={**os.environ, **as_environment(settings)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def with_consecutive_ports(settings: Settings) -> Settings:
    """The same system with three free admin ports in a row for APIs, and two free ports in a row for workers."""

    def first_of(count: int) -> int:
        while True:
            [port] = free_ports(1)
            if all(is_free("127.0.0.1", each) for each in range(port, port + count)):
                return port

    api = ApiSettings(port=free_ports(1)[0], admin_port=first_of(3))  # type: ignore[call-arg]
    return settings.model_copy(update={"api": api, "worker": settings.worker.model_copy(update={"port": first_of(2)})})


async def test_an_api_whose_port_is_taken_by_a_stranger_says_so_and_ends(world: World) -> None:
    settings = with_consecutive_ports(world.system.settings)
    for port in (settings.api.port, settings.api.admin_port):
        holder = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
        try:
            result = await asyncio.to_thread(headrace, settings, "api")
        finally:
            holder.close()
            await holder.wait_closed()
        assert result.returncode == 1
        assert f"cannot listen on 127.0.0.1:{port}" in result.stderr
