"""Events for property tests: fit ones, and ones that are odd in a place or two."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any, Final

from hypothesis import strategies as st

from schemas.events import WIRE_TYPES, epoch_ms

RECEIVED_MS: Final = epoch_ms(datetime(2026, 3, 1, 12, 0, tzinfo=UTC))
IDS: Final = tuple(str(uuid.UUID(int=0x0190B5A0_0000_7000_8000_000000000000 + number)) for number in range(20))
MOMENTS: Final = (
    "2026-03-01T12:00:00Z", "2026-03-01T11:59:59.123Z", "2026-02-28T23:00:00.123456789Z", "2026-03-01 12:00:00z",
    "2026-03-01T13:00:00+01:00", "2026-03-01T12:00:00-00:00", "2026-03-01T12:05:00.001Z", "2026-01-30T11:59:59Z",
    "2026-03-01T12:00:00", "2026-03-01", "2026-03-01T23:59:60Z", "2026-13-01T00:00:00Z", "1969-12-31T23:59:59.999Z",
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999Z", "2026-03-01T12:00:00+24:00", "noon",
)  # fmt: skip
ODD: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 7, 5.0, 1.5, -0.0, 1e13, -1e12, 2**31 - 1, 2**31, 10**20, 2**63, "", "x", "é\u0000𝄞",
    "x" * 256, "x" * 257, "x" * 1025, "undo", "view_itm", IDS[0], IDS[0].upper(), "variables", [], [None], {}, {"a": 1},
)  # fmt: skip
FIELDS: Final = (
    "eventId", "type", "userId", "occurredAt", "itemId", "category", "value", "currency", "searchTerm", "listId",
    "position", "properties", "undoes", "colour", "eventTime", "receivedAt",
)  # fmt: skip
JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab\u00e9", max_size=3), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def fit(**changes: Any) -> dict[str, Any]:
    """A fit event at RECEIVED_MS."""
    return {"eventId": IDS[0], "type": "view_item", "userId": "ann", "occurredAt": MOMENTS[0], **changes}


def fit_events() -> st.SearchStrategy[dict[str, Any]]:
    """Events that are accepted."""
    return st.fixed_dictionaries(
        {
            "eventId": st.sampled_from(IDS),
            "type": st.sampled_from([name for name in WIRE_TYPES if name != "undo"]),
            "userId": st.sampled_from(["ann", "bob", "zoë"]),
            "occurredAt": st.sampled_from(MOMENTS[:2]),
        },
        optional={
            "itemId": st.sampled_from(["sku-1", "sku/2"]),
            "category": st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
            "value": st.floats(-1e12, 1e12) | st.integers(-5, 5),
            "position": st.integers(0, 2**31 - 1),
            "properties": JSON,
        },
    )


@st.composite
def near_events(draw: st.DrawFn) -> dict[str, Any]:
    """Events of which most are fit but for a field or two."""
    event = draw(fit_events())
    for name in draw(st.lists(st.sampled_from(FIELDS), max_size=2)):
        change = draw(st.sampled_from(MOMENTS) if name == "occurredAt" else st.sampled_from((..., *ODD)) | JSON)
        if change is ...:
            event.pop(name, None)
        else:
            event[name] = change
    return event
