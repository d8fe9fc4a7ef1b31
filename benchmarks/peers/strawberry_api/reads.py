"""Idiomatic Strawberry over Cassandra: a type per feature, a resolver per field, a DataLoader for the users' rows.

Argument: {"port", "cassandraPort", "keyspace", "kinds": {feature: int|float|string_list}}.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import strawberry
import uvicorn
from cassandra.cluster import Cluster
from starlette.applications import Starlette
from starlette.routing import Route
from strawberry.asgi import GraphQL
from strawberry.dataloader import DataLoader
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.tools import create_type

arguments: dict[str, Any] = json.loads(sys.argv[1])
session = Cluster(["127.0.0.1"], port=arguments["cassandraPort"]).connect(arguments["keyspace"])
select = session.prepare("SELECT * FROM user_features WHERE user_id = ?")


@strawberry.type
class IntFeature:
    """A whole number."""

    value: int | None


@strawberry.type
class FloatFeature:
    """A number."""

    value: float | None


@strawberry.type
class StringListFeature:
    """Texts."""

    value: list[str] | None


TYPES = {"int": IntFeature, "float": FloatFeature, "string_list": StringListFeature}


def resolver(name: str, kind: str) -> Callable[..., Any]:
    """Reads one feature of the row."""
    column, feature_type = name.lower(), TYPES[kind]

    def resolve(root: strawberry.Parent[Any]) -> Any:
        return feature_type(value=getattr(root, column))

    resolve.__name__ = name  # it is the field's name
    return resolve


Features = create_type(
    "Features",
    [
        strawberry.field(resolver=resolver(name, kind), graphql_type=TYPES[kind])
        for name, kind in arguments["kinds"].items()
    ],
)


@strawberry.type
class User:
    """A user."""

    id: strawberry.ID

    @strawberry.field(graphql_type=Features)
    async def features(self, info: strawberry.Info) -> Any:
        """The row that the fields are read from."""
        return await info.context["rows"].load(self.id)


async def load_rows(user_ids: list[str]) -> list[Any]:
    """All rows at once, each by its key."""
    loop = asyncio.get_running_loop()

    def read(user_id: str) -> asyncio.Future[Any]:
        row = loop.create_future()
        session.execute_async(select, (user_id,)).add_callbacks(
            lambda rows: loop.call_soon_threadsafe(row.set_result, next(iter(rows), None)),
            lambda error: loop.call_soon_threadsafe(row.set_exception, error),
        )
        return row

    return await asyncio.gather(*map(read, user_ids))


@strawberry.type
class Query:
    """Reads."""

    @strawberry.field
    def user(self, id: strawberry.ID) -> User:
        """One."""
        return User(id=id)

    @strawberry.field
    def users(self, ids: list[strawberry.ID]) -> list[User]:
        """Many."""
        return [User(id=id) for id in ids]


class App(GraphQL):
    """With a loader for each request."""

    async def get_context(self, request: object, response: object) -> dict[str, object]:
        return {"rows": DataLoader(load_fn=load_rows)}


schema = strawberry.Schema(Query, extensions=[ParserCache, ValidationCache])
app = Starlette(routes=[Route("/graphql", App(schema, graphql_ide=None))])

if __name__ == "__main__":
    serve = partial(uvicorn.run, host="127.0.0.1", port=arguments["port"], access_log=False, log_level="warning")
    serve(app, loop="uvloop", http="httptools")
