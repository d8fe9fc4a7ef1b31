"""The floors of ingest: `send_batch` of ready values, `orjson.loads` of the bodies, the same behind Starlette."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import orjson
import uvloop
from aiokafka import AIOKafkaProducer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks import asgi
from benchmarks.sides.ingest_load import ALONE_CASE, KAFKA_CASE, arguments, bodies, client_event, drive


async def main() -> None:
    """Print a line for each batch size."""
    given = arguments()
    if given["bare"] == "send_batch":
        await send_batches(given)
        return
    for batch, events in given["batches"].items():
        await drive(ALONE_CASE.format(batch), batch, events, bodies(batch), _FLOORS[given["bare"]])


async def loads(body: bytes) -> None:
    """Only that."""
    orjson.loads(body)


async def canned(request: Request) -> Response:
    """What any application does with a request before and after it thinks."""
    orjson.loads(await request.body())
    return Response(b'{"data":{"trackEvents":{"acceptedCount":0}}}', media_type="application/json")


app = Starlette(routes=[Route("/graphql", canned, methods=["POST"])])


async def ask(body: bytes) -> None:
    """Ask that application."""
    await asgi.post(app, "/graphql", body)


_FLOORS = {"loads": loads, "canned": ask}


async def send_batches(given: dict[str, Any]) -> None:
    """Each request is one batch for one partition."""
    producer = AIOKafkaProducer(
        bootstrap_servers=given["kafka"],
        acks="all",
        enable_idempotence=True,
        compression_type="zstd",
        max_batch_size=256 << 10,  # as ours: a thousand events fit
    )
    await producer.start()
    partition = 0

    async def call(values: list[bytes]) -> None:
        nonlocal partition
        partition = (partition + 1) % given["partitions"]
        builder = producer.create_batch()
        for value in values:
            if builder.append(key=b"user-0000000", value=value, timestamp=None) is None:
                await (await producer.send_batch(builder, given["topic"], partition=partition))
                builder = producer.create_batch()
                builder.append(key=b"user-0000000", value=value, timestamp=None)
        await (await producer.send_batch(builder, given["topic"], partition=partition))

    for batch, events in given["batches"].items():
        values = [[json.dumps(client_event(number)).encode() for number in range(batch)] for _ in range(8)]
        await drive(KAFKA_CASE.format(batch), batch, events, values, call)
    await producer.stop()


if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(main())
