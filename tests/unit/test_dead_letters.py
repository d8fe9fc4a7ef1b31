"""Dead letters: the original record untouched, the reason beside it, and a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from runtime.clock import now_ms
from runtime.delivery import LogRecord
from runtime.memory_producer import MemoryProducer
from runtime.producer import Headers, RecordTooLarge, SendFailed
from schemas.topics import DEAD_LETTERS, EVENTS
from streams.dead_letters import DeadLetterOffice
from streams.errors import TooManyDeadLetters, WorkerError
from streams.records import DeadLetter, DeadLetterCode


def letter(
    value: bytes | None = b"poison", key: bytes | None = b"user-1", offset: int = 41, message: str = "no JSON"
) -> DeadLetter:
    return DeadLetter(LogRecord(EVENTS.name, 3, offset, 0, key, value, ()), "NOT_JSON", message)


async def sent(letters: Sequence[DeadLetter]) -> list[LogRecord]:
    producer = MemoryProducer()
    await DeadLetterOffice(producer, most_excess=1000).send(letters, good_records=0)
    return producer.of(DEAD_LETTERS.name)


@pytest.mark.parametrize("value", [b"poison", b"", None, b"\x00\xff" * 400_000])
@pytest.mark.parametrize("key", [b"user-1", b"\xff", None])
async def test_the_original_bytes_lie_under_the_original_key(key: bytes | None, value: bytes | None) -> None:
    [record] = await sent([letter(value, key)])
    assert (record.key, record.value) == (key, value)


async def test_the_headers_say_where_it_came_from_and_why() -> None:
    before = now_ms()
    [record] = await sent([letter()])
    headers = {name: value.decode() for name, value in record.headers}
    assert before <= int(headers.pop("time")) <= now_ms()
    assert headers == {
        "topic": EVENTS.name,
        "partition": "3",
        "offset": "41",
        "stage": "decode",
        "code": "NOT_JSON",
        "message": "no JSON",
        "attempt": "1",
    }


async def test_a_long_or_odd_reason_does_not_keep_a_letter_from_being_sent() -> None:
    [record] = await sent([letter(message="\ud800 ключ " + "x" * 10_000)])
    message = dict(record.headers)["message"].decode()
    assert message.startswith("? ключ x")
    assert len(message) == 500


async def test_letters_of_one_key_stay_in_order() -> None:
    records = await sent([letter(b"%d" % offset, offset=offset) for offset in range(20)])
    assert [record.value for record in records] == [b"%d" % offset for offset in range(20)]


async def test_sending_returns_after_every_letter_is_acknowledged() -> None:
    producer = MemoryProducer()
    producer.stalled = True
    sending = asyncio.create_task(DeadLetterOffice(producer, most_excess=1000).send([letter()], good_records=0))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not sending.done()
    producer.stalled = False
    await sending
    assert len(producer.of(DEAD_LETTERS.name)) == 1


async def test_a_letter_of_unknown_outcome_is_sent_again() -> None:
    producer = Unsure(failures=3)
    await DeadLetterOffice(producer, most_excess=1000).send([letter()], good_records=0)
    assert producer.failures == 0
    assert [record.value for record in producer.of(DEAD_LETTERS.name)] == [b"poison"]


class Unsure(MemoryProducer):
    """Does not know the outcome of the first sends."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> LogRecord:
        if self.failures:
            self.failures -= 1
            raise SendFailed("unknown outcome")
        return await super().send(topic, key, value, headers)


class Narrow(MemoryProducer):
    """A topic that was given a lower limit."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__()
        self.most_bytes = most_bytes

    async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> LogRecord:
        if len(value or b"") > self.most_bytes:
            raise RecordTooLarge("too large")
        return await super().send(topic, key, value, headers)


# --- the limit


async def test_a_run_of_broken_records_stops_the_worker_before_their_letters_are_sent() -> None:
    producer = MemoryProducer()
    office = DeadLetterOffice(producer, most_excess=10)
    await office.send([letter() for _ in range(9)], good_records=0)
    with pytest.raises(TooManyDeadLetters, match=r"10 more records .* offset 41 of partition 3 because: no JSON"):
        await office.send([letter()], good_records=0)
    assert len(producer.of(DEAD_LETTERS.name)) == 9, "a worker that is started again and again repeats none"
    assert issubclass(TooManyDeadLetters, WorkerError)


@pytest.mark.parametrize("code", ["TOO_OLD", "UNDO_TOO_LATE", "UNDO_MISMATCH"])
async def test_what_clients_can_cause_never_stops_it(code: DeadLetterCode) -> None:
    producer = MemoryProducer()
    office = DeadLetterOffice(producer, most_excess=10)
    await office.send([replace(letter(), code=code) for _ in range(100)], good_records=0)
    assert len(producer.of(DEAD_LETTERS.name)) == 100


async def test_as_many_good_records_as_refused_ones_never_stop_it() -> None:
    office = DeadLetterOffice(MemoryProducer(), most_excess=10)
    for _ in range(10):
        await office.send([letter() for _ in range(9)], good_records=9)


async def test_a_good_record_now_and_then_does_not_hide_a_flood() -> None:
    office = DeadLetterOffice(MemoryProducer(), most_excess=20)
    await office.send([letter() for _ in range(9)], good_records=1)
    await office.send([letter() for _ in range(9)], good_records=1)
    with pytest.raises(TooManyDeadLetters):
        await office.send([letter() for _ in range(9)], good_records=1)


async def test_a_letter_that_the_topic_does_not_take_goes_without_its_value() -> None:
    producer = Narrow(most_bytes=1000)
    await DeadLetterOffice(producer, most_excess=1000).send([letter(b"x" * 1001)], good_records=0)
    [record] = producer.of(DEAD_LETTERS.name)
    headers = dict(record.headers)
    assert (record.key, record.value, headers["omitted"]) == (None, None, b"value")
    assert (headers["partition"], headers["offset"]) == (b"3", b"41")


async def test_the_excess_goes_on_over_batches_of_nothing_but_poison() -> None:
    office = DeadLetterOffice(MemoryProducer(), most_excess=10)
    await office.send([letter() for _ in range(4)], good_records=0)
    await office.send([letter() for _ in range(5)], good_records=0)
    with pytest.raises(TooManyDeadLetters):
        await office.send([letter()], good_records=0)
