"""Server-sent events: graphql-sse in its distinct connections mode.

The protocol: https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Final

from starlette.responses import StreamingResponse
from strawberry.http.streaming import SSETransport

from graphql_api.watch import Hub

_COMPLETE: Final = SSETransport().encode_complete()


class EventStream(StreamingResponse):
    """Events, of which those that end because we stop do not look complete: then clients connect again."""

    def __init__(self, chunks: AsyncIterator[str], hub: Hub, headers: Mapping[str, str]) -> None:
        self._chunks = chunks
        self._hub = hub
        super().__init__(self._cut(), headers=headers)

    async def _cut(self) -> AsyncIterator[str]:
        async for chunk in self._chunks:
            if chunk == _COMPLETE and self._hub.ended:
                return
            yield chunk

    async def close(self) -> None:
        """Let go of the subscription, wherever the client has left it."""
        if isinstance(self._chunks, AsyncGenerator):
            await self._chunks.aclose()
