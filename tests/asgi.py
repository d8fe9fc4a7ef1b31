"""A client that calls an ASGI application in this process."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson
from starlette.types import ASGIApp, Message


@dataclass
class Answer:
    """What the application sent."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        """The body, decoded."""
        return orjson.loads(self.body)


async def call(
    app: ASGIApp,
    method: str,
    url: str,
    body: bytes | AsyncIterable[bytes] = b"",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request. A body of several chunks has no Content-Length, as with chunked transfer."""
    parts = urlsplit(url)
    sent = {"host": "test", **(headers or {})}
    if isinstance(body, bytes):
        sent.setdefault("content-length", str(len(body)))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "root_path": "",
        "query_string": parts.query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
        "client": ("127.0.0.1", 1),
        "server": ("test", 80),
    }
    messages = _messages(body)
    answer = Answer()

    async def receive() -> Message:
        return await anext(messages)

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")

    await app(scope, receive, send)
    return answer


async def _messages(body: bytes | AsyncIterable[bytes]) -> Any:
    if isinstance(body, bytes):
        yield {"type": "http.request", "body": body, "more_body": False}
    else:
        async for chunk in body:
            yield {"type": "http.request", "body": chunk, "more_body": True}
        yield {"type": "http.request", "body": b"", "more_body": False}
    yield {"type": "http.disconnect"}


async def graphql(app: ASGIApp, query: str, variables: Mapping[str, Any] | None = None, **headers: str) -> Answer:
    """POST an operation."""
    body = orjson.dumps({"query": query, "variables": variables or {}})
    return await call(app, "POST", "/graphql", body, {"content-type": "application/json", **headers})
