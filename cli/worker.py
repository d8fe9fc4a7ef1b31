"""Composition root of a worker process."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from typing import Final, TypeVar

import structlog

from cli import checks, serving
from cli.catalogue import adopt
from features import Catalogue, load_catalogue
from runtime import logs
from runtime.health import Readiness
from runtime.producer import EventProducer
from runtime.settings import Settings
from storage import CassandraUserStore, StoreUnavailable
from streams.errors import EventsTopicRemade
from streams.worker import Worker, new_worker

log = structlog.get_logger()

_EPOCH_SECONDS: Final = 1.0

T = TypeVar("T")


def run(settings: Settings) -> int:
    """Fold until SIGTERM; the exit code, 1 if the worker could not go on."""
    logs.configure(settings.log)
    return serving.run(lambda stop: _work(settings, stop))


async def _work(settings: Settings, stop: asyncio.Event) -> int:
    catalogue = load_catalogue(settings.features.catalogue)
    store = CassandraUserStore(settings.cassandra)
    producer = EventProducer(settings.kafka.bootstrap_servers, client_id="headrace-worker")
    membership = checks.MembershipCheck()
    readiness = Readiness(
        {
            "kafka": checks.kafka(producer),
            "cassandra": checks.DeploymentCheck(store),
            "group": membership,
            "lifecycle": checks.running(stop),
        }
    )
    async with AsyncExitStack() as running:
        await readiness.start()
        running.push_async_callback(readiness.stop)
        await serving.serve_health(running, readiness, settings.worker.host, settings.worker.port)
        await store.start()
        running.push_async_callback(store.close)
        await producer.start()
        running.push_async_callback(producer.stop)
        worker = await _unless_stopped(_new_worker(settings, store, producer, catalogue), stop)
        if worker is None:
            return 0
        membership.worker = worker
        running.push_async_callback(worker.stop)
        await _unless_stopped(worker.start(), stop)
        reason = await _unless_stopped(_why_not_on(worker, store), stop)
        if reason is None:
            return 0
        log.error("the worker cannot go on", reason=str(reason) or type(reason).__name__, exc_info=reason)
        return 1


async def _new_worker(
    settings: Settings, store: CassandraUserStore, producer: EventProducer, catalogue: Catalogue
) -> Worker:
    """A worker that may join the group: waits for both dependencies, however long that takes."""
    await adopt(store, catalogue)
    await producer.connected()
    return await new_worker(settings.kafka, settings.worker, store=store, producer=producer, catalogue=catalogue)


async def _why_not_on(worker: Worker, store: CassandraUserStore) -> BaseException:
    """Returns what keeps this process from going on."""
    failed, remade = asyncio.ensure_future(worker.wait_failed()), asyncio.ensure_future(_remade(worker, store))
    try:
        await asyncio.wait({failed, remade}, return_when=asyncio.FIRST_COMPLETED)
        return failed.result() if failed.done() else remade.result()
    finally:
        failed.cancel()
        remade.cancel()


async def _remade(worker: Worker, store: CassandraUserStore) -> EventsTopicRemade:
    """Returns when the events topic has another epoch than the one in which the worker folds."""
    while True:
        with suppress(StoreUnavailable):
            if (await store.deployment()).events_epoch != worker.events_epoch:
                return EventsTopicRemade("its offsets begin again: start the worker again")
        await asyncio.sleep(_EPOCH_SECONDS)


async def _unless_stopped(work: Coroutine[None, None, T], stop: asyncio.Event) -> T | None:
    """The result of `work`, or None if the process is asked to stop before there is one."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.wait({working, stopping})
