"""A client that calls an ASGI application in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send


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
    sent = dict(headers or {})
    if isinstance(body, bytes):
        sent.setdefault("content-length", str(len(body)))
    scope = _http_scope(method, url, sent)
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


def _http_scope(method: str, url: str, headers: Mapping[str, str]) -> dict[str, Any]:
    parts = urlsplit(url)
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "root_path": "",
        "query_string": parts.query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in {"host": "test", **headers}.items()],
        "client": ("127.0.0.1", 1),
        "server": ("test", 80),
    }


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


@dataclass
class Stream:
    """The answer to an operation as server-sent events. While `reading` is not set, the client takes nothing."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    reading: asyncio.Event = field(default_factory=asyncio.Event)
    _chunks: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)

    async def event(self) -> tuple[str, Any]:
        """The next event with its decoded data; ("end", None) where the answer ends."""
        async with asyncio.timeout(10):
            chunk = await self._chunks.get()
        if chunk is None:
            return "end", None
        name, data = chunk.removesuffix("\r\n\r\n").split("\r\n")
        assert name.startswith("event: ")
        assert data.startswith("data: ")
        return name.removeprefix("event: "), orjson.loads(data[6:]) if data[6:] else None

    async def changed(self) -> Any:
        """The data of the next event, which has no errors."""
        name, body = await self.event()
        assert name == "next"
        assert "errors" not in body, body
        return body["data"]["featuresChanged"]

    async def take(self, message: Message) -> None:
        """The `send` of the application."""
        await self.reading.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        elif message["body"]:
            self._chunks.put_nowait(message["body"].decode())
        if not message.get("more_body", True):
            self._chunks.put_nowait(None)


@asynccontextmanager
async def events(
    app: ASGIApp, query: str, variables: Mapping[str, Any] | None = None, *, method: str = "POST"
) -> AsyncIterator[Stream]:
    """Begin an operation with `Accept: text/event-stream`; the client goes away at the end."""
    stream = Stream()
    stream.reading.set()
    body = orjson.dumps({"query": query, "variables": variables or {}})
    headers = {"content-type": "application/json", "accept": "text/event-stream"}
    # As uvicorn says, so that it is the application that looks for a client that has left.
    version = {"asgi": {"version": "3.0", "spec_version": "2.3"}}
    url = f"/graphql?query={quote(query)}" if method == "GET" else "/graphql"
    gone = asyncio.Event()
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if pending:
            return pending.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    task = asyncio.create_task(_call(app, _http_scope(method, url, headers) | version, receive, stream.take))
    try:
        yield stream
    finally:
        gone.set()
        await asyncio.wait_for(task, 10)


async def _call(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)


class Socket:
    """A client of a WebSocket. What it receives is a message, or (code, reason) once the application has closed."""

    def __init__(self) -> None:
        self.to_app: asyncio.Queue[Message] = asyncio.Queue()
        self.from_app: asyncio.Queue[Message] = asyncio.Queue()
        self.accepted: Message = {}

    async def send(self, message: object) -> None:
        """Text as it is, anything else as JSON."""
        text = message if isinstance(message, str) else orjson.dumps(message).decode()
        await self.to_app.put({"type": "websocket.receive", "text": text})

    async def receive(self) -> Any:
        """The next message of the application."""
        async with asyncio.timeout(10):
            message = await self.from_app.get()
        if message["type"] == "websocket.close":
            return message["code"], message["reason"]
        return orjson.loads(message["text"])

    async def init(self) -> Any:
        """Shake hands; the application's acknowledgement."""
        await self.send({"type": "connection_init"})
        return await self.receive()

    async def subscribe(self, name: str, query: str, **variables: Any) -> None:
        """Begin an operation."""
        await self.send({"type": "subscribe", "id": name, "payload": {"query": query, "variables": variables}})

    async def changed(self) -> Any:
        """The change in the next message."""
        message = await self.receive()
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        return message["payload"]["data"]["featuresChanged"]


@asynccontextmanager
async def socket(app: ASGIApp, *protocols: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[Socket]:
    """Open a WebSocket to /graphql; the client goes away at the end."""
    client = Socket()
    scope = {**_http_scope("GET", "/graphql", headers or {}), "type": "websocket", "scheme": "ws"}
    scope["subprotocols"] = list(protocols or ("graphql-transport-ws",))
    await client.to_app.put({"type": "websocket.connect"})
    task = asyncio.create_task(_call(app, scope, client.to_app.get, client.from_app.put))
    try:
        async with asyncio.timeout(10):
            client.accepted = await client.from_app.get()
        yield client
    finally:
        await client.to_app.put({"type": "websocket.disconnect", "code": 1001})
        await asyncio.wait_for(task, 10)
