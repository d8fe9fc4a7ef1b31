"""Unlogged batches of rows that are encoded by hand: half of what binding and the driver's own batch cost.

The layout is that of BATCH in the native protocol v5 (section 4.1.7); a contract test reads the rows back beside rows
that the driver has bound.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

import msgspec
from cassandra import ConsistencyLevel
from cassandra.cluster import Session
from cassandra.protocol import BatchMessage
from cassandra.query import BatchStatement, BatchType, PreparedStatement

from storage.grouping import grouped

BATCH_BYTES: Final = 40_000
"""A stock server refuses batches above 50 KiB; the rest is for what it adds to each row."""
MAX_ROWS: Final = 0xFFFF
_ROW_OVERHEAD_BYTES: Final = 50
_PROTOCOL_VERSION: Final = 5
_PREPARED: Final = 1
_NO_FLAGS: Final = 0

_routing_key = attrgetter("routing_key")
_start = struct.Struct(">BH").pack
_end = struct.Struct(">Hi").pack
_head = struct.Struct(">BH").pack
_count = struct.Struct(">H").pack


class PackedRow(msgspec.Struct, frozen=True, gc=False):
    """One prepared INSERT with its values, as an entry of a batch; `routing_key` as the partitioner hashes it."""

    routing_key: bytes
    entry: bytes


class PackedBatch(BatchStatement):  # type: ignore[misc]  # the driver ships no types
    """An idempotent unlogged batch for a session that `understand_packed_batches`."""

    def __init__(self, keyspace: str, rows: Sequence[PackedRow]) -> None:
        super().__init__(BatchType.UNLOGGED)
        self.keyspace = keyspace
        self.routing_key = rows[0].routing_key
        self.is_idempotent = True
        self.entries = [row.entry for row in rows]


class _PackedBatchMessage(BatchMessage):  # type: ignore[misc]
    def __init__(self, batch: PackedBatch, consistency_level: int) -> None:
        super().__init__(batch.batch_type, batch.entries, consistency_level)

    def send_body(self, f: Any, protocol_version: int) -> None:
        """Write the body; every row brings its own timestamp."""
        if protocol_version != _PROTOCOL_VERSION:
            raise ValueError(f"packed batches are of protocol version {_PROTOCOL_VERSION}, not {protocol_version}")
        f.write(_start(self.batch_type.value, len(self.queries)))
        f.write(b"".join(self.queries))
        f.write(_end(self.consistency_level, _NO_FLAGS))


def understand_packed_batches(session: Session) -> None:
    """Make the session send a PackedBatch as what it is."""
    session.add_request_init_listener(_pack)


def _pack(request: Any) -> None:
    if isinstance(request.query, PackedBatch):
        level = request.message.consistency_level
        request.message = _PackedBatchMessage(request.query, ConsistencyLevel.LOCAL_QUORUM if level is None else level)


def entry_head(statement: PreparedStatement, types: Sequence[str]) -> bytes:
    """What precedes the values of each row. Raises ValueError where the columns are not of the CQL types expected."""
    found = [column.type.typename for column in statement.column_metadata]
    if found != list(types):
        raise ValueError(f"the columns of {statement.query_string!r} are {found}, expected {list(types)}")
    return _head(_PREPARED, len(statement.query_id)) + bytes(statement.query_id) + _count(len(types))


def by_partition(rows: Iterable[PackedRow]) -> list[PackedRow]:
    """The rows, those of one partition together and in their order.

    What a batch has of a partition is one write of the node to its commit log and, where that is `batch` or `group`,
    one wait for the disk.
    """
    return [row for of_partition in grouped(rows, _routing_key).values() for row in of_partition]


def batches(
    keyspace: str, rows: Iterable[PackedRow], replicas: Callable[[bytes], Hashable] | None
) -> list[PackedBatch]:
    """Batches of bounded size, each of rows with the same replicas, so that one coordinator holds all of them.

    `replicas` gives those of a routing key; None means that all rows have the same.
    """
    groups: Mapping[Hashable, list[PackedRow]]
    groups = {None: list(rows)} if replicas is None else grouped(rows, lambda row: replicas(row.routing_key))
    return [PackedBatch(keyspace, part) for group in groups.values() for part in _parts(group)]


def _parts(rows: Sequence[PackedRow]) -> list[Sequence[PackedRow]]:
    parts: list[Sequence[PackedRow]] = []
    begin = size_bytes = 0
    for place, row in enumerate(rows):
        row_bytes = len(row.entry) + _ROW_OVERHEAD_BYTES
        if place > begin and (size_bytes + row_bytes > BATCH_BYTES or place - begin == MAX_ROWS):
            parts.append(rows[begin:place])
            begin, size_bytes = place, 0
        size_bytes += row_bytes
    if rows:
        parts.append(rows[begin:])
    return parts
