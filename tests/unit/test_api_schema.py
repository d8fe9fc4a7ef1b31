"""The committed SDL, descriptions, and the vendored GraphiQL."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from graphql import GraphQLInputObjectType, GraphQLObjectType
from graphql import build_schema as build_from_sdl

from features.catalogue import Catalogue, Count, Windowed
from graphql_api.compiled.plan import compile_text
from graphql_api.graphiql import PAGE, STATIC
from graphql_api.schema import build_schema
from tests.asgi import call
from tests.unit.api_world import CATALOGUE, make_world

SDL = Path("graphql_api/schema.graphql")


def test_the_committed_sdl_is_that_of_the_code() -> None:
    assert SDL.read_text() == build_schema(CATALOGUE).as_str() + "\n"


def test_features_have_in_graphql_the_names_that_the_catalogue_gives_them() -> None:
    names = ["view_count_1h", "viewCount1h", "Views", "class"]
    features = [Windowed(name, "views", window=f"{place}h", doc="Views.") for place, name in enumerate(names, 1)]
    catalogue = Catalogue(measures=[Count("views", of="view_item")], features=features)
    schema = build_schema(catalogue)
    compile_text('{ user(id: "ann") { features { view_count_1h { value } } } }', schema._schema, catalogue)
    served = build_from_sdl(schema.as_str()).type_map["UserFeatures"]
    assert isinstance(served, GraphQLObjectType)
    assert list(served.fields) == names


def test_every_type_field_and_argument_has_a_description() -> None:
    missing = []
    for type_name, kind in build_from_sdl(SDL.read_text()).type_map.items():
        if type_name.startswith("__") or type_name in ("String", "Int", "Float", "Boolean", "ID"):
            continue
        described = {type_name: kind.description}
        if isinstance(kind, GraphQLObjectType | GraphQLInputObjectType):
            for name, field in kind.fields.items():
                described[f"{type_name}.{name}"] = field.description
                for argument, value in getattr(field, "args", {}).items():
                    described[f"{type_name}.{name}({argument})"] = value.description
        missing += [name for name, text in described.items() if not text]
    assert missing == []


def test_vendored_files_are_what_their_checksums_say() -> None:
    lines = (STATIC / "CHECKSUMS").read_text().splitlines()
    listed = {name: digest for digest, name in (line.split("  ") for line in lines)}
    vendored = [path for path in STATIC.glob("*/*") if path.is_file()]
    assert listed == {
        path.relative_to(STATIC).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in vendored
    }
    for directory in {path.parent for path in vendored}:
        assert (directory / "LICENSE").is_file()


async def test_browsers_get_graphiql_from_this_server_alone() -> None:
    app = make_world().app
    answer = await call(app, "GET", "/graphql", headers={"accept": "text/html,*/*;q=0.8"})
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.body == PAGE.read_bytes()
    links = re.findall(r'(?:src|href)="([^"]+)"', answer.body.decode())
    assert "//" not in answer.body.decode()
    for link in links:
        if link != "data:,":
            assert (await call(app, "GET", link)).status == 200, link


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/static/"])
async def test_static_files_are_nothing_else(path: str) -> None:
    assert (await call(make_world().app, "GET", path)).status == 404
