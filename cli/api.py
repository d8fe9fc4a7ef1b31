"""Composition root of an API process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cli import checks, serving
from features import load_catalogue
from graphql_api.app import create_app
from runtime import logs
from runtime.health import Readiness
from runtime.producer import EventProducer
from runtime.settings import Settings
from storage import CassandraUserStore


def run(settings: Settings) -> int:
    """Serve until SIGTERM; the exit code."""
    logs.configure(settings.log)
    return serving.run(lambda stop: _serve(settings, stop))


async def _serve(settings: Settings, stop: asyncio.Event) -> int:
    store = CassandraUserStore(settings.cassandra)
    producer = EventProducer(settings.kafka.bootstrap_servers, client_id="headrace-api")
    deployment = checks.DeploymentCheck(store)
    readiness = Readiness({"kafka": checks.kafka(producer), "cassandra": deployment, "lifecycle": checks.running(stop)})

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        await store.start()
        await producer.start()
        await readiness.start()
        yield
        await readiness.stop()
        await producer.stop()
        await store.close()

    app = create_app(
        settings.api,
        store=store,
        producer=producer,
        catalogue=load_catalogue(settings.features.catalogue),
        events_epoch=lambda: deployment.events_epoch,
        readiness=readiness,
        lifespan=lifespan,
    )
    server = serving.HttpServer(app, settings.api.host, settings.api.port)
    serve = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serve, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not serve.done():
        # Load balancers must see that we are not ready before connections are refused.
        await asyncio.sleep(settings.api.drain_ms / 1000)
        server.should_exit = True
    await serve
    return 0 if stop.is_set() else 1
