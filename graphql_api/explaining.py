"""Explain a feature of a user: what it was read from, and whether the timeline says the same. Knows no GraphQL."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from features.catalogue import Catalogue, Feature
from features.cells import covered_from
from features.derive import DerivedFeature
from features.explain import Explanation, explain
from features.recompute import (
    MOST_POSSIBLE,
    SAME_MOMENT_MS,
    Logged,
    contributing,
    depends_on_order,
    in_log_order,
    is_counted,
    recompute,
    same,
)
from graphql_api.reads import Reads, UserRow
from schemas.events import UNDO, decode_record
from storage.rows import DAY_MS, TIMELINE_DAYS, TimelineEntry

# A fold of so many takes some 50 ms of the event loop; whoever has more is explained without the comparison.
MOST_EVENTS: Final = 5_000
LAST_EVENTS: Final = 10
# A batch that is being written is in the timeline before it is in the state: look again before crying out.
_LOOKS: Final = 4
_LOOK_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Explained:
    """`recomputed` is None where it could not be done; `differs` is the alarm.

    `reason` says why it could not be done, or why another value is no alarm.
    """

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
    derived = explanation.feature
    append_ms = 0 if row.state is None else row.state.append_ms
    by_id = {entry.event_id: entry for entry in entries}
    logged = [Logged(decode_record(entry.payload), entry.version // 1000) for entry in entries]
    folded = in_log_order([each for each in logged if each.append_ms <= append_ms])
    seen = _since(derived.counts_from_ms, folded)
    counted = contributing(catalogue, feature, seen, derived.covered_from_ms, _until(feature, now_ms, past))
    counted.sort(key=lambda each: (each.event.event_time, each.event.event_id), reverse=True)
    last = [by_id[each.event.event_id.lower()] for each in counted[:LAST_EVENTS]]
    starts_ms = None if feature.window_ms is None else covered_from(feature.window_ms, now_ms, feature.hop_ms)
    reason = _not_comparable(derived, row, feature, starts_ms, len(entries))
    if reason is not None:
        return Explained(explanation, last, None, len(entries), differs=False, reason=reason)
    possible = recompute(catalogue, seen, feature, now_ms, append_ms, past=past)
    agreeing = next((each for each in possible if same(derived.value, each.value)), None)
    recomputed = agreeing or possible[-1]
    reason = recomputed.reason
    if agreeing is None and not recomputed.approximate:
        reason = _doubt(catalogue, row, feature, derived.counts_from_ms, starts_ms, folded)
    differs = agreeing is None and reason is None
    return Explained(explanation, last, recomputed, len(entries), differs, reason)


def _until(feature: Feature, now_ms: int, past: bool) -> int | None:
    """The end of the cell in which an earlier moment lies: so far a window counts."""
    if not past:
        return None
    return now_ms if feature.hop_ms is None else (now_ms // feature.hop_ms + 1) * feature.hop_ms - 1


def _not_comparable(
    derived: DerivedFeature, row: UserRow, feature: Feature, starts_ms: int | None, events: int
) -> str | None:
    if events > MOST_EVENTS:
        return f"the user has more than {MOST_EVENTS} events in the timeline"
    if derived.approximate:
        return f"the value is an estimate: {derived.reason}"
    if derived.value is None and derived.reason is not None:
        return derived.reason
    assert row.state is not None
    since = {row.state.counts_from_ms[place] for place in feature.places}
    if len(since) > 1 and (starts_ms is None or starts_ms <= max(since)):
        return "its measures count since different moments"
    return None


def _since(counts_from_ms: int | None, logged: list[Logged]) -> list[Logged]:
    """The events that a measure which came later has seen: it came after one that was appended at that moment."""
    return logged if counts_from_ms is None else [each for each in logged if each.append_ms > counts_from_ms]


def _doubt(
    catalogue: Catalogue,
    row: UserRow,
    feature: Feature,
    since_ms: int | None,
    starts_ms: int | None,
    logged: Sequence[Logged],
) -> str | None:
    """What may explain another value than the one served, other than that one of them is wrong."""
    assert row.state is not None
    from_ms = max(row.state.first_event_ms if starts_ms is None else starts_ms, since_ms or 0)
    # A day less, for events that were dated ahead, and for the clocks of the store.
    if from_ms < row.read_at_ms - (TIMELINE_DAYS - 1) * DAY_MS:
        return f"events of that time may have left the timeline, which keeps them for {TIMELINE_DAYS} days"
    if sum(each.append_ms == row.state.append_ms for each in logged) > MOST_POSSIBLE:
        return "a worker may not have folded all of the many events of the last millisecond"
    near = [each for each in logged if starts_ms is None or each.event.event_time >= starts_ms]
    undos = [each for each in logged if each.event.type == UNDO]
    if depends_on_order(catalogue, feature, near, undos):
        return "the order of events that were appended at the same moment is not known any more"
    if since_ms is not None and any(
        is_counted(catalogue, feature, each.event) and _straddles(since_ms, each) for each in near
    ):
        return "it is not known of every event whether it came before the measure began to count"
    return None


def _straddles(since_ms: int, each: Logged) -> bool:
    """Whether the event may lie on either side: `since_ms` is a moment of the log, or the time of a dropped cell."""
    before = each.append_ms < since_ms
    return abs(each.append_ms - since_ms) <= SAME_MOMENT_MS or before != (each.event.event_time < since_ms)


def inputs_as_json(explanation: Explanation) -> dict[str, object]:
    """What the measures outside of cells keep, as JSON can hold it."""
    plain: dict[str, object] = msgspec.to_builtins(explanation.inputs, str_keys=True)
    return plain
