"""How the fold adds an event to the part of a measure."""

from __future__ import annotations

from typing import Any

from schemas.events import Event

# Cython takes a number that is annotated as `int` for an object; these it takes for what the `.pxd` says.
Ms = int
"""Since the epoch."""
Offset = int
Index = int
"""In a list."""


class Adder:
    """Adds events of one type to the parts of one measure, with everything looked up in advance.

    The fold calls nothing else as often, so where it is compiled the numbers arrive as they are, not as objects.
    """

    def add(self, part: Any, event: Event, time_ms: Ms, offset: Offset, append_ms: Ms) -> None:
        """Count an event of `time_ms`; `append_ms` is the latest moment of the log so far."""
        raise NotImplementedError
