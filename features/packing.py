"""A user's state as bytes: msgpack of one array, so that a row is a single value that is written whole.

The state carries a fingerprint of each measure it holds. Read by another catalogue, a measure with the same fingerprint
is kept wherever it stands now, a measure that is gone is dropped, and a new one starts empty and says since when it
counts.
"""

from __future__ import annotations

from array import array
from typing import Any, Final

import msgspec

from features.catalogue import Catalogue
from features.definitions import Part
from features.duplicates import Admitted, DuplicateWindow
from features.format1 import upgrade
from features.limits import KEPT_BYTES, MAX_PACKED_BYTES, make_room, prune
from features.packed import (
    UnreadableState,
    adopt_cells,
    adopt_since,
)
from features.state import UserState
from schemas.receipts import Position

FORMAT: Final = 2

__all__ = ["FORMAT", "UnreadableState", "pack", "unpack"]

_NO_OFFSET: Final = 2**32 - 1


class _PackedIds(msgspec.Struct, array_like=True, gc=False):
    """Ids in the order of first offsets: per id 8 bytes of key, 4 of offset, 4 of time, 1 of type, 2 of check.

    Offsets count from `first_offset`, times back from `last_ms`: within the horizon and the ages that are accepted
    (33 days in all) both fit 32 bits. An offset of an earlier topic is 2^32 - 1.
    """

    keys: bytes
    first_offset: int
    offsets: bytes
    last_ms: int
    ages_ms: bytes
    codes: bytes
    checks: bytes
    hours: list[tuple[int, int]]
    forgot: bool


class _Packed(msgspec.Struct, array_like=True, gc=False):
    format: int
    fingerprints: bytes  # uint32 each: of the cell measures, then of the parts
    cell_measures: int
    counts_from_ms: list[int]  # empty: every measure counts since ever
    position: tuple[int, int, int] | None
    version: int
    append_ms: int
    first_event_ms: int | None
    last_event_ms: int | None
    late_events: int
    duplicate_events: int
    undone_events: int
    size_bound: int
    cells: tuple[dict[int, list[int]], dict[int, list[int]], dict[int, list[int]]]
    parts: list[msgspec.Raw]
    ids: _PackedIds


class _FormatOnly(msgspec.Struct, array_like=True, gc=False):
    format: int


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Packed)
_format_decoder = msgspec.msgpack.Decoder(_FormatOnly)
_part_decoders: dict[type[Part], msgspec.msgpack.Decoder[Any]] = {}


def pack(state: UserState, catalogue: Catalogue) -> bytes:
    """The state as bytes, at most 64 KiB. What no later read can need is dropped first."""
    prune(state, catalogue)
    blob = _encode(state, catalogue)
    kept_bytes = KEPT_BYTES
    while len(blob) > MAX_PACKED_BYTES and kept_bytes > 0:  # the fold keeps below this; here for certainty
        kept_bytes -= 4096
        make_room(state, catalogue, kept_bytes)
        blob = _encode(state, catalogue)
    return blob


def unpack(blob: bytes, catalogue: Catalogue) -> UserState:
    """The state that `pack` wrote, in this or an earlier format, by this or another catalogue.

    Raises UnreadableState.
    """
    try:
        found = _format_decoder.decode(blob).format
        if found == 1:
            return upgrade(blob, catalogue)
        if found != FORMAT:
            raise UnreadableState(f"state format {found}; this version reads 1 to {FORMAT}")
        packed = _decoder.decode(blob)
        stored = array("I", packed.fingerprints).tolist()
        since = packed.counts_from_ms or [0] * len(stored)
        return UserState(
            position=None if packed.position is None else Position(*packed.position),
            version=packed.version,
            append_ms=packed.append_ms,
            first_event_ms=packed.first_event_ms,
            last_event_ms=packed.last_event_ms,
            late_events=packed.late_events,
            duplicate_events=packed.duplicate_events,
            undone_events=packed.undone_events,
            size_bound=packed.size_bound,
            cells=adopt_cells(packed.cells, stored[: packed.cell_measures], catalogue),
            parts=_parts(packed.parts, stored[packed.cell_measures :], catalogue),
            counts_from_ms=adopt_since(stored, since, catalogue, packed.append_ms),
            duplicates=_unpack_ids(packed.ids),
        )
    except UnreadableState:
        raise
    except (msgspec.DecodeError, ValueError) as error:
        raise UnreadableState(f"not a packed user state: {error}") from error


def _encode(state: UserState, catalogue: Catalogue) -> bytes:
    return _encoder.encode(
        (
            FORMAT,
            array("I", catalogue.fingerprints).tobytes(),
            len(catalogue.cell_measures),
            state.counts_from_ms if any(state.counts_from_ms) else (),
            state.position,
            state.version,
            state.append_ms,
            state.first_event_ms,
            state.last_event_ms,
            state.late_events,
            state.duplicate_events,
            state.undone_events,
            state.size_bound,
            state.cells,
            state.parts,
            _pack_ids(state.duplicates),
        )
    )


def _parts(parts: list[msgspec.Raw], stored: list[int], catalogue: Catalogue) -> list[Part]:
    wanted = catalogue.fingerprints[len(catalogue.cell_measures) :]
    known = parts if tuple(stored) == wanted else _reordered(parts, stored, wanted)
    return [
        measure.zero() if raw is None else _part_decoder(measure.part_type).decode(raw)
        for raw, measure in zip(known, catalogue.part_measures, strict=True)
    ]


def _reordered(raws: list[msgspec.Raw], stored: list[int], wanted: tuple[int, ...]) -> list[msgspec.Raw | None]:
    by_fingerprint = dict(zip(stored, raws, strict=True))
    return [by_fingerprint.get(each) for each in wanted]


def _part_decoder(part_type: type[Part]) -> msgspec.msgpack.Decoder[Any]:
    decoder = _part_decoders.get(part_type)
    if decoder is None:
        decoder = _part_decoders[part_type] = msgspec.msgpack.Decoder(part_type)
    return decoder


def _pack_ids(window: DuplicateWindow) -> _PackedIds:
    admitted = window.ids.values()
    first = min((each[0] for each in admitted if each[0] >= 0), default=0)
    last_ms = max((each[1] for each in admitted), default=0)
    return _PackedIds(
        array("Q", window.ids).tobytes(),
        first,
        array("I", [each[0] - first if each[0] >= 0 else _NO_OFFSET for each in admitted]).tobytes(),
        last_ms,
        array("I", [last_ms - each[1] for each in admitted]).tobytes(),
        bytes([each[2] for each in admitted]),
        array("H", [each[3] for each in admitted]).tobytes(),
        window.hours,
        window.forgot,
    )


def _unpack_ids(packed: _PackedIds) -> DuplicateWindow:
    keys, offsets, ages, checks = array("Q"), array("I"), array("I"), array("H")
    keys.frombytes(packed.keys)
    offsets.frombytes(packed.offsets)
    ages.frombytes(packed.ages_ms)
    checks.frombytes(packed.checks)
    first, last_ms = packed.first_offset, packed.last_ms
    ids: dict[int, Admitted] = {
        key: (-1 if offset == _NO_OFFSET else first + offset, last_ms - age, code, check)
        for key, offset, age, code, check in zip(keys, offsets, ages, packed.codes, checks, strict=True)
    }
    return DuplicateWindow(ids, packed.hours, packed.forgot)
