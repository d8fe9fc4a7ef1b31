"""A user's state as bytes: msgpack of one array, so that a row is a single value that is written whole.

The state carries a fingerprint of each measure it holds. Read by another catalogue, a measure with the same fingerprint
is kept wherever it stands now, a measure that is gone is dropped, and a new one starts empty and says since when it
counts.
"""

from __future__ import annotations

import functools
import zlib
from array import array
from collections.abc import Sequence
from typing import Annotated, Any, Final, Generic, NamedTuple, TypeVar

import msgspec

from features import msgpack
from features.catalogue import Catalogue
from features.definitions import Base, Part, PartMeasure, Wire
from features.duplicates import DuplicateWindow
from features.format1 import upgrade
from features.limits import ID_BYTES, KEPT_BYTES, MAX_PACKED_BYTES, make_room, packed_bytes_at_most, prune, put_parts
from features.packed import (
    PackedCells,
    UnreadableState,
    adopt_cells,
    adopt_since,
    put_cells,
    unpack_cells,
)
from features.packed_ids import PackedIds, put_ids, unpack_ids
from features.state import ALWAYS, NEVER, NOWHERE, UserState, repeated
from schemas import buffers, zstd

FORMAT: Final = 5
# Of one layout: 3 counts ids from the first instead of back from the last, 4 says from which offset on measures count,
# 5 has the cells of a layer in one list.
_READABLE: Final = (2, 3, 4, 5)
# One state in five is longer. Compressing takes a quarter of the bytes off, and as long as packing.
_COMPRESSED_ABOVE_BYTES: Final = 1_800
_NOWHERE: Final = NOWHERE
_NEVER: Final = NEVER
_ZSTD: Final = b"\x28\xb5\x2f\xfd"  # how its frames begin, and no msgpack array does
_DEFLATED: Final = b"z"  # before what was deflated until format 5

__all__ = ["FORMAT", "UnreadableState", "pack", "unpack"]


Parts = TypeVar("Parts")


class _Packed(msgspec.Struct, Generic[Parts], array_like=True, gc=False):
    format: int
    fingerprints: bytes  # uint32 each: of the cell measures, then of the parts
    cell_measures: Annotated[int, msgspec.Meta(ge=0)]
    counts_from_ms: tuple[int, ...]  # empty: every measure counts since ever
    position: tuple[int, int, int] | None  # epoch, partition, offset
    version: int
    append_ms: int
    first_event_ms: int | None
    last_event_ms: int | None
    late_events: int
    duplicate_events: int
    undone_events: int
    size_bound: int
    cells: tuple[PackedCells, ...]
    parts: Parts
    ids: PackedIds
    counts_from_offsets: tuple[int, ...] = ()  # empty: where it is not always, from the beginning of the topic
    sums_stopped: bool = False


class _Head(msgspec.Struct, array_like=True, gc=False):
    format: int
    fingerprints: Any = None  # in format 1 something else


class _Layout(NamedTuple):
    """How the states of one catalogue are packed."""

    fingerprints: bytes
    beginning: bytes
    """Of every state that this version packs by the catalogue, before what differs between states."""
    decoder: msgspec.msgpack.Decoder[_Packed[tuple[Wire, ...]]]


_encoder = msgspec.msgpack.Encoder()
_head_decoder = msgspec.msgpack.Decoder(_Head)
_decoder_of_any = msgspec.msgpack.Decoder(_Packed[list[msgspec.Raw]])
_part_decoder = functools.cache(msgspec.msgpack.Decoder)


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
    id_bytes = ID_BYTES * len(state.duplicates)  # as good as random
    if len(blob) <= _COMPRESSED_ABOVE_BYTES or id_bytes > len(blob) // 2:
        return buffers.taken(blob)
    return zstd.compressed(blob)


def unpack(blob: bytes, catalogue: Catalogue, *, with_ids: bool = True) -> UserState:
    """The state that `pack` wrote, in this or an earlier format, by this or another catalogue.

    `with_ids=False` leaves out the duplicate guard, which only a fold needs: such a state can be read, and not packed.
    Raises UnreadableState.
    """
    try:
        if blob.startswith(_ZSTD):
            blob = zstd.decompressed(blob, MAX_PACKED_BYTES)
        elif blob.startswith(_DEFLATED):
            blob = zlib.decompress(blob[1:])
        layout = _layout(catalogue)
        own = blob.startswith(layout.beginning)
        if not own:  # of another catalogue, or of an earlier version
            head = _head_decoder.decode(blob)
            if head.format == 1:
                return upgrade(blob, catalogue)
            if head.format not in _READABLE:
                raise UnreadableState(f"state format {head.format}; this version reads 1 to {FORMAT}")
            own = head.fingerprints == layout.fingerprints
        packed, stored, wires = _decode_own(blob, layout, catalogue) if own else _decode_foreign(blob, catalogue)
        epoch, partition, offset = packed.position or (NOWHERE, 0, 0)
        base = Base(packed.append_ms, offset)
        since = packed.counts_from_ms or repeated(0, len(stored))
        offsets = packed.counts_from_offsets
        if not offsets:
            offsets = tuple([0 if ms else ALWAYS for ms in since]) if any(since) else repeated(ALWAYS, len(stored))
        minutes, hours, days = adopt_cells(
            unpack_cells(packed.cells, packed.append_ms, packed.cell_measures),
            stored[: packed.cell_measures],
            catalogue,
        )
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
            cell_width=minutes.width,
            minutes=minutes.numbers,
            hours=hours.numbers,
            days=days.numbers,
            parts=[_part(wire, measure, base) for wire, measure in zip(wires, catalogue.part_measures, strict=True)],
            counts_from_ms=adopt_since(stored, since, catalogue, packed.append_ms),
            counts_from_offsets=adopt_since(stored, offsets, catalogue, 0 if epoch == NOWHERE else offset + 1),
            duplicates=unpack_ids(packed.ids, base) if with_ids else DuplicateWindow(left_packed=True),
        )
        if not own:
            state.size_bound = max(state.size_bound, packed_bytes_at_most(state, catalogue))
        if with_ids:  # to be kept, as it is to be folded on
            for measure, part in zip(catalogue.part_measures, state.parts, strict=True):
                measure.share(part)
        return state
    except UnreadableState:
        raise
    except (msgspec.DecodeError, ValueError, OverflowError, zlib.error) as error:
        raise UnreadableState(f"not a packed user state: {error}") from error


