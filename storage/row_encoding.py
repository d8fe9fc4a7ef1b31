"""The rows of users as entries of a packed batch: the order and the types of the columns of their INSERTs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from cassandra.query import PreparedStatement

from schemas import buffers, struct_fields
from schemas.receipts import Position
from storage import cql_values
from storage.packed_batch import PackedRow, by_partition, entry_head
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

_USER_ID: Final = struct_fields.place_of(StateRow, "user_id")
_STATE: Final = struct_fields.place_of(StateRow, "state")
_VERSION: Final = struct_fields.place_of(StateRow, "version")
_POSITION: Final = struct_fields.place_of(StateRow, "position")
_EVENT_USER_ID: Final = struct_fields.place_of(TimelineRow, "user_id")
_EVENT_TIME: Final = struct_fields.place_of(TimelineRow, "event_time_ms")
_EVENT_ID: Final = struct_fields.place_of(TimelineRow, "event_id")
_TYPE: Final = struct_fields.place_of(TimelineRow, "type")
_PAYLOAD: Final = struct_fields.place_of(TimelineRow, "payload")
_EVENT_VERSION: Final = struct_fields.place_of(TimelineRow, "version")
_SHARD: Final = SHARD
_DAY_MS: Final = DAY_MS


class RowEncoder:
    """Encodes rows for two prepared statements. Raises ValueError where the tables have other columns."""

    def __init__(self, write_state: PreparedStatement, write_event: PreparedStatement) -> None:
        self._state_head = entry_head(write_state, _STATE_TYPES)
        self._event_head = entry_head(write_event, _EVENT_TYPES)
        # When Cassandra has forgotten a statement the driver prepares it anew, but only one that somebody still holds.
        self._held = write_state, write_event

    def state(self, row: StateRow) -> PackedRow:
        """A row of user_state."""
        if type(row) is not StateRow:
            raise TypeError(f"{row!r} is not a StateRow")
        user_id: str = struct_fields.at(row, _USER_ID)
        position: Position = struct_fields.at(row, _POSITION)
        if type(position) is not Position:
            raise TypeError(f"{row!r} has no position")
        entry = buffers.begun(self._state_head)
        cql_values.put_text(entry, user_id)
        cql_values.put_blob(entry, struct_fields.at(row, _STATE))
        cql_values.put_int(entry, position.epoch)
        cql_values.put_int(entry, position.partition)
        cql_values.put_bigint(entry, position.offset)
        cql_values.put_bigint(entry, struct_fields.at(row, _VERSION))
        return PackedRow(user_id.encode(), buffers.taken(entry))

    def timeline(self, rows: Iterable[TimelineRow]) -> list[PackedRow]:
        """Rows of user_events, a user's day together."""
        return by_partition(map(self.event, rows))

    def event(self, row: TimelineRow) -> PackedRow:
        """A row of user_events."""
        if type(row) is not TimelineRow:
            raise TypeError(f"{row!r} is not a TimelineRow")
        user_id: str = struct_fields.at(row, _EVENT_USER_ID)
        time_ms = struct_fields.at(row, _EVENT_TIME)
        day = time_ms // _DAY_MS
        entry = buffers.begun(self._event_head)
        cql_values.put_text(entry, user_id)
        cql_values.put_int(entry, day)
        cql_values.put_int(entry, _SHARD)
        cql_values.put_bigint(entry, time_ms)
        cql_values.put_text(entry, struct_fields.at(row, _EVENT_ID))
        cql_values.put_text(entry, struct_fields.at(row, _TYPE))
        cql_values.put_blob(entry, struct_fields.at(row, _PAYLOAD))
        cql_values.put_bigint(entry, struct_fields.at(row, _EVENT_VERSION))
        routing_key = buffers.begun(b"")
        cql_values.put_key_text(routing_key, user_id)
        cql_values.put_key_int(routing_key, day)
        cql_values.put_key_int(routing_key, _SHARD)
        return PackedRow(buffers.taken(routing_key), buffers.taken(entry))
