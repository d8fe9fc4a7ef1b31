"""Explain a feature of a user: what it was read from, and whether the timeline says the same. Knows no GraphQL."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import msgspec

from features.catalogue import Catalogue, Feature
from features.derive import DerivedFeature
from features.explain import Explanation, explain
from features.recompute import contributing, recompute, same
from graphql_api.reads import Reads, UserRow
from schemas.events import Event, decode_record
from storage.rows import TimelineEntry

# A fold of so many takes some 50 ms of the event loop; whoever has more is explained without the comparison.
MOST_EVENTS: Final = 5_000
LAST_EVENTS: Final = 10
# A batch that is being written is in the timeline before it is in the state: look again before crying out.
_LOOKS: Final = 4
_LOOK_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Explained:
    """`recomputed` is None where it could not be done, for `reason`; `differs` is the alarm."""

    explanation: Explanation
    last_events: list[TimelineEntry]
    recomputed: DerivedFeature | None
    recomputed_from: int
    differs: bool
    reason: str | None


async def explain_feature(
    reads: Reads, catalogue: Catalogue, row: UserRow, feature: Feature, now_ms: int, *, past: bool
) -> Explained:
    """Explain `feature` of `row` as of `now_ms`. Raises StoreUnavailable."""
    for look in range(_LOOKS):
        if look:
            await asyncio.sleep(_LOOK_SECONDS)
            row = await reads.user(row.user_id, after=None, deadline_ms=0)
        explained = await _explain(reads, catalogue, row, feature, now_ms, past)
        if not explained.differs:
            break
    return explained


async def _explain(
    reads: Reads, catalogue: Catalogue, row: UserRow, feature: Feature, now_ms: int, past: bool
) -> Explained:
    explanation = explain(catalogue, row.state, feature.name, now_ms, past=past)
    entries = await reads.whole_timeline(row, MOST_EVENTS + 1)
    events = [decode_record(entry.payload) for entry in entries]
    derived = explanation.feature
    counted = {event.event_id for event in contributing(catalogue, feature, events, derived.covered_from_ms)}
    last = [entry for entry, event in zip(entries, events, strict=True) if event.event_id in counted][:LAST_EVENTS]
    reason = _not_comparable(derived, len(entries))
    if reason is not None:
        return Explained(explanation, last, None, len(events), differs=False, reason=reason)
    recomputed = recompute(catalogue, _since(derived, events), feature.name, now_ms, past=past)
    differs = not recomputed.approximate and not same(derived.value, recomputed.value)
    return Explained(explanation, last, recomputed, len(events), differs, recomputed.reason)


def _not_comparable(derived: DerivedFeature, events: int) -> str | None:
    if events > MOST_EVENTS:
        return f"the user has more than {MOST_EVENTS} events in the timeline"
    if derived.approximate:
        return f"the value is an estimate: {derived.reason}"
    if derived.value is None and derived.reason is not None:
        return derived.reason
    return None


def _since(derived: DerivedFeature, events: list[Event]) -> list[Event]:
    """The events that a measure which came later has seen."""
    if derived.counts_from_ms is None:
        return events
    return [event for event in events if event.received_at >= derived.counts_from_ms]


def inputs_as_json(explanation: Explanation) -> dict[str, object]:
    """What the measures outside of cells keep, as JSON can hold it."""
    plain: dict[str, object] = msgspec.to_builtins(explanation.inputs, str_keys=True)
    return plain
