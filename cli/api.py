"""Composition root of an API process."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from cli import checks, serving
from cli.catalogue import until_refused
from features import load_catalogue
from graphql_api.app import create_app
from graphql_api.watch import Hub
from runtime import logs
from runtime.change_feed import KafkaChangeFeed
from runtime.health import Readiness
from runtime.producer import EventProducer
from runtime.settings import Settings
from storage import CassandraUserStore


def run(settings: Settings) -> int:
    """Serve until SIGTERM; the exit code."""
    logs.configure(settings.log)
    return serving.run(lambda stop: _serve(settings, stop))


async def _serve(settings: Settings, stop: asyncio.Event) -> int:
    catalogue = load_catalogue(settings.features.catalogue)
    store = CassandraUserStore(settings.cassandra)
    producer = EventProducer(settings.kafka.bootstrap_servers, client_id="headrace-api")
    hub = Hub(KafkaChangeFeed(settings.kafka.bootstrap_servers, client_id="headrace-api-watch"))
    deployment = checks.DeploymentCheck(store)
    readiness = Readiness({"kafka": checks.kafka(producer), "cassandra": deployment, "lifecycle": checks.running(stop)})
    app = create_app(
        settings.api,
        store=store,
        producer=producer,
        catalogue=catalogue,
        hub=hub,
        events_epoch=lambda: deployment.events_epoch,
        readiness=readiness,
    )
    async with AsyncExitStack() as running:
        for part, end in ((store, store.close), (producer, producer.stop), (readiness, readiness.stop)):
            await part.start()
            running.push_async_callback(end)
        server = serving.HttpServer(
            app, settings.api.host, settings.api.port, max_message_bytes=settings.api.max_body_bytes
        )
        serve = asyncio.create_task(server.serve())
        stopping = asyncio.create_task(stop.wait())
        refused = asyncio.create_task(until_refused(store, catalogue))
        await asyncio.wait({serve, stopping, refused}, return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            # Load balancers must see that we are not ready before connections are refused.
            await asyncio.sleep(settings.api.drain_ms / 1000)
        server.should_exit = True
        await hub.close()  # the server waits for every answer, and a subscription is one without an end
        await serve
        stopping.cancel()
        if refused.done():
            refused.result()
        refused.cancel()
    return 0 if stop.is_set() else 1
