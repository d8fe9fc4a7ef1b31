"""A state as bytes and back."""

from __future__ import annotations

from copy import deepcopy

import msgspec
import pytest
from hypothesis import given

from features.packing import UnreadableState, pack, unpack
from schemas.events import Event
from tests.unit.feature_world import CATALOGUE, DAY_MS, NOW_MS, Log, make_event
from tests.unit.test_fold import PROPERTY, folded, some_events


@PROPERTY
@given(some_events())
def test_unpacking_what_was_packed_gives_the_same_state(events: list[Event]) -> None:
    log = folded(events)
    packed = pack(log.state, CATALOGUE)
    assert unpack(packed, CATALOGUE) == log.state
    assert pack(unpack(packed, CATALOGUE), CATALOGUE) == packed


@PROPERTY
@given(some_events())
def test_packing_changes_no_value(events: list[Event]) -> None:
    log = folded(events)
    before = log.values()
    pack(log.state, CATALOGUE)
    assert log.values() == before


@PROPERTY
@given(some_events())
def test_folding_goes_on_after_unpacking_as_if_nothing_had_happened(events: list[Event]) -> None:
    straight = folded(events)
    paused = Log()
    for event in events:
        paused.state = unpack(pack(paused.state, CATALOGUE), CATALOGUE)
        paused.send(event)
    pack(straight.state, CATALOGUE)
    pack(paused.state, CATALOGUE)
    assert paused.state == straight.state


def test_cells_that_no_later_read_can_need_are_dropped() -> None:
    log = Log()
    log.send(make_event(NOW_MS - 20 * DAY_MS))
    restored = unpack(pack(log.state, CATALOGUE), CATALOGUE)
    assert [len(layer) for layer in restored.cells] == [0, 0, 1]


@pytest.mark.parametrize("blob", [b"", b"\x00", b"not msgpack", b"\x90"])
def test_bytes_of_another_kind_are_unreadable(blob: bytes) -> None:
    with pytest.raises(UnreadableState, match="not a packed user state"):
        unpack(blob, CATALOGUE)


def test_a_format_from_the_future_is_unreadable() -> None:
    fields = msgspec.msgpack.decode(pack(deepcopy(folded([make_event()]).state), CATALOGUE))
    fields[0] = 99
    with pytest.raises(UnreadableState, match="format 99"):
        unpack(msgspec.msgpack.encode(fields), CATALOGUE)


def test_a_long_state_is_deflated_and_reads_the_same() -> None:
    log = Log()
    for number in range(400):
        log.send(make_event(NOW_MS - number * 60_000, item_id=f"an-item-with-a-long-name-{number}"))
    packed = pack(log.state, CATALOGUE)
    assert packed.startswith(b"z")
    assert unpack(packed, CATALOGUE) == log.state


@pytest.mark.parametrize("blob", [b"z", b"znot deflated", b"z" + b"x" * 100])
def test_a_damaged_long_state_is_unreadable(blob: bytes) -> None:
    with pytest.raises(UnreadableState, match="not a packed user state"):
        unpack(blob, CATALOGUE)