def _encode(state: UserState, catalogue: Catalogue) -> bytearray:
    """What decodes to `_Packed`, field by field."""
    base = Base(state.append_ms, state.offset)
    late_beginning = any(state.counts_from_ms)
    out = buffers.begun(_layout(catalogue).beginning)
    msgpack.put_int(out, len(catalogue.cell_measures))
    _put_ints(out, state.counts_from_ms if late_beginning else ())
    if state.epoch == _NOWHERE:
        msgpack.put_nil(out)
    else:
        msgpack.put_array(out, 3)
        msgpack.put_int(out, state.epoch)
        msgpack.put_int(out, state.partition)
        msgpack.put_int(out, state.offset)
    msgpack.put_int(out, state.version)
    msgpack.put_int(out, state.append_ms)
    _put_moment(out, state.first_event_ms)
    _put_moment(out, state.last_event_ms)
    msgpack.put_int(out, state.late_events)
    msgpack.put_int(out, state.duplicate_events)
    msgpack.put_int(out, state.undone_events)
    msgpack.put_int(out, state.size_bound)
    put_cells(out, state)
    put_parts(out, state, catalogue, base)
    put_ids(out, state.duplicates, base)
    _put_ints(out, state.counts_from_offsets if late_beginning else ())
    msgpack.put_flag(out, state.sums_stopped)
    return out


def _put_ints(out: bytearray, numbers: tuple[int, ...]) -> None:
    msgpack.put_array(out, len(numbers))
    for number in numbers:
        msgpack.put_int(out, number)


def _put_moment(out: bytearray, time_ms: int) -> None:
    if time_ms == _NEVER:
        msgpack.put_nil(out)
    else:
        msgpack.put_int(out, time_ms)


@functools.cache
def _layout(catalogue: Catalogue) -> _Layout:
    fingerprints = array("I", catalogue.fingerprints).tobytes()
    header = b"\xdc" + len(_Packed.__struct_fields__).to_bytes(2, "big")  # of an array of 16 fields or more
    types = tuple(map(_wire_type, catalogue.part_measures))
    return _Layout(
        fingerprints,
        header + _encoder.encode((FORMAT, fingerprints))[1:],
        msgspec.msgpack.Decoder(_Packed[tuple[types]]),  # type: ignore[valid-type]
    )


_Decoded = tuple[_Packed[Any], tuple[int, ...], Sequence[Wire | None]]
"""A packed state, the fingerprints of its measures, and the parts of the catalogue: None for one it has not."""


def _decode_own(blob: bytes, layout: _Layout, catalogue: Catalogue) -> _Decoded:
    packed = layout.decoder.decode(blob)
    if packed.cell_measures != len(catalogue.cell_measures):
        counted = len(catalogue.cell_measures)
        raise UnreadableState(f"a state with {packed.cell_measures} measures in cells, where it must be {counted}")
    return packed, catalogue.fingerprints, packed.parts


def _decode_foreign(blob: bytes, catalogue: Catalogue) -> _Decoded:
    packed = _decoder_of_any.decode(blob)
    stored = tuple(array("I", packed.fingerprints))
    raws = dict(zip(stored[packed.cell_measures :], packed.parts, strict=True))
    wanted = zip(catalogue.part_measures, catalogue.fingerprints[len(catalogue.cell_measures) :], strict=True)
    parts = [
        _part_decoder(_wire_type(measure)).decode(raws[each]) if each in raws else None for measure, each in wanted
    ]
    return packed, stored, parts


def _wire_type(measure: PartMeasure[Any]) -> type[Wire]:
    return measure.wire_type or measure.part_type


def _part(wire: Wire | None, measure: PartMeasure[Any], base: Base) -> Part:
    if wire is None:
        return measure.zero()
    return wire if measure.wire_type is None else measure.from_wire(wire, base)
