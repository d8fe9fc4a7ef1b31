"""How long an answered mutation takes to be readable through GraphQL, at shares of what the machine can do."""

from __future__ import annotations

import itertools
import sys
import time
from functools import partial
from typing import Final

import uvloop

from benchmarks.bench import Bench
from benchmarks.harness import HEADRACE, Entry, Sample, Side, WrongResult, alternate
from benchmarks.http_load import percentiles
from benchmarks.processes import ServerProcess, ServersCpu
from benchmarks.servers import NAMES, free_ports
from cli.system import ROOT
from loadgen.client import Client
from loadgen.drive import Books, Driver
from loadgen.traffic import Shape, plan
from runtime.settings import ApiSettings, Settings, WorkerSettings, as_environment
from schemas.receipts import decode_receipt

CAPACITY, LOW, HIGH = "capacity", "20 % of capacity", "70 % of capacity"
_SHARES: Final = {LOW: 0.2, HIGH: 0.7}
_PROBES_PER_SECOND: Final = 50
_SETTLING_SECONDS: Final = 3

_runs = itertools.count()


def measure(bench: Bench) -> Entry:
    """One API process and one worker; shopping sessions in requests of a few events, as an app's SDK sends them."""
    bench.servers.refill([])
    api_port, worker_port = free_ports(2)
    settings = bench.servers.new_store(
        api=ApiSettings(port=api_port, admin_port=0),  # type: ignore[call-arg]
        worker=WorkerSettings(port=worker_port),  # type: ignore[call-arg]
    )
    with (
        _service(bench, settings, "api", api_port) as api,
        _service(bench, settings, "worker", worker_port) as worker,
    ):
        rows = alternate([Side(HEADRACE, partial(_run, bench, api, worker))], bench.runs, bench.say)
    bench.servers.drop(settings.cassandra.keyspace)
    return Entry(
        name="freshness",
        title="From a mutation's answer to a read that shows its events (by receipt, over HTTP)",
        item="event",
        servers=f"{NAMES}, which is also the sender's",
        rows=rows,
        notes=[
            "Capacity: everything due at once, until all of it is readable; measured anew in every run, then 20 % "
            f"and 70 % of it as an open model, after {_SETTLING_SECONDS} s of the same, in which connections are made. "
            "CPU is that of the API and the worker together; the sender's garbage collector is off.",
            f"Up to {_PROBES_PER_SECOND} requests a second are followed until a read shows them; 5 % of the events "
            "come twice, 5 % out of order, 1 % are invalid, and all verdicts were as planned.",
        ],
    )


def _service(bench: Bench, settings: Settings, role: str, port: int) -> ServerProcess:
    return ServerProcess(
        [sys.executable, ROOT / "headrace.py", role],
        port=port,
        environment=as_environment(settings),
        log=bench.log(f"headrace-{role}"),
        ready_path="/readyz",
    )


def _run(bench: Bench, api: ServerProcess, worker: ServerProcess) -> list[Sample]:
    drive = partial(_drive, bench, api, worker)
    uvloop.run(drive(CAPACITY, events=bench.size(2_000, 1_000), rate=None))  # warms both processes up
    capacity = uvloop.run(drive(CAPACITY, events=bench.size(10_000, 2_000), rate=None))
    samples = [capacity]
    for case, share in _SHARES.items():
        rate = max(1, round(share * capacity.items / capacity.wall_seconds))
        samples.append(uvloop.run(drive(case, events=rate * bench.size(20, 4), rate=rate)))
    return samples


async def _drive(
    bench: Bench, api: ServerProcess, worker: ServerProcess, case: str, *, events: int, rate: int | None
) -> Sample:
    """Send events at a rate, or all at once; returns when all that was accepted is readable."""
    requests = plan(Shape(events, rate or events, seed=7), run=f"bench-{next(_runs)}")
    if rate is None:
        for request in requests:
            request.due_ms = 0
    books = Books()
    async with Client(api.url) as client:
        if rate is not None:
            settling = plan(Shape(rate * _SETTLING_SECONDS, rate, seed=7), run=f"bench-{next(_runs)}")
            await Driver(client, Books(), probes_per_second=_PROBES_PER_SECOND).run(settling)
        servers_cpu = ServersCpu(bench.servers)
        cpu = api.cpu_seconds() + worker.cpu_seconds()
        began = time.perf_counter()
        await Driver(client, books, probes_per_second=_PROBES_PER_SECOND if rate else 0.01).run(requests)
        await _all_readable(client, books)
    wall_seconds = time.perf_counter() - began
    cpu_seconds = api.cpu_seconds() + worker.cpu_seconds() - cpu
    if books.surprises or books.stale:
        raise WrongResult(f"{case}: {[*books.surprises, *books.stale][0]}")
    figures = percentiles(books.freshness_ms) if rate else {}
    return Sample(case, books.accepted, wall_seconds, cpu_seconds, servers_cpu.spent(), figures)


async def _all_readable(client: Client, books: Books) -> None:
    """Wait for the farthest event of each partition."""
    farthest: dict[int, tuple[int, str, str]] = {}
    for user_id, receipt in books.receipts.items():
        position = decode_receipt(receipt)
        mark = (position.offset, user_id, receipt)
        farthest[position.partition] = max(farthest.get(position.partition, mark), mark)
    for _, user_id, receipt in farthest.values():
        while not await client.wait_until_fresh(user_id, receipt):
            pass
