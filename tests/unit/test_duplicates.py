"""The duplicate guard: what counts once, what is remembered, and for how long."""

from __future__ import annotations

import itertools
import random
import uuid
from array import array
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import xxhash

from features.default import CATALOGUE
from features.definitions import Base
from features.duplicates import HORIZON_HOURS, MAX_IDS, WIDTH, DuplicateWindow, check_of, id_key, measured_bytes
from features.fold import Outcome
from features.packed_ids import PackedIds, put_ids, unpack_ids
from features.packing import pack, unpack
from tests.unit.feature_world import DAY_MS, HOUR_MS, NOW_MS, Log, make_event


def test_an_event_counts_once_however_often_it_arrives() -> None:
    log = Log()
    event = make_event()
    assert [log.send(event) for _ in range(3)] == [Outcome.FOLDED, Outcome.DUPLICATE, Outcome.DUPLICATE]
    assert log.value("viewCount1h") == 1
    assert log.state.duplicate_events == 2


def test_ids_are_the_same_in_either_case() -> None:
    event_id = str(uuid.uuid4())
    assert id_key(event_id) == id_key(event_id.upper())
    log = Log()
    log.send(make_event(event_id=event_id))
    assert log.send(make_event(event_id=event_id.upper())) is Outcome.DUPLICATE


def test_ids_and_checks_of_any_length_are_hashed_as_the_library_does() -> None:
    rng = random.Random(3)
    for length in range(300):
        for alphabet in ("0123456789abcdef-", "ABCxyz[`{@Z_ \0", "aé\N{GRINNING FACE}"):
            text = "".join(rng.choices(alphabet, k=length))
            hashed = xxhash.xxh3_64_intdigest(text.lower().encode())
            assert id_key(text) % 2**64 == hashed, text
            assert check_of(text.encode()) == xxhash.xxh3_64_intdigest(text.encode()) % 2**16, text


def test_an_id_is_remembered_for_the_horizon_of_log_time() -> None:
    log = Log()
    event = make_event()
    log.send(event)
    hour_begin = NOW_MS // HOUR_MS * HOUR_MS
    assert log.send(event, append_ms=hour_begin + HORIZON_HOURS * HOUR_MS - 1) is Outcome.DUPLICATE


def test_an_id_is_forgotten_once_its_hour_lies_outside_the_horizon() -> None:
    log = Log()
    event = make_event()
    log.send(event)
    log.send(make_event(), append_ms=NOW_MS + HOUR_MS)
    log.send(make_event(), append_ms=NOW_MS + DAY_MS + 2 * HOUR_MS)
    assert log.send(event) is Outcome.FOLDED


def test_at_most_the_latest_ids_are_remembered_and_the_loss_is_counted() -> None:
    log = Log()
    first, second = make_event(), make_event()
    log.send(first)
    log.send(second)
    for _ in range(MAX_IDS - 1):
        log.send(make_event())
    assert log.state.duplicates.evicted_early == 1
    assert log.send(second) is Outcome.DUPLICATE
    assert log.send(first) is Outcome.FOLDED


def test_a_busy_window_holds_what_the_count_and_the_horizon_allow() -> None:
    window, admitted = DuplicateWindow(), []
    hour, key, rng = NOW_MS // HOUR_MS, 0, random.Random(3)
    for _ in range(12):
        hour += rng.choice((1, 5, 13))
        for _ in range(rng.randrange(MAX_IDS)):
            key += 1
            assert window.admit(key, key, hour * HOUR_MS, 0, 0, 0)
            admitted.append((hour, key))
        admitted = [each for each in admitted[-MAX_IDS:] if each[0] >= hour - HORIZON_HOURS]
        window.tidy()
        assert window.ids[window.begin :: WIDTH].tolist() == [key for _, key in admitted]
    assert window.evicted_early > 0


@pytest.mark.parametrize("seed", range(3))
def test_keys_that_fall_into_one_slot_are_told_apart(seed: int) -> None:
    window, hours_of, rng = DuplicateWindow(), dict[int, int](), random.Random(seed)
    hour = latest = NOW_MS // HOUR_MS
    for offset in range(5_000):
        hour += rng.random() < 0.02
        key = rng.choice((-1, 1)) * (rng.randrange(300) << 40 | 5)
        known = key in hours_of and hours_of[key] >= latest - HORIZON_HOURS
        assert window.admit(key, offset, hour * HOUR_MS, 0, 0, 0) is not known
        if not known:
            hours_of[key] = latest = hour
    assert len(set(hours_of.values())) > HORIZON_HOURS


@pytest.mark.parametrize("seed", range(4))
def test_the_window_remembers_what_a_list_of_all_ids_says(seed: int) -> None:
    window, rng = DuplicateWindow(), random.Random(seed)
    hour, epochs = NOW_MS // HOUR_MS, 1
    first_of: dict[int, tuple[int, int, bool]] = {}  # key -> hour, offset, undone; in the order of arrival
    for offset in range(9_000):
        if rng.random() < 0.01:
            hour += rng.choice((1, 3, 26))
        key = -offset if rng.random() < 0.7 else -max(0, offset - rng.randrange(4_000))
        base = Base(hour * HOUR_MS, offset)
        window.advance(offset, base.append_ms)
        first_of = {each: known for each, known in first_of.items() if known[0] >= hour - HORIZON_HOURS}
        assert window.admit(key, offset, base.append_ms, base.append_ms, 1, 7) is (key not in first_of)
        first_of.setdefault(key, (hour, offset, False))
        first_of = dict([*first_of.items()][-MAX_IDS:])
        some = rng.choice([*first_of])
        if rng.random() < 0.05:
            window.mark_undone(some)
            first_of[some] = (*first_of[some][:2], True)
        if rng.random() < 0.02:
            window.tidy()
            window = unpack_ids(pack_ids(window, base), base)
        if rng.random() < 0.001:
            window.start_epoch()
            first_of = {each: (hour, -1, known[2]) for each, known in first_of.items()}
            epochs += 1
        found = window.find(some)
        assert found is not None
        assert (found.offset, found.code >= 128) == first_of[some][1:]
    assert epochs > 3
    assert len(first_of) <= len(window)


