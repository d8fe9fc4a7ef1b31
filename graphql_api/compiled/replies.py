"""Reply templates: what a selection asks of an object, as one function that makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from graphql import FieldNode, SelectionSetNode

from graphql_api.compiled.errors import NotCompiled
from graphql_api.compiled.selections import plain_fields

Get = Callable[[Any], object]
"""Reads a field's value, as JSON shows it, from what the object is made of."""


class One(NamedTuple):
    """A field that is an object, never null."""

    get: Callable[[Any], Any]
    shape: Shape


class Nested(NamedTuple):
    """A field that is a list of objects, or null."""

    get: Callable[[Any], list[Any] | None]
    shape: Shape


class Shape(NamedTuple):
    """An output type: its name, and how to read its fields. None of them takes arguments."""

    name: str
    fields: Mapping[str, Get | One | Nested]


def template(selection: SelectionSetNode | None, shape: Shape) -> Get:
    """The function that makes the selected object. Raises NotCompiled."""
    parts = tuple((key, _part(node, shape)) for key, node in plain_fields(selection))
    if len(parts) == 1:  # most often the value alone, of each of many features
        [(only_key, get_only)] = parts
        return lambda source: {only_key: get_only(source)}
    return lambda source: {key: get(source) for key, get in parts}


def _part(node: FieldNode, shape: Shape) -> Get:
    name = node.name.value
    if name == "__typename":
        return lambda _: shape.name
    field = shape.fields.get(name)
    if field is None:
        raise NotCompiled(name)
    if isinstance(field, One):
        return _one(node, field)
    return _list(node, field) if isinstance(field, Nested) else field


def _one(node: FieldNode, field: One) -> Get:
    get, render = field.get, template(node.selection_set, field.shape)
    return lambda source: render(get(source))


def _list(node: FieldNode, field: Nested) -> Get:
    get, render = field.get, template(node.selection_set, field.shape)

    def part(source: Any) -> object:
        items = get(source)
        return None if items is None else [render(item) for item in items]

    return part
