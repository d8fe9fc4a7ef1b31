"""The rows of users as entries of a packed batch: the order and the types of the columns of their INSERTs."""

from __future__ import annotations

import struct
from typing import Final

from cassandra.query import PreparedStatement

from storage.packed_batch import PackedRow, entry_head, sized
from storage.rows import DAY_MS, StateRow, TimelineRow

SHARD: Final = 0  # until shards adapt
WRITE_STATE: Final = (
    "INSERT INTO user_state (user_id, state, src_epoch, src_partition, src_offset) "
    "VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?"
)
WRITE_EVENT: Final = (
    "INSERT INTO user_events (user_id, day, shard, event_ts, event_id, type, payload) "
    "VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
)
_STATE_TYPES: Final = ("varchar", "blob", "int", "int", "bigint", "bigint")
_EVENT_TYPES: Final = ("varchar", "int", "int", "bigint", "varchar", "varchar", "blob", "bigint")

_position = struct.Struct(">iiiiiqiq").pack  # int, int, bigint, bigint, each after its length
_moment = struct.Struct(">iiiiiq").pack
_bigint = struct.Struct(">iq").pack
_short = struct.Struct(">H").pack
_day_and_shard = struct.Struct(">HiBHiB").pack  # parts of a compound routing key: length, value, 0


class RowEncoder:
    """Encodes rows for two prepared statements. Raises ValueError where the tables have other columns."""

    def __init__(self, write_state: PreparedStatement, write_event: PreparedStatement) -> None:
        self._state_head = entry_head(write_state, _STATE_TYPES)
        self._event_head = entry_head(write_event, _EVENT_TYPES)
        # When Cassandra has forgotten a statement the driver prepares it anew, but only one that somebody still holds.
        self._held = write_state, write_event

    def state(self, row: StateRow) -> PackedRow:
        """A row of user_state."""
        user_id = row.user_id.encode()
        epoch, partition, offset = row.position
        place = _position(4, epoch, 4, partition, 8, offset, 8, row.version)
        return PackedRow(user_id, b"".join((self._state_head, sized(user_id), sized(row.state), place)))

    def event(self, row: TimelineRow) -> PackedRow:
        """A row of user_events."""
        user_id, day = row.user_id.encode(), row.event_time_ms // DAY_MS
        entry = b"".join(
            (
                self._event_head,
                sized(user_id),
                _moment(4, day, 4, SHARD, 8, row.event_time_ms),
                sized(row.event_id.encode()),
                sized(row.type.encode()),
                sized(row.payload),
                _bigint(8, row.version),
            )
        )
        routing_key = _short(len(user_id)) + user_id + b"\0" + _day_and_shard(4, day, 0, 4, SHARD, 0)
        return PackedRow(routing_key, entry)
