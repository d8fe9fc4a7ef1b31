"""GraphQL's input types as msgspec types, which take nothing that graphql-core refuses and make the same values of it.

They refuse some of what graphql-core takes (a number for an ID, a value for a list of one): that is replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from graphql import (
    FieldNode,
    GraphQLArgument,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    ObjectValueNode,
    Undefined,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    get_named_type,
    is_input_type,
    type_from_ast,
    value_from_ast,
)
from msgspec import UNSET, Meta, UnsetType

from graphql_api.compiled.errors import NotCompiled
from schemas.events import INT32_MAX

Read = Callable[[Any], Any]
"""Reads one argument's value from the decoded variables."""
Field = tuple[str, Any] | tuple[str, Any, Any]
"""Name on the wire, type, and the default if it may be left out."""

Int = Annotated[int, Meta(ge=-INT32_MAX - 1, le=INT32_MAX)]
DateTime = Annotated[datetime, Meta(tz=True)]
SCALARS: Final[Mapping[str, Any]] = {
    "ID": str,
    "String": str,
    "Int": Int,
    "Float": float,
    "Boolean": bool,
    "DateTime": DateTime,
}
_CONSTANTS = (str, int, float, bool, datetime, type(None))  # what may be shared by all requests


def attribute(name: str) -> str:
    """The Python name of the field that is called `name` on the wire, which might be a keyword."""
    return f"{name}_"


def struct_type(name: str, fields: Sequence[Field]) -> type[msgspec.Struct]:
    """A struct that takes `fields` alone."""
    return msgspec.defstruct(
        name,
        [(attribute(wire), *rest) for wire, *rest in fields],
        rename={attribute(field[0]): field[0] for field in fields},
        forbid_unknown_fields=True,
        kw_only=True,
    )


class Inputs:
    """Types for the inputs of `schema`. `own` holds those that are not derived, by the name of their GraphQL type."""

    def __init__(self, schema: GraphQLSchema, own: Mapping[str, type]) -> None:
        self._schema = schema
        self._own = own

    def variables(self, definitions: Sequence[VariableDefinitionNode]) -> Variables:
        """The variables that an operation defines."""
        return Variables(self, {node.variable.name.value: self._defined(node) for node in definitions})

    def _defined(self, node: VariableDefinitionNode) -> tuple[GraphQLInputType, Any]:
        kind = type_from_ast(self._schema, node.type)
        if node.directives or not is_input_type(kind):
            raise NotCompiled(node.variable.name.value)
        if node.default_value is not None:
            return kind, constant(node.default_value, kind)
        return kind, Undefined if isinstance(kind, GraphQLNonNull) else UNSET

    def annotation(self, kind: GraphQLInputType) -> Any:
        """The Python type of values of `kind`."""
        if isinstance(kind, GraphQLNonNull):
            return self._annotation(kind.of_type)
        return self._annotation(kind) | None

    def _annotation(self, kind: GraphQLInputType) -> Any:
        if isinstance(kind, GraphQLList):
            return list[self.annotation(kind.of_type)]  # type: ignore[misc]  # made at run time
        name = get_named_type(kind).name
        if name in self._own:
            return self._own[name]
        if isinstance(kind, GraphQLInputObjectType):
            return self.object(kind)
        if name in SCALARS:
            return SCALARS[name]
        raise NotCompiled(name)

    def object(self, kind: GraphQLInputObjectType) -> type[msgspec.Struct]:
        """The struct of an input object."""
        fields: list[Field] = []
        for name, field in kind.fields.items():
            annotation = self.annotation(field.type)
            if field.default_value is not Undefined:
                fields.append((name, annotation, _shareable(field.default_value)))
            elif isinstance(field.type, GraphQLNonNull):
                fields.append((name, annotation))
            else:
                raise NotCompiled(name)
        return struct_type(kind.name, fields)

    def is_own(self, kind: GraphQLInputType) -> bool:
        """Whether values of `kind` are made of a type that is not derived."""
        return get_named_type(kind).name in self._own


class Variables:
    """The variables of an operation: `type` decodes them, `reader` finds arguments in what was decoded."""

    def __init__(self, inputs: Inputs, defined: Mapping[str, tuple[GraphQLInputType, Any]]) -> None:
        self._inputs = inputs
        self._defined = defined
        fields: list[Field] = []
        for name, (kind, default) in defined.items():
            annotation = inputs.annotation(kind)
            if isinstance(default, list):
                raise NotCompiled("a list as default")
            if default is Undefined:
                fields.append((name, annotation))
            else:
                fields.append((name, annotation | UnsetType if default is UNSET else annotation, default))
        self.type = struct_type("Variables", fields)
        self.required = any(default is Undefined for _, default in defined.values())

    def readers(self, field: FieldNode, arguments: Mapping[str, GraphQLArgument]) -> dict[str, Read]:
        """How to read each of a field's `arguments`, by name."""
        nodes = {argument.name.value: argument.value for argument in field.arguments or ()}
        return {
            name: self._reader(nodes.get(name), argument.type, argument.default_value)
            for name, argument in arguments.items()
        }

    def _reader(self, node: ValueNode | None, kind: GraphQLInputType, default: Any) -> Read:
        if node is None:
            value = _shareable(default)
            return lambda _: value
        if isinstance(node, VariableNode):
            return self._variable(node.name.value, kind, default)
        bare = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
        if isinstance(node, ObjectValueNode) and isinstance(bare, GraphQLInputObjectType):
            return self._object(node, bare)
        if self._inputs.is_own(kind):
            raise NotCompiled("events written into the text")
        value = constant(node, kind)
        return lambda _: value

    def _variable(self, name: str, kind: GraphQLInputType, default: Any) -> Read:
        declared, _ = self._defined[name]
        if isinstance(kind, GraphQLNonNull) and not isinstance(declared, GraphQLNonNull):
            raise NotCompiled("a variable that may be null where null is refused")
        place = attribute(name)

        def read(variables: Any) -> Any:
            value = getattr(variables, place)
            return default if value is UNSET else value

        return read

    def _object(self, node: ObjectValueNode, kind: GraphQLInputObjectType) -> Read:
        if self._inputs.is_own(kind):
            raise NotCompiled("events written into the text")
        struct = self._inputs.object(kind)
        nodes = {field.name.value: field.value for field in node.fields}
        readers = [
            (attribute(name), self._reader(nodes.get(name), field.type, field.default_value))
            for name, field in kind.fields.items()
        ]
        return lambda variables: struct(**{name: read(variables) for name, read in readers})


def constant(node: ValueNode, kind: GraphQLInputType) -> Any:
    """The value that is written in the text."""
    return _shareable(value_from_ast(node, kind))


def _shareable(value: Any) -> Any:
    """`value`, if no request can change it."""
    if isinstance(value, _CONSTANTS) or (isinstance(value, list) and all(isinstance(x, _CONSTANTS) for x in value)):
        return value
    raise NotCompiled(f"the constant {value!r}")
