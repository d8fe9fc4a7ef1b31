"""The Faust app of a worker: settings that were measured to matter, one agent that hands batches over, no side topics.

Runs inside an event loop that exists already (the worker also serves health), so it is started and stopped with
`await app.start()` and `await app.stop()` and never through Faust's own command line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import faust
from faust.app.base import BootStrategy
from faust.tables.manager import TableManager
from mode.supervisors import CrashingSupervisor

from runtime.settings import KafkaSettings, WorkerSettings
from streams.lane import Delivery
from streams.transport import BatchTransport, PartitionHooks

# Deliveries between reader and agent; the records that wait in lanes are bounded by the lanes' budget.
_BUFFERED_DELIVERIES = 8
# Times 12 partitions and two fetches this is the most that sits in memory before the lanes: 24 MiB plus overhead.
_PARTITION_FETCH_BYTES = 1 << 20
_COMMIT_SECONDS = 0.5
# A worker that waits for its store must not be thrown out of the group for not reading.
_READ_PAUSE_SECONDS = 86_400.0
_REBALANCE_SECONDS = 30.0
_CRASH_POLL_SECONDS = 0.1

OnDelivery = Callable[[Delivery], Awaitable[None]]


class _AsItIs(faust.Schema[Any, Any]):
    """Leaves the value alone: decoding is our own business, and an error of Faust's would poison the channel."""

    def loads_key(self, app: object, message: Any, **_: object) -> Any:
        return message.key

    def loads_value(self, app: object, message: Any, **_: object) -> Any:
        return message.value


class _ConsumerOnly(BootStrategy):
    """No web server and no producer of Faust's."""

    enable_web = False
    enable_kafka_producer = False


class _NoTables(TableManager):
    """Faust's own waits a second for tables to be declared before it joins the group; there are none."""

    async def on_start(self) -> None:
        """The rest of it: the first lets the app subscribe, and the recovery resumes reading after each rebalance."""
        await self._update_channels()
        if not self.should_stop:
            await self.recovery.start()


class WorkerApp(faust.App):
    """A Faust app over BatchTransport."""

    BootStrategy = _ConsumerOnly

    def __init__(self, *args: Any, partition_hooks: PartitionHooks, **options: Any) -> None:
        self.partition_hooks = partition_hooks
        super().__init__(*args, **options)

    def _new_transport(self) -> BatchTransport:
        return BatchTransport(self.conf.broker_consumer, self)

    def _create_directories(self) -> None:
        """Nothing: there is no table, so there is nothing to keep in a directory."""

    async def wait_crashed(self) -> BaseException:
        """Returns the reason once any part of Faust has crashed. The process should then stop and exit non-zero."""
        # Polled, because the consumer thread sets the flag from outside this event loop.
        while not self.crashed:  # noqa: ASYNC110
            await asyncio.sleep(_CRASH_POLL_SECONDS)
        return self.crash_reason or RuntimeError("Faust crashed and gave no reason")


def new_faust_app(
    kafka: KafkaSettings,
    worker: WorkerSettings,
    *,
    group: str,
    topic: str,
    on_delivery: OnDelivery,
    partition_hooks: PartitionHooks,
) -> WorkerApp:
    """A worker that reads `topic` as member of `group`. Must be called in the running event loop.

    `on_delivery` is awaited for one delivery at a time; while it waits, reading stops. If it raises, the app crashes.
    A delivery is committed after its `acknowledge()`, and only if all before it in its partition are acknowledged.
    """
    session_seconds = worker.session_timeout_ms / 1000
    app = WorkerApp(
        group,
        partition_hooks=partition_hooks,
        broker=[f"kafka://{server.strip()}" for server in kafka.bootstrap_servers.split(",")],
        broker_client_id=group,
        broker_session_timeout=session_seconds,
        broker_heartbeat_interval=session_seconds / 4,
        broker_rebalance_timeout=_REBALANCE_SECONDS,
        broker_request_timeout=max(40.0, session_seconds),
        broker_max_poll_interval=_READ_PAUSE_SECONDS,
        broker_commit_interval=_COMMIT_SECONDS,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=_PARTITION_FETCH_BYTES,
        stream_buffer_maxsize=_BUFFERED_DELIVERIES,
        # Faust would wait for every delivery it handed out, also for those that a stopped lane has dropped on
        # purpose; the hooks wait for the lanes instead.
        stream_wait_empty=False,
        store="memory://",
        TableManager=_NoTables,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        cython_optimizations=True,
        autodiscover=False,
    )
    source = app.topic(topic, schema=_AsItIs(), internal=False)
    app.agent(source, name="deliver", supervisor_strategy=CrashingSupervisor)(partial(_deliver, on_delivery))
    return app


async def _deliver(on_delivery: OnDelivery, stream: Any) -> None:
    async for event in stream.noack().events():
        await on_delivery(Delivery(event.value, event.ack, event.message.behind))
