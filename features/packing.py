"""A user's state as bytes: msgpack of one array, so that a row is a single value that is written whole."""

from __future__ import annotations

from array import array
from typing import Final

import msgspec

from features import cells
from features.catalogue import Catalogue
from features.cells import Number
from features.duplicates import DuplicateWindow
from features.state import UserState
from schemas.receipts import Position

FORMAT: Final = 1


class UnreadableState(ValueError):
    """Packed bytes of a format or catalogue that this process does not know."""


class _PackedState(msgspec.Struct, array_like=True, gc=False):
    format: int
    layout: int
    position: tuple[int, int, int] | None
    version: int
    append_ms: int
    first_event_ms: int | None
    last_event_ms: int | None
    late_events: int
    duplicate_events: int
    cells: tuple[dict[int, list[Number]], dict[int, list[Number]], dict[int, list[Number]]]
    sequences: list[list[tuple[int, int, str]]]
    duplicate_keys: bytes  # uint64 each, in the order of first offsets
    duplicate_offsets: bytes  # int64 each
    duplicate_hours: list[tuple[int, int]]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_PackedState)


def pack(state: UserState, catalogue: Catalogue) -> bytes:
    """The state as bytes. Cells that no later read can need are dropped first."""
    cells.prune(state.cells, state.append_ms)
    window = state.duplicates
    minutes, hours, days = state.cells
    return _encoder.encode(
        _PackedState(
            FORMAT,
            catalogue.layout,
            state.position,
            state.version,
            state.append_ms,
            state.first_event_ms,
            state.last_event_ms,
            state.late_events,
            state.duplicate_events,
            (minutes, hours, days),
            state.sequences,
            array("Q", window.offsets.keys()).tobytes(),
            array("q", window.offsets.values()).tobytes(),
            window.hours,
        )
    )


def unpack(blob: bytes, catalogue: Catalogue) -> UserState:
    """The state that `pack` wrote. Raises UnreadableState."""
    try:
        packed = _decoder.decode(blob)
    except msgspec.DecodeError as error:
        raise UnreadableState(f"not a packed user state: {error}") from error
    if packed.format != FORMAT:
        raise UnreadableState(f"state format {packed.format}; this version reads {FORMAT}")
    if packed.layout != catalogue.layout:
        raise UnreadableState(
            f"state was folded by measures {packed.layout:08x}, this catalogue has {catalogue.layout:08x}"
        )
    keys, offsets = array("Q"), array("q")
    keys.frombytes(packed.duplicate_keys)
    offsets.frombytes(packed.duplicate_offsets)
    return UserState(
        position=None if packed.position is None else Position(*packed.position),
        version=packed.version,
        append_ms=packed.append_ms,
        first_event_ms=packed.first_event_ms,
        last_event_ms=packed.last_event_ms,
        late_events=packed.late_events,
        duplicate_events=packed.duplicate_events,
        cells=packed.cells,
        sequences=packed.sequences,
        duplicates=DuplicateWindow(dict(zip(keys, offsets, strict=True)), packed.duplicate_hours),
    )
