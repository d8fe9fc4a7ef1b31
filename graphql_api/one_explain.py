"""A limit on `explain`, which folds up to some thousand events: once in a request, and of one user."""

from __future__ import annotations

from collections.abc import Iterator

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValidationRule,
)


class OneExplain(ValidationRule):
    """Refuses a second `explain`, and any under `users`."""

    def enter_operation_definition(self, node: OperationDefinitionNode, *_: object) -> None:
        """Count what the operation asks for."""
        explains = [
            (root, field)
            for root in self._fields(node.selection_set, set())
            if root.selection_set
            for field in self._fields(root.selection_set, set())
            if field.name.value == "explain"
        ]
        refused = explains[1:] if all(root.name.value == "user" for root, _ in explains) else explains
        if refused:
            text = "explain one feature of one `user` in a request: it folds the whole timeline again"
            self.report_error(GraphQLError(text, [field for _, field in refused]))

    def _fields(self, selections: SelectionSetNode, spread: set[str]) -> Iterator[FieldNode]:
        for node in selections.selections:
            if isinstance(node, FieldNode):
                yield node
            elif isinstance(node, InlineFragmentNode):
                yield from self._fields(node.selection_set, spread)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread:
                spread.add(node.name.value)
                fragment = self.context.get_fragment(node.name.value)
                yield from self._fields(fragment.selection_set, spread) if fragment else ()
