"""The bound on what is in flight."""

from __future__ import annotations

import asyncio

from runtime.room import Room


def test_what_does_not_fit_in_records_or_in_bytes_is_refused_until_room_is_given_back() -> None:
    room = Room(3, 100)
    assert room.try_take(2, 60)
    assert not room.try_take(2, 10)
    assert not room.try_take(1, 41)
    assert room.try_take(1, 40)
    room.give_back(2, 60)
    assert room.try_take(2, 60)
    assert (room.records, room.bytes) == (3, 100)


def test_what_is_larger_than_the_room_is_let_in_alone() -> None:
    room = Room(3, 100)
    assert room.try_take(5, 500)
    assert not room.try_take(1, 1)
    room.give_back(5, 500)
    assert room.try_take(1, 1)
    assert not room.try_take(5, 500)


async def test_those_who_wait_are_served_in_turn_and_nobody_overtakes_them() -> None:
    room = Room(2, 100)
    assert room.try_take(2, 2)
    served: list[str] = []

    async def take(name: str, records: int) -> None:
        await room.take(records, records)
        served.append(name)

    waiting = [asyncio.create_task(take("two", 2)), asyncio.create_task(take("one", 1))]
    await asyncio.sleep(0)
    room.give_back(1, 1)
    assert not room.try_take(1, 1), "the first in line needs more, and stays the first"
    room.give_back(1, 1)
    await waiting[0]
    assert served == ["two"]
    room.give_back(2, 2)
    await waiting[1]
    assert (room.records, room.bytes) == (1, 1)


async def test_who_gives_up_waiting_takes_nothing() -> None:
    room = Room(1, 100)
    assert room.try_take(1, 1)
    first, second = (asyncio.create_task(room.take(1, 1)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    room.give_back(1, 1)
    await second
    assert room.records == 1
    served = asyncio.create_task(room.take(1, 1))
    await asyncio.sleep(0)
    room.give_back(1, 1)
    served.cancel()  # after its turn came, before it could run
    await asyncio.wait([served])
    assert room.records == 0
