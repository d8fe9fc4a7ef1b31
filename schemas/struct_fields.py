"""Fields of a struct by their place.

Compiled modules take these functions from the `.pxd`, which gets at a field where it lies in memory: CPython keeps that
place for each member of a class with slots, and by name each field would be a lookup. Such a place is no number that
other modules can use, and what `at` and `put` are given must be of that class: nothing there asks.
"""

from __future__ import annotations

from typing import Any

import msgspec


def place_of(kind: type[msgspec.Struct], field: str) -> int:
    """Where this field is in every struct of that kind, for the functions of the same module."""
    return kind.__struct_fields__.index(field)


def at(struct: msgspec.Struct, place: int) -> Any:
    """The field there."""
    return getattr(struct, struct.__struct_fields__[place])


def put(struct: msgspec.Struct, place: int, value: object) -> None:
    """Replace the field there."""
    setattr(struct, struct.__struct_fields__[place], value)
