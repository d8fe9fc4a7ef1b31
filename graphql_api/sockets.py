"""GraphQL over WebSocket: Strawberry's graphql-transport-ws made strict, so that no message of a client is a crash.

The protocol: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, cast

import msgspec
from graphql import GraphQLError
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws import types as messages
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler

from graphql_api.context import RequestContext
from graphql_api.errors import BadUserInput, log_failure, masked

SERVICE_RESTART: Final = 1012  # registered close code: clients connect again
_MAX_REASON_BYTES: Final = 123  # RFC 6455, 5.5: a control frame holds 125, two of them the code


class _Payload(msgspec.Struct):
    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = msgspec.field(default=None, name="operationName")
    extensions: dict[str, Any] | None = None


class _Subscribe(msgspec.Struct, tag="subscribe"):
    id: str
    payload: _Payload


class _Complete(msgspec.Struct, tag="complete"):
    id: str


class _ConnectionInit(msgspec.Struct, tag="connection_init"):
    payload: dict[str, Any] | None = None


class _Ping(msgspec.Struct, tag="ping"):
    payload: dict[str, Any] | None = None


class _Pong(msgspec.Struct, tag="pong"):
    payload: dict[str, Any] | None = None


_Message = _Subscribe | _Complete | _ConnectionInit | _Ping | _Pong


class Socket(ASGIWebSocketAdapter):
    """Sends text, and nothing after it was closed."""

    async def send_json(self, message: Mapping[str, object]) -> None:
        """One text frame. Raises WebSocketDisconnected."""
        if self.ws.application_state is WebSocketState.CONNECTED:
            await super().send_json(message)

    async def close(self, code: int, reason: str) -> None:
        """See close_socket."""
        await close_socket(self.ws, code, reason)


async def close_socket(socket: WebSocket, code: int, reason: str) -> None:
    """Close, with as much of the reason as a frame holds; nothing if that has been done."""
    if socket.application_state is not WebSocketState.DISCONNECTED:
        with suppress(WebSocketDisconnect):
            await socket.close(code, reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore"))


class TransportWSHandler(BaseGraphQLTransportWSHandler[RequestContext, None]):
    """One socket: messages of the wrong shape close it, and it runs a limited number of operations at a time."""

    async def handle_message(self, message: messages.Message) -> None:
        """Any JSON value."""
        try:
            msgspec.convert(message, _Message)
        except msgspec.ValidationError as error:
            await self.handle_invalid_message(str(error))
            return
        # A payload of null is none.
        await super().handle_message(cast(messages.Message, {k: v for k, v in message.items() if v is not None}))

    async def handle_subscribe(self, message: messages.SubscribeMessage) -> None:
        """Refused with an error of its own where the socket runs as many as it may."""
        most = self.max_subscriptions_per_connection
        full = most is not None and len(self.operations) >= most
        if not (full and self.connection_acknowledged and message["id"] not in self.operations):
            await super().handle_subscribe(message)
            return
        refusal = BadUserInput(f"this socket runs {most} operations already: complete one, or open another socket")
        errors = masked(
            [GraphQLError(str(refusal), original_error=refusal)], before_execution=True, trace_id=self.context.trace_id
        )
        await self.send_message(
            {"type": "error", "id": message["id"], "payload": [error.formatted for error in errors]}
        )

    async def send_message(self, message: messages.Message) -> None:
        """Sends; but where a subscription ended because we stop, it closes the socket, so that clients come again."""
        if message["type"] == "complete" and self.context.hub.ended:
            await self.websocket.close(SERVICE_RESTART, "the server stops; go on elsewhere behind your last token")
            return
        await super().send_message(message)

    async def handle_task_exception(self, error: Exception) -> None:
        """Logs, unless it is only that the client has left."""
        if not isinstance(error, WebSocketDisconnected):
            log_failure(error, self.context.trace_id)
