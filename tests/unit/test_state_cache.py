"""The caches of all partitions share one room."""

from __future__ import annotations

from features.state import UserState
from streams.state_cache import CacheRoom


def test_the_user_not_seen_for_longest_goes_first() -> None:
    cache = CacheRoom(250).new_cache()
    for name in ("ann", "ben"):
        cache.put(name, UserState(), 100)
    assert cache["ann"] is not None  # a use
    cache.put("cid", UserState(), 100)
    cache.evict()
    assert [name in cache for name in ("ann", "ben", "cid")] == [True, False, True]
    assert cache.packed_bytes == 200


def test_a_state_that_grows_takes_more_room() -> None:
    room = CacheRoom(250)
    cache = room.new_cache()
    state = UserState()
    cache.put("ann", state, 100)
    cache.put("ben", UserState(), 100)
    cache.put("ann", state, 200)
    assert room.packed_bytes == 300
    cache.evict()
    assert "ann" not in cache, "ben was used last"
    assert room.packed_bytes == 100


def test_partitions_share_the_room_and_one_that_is_gone_takes_none() -> None:
    room = CacheRoom(250)
    one, other = room.new_cache(), room.new_cache()
    one.put("ann", UserState(), 200)
    other.put("ben", UserState(), 100)
    assert room.overfull
    del one
    assert not room.overfull
    other.evict()
    assert "ben" in other
