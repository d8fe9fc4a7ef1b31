"""The caches of all partitions share one room."""

from __future__ import annotations

from features.state import blank_state
from streams.state_cache import CacheRoom


def test_the_user_not_seen_for_longest_goes_first() -> None:
    room = CacheRoom(250)
    cache = room.new_cache()
    for name in ("ann", "ben"):
        cache.put(name, blank_state(), 100)
    assert cache["ann"] is not None  # a use
    cache.put("cid", blank_state(), 100)
    room.evict()
    assert [name in cache for name in ("ann", "ben", "cid")] == [True, False, True]
    assert cache.packed_bytes == 200


def test_a_state_that_grows_takes_more_room() -> None:
    room = CacheRoom(250)
    cache = room.new_cache()
    state = blank_state()
    cache.put("ann", state, 100)
    cache.put("ben", blank_state(), 100)
    cache.put("ann", state, 200)
    assert room.packed_bytes == 300
    room.evict()
    assert "ann" not in cache, "ben was used last"
    assert room.packed_bytes == 100


def test_partitions_share_the_room_and_one_that_is_gone_takes_none() -> None:
    room = CacheRoom(250)
    one, other = room.new_cache(), room.new_cache()
    one.put("ann", blank_state(), 200)
    other.put("ben", blank_state(), 100)
    assert room.overfull
    del one
    assert not room.overfull
    room.evict()
    assert "ben" in other


def test_a_quiet_partition_makes_room_for_a_busy_one() -> None:
    room = CacheRoom(250)
    quiet, busy = room.new_cache(), room.new_cache()
    for name in ("ann", "ben"):
        quiet.put(name, blank_state(), 100)
    busy.put("cid", blank_state(), 100)
    room.evict()
    assert [name in quiet for name in ("ann", "ben")] == [False, True]
    assert "cid" in busy


def test_what_is_being_folded_stays() -> None:
    room = CacheRoom(50)
    cache = room.new_cache()
    with cache.in_use():
        cache.put("ann", blank_state(), 100)
        room.evict()
        assert "ann" in cache
    room.evict()
    assert "ann" not in cache


def test_a_state_that_is_forgotten_takes_no_room() -> None:
    room = CacheRoom(250)
    cache = room.new_cache()
    cache.put("ann", blank_state(), 100)
    cache.forget(["ann", "ben"])
    assert "ann" not in cache
    assert room.packed_bytes == 0
