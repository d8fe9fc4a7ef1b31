"""Fields of an event by their place.

Compiled modules take these functions from the `.pxd`, which reads a field where it lies in the event: for C that is a
place in memory, as CPython keeps it for each member of a class with slots; by name, each would be a lookup.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Final

from schemas.events import Event

_READERS: Final = tuple(attrgetter(field) for field in Event.__struct_fields__)


def place_of(field: str) -> int:
    """Of this field in every Event."""
    return Event.__struct_fields__.index(field)


def at(event: Event, place: int) -> Any:
    """The field there."""
    return _READERS[place](event)
