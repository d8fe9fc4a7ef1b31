"""A user's state as bytes: msgpack of one array, so that a row is a single value that is written whole.

The state carries a fingerprint of each measure it holds. Read by another catalogue, a measure with the same fingerprint
is kept wherever it stands now, a measure that is gone is dropped, and a new one starts empty and says since when it
counts.
"""

from __future__ import annotations

import zlib
from array import array
from typing import Any, Final, cast

import cramjam
import msgspec

from features.catalogue import Catalogue
from features.definitions import Base, Part
from features.duplicates import DuplicateWindow
from features.format1 import upgrade
from features.limits import ID_BYTES, KEPT_BYTES, MAX_PACKED_BYTES, make_room, prune, wires
from features.packed import (
    PackedCells,
    UnreadableState,
    adopt_cells,
    adopt_since,
    from_distances,
    to_distances,
)
from features.packed_ids import PackedIds, pack_ids, unpack_ids
from features.state import ALWAYS, NEVER, NOWHERE, UserState, repeated

FORMAT: Final = 4
# Of one layout: 3 counts ids from the first instead of back from the last, 4 says from which offset on measures count.
_READABLE: Final = (2, 3, 4)
# One state in five is longer. Deflating takes a third of the bytes off, and half as long again as packing.
_DEFLATED_ABOVE_BYTES: Final = 1_800
_DEFLATED: Final = b"z"  # begins no msgpack array

__all__ = ["FORMAT", "UnreadableState", "pack", "unpack"]


class _Packed(msgspec.Struct, array_like=True, gc=False):
    format: int
    fingerprints: bytes  # uint32 each: of the cell measures, then of the parts
    cell_measures: int
    counts_from_ms: tuple[int, ...]  # empty: every measure counts since ever
    position: tuple[int, int, int] | None
    version: int
    append_ms: int
    first_event_ms: int | None
    last_event_ms: int | None
    late_events: int
    duplicate_events: int
    undone_events: int
    size_bound: int
    cells: tuple[PackedCells, ...]
    parts: list[msgspec.Raw]
    ids: PackedIds
    counts_from_offsets: tuple[int, ...] = ()  # empty: where it is not always, from the beginning of the topic
    sums_stopped: bool = False


class _FormatOnly(msgspec.Struct, array_like=True, gc=False):
    format: int


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Packed)
_format_decoder = msgspec.msgpack.Decoder(_FormatOnly)
_part_decoders: dict[type[Part], msgspec.msgpack.Decoder[Any]] = {}


def pack(state: UserState, catalogue: Catalogue) -> bytes:
    """The state as bytes, at most 64 KiB. What no later read can need is dropped first.

    Raises OverflowError for a number that has no place in 64 bits, and ValueError for a state that stays above the cap.
    """
    prune(state, catalogue)
    blob = _encode(state, catalogue)
    kept_bytes = KEPT_BYTES
    while len(blob) > MAX_PACKED_BYTES and kept_bytes > 0:  # the fold keeps below this; here for certainty
        kept_bytes -= 4096
        make_room(state, catalogue, kept_bytes)
        blob = _encode(state, catalogue)
    if len(blob) > MAX_PACKED_BYTES:
        raise ValueError(f"the state packs to {len(blob)} bytes; at most {MAX_PACKED_BYTES} are stored")
    id_bytes = ID_BYTES * len(state.duplicates.ids)  # as good as random
    if len(blob) <= _DEFLATED_ABOVE_BYTES or id_bytes > len(blob) // 2:
        return blob
    return _DEFLATED + bytes(cramjam.zlib.compress(blob, 1))  # in less than half of zlib's time


