"""The ASGI messages of a request that is plainly GraphQL: Starlette's Request and Response take a tenth of its time."""

from __future__ import annotations

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from graphql_api.errors import TRACE_HEADER

_TRACE_HEADER = TRACE_HEADER.lower().encode()


async def read_body(receive: Receive) -> bytes:
    """The whole body. Raises ClientDisconnect, and what a BodyLimit in front raises."""
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        return bytes(message.get("body", b""))
    parts: list[bytes] = []
    while message["type"] == "http.request":
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)
        message = await receive()
    raise ClientDisconnect


def replayed(body: bytes, receive: Receive) -> Receive:
    """What delivers `body`, which was read already, and then whatever else comes."""
    unread = True

    async def receive_again() -> Message:
        nonlocal unread
        if unread:
            unread = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return receive_again


class Reply:
    """An ASGI application that answers with a whole body."""

    __slots__ = ("_body", "_media_type", "_status", "_trace_id")

    def __init__(self, body: bytes, *, status: int, media_type: str, trace_id: str) -> None:
        self._body = body
        self._status = status
        self._media_type = media_type
        self._trace_id = trace_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [
            (b"content-length", b"%d" % len(self._body)),
            (b"content-type", self._media_type.encode("latin-1")),
            (_TRACE_HEADER, self._trace_id.encode("latin-1")),
        ]
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        await send({"type": "http.response.body", "body": self._body})
