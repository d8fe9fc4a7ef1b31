"""Selections without fragments: what a document selects, as fields that each stand once, as execution collects them.

Every type that plans know is an object type, so a fragment of a valid document always applies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    SelectionNode,
    SelectionSetNode,
)

from graphql_api.compiled.errors import NotCompiled

Fragments = Mapping[str, FragmentDefinitionNode]


def merged(nodes: list[FieldNode], fragments: Fragments) -> FieldNode:
    """One field for `nodes`, which have the same name in the reply, and its selection alike. Raises NotCompiled."""
    first = nodes[0]
    selections = [each for node in nodes if node.selection_set for each in node.selection_set.selections]
    if not selections:
        return first
    fields = tuple(merged(group, fragments) for group in collected(selections, fragments).values())
    parts = {key: getattr(first, key) for key in first.keys}
    return FieldNode(**{**parts, "selection_set": SelectionSetNode(selections=fields)})


def collected(selections: Iterable[SelectionNode], fragments: Fragments) -> dict[str, list[FieldNode]]:
    """The selected fields by their names in the reply, in its order. Raises NotCompiled."""
    fields: dict[str, list[FieldNode]] = {}
    for node in _flat(selections, fragments, set()):
        fields.setdefault(response_key(node), []).append(node)
    return fields


def _flat(selections: Iterable[SelectionNode], fragments: Fragments, spread: set[str]) -> Iterator[FieldNode]:
    for node in selections:
        if node.directives:
            raise NotCompiled("a directive")
        if isinstance(node, FieldNode):
            yield node
        elif isinstance(node, InlineFragmentNode):
            yield from _flat(node.selection_set.selections, fragments, spread)
        elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread:
            spread.add(node.name.value)
            fragment = fragments[node.name.value]
            yield from _flat(fragment.selection_set.selections, fragments, spread)


def plain_fields(selection: SelectionSetNode | None) -> Iterator[tuple[str, FieldNode]]:
    """The fields of a `merged` selection by their names in the reply."""
    for node in selection.selections if selection else ():
        assert isinstance(node, FieldNode)
        yield response_key(node), node


def response_key(node: FieldNode) -> str:
    """The field's name in the reply."""
    return node.alias.value if node.alias else node.name.value