def unpack(blob: bytes, catalogue: Catalogue, *, with_ids: bool = True) -> UserState:
    """The state that `pack` wrote, in this or an earlier format, by this or another catalogue.

    `with_ids=False` leaves out the duplicate guard, which only a fold needs: such a state can be read, and not packed.
    Raises UnreadableState.
    """
    try:
        if blob.startswith(_DEFLATED):
            blob = zlib.decompress(blob[1:])
        found = _format_decoder.decode(blob).format
        if found == 1:
            return upgrade(blob, catalogue)
        if found not in _READABLE:
            raise UnreadableState(f"state format {found}; this version reads 1 to {FORMAT}")
        packed = _decoder.decode(blob)
        stored = array("I", packed.fingerprints).tolist()
        epoch, partition, offset = packed.position or (NOWHERE, 0, 0)
        base = Base(packed.append_ms, offset)
        since = packed.counts_from_ms or repeated(0, len(stored))
        offsets = packed.counts_from_offsets
        if not offsets:
            offsets = tuple([0 if ms else ALWAYS for ms in since]) if any(since) else repeated(ALWAYS, len(stored))
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
            undone_events=packed.undone_events,
            sums_stopped=packed.sums_stopped,
            size_bound=packed.size_bound,
            cells=adopt_cells(
                from_distances(packed.cells, packed.append_ms), stored[: packed.cell_measures], catalogue
            ),
            parts=_parts(packed.parts, stored[packed.cell_measures :], catalogue, base),
            counts_from_ms=adopt_since(stored, since, catalogue, packed.append_ms),
            counts_from_offsets=adopt_since(stored, offsets, catalogue, 0 if epoch == NOWHERE else offset + 1),
            duplicates=unpack_ids(packed.ids, base) if with_ids else DuplicateWindow(left_packed=True),
        )
        if with_ids:  # to be kept, as it is to be folded on
            for measure, part in zip(catalogue.part_measures, state.parts, strict=True):
                measure.share(part)
        return state
    except UnreadableState:
        raise
    except (msgspec.DecodeError, ValueError, OverflowError, zlib.error) as error:
        raise UnreadableState(f"not a packed user state: {error}") from error


def _encode(state: UserState, catalogue: Catalogue) -> bytes:
    base = Base(state.append_ms, state.offset)
    late_beginning = any(state.counts_from_ms)
    return _encoder.encode(
        _Packed(
            format=FORMAT,
            fingerprints=array("I", catalogue.fingerprints).tobytes(),
            cell_measures=len(catalogue.cell_measures),
            counts_from_ms=state.counts_from_ms if late_beginning else (),
            position=state.position,
            version=state.version,
            append_ms=state.append_ms,
            first_event_ms=None if state.first_event_ms == NEVER else state.first_event_ms,
            last_event_ms=None if state.last_event_ms == NEVER else state.last_event_ms,
            late_events=state.late_events,
            duplicate_events=state.duplicate_events,
            undone_events=state.undone_events,
            size_bound=state.size_bound,
            cells=to_distances(state.cells, state.append_ms),
            parts=cast("list[msgspec.Raw]", wires(state, catalogue, base)),  # encoded as what they are
            ids=pack_ids(state.duplicates, base),
            counts_from_offsets=state.counts_from_offsets if late_beginning else (),
            sums_stopped=state.sums_stopped,
        )
    )


def _parts(parts: list[msgspec.Raw], stored: list[int], catalogue: Catalogue, base: Base) -> list[Part]:
    wanted = catalogue.fingerprints[len(catalogue.cell_measures) :]
    known = parts if tuple(stored) == wanted else _reordered(parts, stored, wanted)
    parts_now: list[Part] = []
    for raw, measure in zip(known, catalogue.part_measures, strict=True):
        if raw is None:
            parts_now.append(measure.zero())
        elif measure.wire_type is None:
            parts_now.append(_part_decoder(measure.part_type).decode(raw))
        else:
            parts_now.append(measure.from_wire(_part_decoder(measure.wire_type).decode(raw), base))
    return parts_now


def _reordered(raws: list[msgspec.Raw], stored: list[int], wanted: tuple[int, ...]) -> list[msgspec.Raw | None]:
    by_fingerprint = dict(zip(stored, raws, strict=True))
    return [by_fingerprint.get(each) for each in wanted]


def _part_decoder(part_type: type[Part]) -> msgspec.msgpack.Decoder[Any]:
    decoder = _part_decoders.get(part_type)
    if decoder is None:
        decoder = _part_decoders[part_type] = msgspec.msgpack.Decoder(part_type)
    return decoder
