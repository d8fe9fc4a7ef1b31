"""The JSON of an event whose texts are plain, ASCII without anything that JSON escapes.

Compiled modules take the function from the `.pxd`, which writes it in a quarter of msgspec's time; here there is
nothing to gain, so msgspec encodes all events.
"""

from __future__ import annotations

from datetime import datetime


def of_event(
    event_id: str,
    event_type: str,
    user_id: str,
    occurred_at: datetime,
    item_id: str | None,
    category: str | None,
    currency: str | None,
    search_term: str | None,
    list_id: str | None,
    position: int | None,
    event_time_ms: int,
    received_at_ms: int,
) -> bytes | None:
    """What msgspec makes of a FitEvent with these fields and no others; None where it is left to it.

    `occurred_at` is in UTC; texts have at most MAX_TEXT_CHARS characters.
    """
    return None
