"""Readiness, and the operators' port of a process that serves nothing else: /livez, /readyz, /metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypedDict

import orjson

from runtime import metrics

# None: in order. Otherwise the reason why not.
Check = Callable[[], Awaitable[str | None]]

_INTERVAL_SECONDS: Final = 1.0
# Whoever starts a process waits until its checks have passed.
_STARTING_SECONDS: Final = 0.1
_START_TAKES_SECONDS: Final = 30.0
# A check that takes longer is a failed check: an operator's probe waits a second or two at most.
_CHECK_SECONDS: Final = 2.0

Scope = MutableMapping[str, Any]  # as ASGI defines it
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class CheckReport(TypedDict):
    """How a check went, and how long ago."""

    ok: bool
    ageSeconds: float
    reason: str | None


@dataclass(frozen=True, slots=True)
class _Result:
    reason: str | None
    finished: float


class Readiness:
    """Runs checks in the background, so that a probe is answered at once and costs nothing.

    Each runs again a second later; while the process starts, 0.1 s later until it has passed once.
    """

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = dict(checks)
        self._born = time.monotonic()
        self._results = {name: _Result("not checked yet", self._born) for name in checks}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin checking; returns at once."""
        self._tasks = [asyncio.create_task(self._repeat(name, check)) for name, check in self._checks.items()]

    async def stop(self) -> None:
        """Stop checking; the last results stay."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        self._tasks = []

    def report(self) -> tuple[bool, dict[str, CheckReport]]:
        """Whether every check passed when it last ran, and each check's last result."""
        now = time.monotonic()
        checks = {
            name: CheckReport(
                ok=result.reason is None, ageSeconds=round(now - result.finished, 3), reason=result.reason
            )
            for name, result in self._results.items()
        }
        return all(check["ok"] for check in checks.values()), checks

    async def _repeat(self, name: str, check: Check) -> None:
        passed = False
        while True:
            reason = await _run(check)
            now = time.monotonic()
            self._results[name] = _Result(reason, now)
            passed = passed or reason is None
            starting = not passed and now - self._born < _START_TAKES_SECONDS
            await asyncio.sleep(_STARTING_SECONDS if starting else _INTERVAL_SECONDS)


async def _run(check: Check) -> str | None:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return f"no answer within {_CHECK_SECONDS:.0f} s"
    except Exception as error:  # a check that breaks is a check that fails
        return f"{type(error).__name__}: {error}"[:300]


def health_app(readiness: Readiness) -> ASGIApp:
    """/livez never looks at dependencies; /readyz shows each check with its age, and 503 if one fails."""

    def answer(path: str) -> tuple[int, str, bytes]:
        if path == "/livez":
            return 200, "text/plain; charset=utf-8", b"ok"
        if path == "/readyz":
            ready, checks = readiness.report()
            return 200 if ready else 503, "application/json", orjson.dumps({"ready": ready, "checks": checks})
        if path == "/metrics":
            return 200, metrics.CONTENT_TYPE, metrics.render()
        return 404, "text/plain; charset=utf-8", b"not found"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # uvicorn takes this for "no lifespan, no websockets"
        if scope["method"] in ("GET", "HEAD"):
            status, content_type, body = answer(scope["path"])
        else:
            status, content_type, body = 405, "text/plain; charset=utf-8", b"method not allowed"
        headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    return app
