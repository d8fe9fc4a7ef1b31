"""ASGI middleware that bounds request bodies before anything parses them."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils import uuid7

from graphql_api.errors import RequestRefused, refusal


class BodyLimit:
    """Answers 413 to a body of more than `max_bytes`, by its Content-Length or, where that is absent, while it streams.

    While streaming, the reader gets RequestRefused from `receive`.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if _declared_length(scope) > self.max_bytes:
            await refusal(self._too_large(), uuid7().hex)(scope, receive, send)
            return
        received = 0

        async def receive_bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_bytes:
                raise self._too_large()
            return message

        await self.app(scope, receive_bounded, send)

    def _too_large(self) -> RequestRefused:
        return RequestRefused(413, f"the request body is larger than {self.max_bytes} bytes")


def _declared_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])  # Python refuses to convert thousands of digits; twenty are too many bytes already
    return 0
