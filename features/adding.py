"""How the fold adds an event to the part of a measure, and takes it back."""

from __future__ import annotations

from typing import Any

from schemas.events import Event

# Where annotations decide, Cython reads `int` as an object. Of these names it knows nothing, so the `.pxd` decides.
Ms = int
"""Since the epoch."""
Offset = int
"""Of a record in its partition."""
Int64 = int
"""Any other number."""


class Adder:
    """Adds events of one type to the parts of one measure and takes them back, with everything looked up in advance.

    The fold calls nothing else as often. Where a `.pxd` types a measure's adder, the numbers arrive as C has them, and
    its part, assigned to a variable of its type, is a C structure.
    """

    place: int
    """Of its part among those of a state: the folder says it."""

    def add(self, part: Any, event: Event, time_ms: Ms, offset: Offset, append_ms: Ms) -> None:
        """Count an event of `time_ms`; `append_ms` is the latest moment of the log so far."""
        raise NotImplementedError

    def undo(self, part: Any, event: Event, time_ms: Ms, offset: Offset) -> None:
        """Take back what `add` did with the same event and offset; where it cannot, remember the doubt."""
        raise NotImplementedError
