"""Fields of an event by their place.

Compiled modules take these functions from the `.pxd`, which reads a field where it lies in memory: CPython keeps that
place for each member of a class with slots, and by name each field would be a lookup. Such a place is no number that
other modules can use, and what `at` is given must be an Event: nothing there asks.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Final

from schemas.events import Event

_READERS: Final = tuple(attrgetter(field) for field in Event.__struct_fields__)


def place_of(field: str) -> int:
    """Where this field is in every Event, for the `at` of the same module."""
    return Event.__struct_fields__.index(field)


def at(event: Event, place: int) -> Any:
    """The field there."""
    return _READERS[place](event)
