"""Format 1 of a packed state, which had the first default catalogue's measures: read, never written."""

from __future__ import annotations

from array import array
from itertools import chain
from typing import Final

import msgspec

from features import int64s
from features.catalogue import Catalogue
from features.cells import cells_of
from features.counting import MICRO, Count, Sum
from features.definitions import fingerprint
from features.duplicates import UNKNOWN_CODE, DuplicateWindow
from features.limits import packed_bytes_at_most
from features.moments import Moments, MomentsPart
from features.packed import UnreadableState, adopt_cells, adopt_since
from features.recents import LastDistinct, RecentsPart, places_of
from features.state import ALWAYS, NEVER, NOWHERE, UserState, repeated

_LAYOUT: Final = 0xF5949081  # the only catalogue that format 1 was ever written with
_CELLS: Final = (
    Count("views", of="view_item"),
    Count("cart_adds", of="add_to_cart"),
    Count("purchases", of="purchase"),
    Sum("revenue", of="purchase", value="value"),
)
_SEQUENCE: Final = LastDistinct("viewed_items", of="view_item", field="item_id", k=20)
_SEEN: Final = Moments("activity")  # format 1 kept first and last of all events in its header
_MANY: Final = 1 << 31  # events behind a first and last moment: format 1 did not count them


class _Packed(msgspec.Struct, array_like=True, gc=False):
    format: int
    layout: int
    position: tuple[int, int, int] | None
    version: int
    append_ms: int
    first_event_ms: int | None
    last_event_ms: int | None
    late_events: int
    duplicate_events: int
    cells: tuple[dict[int, list[int | float]], dict[int, list[int | float]], dict[int, list[int | float]]]
    sequences: list[list[tuple[int, int, str]]]
    duplicate_keys: bytes  # uint64 each, in the order of first offsets
    duplicate_offsets: bytes  # int64 each
    duplicate_hours: list[tuple[int, int]]


_decoder = msgspec.msgpack.Decoder(_Packed)


def upgrade(blob: bytes, catalogue: Catalogue) -> UserState:
    """The state in `blob`; measures that format 1 did not have start empty. Raises UnreadableState, DecodeError."""
    packed = _decoder.decode(blob)
    if packed.layout != _LAYOUT:
        raise UnreadableState(f"state of format 1 with unknown measures {packed.layout:08x}")
    cells = [
        cells_of({index: [*map(int, cell[:3]), round(cell[3] * MICRO)] for index, cell in layer.items()}, len(_CELLS))
        for layer in packed.cells
    ]
    stored = [fingerprint(measure) for measure in _CELLS]
    stored_all = [*stored, fingerprint(_SEQUENCE), fingerprint(_SEEN)]
    epoch, partition, offset = packed.position or (NOWHERE, 0, 0)
    next_offset = 0 if epoch == NOWHERE else offset + 1
    minutes, hours, days = adopt_cells(cells, stored, catalogue)
    state = UserState(
        epoch=epoch,
        partition=partition,
        offset=offset,
        version=packed.version,
        append_ms=packed.append_ms,
        first_event_ms=NEVER if packed.first_event_ms is None else packed.first_event_ms,
        last_event_ms=NEVER if packed.last_event_ms is None else packed.last_event_ms,
        late_events=packed.late_events,
        duplicate_events=packed.duplicate_events,
        cell_width=minutes.width,
        minutes=minutes.numbers,
        hours=hours.numbers,
        days=days.numbers,
        parts=catalogue.zero_parts(),
        counts_from_ms=adopt_since(stored_all, repeated(0, 6), catalogue, packed.append_ms),
        counts_from_offsets=adopt_since(stored_all, repeated(ALWAYS, 6), catalogue, next_offset),
        duplicates=_ids(packed),
    )
    for place, measure in enumerate(catalogue.part_measures):
        if measure == _SEQUENCE:
            state.parts[place] = _sequence(packed)
        elif measure == _SEEN and packed.first_event_ms is not None and packed.last_event_ms is not None:
            state.parts[place] = MomentsPart(_MANY, packed.first_event_ms, packed.last_event_ms)
    state.size_bound = packed_bytes_at_most(state, catalogue)
    return state


def _sequence(packed: _Packed) -> RecentsPart:
    entries = packed.sequences[0]
    values = [value for _, _, value in entries]
    places = places_of(values, [-time_ms for time_ms, _, _ in entries], [-offset for _, offset, _ in entries], 0, 0)
    return RecentsPart(values, places, displaced_ms=packed.last_event_ms or 0)


def _ids(packed: _Packed) -> DuplicateWindow:
    """Format 1 did not remember what an undo needs: such ids still guard against duplicates."""
    keys, offsets = array("q"), array("q")
    keys.frombytes(packed.duplicate_keys)
    offsets.frombytes(packed.duplicate_offsets)
    ids = [(key, offset, packed.append_ms, UNKNOWN_CODE, 0) for key, offset in zip(keys, offsets, strict=True)]
    hours = int64s.of([*chain.from_iterable(packed.duplicate_hours)])
    return DuplicateWindow(int64s.of([*chain.from_iterable(ids)]), hours, forgot=True)
