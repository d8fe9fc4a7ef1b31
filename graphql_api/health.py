"""What operators ask: alive, ready, and the metrics."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from runtime.health import Readiness, health_app


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """Makes an ASGI function an endpoint: Starlette takes bare functions for handlers of requests."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


def health_routes(readiness: Readiness) -> list[Route]:
    """/livez, /readyz and /metrics, the same as the worker's."""
    endpoint = _Endpoint(health_app(readiness))
    return [Route(path, endpoint) for path in ("/livez", "/readyz", "/metrics")]
