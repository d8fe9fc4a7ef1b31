"""A client that measures a server over HTTP: as fast as it answers, or at a given rate."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Final

import aiohttp

from benchmarks.harness import Sample
from benchmarks.processes import ServerProcess, ServersCpu
from benchmarks.servers import Servers

_AT_ONCE: Final = 16
_WARM_UP: Final = 0.2
"""Of the time that is measured."""


async def closed(
    server: ServerProcess, path: str, bodies: Sequence[bytes], seconds: float, case: str, servers: Servers
) -> Sample:
    """Sixteen requests at a time for so many seconds."""
    async with _session() as session:
        turn = itertools.cycle(bodies)
        await _until(time.monotonic() + seconds * _WARM_UP, session, server.url + path, turn)
        servers_cpu = ServersCpu(servers)
        cpu, began = server.cpu_seconds(), time.perf_counter()
        latencies_ms = await _until(time.monotonic() + seconds, session, server.url + path, turn)
        wall_seconds = time.perf_counter() - began
        cpu_seconds = server.cpu_seconds() - cpu
    return Sample(case, len(latencies_ms), wall_seconds, cpu_seconds, servers_cpu.spent(), percentiles(latencies_ms))


async def at_rate(
    server: ServerProcess, path: str, bodies: Sequence[bytes], seconds: float, rate: float, case: str, servers: Servers
) -> Sample:
    """An open model: a slow answer delays no other request, and its wait counts from its own time."""
    latencies_ms: list[float] = []
    async with _session() as session:

        async def one(body: bytes, due: float) -> None:
            await _post(session, server.url + path, body)
            latencies_ms.append((time.perf_counter() - due) * 1000)

        servers_cpu = ServersCpu(servers)
        cpu, began = server.cpu_seconds(), time.perf_counter()
        async with asyncio.TaskGroup() as answers:
            for number, body in zip(range(max(2, int(rate * seconds))), itertools.cycle(bodies), strict=False):
                due = began + number / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                answers.create_task(one(body, due))
        wall_seconds = time.perf_counter() - began
        cpu_seconds = server.cpu_seconds() - cpu
    return Sample(case, len(latencies_ms), wall_seconds, cpu_seconds, servers_cpu.spent(), percentiles(latencies_ms))


def percentiles(milliseconds: Sequence[float]) -> dict[str, float]:
    """p50 and p99 of at least two samples."""
    cuts = statistics.quantiles(milliseconds, n=100, method="inclusive")
    return {"p50_ms": cuts[49], "p99_ms": cuts[98]}


async def ask(server: ServerProcess, path: str, body: bytes) -> bytes:
    """One request."""
    async with _session() as session:
        return await _post(session, server.url + path, body)


async def _until(deadline: float, session: aiohttp.ClientSession, url: str, bodies: Iterator[bytes]) -> list[float]:
    latencies_ms: list[float] = []

    async def take_turns() -> None:
        while time.monotonic() < deadline:
            began = time.perf_counter()
            await _post(session, url, next(bodies))
            latencies_ms.append((time.perf_counter() - began) * 1000)

    await asyncio.gather(*(take_turns() for _ in range(_AT_ONCE)))
    return latencies_ms


async def _post(session: aiohttp.ClientSession, url: str, body: bytes) -> bytes:
    async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as response:
        answer = await response.read()
        if response.status != 200:
            raise RuntimeError(f"HTTP {response.status}: {answer[:300]!r}")
        return answer


def _session() -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=60)
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout)
