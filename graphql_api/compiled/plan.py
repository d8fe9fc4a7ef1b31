"""From the text of an operation to its plan: how to decode a request's body, and what to do with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    Source,
    get_named_type,
    parse,
)

from features.catalogue import Catalogue
from graphql_api.compiled.errors import NotCompiled, Replay
from graphql_api.compiled.inputs import Inputs, Variables, struct_type
from graphql_api.compiled.mutations import EVENT_TYPES, Track
from graphql_api.compiled.reads import ReadUser, ReadUsers, Users
from graphql_api.compiled.selections import collected, merged
from graphql_api.context import RequestContext

Run = Callable[[Any, RequestContext], Awaitable[object]]
"""Makes the reply's value of the root field from decoded variables. Raises Replay, and what its resolver raises."""

# What msgspec raises for bytes that it does not take. UnicodeDecodeError is a ValueError.
UNDECODABLE: Final = (msgspec.DecodeError, ValueError, RecursionError)


class _Body(Protocol):
    query_: str | None
    documentId_: str | None
    operationName_: str | None
    variables_: Any


@dataclass(frozen=True, slots=True)
class Plan:
    """How to answer the requests of one text. `key` is the root field's name in the reply, `place` where it starts.

    `has_deadline`: whether what it runs ends by itself, whatever it waits for.
    """

    text: str
    name: str | None
    decoders: tuple[msgspec.json.Decoder[Any], ...]
    no_variables: Any
    run: Run
    key: str
    place: int
    has_deadline: bool

    def variables(self, body: bytes, document_id: str | None) -> Any:
        """The variables of a request for this text or this id. Raises Replay."""
        request = self._decoded(body)
        known = request.query_ == self.text if document_id is None else request.query_ is None
        if not known or request.documentId_ != document_id or request.operationName_ not in (None, self.name):
            raise Replay
        return self.no_variables if request.variables_ is None else request.variables_

    def _decoded(self, body: bytes) -> _Body:
        for decoder in self.decoders:
            try:
                return decoder.decode(body)  # type: ignore[no-any-return]  # made at run time
            except UNDECODABLE:
                continue
        raise Replay

    def located(self, error: Exception) -> GraphQLError:
        """The error as execution reports it when the root field's resolver raises."""
        return GraphQLError(
            str(error), source=Source(self.text), positions=[self.place], path=[self.key], original_error=error
        )


def compile_text(text: str, schema: GraphQLSchema, catalogue: Catalogue) -> Plan:
    """The plan of a text that is valid. Raises NotCompiled."""
    definitions = parse(text).definitions
    fragments = {each.name.value: each for each in definitions if isinstance(each, FragmentDefinitionNode)}
    operation, *others = [each for each in definitions if isinstance(each, OperationDefinitionNode)]
    if others or operation.directives or any(fragment.directives for fragment in fragments.values()):
        raise NotCompiled("several operations, or a directive")
    ((key, nodes), *more) = collected(operation.selection_set.selections, fragments).items()
    if more or len(nodes) > 1:
        raise NotCompiled("several root fields")
    field = merged(nodes, fragments)
    root = schema.get_root_type(operation.operation)
    name = field.name.value
    if root is None or name not in root.fields or name not in _COMPILED[operation.operation]:
        raise NotCompiled(name)
    variants = [
        Inputs(schema, own).variables(operation.variable_definitions or ()) for own in EVENT_TYPES.get(name, ({},))
    ]
    variables = variants[0]
    run = _run(root, field, variables, catalogue)
    assert field.loc is not None
    return Plan(
        text,
        operation.name.value if operation.name else None,
        tuple(msgspec.json.Decoder(_body_type(variant)) for variant in variants),
        None if variables.required else variables.type(),
        run,
        key,
        field.loc.start,
        has_deadline=name in EVENT_TYPES,
    )


_COMPILED: Final[Mapping[OperationType, Collection[str]]] = {
    OperationType.QUERY: ("user", "users"),
    OperationType.MUTATION: EVENT_TYPES,
    OperationType.SUBSCRIPTION: (),
}


def _run(root: GraphQLObjectType, field: FieldNode, variables: Variables, catalogue: Catalogue) -> Run:
    name = field.name.value
    arguments = variables.readers(field, root.fields[name].args)
    if name in EVENT_TYPES:
        return Track(field, arguments)
    user = get_named_type(root.fields[name].type)
    assert isinstance(user, GraphQLObjectType)
    users = Users(field, user, variables, catalogue)
    return ReadUser(users, arguments) if name == "user" else ReadUsers(users, arguments)


def _body_type(variables: Variables) -> type[msgspec.Struct]:
    """A request's body. What it may hold under `extensions` is read by nobody: the form that clients send is enough."""
    taken = ("variables", variables.type) if variables.required else ("variables", variables.type | None, None)
    return struct_type(
        "Body",
        [
            ("query", str | None, None),
            ("documentId", str | None, None),
            ("operationName", str | None, None),
            taken,
            ("extensions", dict[str, dict[str, str]] | None, None),
        ],
    )
