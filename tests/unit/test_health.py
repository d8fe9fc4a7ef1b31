"""Readiness and the operators' port."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import orjson
import pytest

from runtime.health import ASGIApp, Readiness, health_app


async def fine() -> str | None:
    return None


async def lagging() -> str | None:
    return "lag of 40 s"


async def broken() -> str | None:
    raise ConnectionError("refused")


async def get(app: ASGIApp, path: str, method: str = "GET") -> tuple[int, bytes]:
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await app({"type": "http", "method": method, "path": path}, receive, send)
    return sent[0]["status"], sent[1]["body"]


async def test_a_process_is_not_ready_before_every_check_has_run() -> None:
    ready, checks = Readiness({"store": fine}).report()
    assert not ready
    assert checks["store"]["reason"] == "not checked yet"


async def test_a_check_fails_by_its_reason_or_by_its_error() -> None:
    readiness = Readiness({"store": fine, "lag": lagging, "kafka": broken})
    await readiness.start()
    await asyncio.sleep(0.01)
    ready, checks = readiness.report()
    await readiness.stop()
    assert not ready
    assert {name: check["reason"] for name, check in checks.items()} == {
        "store": None,
        "lag": "lag of 40 s",
        "kafka": "ConnectionError: refused",
    }


async def test_while_a_process_starts_a_failed_check_is_soon_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.health._INTERVAL_SECONDS", 3_600)
    passed, answers = asyncio.Event(), ["away", "away", None]

    async def check() -> str | None:
        answer = answers.pop(0)
        if answer is None:
            passed.set()
        return answer

    readiness = Readiness({"store": check})
    await readiness.start()
    await asyncio.wait_for(passed.wait(), 60)
    await readiness.stop()


async def test_the_port_answers_alive_ready_and_metrics() -> None:
    readiness = Readiness({"store": fine})
    app = health_app(readiness)
    assert await get(app, "/livez") == (200, b"ok")
    assert (await get(app, "/readyz"))[0] == 503
    await readiness.start()
    await asyncio.sleep(0.01)
    status, body = await get(app, "/readyz")
    await readiness.stop()
    assert status == 200
    assert orjson.loads(body)["checks"]["store"]["ok"] is True
    status, body = await get(app, "/metrics")
    assert status == 200
    assert b"headrace_flush_seconds_bucket" in body
    assert (await get(app, "/table"))[0] == 404
    assert (await get(app, "/livez", "POST"))[0] == 405
