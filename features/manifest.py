"""The manifest of a catalogue: every definition as JSON, so that the next start can tell what has changed.

Stored state is only as good as the definition that folded it: a definition that changes without a new version would mix
two meanings under one name, and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast

from features.catalogue import Catalogue, describe
from features.definitions import CatalogueError

MANIFEST_FORMAT: Final = 1
Definitions = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class DefinitionChange:
    """One difference between two catalogues. `details` has a line for each field that differs."""

    what: Literal["measure", "feature"]
    kind: Literal["added", "removed", "changed"]
    name: str
    details: tuple[str, ...]
    effect: str

    def __str__(self) -> str:
        lines = [f"{self.kind} {self.what} {self.name!r}: {self.effect}"]
        return "\n".join([*lines, *(f"    {detail}" for detail in self.details)])


def catalogue_manifest(catalogue: Catalogue) -> dict[str, object]:
    """Every measure and feature with its version, as JSON."""
    return {"format": MANIFEST_FORMAT, **describe(catalogue)}


def compare(old: Mapping[str, object], new: Mapping[str, object]) -> list[DefinitionChange]:
    """What changed from manifest `old` to `new`, measures first.

    Raises CatalogueError with the diff where a definition changed and its version was not raised.
    """
    changes = [*_compare("measure", old, new), *_compare("feature", old, new)]
    refused = [change for change in changes if change.effect == _REFUSED]
    if refused:
        diff = "\n".join(map(str, refused))
        raise CatalogueError(f"definitions changed without a new version:\n{diff}")
    return changes


_REFUSED: Final = "raise its version, or give the new definition a name of its own"


def _compare(
    what: Literal["measure", "feature"], old: Mapping[str, object], new: Mapping[str, object]
) -> list[DefinitionChange]:
    before, after = cast(Definitions, old[what + "s"]), cast(Definitions, new[what + "s"])
    changes: list[DefinitionChange] = []
    for name in [*before, *(name for name in after if name not in before)]:
        if name not in after:
            effect = "what it kept is dropped" if what == "measure" else "readers no longer get it"
            changes.append(DefinitionChange(what, "removed", name, (), effect))
        elif name not in before:
            effect = "starts empty" if what == "measure" else "works at once over measures that are kept already"
            changes.append(DefinitionChange(what, "added", name, (), effect))
        elif before[name] != after[name]:
            changes.append(_changed(what, name, before[name], after[name]))
    return changes


def _changed(
    what: Literal["measure", "feature"], name: str, before: Mapping[str, object], after: Mapping[str, object]
) -> DefinitionChange:
    details = tuple(
        f"{key}: {before.get(key)!r} -> {after.get(key)!r}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    )
    # `maths` is the version of our own code, which counts as one.
    raised = (_number(after, "maths"), _number(after, "version")) > (
        _number(before, "maths"),
        _number(before, "version"),
    )
    lowered = _number(after, "version") < _number(before, "version")
    if not raised or lowered:
        return DefinitionChange(what, "changed", name, details, _REFUSED)
    return DefinitionChange(
        what, "changed", name, details, "starts empty" if what == "measure" else "answers by the new version"
    )


def _number(definition: Mapping[str, object], key: str) -> int:
    return cast(int, definition.get(key, 1))
