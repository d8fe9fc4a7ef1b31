"""How every long-running process of ours lives: its event loop, its HTTP server, and an orderly end on SIGTERM."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import uvicorn
import uvloop

from cli.errors import CommandFailed
from runtime import metrics, native
from runtime.health import Readiness, health_app

# The driver's thread and Faust's must not wait 5 ms, Python's default, for an event loop that is busy.
_SWITCH_SECONDS = 0.0005
# Little of what we make is cyclic, and a full collection looks at every state that a worker holds: with Python's
# thresholds they were the slowest hundredth of all reads (freshness p99 70 to 110 ms, 32 to 39 ms with rare ones). The
# young are collected in small portions: with 20 000 at a time the p99 of reads was 12 ms, with 2 000 it was 7 to 8.
GC_THRESHOLDS = (2_000, 500, 100)
_GRACEFUL_SECONDS = 15  # longer than the longest request: the longest wait for a receipt, and a margin


class HttpServer(uvicorn.Server):
    """Uvicorn that leaves signals to `run`: its own handling would end the process by the signal instead of with 0."""

    def __init__(self, app: Any, host: str, port: int, *, max_message_bytes: int | None = None) -> None:
        """WebSockets are spoken where `max_message_bytes` says how much one may send at once."""
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                http="httptools",
                ws="none" if max_message_bytes is None else "websockets-sansio",
                ws_max_size=max_message_bytes or 0,
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,  # nothing here asks for the client's address
                timeout_graceful_shutdown=_GRACEFUL_SECONDS,
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures nothing."""
        yield


async def serve_health(running: AsyncExitStack, readiness: Readiness, host: str, port: int) -> None:
    """Answer /livez, /readyz and /metrics there until `running` ends. Raises CommandFailed if the port is taken."""
    listener = listen(host, port)
    server = HttpServer(health_app(readiness), host, port)
    task = asyncio.create_task(server.serve([listener]))

    async def end() -> None:
        server.should_exit = True
        await task

    running.push_async_callback(end)


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A bound socket. Several processes of one user may bind a `shared` port; the kernel deals connections out to them.

    Raises CommandFailed if the port is taken.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise CommandFailed(
            f"cannot listen on {host}:{port}", error.strerror or str(error), "./headrace status shows what runs here"
        ) from error
    return listener


def run(main: Callable[[asyncio.Event], Awaitable[int]]) -> int:
    """Run `main` on uvloop, in every thread that makes a loop; its event is set on SIGTERM and SIGINT."""
    metrics.COMPILED_MODULES.set(len(native.loaded()))
    sys.setswitchinterval(_SWITCH_SECONDS)
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())

    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)

    async def with_signals() -> int:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        return await main(stop)

    return asyncio.run(with_signals())