def test_an_id_with_an_offset_below_those_before_it_is_replaced() -> None:
    window = DuplicateWindow()
    window.admit(1, 1_000, NOW_MS, NOW_MS, 0, 0)
    for offset in (5, 6, 7):  # of another partition
        assert window.admit(2, offset, NOW_MS, NOW_MS, 0, 0)
    assert len(window) == 2


def test_one_broken_clock_does_not_move_the_times_of_other_ids() -> None:
    window = DuplicateWindow()
    window.admit(1, 0, NOW_MS, NOW_MS, 0, 0)
    window.admit(2, 1, NOW_MS, NOW_MS - 50 * DAY_MS, 0, 0)
    base = Base(NOW_MS, 1)
    known = unpack_ids(pack_ids(window, base), base).find(1)
    assert known is not None
    assert known.time_ms == NOW_MS


def pack_ids(window: DuplicateWindow, base: Base) -> PackedIds:
    out = bytearray()
    put_ids(out, window, base)
    return msgspec.msgpack.decode(out, type=PackedIds)


COLUMNS = ["keys", "offsets", "times", "codes", "checks"]


@pytest.mark.parametrize(
    ("column", "change"),
    [
        *((column, lambda data: data[:-1]) for column in [*COLUMNS, "hours"]),
        *((column, lambda data: data + data[:1]) for column in [*COLUMNS, "hours"]),
        *((column, lambda data: data[:0]) for column in COLUMNS),  # without hours none has begun yet
    ],
)
def test_a_column_of_another_length_is_refused(column: str, change: Callable[[Any], Any]) -> None:
    window, base = DuplicateWindow(), Base(NOW_MS, 1)
    window.admit(1, 0, NOW_MS, NOW_MS, 0, 0)
    window.admit(2, 1, NOW_MS, NOW_MS, 0, 0)
    packed = pack_ids(window, base)
    setattr(packed, column, change(getattr(packed, column)))
    with pytest.raises(ValueError):  # noqa: PT011 - which `unpack` makes an UnreadableState
        unpack_ids(packed, base)


def test_ids_stay_known_when_the_topic_is_made_anew() -> None:
    log = Log()
    event = make_event()
    log.send(event)
    log.offset = 0
    assert log.send(event, epoch=2) is Outcome.DUPLICATE
    assert log.send(make_event(), epoch=2) is Outcome.FOLDED


def test_an_old_offset_matches_no_record_of_the_new_topic() -> None:
    log = Log()
    event = make_event()
    log.send(event)
    log.offset = 0
    log.send(event, epoch=2)
    assert log.replay(start=1) == [Outcome.REPLAYED]


@pytest.mark.parametrize("packed_first", [False, True])
def test_an_offset_far_beyond_the_first_is_remembered_as_it_is(packed_first: bool) -> None:
    log = Log()
    if packed_first:
        pack(log.state, CATALOGUE)
    for number in range(3):
        log.send(make_event(time_ms=NOW_MS + number))
        pack(log.state, CATALOGUE)
    log.offset += 2**32
    event, append_ms = make_event(), NOW_MS + 2 * DAY_MS
    log.send(event, append_ms=append_ms)
    position = log.state.position
    assert position is not None
    log.state = unpack(pack(log.state, CATALOGUE), CATALOGUE)
    assert log.folder.fold(log.state, event, position, append_ms) is Outcome.REPLAYED_ORIGINAL
    assert log.send(event) is Outcome.DUPLICATE


def test_an_offset_that_did_not_fit_is_that_of_an_id_that_is_known() -> None:
    window = DuplicateWindow()
    window.admit(1, 10, NOW_MS, NOW_MS, 0, 0)
    window.admit(2, 10 + 2**40, NOW_MS, NOW_MS, 0, 0)
    base = Base(NOW_MS, 10 + 2**40)
    again = unpack_ids(pack_ids(window, base), base)
    assert again.find(2) is not None
    assert not again.admit(2, 11 + 2**40, NOW_MS, NOW_MS, 0, 0)


def test_more_ids_than_any_user_has_are_refused() -> None:
    DuplicateWindow(array("q", range(WIDTH * 8 * MAX_IDS)))
    with pytest.raises(ValueError, match="16385 ids, where a user has 2048 at most"):
        DuplicateWindow(array("q", range(WIDTH * (8 * MAX_IDS + 1))))


def test_what_an_undo_is_checked_by_is_written_as_it_is_stored() -> None:
    texts = (None, "", "é")
    for item, category, value, currency, term, list_id, position in itertools.product(
        texts, texts, (None, -0.0, 1.5), texts, texts, texts, (None, 0)
    ):
        event = make_event(
            item_id=item,
            category=category,
            value=value,
            currency=currency,
            search_term=term,
            list_id=list_id,
            position=position,
        )
        shown = {text: "\0" if text == "" else text or "" for text in texts}
        written = f"{item or ''}\n{shown[category]}\n{shown[term]}\n{list_id or ''}\n{shown[currency]}"
        if value is not None or position is not None:
            written += f"\n{value}\n{position}"
        assert measured_bytes(event) == written.encode()
