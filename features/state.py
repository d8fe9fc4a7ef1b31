"""The state of one user: a fold of the prefix of one Kafka partition, and where that prefix ends."""

from __future__ import annotations

from dataclasses import dataclass, field

from features.catalogue import Catalogue
from features.cells import LAYERS, Cells
from features.duplicates import DuplicateWindow
from schemas.receipts import Position

SequenceEntry = tuple[int, int, str]
"""(event time in ms, offset, value)."""


@dataclass(slots=True)
class UserState:
    """Mutable in the worker that owns its partition; everywhere else it is only read.

    `version` is in microseconds and rises with every record; `append_ms` is the largest LogAppendTime folded.
    """

    position: Position | None = None
    version: int = 0
    append_ms: int = 0
    first_event_ms: int | None = None
    last_event_ms: int | None = None
    late_events: int = 0
    duplicate_events: int = 0
    cells: tuple[Cells, ...] = field(default_factory=lambda: tuple({} for _ in LAYERS))
    sequences: list[list[SequenceEntry]] = field(default_factory=list)
    duplicates: DuplicateWindow = field(default_factory=DuplicateWindow)


def new_state(catalogue: Catalogue) -> UserState:
    """The state of a user of whom nothing is known."""
    return UserState(sequences=[[] for _ in catalogue.sequences])
