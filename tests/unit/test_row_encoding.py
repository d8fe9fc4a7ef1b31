"""Rows are encoded as the driver binds them; the contract tests send both to a server."""

from __future__ import annotations

from typing import Any

import pytest
from cassandra.query import BoundStatement
from hypothesis import given
from hypothesis import strategies as st

from schemas.receipts import Position
from storage.row_encoding import SHARD, RowEncoder
from storage.rows import DAY_MS, StateRow, TimelineRow
from tests.unit.prepared import WRITES_EVENT, WRITES_STATE, encoder

INTS, BIGINTS = st.integers(0, 2**31 - 1), st.integers(-(2**63), 2**63 - 1)
TEXTS, BLOBS = st.text(max_size=300), st.binary(max_size=300)
TIMES = st.integers(-(2**31) * DAY_MS, 2**31 * DAY_MS - 1)


def wire(bound: BoundStatement) -> bytes:
    values = b"".join(len(value).to_bytes(4, "big") + value for value in bound.values)
    query_id: bytes = bound.prepared_statement.query_id
    return b"\1" + len(query_id).to_bytes(2, "big") + query_id + len(bound.values).to_bytes(2, "big") + values


@given(TEXTS, BLOBS, BIGINTS, INTS, INTS, BIGINTS)
def test_states(user_id: str, blob: bytes, version: int, epoch: int, partition: int, offset: int) -> None:
    row = encoder().state(StateRow(user_id, blob, version, Position(epoch, partition, offset)))
    bound = WRITES_STATE.bind((user_id, blob, epoch, partition, offset, version))
    assert (row.routing_key, row.entry) == (bound.routing_key, wire(bound))


@given(TEXTS, TIMES, TEXTS, TEXTS, BLOBS, BIGINTS)
def test_events(user_id: str, time_ms: int, event_id: str, kind: str, payload: bytes, version: int) -> None:
    row = encoder().event(TimelineRow(user_id, time_ms, event_id, kind, payload, version))
    bound = WRITES_EVENT.bind((user_id, time_ms // DAY_MS, SHARD, time_ms, event_id, kind, payload, version))
    assert (row.routing_key, row.entry) == (bound.routing_key, wire(bound))


@pytest.mark.parametrize("number", [2**31, -(2**31) - 1])
def test_a_number_without_room_in_its_column_is_refused(number: int) -> None:
    with pytest.raises(OverflowError, match="32 bits"):
        encoder().state(StateRow("ann", b"", 1, Position(number, 0, 0)))
    with pytest.raises(OverflowError, match="32 bits"):
        encoder().event(TimelineRow("ann", number * DAY_MS, "id", "view_item", b"", 1))


def test_a_row_without_a_position_is_refused() -> None:
    with pytest.raises(TypeError, match="has no position"):
        encoder().state(StateRow("ann", b"", 1, None))  # type: ignore[arg-type]


def test_a_key_without_room_for_its_length_is_refused() -> None:
    with pytest.raises(ValueError, match="a key of 65536 bytes"):
        encoder().event(TimelineRow("a" * 65_536, 1, "id", "view_item", b"", 1))


@pytest.mark.parametrize("encode", [RowEncoder.state, RowEncoder.event])
def test_what_is_no_row_is_refused(encode: Any) -> None:
    with pytest.raises(TypeError, match="is not a"):
        encode(encoder(), Position(1, 2, 3))


def test_lines_of_the_timeline_of_a_users_day_are_together() -> None:
    rows = [TimelineRow(f"user-{n % 3}", (n % 2) * DAY_MS + n, str(n), "view_item", b"{}", 1) for n in range(30)]
    ordered = [encoder().event(row).entry for row in sorted(rows, key=lambda row: int(row.event_id) % 6)]
    assert [row.entry for row in encoder().timeline(rows)] == ordered
