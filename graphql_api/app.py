"""The ASGI application: routes and middleware around what the composition root hands in."""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from features.catalogue import Catalogue
from graphql_api.bodies import BodyLimit
from graphql_api.compiled.operations import Operations
from graphql_api.graphiql import static_files
from graphql_api.health import health_routes
from graphql_api.ingest import Ingest
from graphql_api.reads import Reads
from graphql_api.schema import build_schema
from graphql_api.view import GraphQLView
from graphql_api.watch import Hub
from runtime.clock import now_ms
from runtime.health import Readiness
from runtime.producer import Producer
from runtime.settings import ApiSettings
from storage.rows import UserStore

MARGIN_MS = 5_000  # beyond the longest wait that a request may ask for; by then a store has answered or failed


def create_app(
    settings: ApiSettings,
    *,
    store: UserStore,
    producer: Producer,
    catalogue: Catalogue,
    hub: Hub,
    events_epoch: Callable[[], int | None],
    readiness: Readiness,
    clock: Callable[[], int] = now_ms,
) -> ASGIApp:
    """The API. Starting and stopping what it is handed is the caller's business."""
    schema = build_schema(catalogue)
    view = GraphQLView(
        schema,
        ingest=Ingest(producer, settings, clock=clock, events_epoch=events_epoch),
        reads=Reads(store, catalogue, settings, clock=clock),
        operations=Operations(schema, catalogue, capacity=settings.known_documents),
        hub=hub,
        timeout_seconds=(max(settings.max_deadline_ms, settings.track_deadline_ms) + MARGIN_MS) / 1000,
        max_subscriptions=settings.max_subscriptions,
    )
    routes = [
        Route("/", _to_graphql),
        Route("/graphql", view),  # not a Mount, which would answer POST with a redirect
        WebSocketRoute("/graphql", view),
        *health_routes(readiness),
        static_files(),
    ]
    return BodyLimit(_Front(view, Starlette(routes=routes)), max_bytes=settings.max_body_bytes)


class _Front:
    """Hands what is plainly for the view to it, which answers its own failures: Starlette's way there costs 10 us."""

    def __init__(self, view: ASGIApp, routed: ASGIApp) -> None:
        self._view = view
        self._routed = routed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        plain = scope.get("path") == "/graphql" and not scope.get("root_path")
        await (self._view if plain else self._routed)(scope, receive, send)


async def _to_graphql(request: Request) -> RedirectResponse:
    return RedirectResponse("/graphql")
