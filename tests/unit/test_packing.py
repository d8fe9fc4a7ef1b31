"""A state as bytes and back."""

from __future__ import annotations

import random
import uuid
from copy import deepcopy

import msgspec
import pytest
from hypothesis import given

from features import packing
from features.derive import derive
from features.packing import UnreadableState, pack, unpack
from schemas.events import Event
from tests.unit.feature_world import CATALOGUE, DAY_MS, HOUR_MS, NOW_MS, Log, make_event
from tests.unit.test_fold import PROPERTY, folded, some_events, some_records


@PROPERTY
@given(some_records())
def test_unpacking_what_was_packed_gives_the_same_state(events: list[Event]) -> None:
    log = folded(events)
    packed = pack(log.state, CATALOGUE)
    assert unpack(packed, CATALOGUE) == log.state
    assert pack(unpack(packed, CATALOGUE), CATALOGUE) == packed


@PROPERTY
@given(some_records())
def test_packing_changes_no_value(events: list[Event]) -> None:
    log = folded(events)
    before = log.values()
    pack(log.state, CATALOGUE)
    assert log.values() == before


@PROPERTY
@given(some_records())
def test_folding_goes_on_after_unpacking_as_if_nothing_had_happened(events: list[Event]) -> None:
    straight = folded(events)
    paused = Log()
    for event in events:
        paused.state = unpack(pack(paused.state, CATALOGUE), CATALOGUE)
        paused.send(event)
    pack(straight.state, CATALOGUE)
    pack(paused.state, CATALOGUE)
    assert paused.state == straight.state


def test_an_own_state_is_known_by_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    log.send(make_event())
    packed = pack(log.state, CATALOGUE)
    monkeypatch.setattr(packing, "_head_decoder", None)  # which reads over the whole state
    assert unpack(packed, CATALOGUE) == log.state


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


ZSTD = b"\x28\xb5\x2f\xfd"


def test_a_long_state_is_compressed_and_reads_the_same() -> None:
    log = Log()
    for number in range(100):
        log.send(make_event(NOW_MS - number * 60_000, item_id=f"an-item-with-a-long-name-{number}"))
    packed = pack(log.state, CATALOGUE)
    assert packed.startswith(ZSTD)
    assert unpack(packed, CATALOGUE) == log.state


def test_the_ids_of_a_busy_user_are_not_compressed_in_vain() -> None:
    log = Log()
    for _ in range(1_000):
        log.send(make_event())
    packed = pack(log.state, CATALOGUE)
    assert not packed.startswith(ZSTD)
    assert unpack(packed, CATALOGUE) == log.state


@pytest.mark.parametrize("blob", [b"z", b"znot deflated", b"z" + b"x" * 100, ZSTD, ZSTD + b"x" * 100])
def test_a_damaged_long_state_is_unreadable(blob: bytes) -> None:
    with pytest.raises(UnreadableState, match="not a packed user state"):
        unpack(blob, CATALOGUE)


@pytest.mark.parametrize("seed", range(5))
def test_a_state_that_is_packed_again_and_again_packs_as_if_it_were_the_first_time(seed: int) -> None:
    chance = random.Random(seed)
    log, append_ms, epoch = Log(), NOW_MS, 1
    sent: list[Event] = []
    for _ in range(1_500):
        append_ms += round(chance.expovariate(1 / 60_000)) if chance.random() < 0.99 else 9 * HOUR_MS
        if chance.random() < 0.002:
            epoch, log.offset = epoch + 1, 0
        if sent and chance.random() < 0.05:
            original = chance.choice(sent[-50:])
            event = msgspec.structs.replace(original, event_id=str(uuid.uuid4()), type="undo", undoes=original.event_id)
        else:
            event = make_event(append_ms - chance.randrange(30 * DAY_MS))
            sent.append(event)
        log.send(event, append_ms=append_ms, epoch=epoch)
        if chance.random() < 0.2:
            known = unpack(pack(log.state, CATALOGUE), CATALOGUE)
            assert known == log.state
            if chance.random() < 0.3:
                log.state = known


def test_ids_are_packed_anew_when_times_no_longer_fit_32_bits() -> None:
    log = Log()
    for days in range(0, 80, 10):
        log.send(make_event(NOW_MS + days * DAY_MS), append_ms=NOW_MS + days * DAY_MS)
        log.send(make_event(NOW_MS + (days - 29) * DAY_MS), append_ms=NOW_MS + days * DAY_MS)
        assert unpack(pack(log.state, CATALOGUE), CATALOGUE) == log.state


@PROPERTY
@given(some_events())
def test_a_state_without_ids_reads_as_the_whole(events: list[Event]) -> None:
    packed = pack(folded(events).state, CATALOGUE)
    whole, read = unpack(packed, CATALOGUE), unpack(packed, CATALOGUE, with_ids=False)
    assert len(whole.duplicates) == len({event.event_id for event in events})
    assert not len(read.duplicates)
    assert derive(CATALOGUE, read, NOW_MS) == derive(CATALOGUE, whole, NOW_MS)
    with pytest.raises(ValueError, match="cannot be packed"):
        pack(read, CATALOGUE)


@pytest.mark.parametrize(("field", "value"), [(2, -1), (2, 0), (2, 3), (2, 15), (4, [1, 3, 5, 7]), (4, [1, 3])])
def test_a_header_that_does_not_fit_is_unreadable(field: int, value: object) -> None:
    log = Log()
    log.send(make_event())
    packed = msgspec.msgpack.decode(pack(log.state, CATALOGUE))
    assert unpack(msgspec.msgpack.encode(packed), CATALOGUE) == log.state
    packed[field] = value
    with pytest.raises(UnreadableState):
        unpack(msgspec.msgpack.encode(packed), CATALOGUE)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *[(0, hours) for hours in ([0], [0, -(2**23)], [0, 2**40], [0, 2**63])],
        *[(1, counts) for counts in ([2], [4, -1], [2, 2])],
        *[(2, b"1234"), (3, b"1"), (4, [1, 1])],
    ],
)
def test_places_of_distinct_values_that_do_not_fit_are_unreadable(column: int, value: object) -> None:
    log = Log()
    for hour, item in ((0, "a"), (0, "b"), (1, "a")):
        log.send(make_event(NOW_MS - hour * HOUR_MS, item_id=item))
    packed = msgspec.msgpack.decode(pack(log.state, CATALOGUE))
    place = [measure.name for measure in CATALOGUE.part_measures].index("items_viewed")
    places = packed[14][place]
    assert places[:2] == [[1, 0], [1, 2]]
    assert unpack(msgspec.msgpack.encode(packed), CATALOGUE) == log.state
    places[column] = value
    with pytest.raises(UnreadableState):
        unpack(msgspec.msgpack.encode(packed), CATALOGUE)


def test_cells_of_another_width_are_unreadable() -> None:
    log = Log()
    log.send(make_event())
    for cells in log.state.cells:
        cells.numbers.pop()
    with pytest.raises(UnreadableState, match="are not cells of"):
        unpack(pack(log.state, CATALOGUE), CATALOGUE)


def test_a_cell_of_an_index_beyond_64_bits_is_unreadable() -> None:
    log = Log()
    log.send(make_event())
    packed = msgspec.msgpack.decode(pack(log.state, CATALOGUE))
    packed[13][0][0] = 2**63 - 1
    with pytest.raises(UnreadableState):
        unpack(msgspec.msgpack.encode(packed), CATALOGUE)
