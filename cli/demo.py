"""`./headrace demo`: everything started, a shop's traffic sent through the front door, and every user verified."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Final

import aiohttp
import uvloop
from rich.console import Console
from rich.live import Live

from cli.demo_view import Progress, percentile, render
from cli.system import System
from loadgen.client import ApiAnswer, Client
from loadgen.drive import Books, Driver
from loadgen.traffic import Request, Shape, plan
from loadgen.verify import verify
from runtime.settings import Settings

Report = Callable[[str], None]

_LINES_EVERY_SECONDS: Final = 2.0
_FRAMES_EVERY_SECONDS: Final = 0.25
_WATCHED_USERS: Final = 3
_PROBES_PER_SECOND: Final = 25
_SHOWN_MISMATCHES: Final = 10
# The first requests of JVMs that have just been started take ten times as long: they load and compile classes.
_WARM_UP: Final = Shape(events=500, rate=500, seed=0, duplicated=0)  # resent events would come seconds later


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run showed; `warm_up` are the books of the traffic before it, where there was any."""

    books: Books
    warm_up: Books
    users: int
    mismatches: list[str]
    seconds: float

    @property
    def ok(self) -> bool:
        """Nothing accepted is missing, nothing counts twice, no feature differs, and every verdict was as planned."""
        return not (self.mismatches or self.out_of_plan)

    @property
    def out_of_plan(self) -> list[str]:
        """Verdicts that were not as planned, and reads that did not show an answered mutation in time."""
        return [line for books in (self.warm_up, self.books) for line in (*books.surprises, *books.stale)]

    def summary(self) -> dict[str, object]:
        """As printed by `--json`."""
        books = self.books
        return {
            "sent": books.sent,
            "accepted": books.accepted,
            "rejected": books.rejected,
            "retried": books.retried,
            "duplicatesSent": books.duplicates_sent,
            "usersVerified": self.users,
            "mismatches": len(self.mismatches),
            "freshnessMs": {"p50": percentile(books.freshness_ms, 50), "p99": percentile(books.freshness_ms, 99)},
            "eventsPerSecond": round(books.accepted / self.seconds, 1),
            "seconds": round(self.seconds, 2),
        }


def demo(settings: Settings, *, events: int, seed: int, rate: int, once: bool, as_json: bool, report: Report) -> bool:
    """Run it; whether everything was as it must be. What this has started is stopped again if `once`."""
    system = System(settings, report)
    found = system.stack.keeper.all()
    found_running = {process.name for process in found}
    cold = not {"kafka", "cassandra"} <= {process.role for process in found}
    try:
        system.up()
        outcome = uvloop.run(send_and_verify(system, Shape(events, rate, seed), report, cold=cold))
        _print(outcome, as_json=as_json, report=report)
    finally:
        if once:
            system.stop_all_but(found_running)
    if not once:
        report("left running; ./headrace status shows it, ./headrace down stops it")
        for line in system.address_lines():
            report(line)
    return outcome.ok


async def send_and_verify(system: System, shape: Shape, report: Report, *, cold: bool) -> Outcome:
    """Send the traffic to a system that runs and compare every user; a `cold` one is warmed up first."""
    async with Client(system.api.url) as client:
        warm_up = Books()
        if cold:
            report(f"warming up with {_WARM_UP.events} events that are verified, but not counted")
            await Driver(client, warm_up, probes_per_second=_PROBES_PER_SECOND).run(plan(_WARM_UP, _new_run("warm-up")))
        mismatches = await verify(client, warm_up, lambda done, total: None)
        requests = plan(shape, _new_run("demo"))
        books = Books()
        progress = Progress(books, planned=shape.events, watched=dict.fromkeys(_busiest(requests)))
        showing = asyncio.create_task(_show(client, progress, report))
        seconds = await Driver(client, books, probes_per_second=_PROBES_PER_SECOND).run(requests)
        progress.sending_seconds = seconds
        mismatches += await verify(client, books, progress.note_verified)
        showing.cancel()
        with suppress(asyncio.CancelledError):
            await showing
    return Outcome(books, warm_up, len(books.accepted_events), mismatches, seconds)


def _new_run(name: str) -> str:
    return f"{name}-{time.time_ns() // 1_000_000:x}"


def _busiest(requests: list[Request]) -> list[str]:
    """Users in whom something will be seen to change."""
    counts = Counter(request.user_id for request in requests)
    return [user_id for user_id, _ in counts.most_common(_WATCHED_USERS)]


async def _show(client: Client, progress: Progress, report: Report) -> None:
    """Until cancelled: a table that changes in place, or a line now and then where there is no terminal."""
    console = Console(stderr=True)
    live = Live(render(progress), console=console, auto_refresh=False) if console.is_terminal else None
    with live or nullcontext():
        while True:
            await asyncio.sleep(_FRAMES_EVERY_SECONDS if live else _LINES_EVERY_SECONDS)
            await _look_at_watched(client, progress)
            if live is not None:
                live.update(render(progress), refresh=True)
            else:
                for line in (progress.line(), *progress.user_lines()):
                    report(line)


async def _look_at_watched(client: Client, progress: Progress) -> None:
    with suppress(ApiAnswer, aiohttp.ClientError, TimeoutError):  # shown again next time
        for user_id in progress.watched:
            progress.watched[user_id] = await client.features(user_id)


def _print(outcome: Outcome, *, as_json: bool, report: Report) -> None:
    for mismatch in outcome.mismatches[:_SHOWN_MISMATCHES]:
        report(f"MISMATCH {mismatch}")
    for surprise in outcome.out_of_plan[:_SHOWN_MISMATCHES]:
        report(f"SURPRISE {surprise}")
    summary = outcome.summary()
    if as_json:
        print(json.dumps(summary))
        return
    books = outcome.books
    freshness = summary["freshnessMs"]
    assert isinstance(freshness, dict)
    print(
        f"sent {books.sent} events in {outcome.seconds:.1f} s ({summary['eventsPerSecond']} accepted per second): "
        f"{books.accepted} accepted, {books.rejected} rejected, {books.retried} retried\n"
        f"{books.duplicates_sent} were sent twice and count once\n"
        f"freshness: a new value was readable {freshness['p50']} ms (p50), {freshness['p99']} ms (p99) after the "
        "mutation's answer\n"
        f"verified {outcome.users} users, every feature and the whole timeline, against an independent fold: "
        f"{len(outcome.mismatches)} mismatches"
    )
    sys.stdout.flush()
