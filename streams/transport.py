"""Faust's Kafka consumer, changed to deliver batches: one message holds many records of one partition, and is
acknowledged as a whole. Knows nothing of what the records mean.

Two threads: aiokafka (sockets, heartbeats, group membership) runs in Faust's consumer thread, everything else in this
file in the event loop of the worker. Faust's thread hands rebalances over and waits until they are handled here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final, NamedTuple

import aiokafka
from aiokafka.consumer import consumer as aiokafka_consumer
from aiokafka.consumer import fetcher
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message

from runtime.delivery import LogRecord
from streams.log_records import FetchedBatches, LogRecords
from streams.spans import SpanLedger

# A chunk is the grain of acknowledgement and of back-pressure: small against a flush (8 000), large against Faust's
# cost per message (about 100 us).
CHUNK_RECORDS: Final = 500


class Fetch(NamedTuple):
    """When the broker answers a fetch: as soon as it has so many bytes, or after so long."""

    max_wait_ms: int
    min_bytes: int


# Answered at once when something comes. Empty ones keep cores awake, here and in the broker.
PROMPT: Final = Fetch(50, 1)
# The one after a fetch that brought something: where much comes, each event would be a fetch of its own, at about
# 1.3 ms of CPU. An event waits up to so long for the others.
GATHERING: Final = Fetch(3, 65_536)

# A broker may not know a new topic yet when the worker joins the group; nothing is assigned then until the next look,
# and aiokafka by itself looks every five minutes.
_METADATA_MS: Final = 5_000

# Kafka may be away when the worker stops, and aiokafka would try until it is back.
_FINAL_SECONDS: Final = 5.0
# Nothing is assigned, or everything is paused by a rebalance.
_IDLE_SECONDS: Final = 0.02

OnPartitions = Callable[[frozenset[int]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class PartitionHooks:
    """Told of every rebalance. Rebalances are eager: all partitions are revoked, then the new ones assigned.

    `on_assigned` is awaited before the first record arrives. `on_revoked` is awaited before the partitions are given
    up: what is acknowledged until it returns is committed, what is not is delivered again to the next owner.
    It also runs when the worker stops. It must return well within the group's rebalance timeout.
    """

    on_assigned: OnPartitions
    on_revoked: OnPartitions


class GatheringFetcher(fetcher.Fetcher):  # type: ignore[misc]  # aiokafka's has no type
    """Fetches as its consumer was told to, except where `gather_next` was called."""

    _fetch_max_wait_ms: int
    _fetch_min_bytes: int
    _gathers_next = False

    def gather_next(self) -> None:
        """Let the next request gather."""
        self._gathers_next = True

    def _get_actions_per_node(self, assignment: object) -> Any:
        if not self._gathers_next:
            return super()._get_actions_per_node(assignment)
        usual = Fetch(self._fetch_max_wait_ms, self._fetch_min_bytes)
        self._fetch_max_wait_ms, self._fetch_min_bytes = GATHERING
        requests, *others = super()._get_actions_per_node(assignment)
        self._fetch_max_wait_ms, self._fetch_min_bytes = usual
        self._gathers_next = not requests
        return requests, *others


# For every consumer of this process: aiokafka makes them by these names and lets nobody choose others.
fetcher.MemoryRecords = FetchedBatches
fetcher.PartitionRecords = LogRecords
aiokafka_consumer.Fetcher = GatheringFetcher


class SpanMessage(ConsumerMessage):
    """A run of records of one partition. Its offset is the last record's; `value` is the list of records.

    `behind`: by how many offsets it lies behind the end of the log, as far as that is known.
    """

    __slots__ = ("behind", "ledger")

    def __init__(
        self, tp: TP, records: Sequence[LogRecord], generation_id: int, ledger: SpanLedger, *, behind: int
    ) -> None:
        last = records[-1]
        super().__init__(
            topic=tp.topic,
            partition=tp.partition,
            offset=last.offset,
            timestamp=last.timestamp / 1000,
            timestamp_type=1,  # of append, as the topic has it
            headers=None,
            key=None,
            value=records,  # type: ignore[arg-type]  # the topic's schema hands it on as it is
            checksum=None,
            serialized_key_size=0,
            serialized_value_size=0,
            tp=tp,
            generation_id=generation_id,
        )
        # The ledger of the assignment that delivered it: an acknowledgement that comes after the partition was
        # revoked reaches a ledger that nobody reads any more, even if the same offsets have been delivered again.
        self.ledger = ledger
        self.behind = behind


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """Makes the aiokafka consumer with our fetch settings; Faust hard-codes 1 500 ms and 1 byte."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.log_ends: dict[TP, int] = {}
        """Of what was fetched last: the offset of the next record that will be appended."""

    def _create_worker_consumer(self, transport: driver.Transport) -> aiokafka.AIOKafkaConsumer:
        conf = self.app.conf
        return aiokafka.AIOKafkaConsumer(
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            client_id=conf.broker_client_id,
            group_id=conf.id,
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
            enable_auto_commit=False,
            auto_offset_reset=conf.consumer_auto_offset_reset,
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            metadata_max_age_ms=_METADATA_MS,
            fetch_max_wait_ms=PROMPT.max_wait_ms,
            fetch_min_bytes=PROMPT.min_bytes,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
        )

    async def _fetch_records(self, consumer: aiokafka.AIOKafkaConsumer, *args: Any, **kwargs: Any) -> Any:
        """What was fetched. The fetch after one that brought something gathers."""
        records = await super()._fetch_records(consumer, *args, **kwargs)
        if records:
            held = consumer.assignment()
            self.log_ends = {ensure_TP(tp): (consumer.highwater(tp) or 0) if tp in held else 0 for tp in records}
            consumer._fetcher.gather_next()
        return records

    async def on_thread_stop(self) -> None:
        """Leave the group, unless Kafka does not answer; the session times out then."""
        with suppress(TimeoutError):
            await asyncio.wait_for(super().on_thread_stop(), _FINAL_SECONDS)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: Faust takes a long wait for the store for a bug and logs it for each partition each second."""


class BatchConsumer(driver.Consumer):
    """Delivers chunks of records, and commits only what every lane has finished."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ledgers: dict[TP, SpanLedger] = {}
        self._committed: dict[TP, int] = {}

    @property
    def _hooks(self) -> PartitionHooks:
        hooks: PartitionHooks = self.app.partition_hooks  # type: ignore[attr-defined]  # see WorkerApp
        return hooks

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # --- delivery

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109  # as Faust has it
        """What one fetch brought, partition by partition in turn, in chunks.

        What cannot be delivered because a rebalance began is dropped: its span is not finished, or not even open, so
        it is fetched again from the committed offset by whoever gets the partition.
        """
        for tp, records in _in_turn(await self._fetch(timeout)):
            ledger = self._ledgers.get(tp)
            if not self.flow_active or ledger is None:
                return
            last = records[-1].offset
            ledger.open(records[0].offset, last)
            behind = self._thread.log_ends[tp] - 1 - last  # type: ignore[attr-defined]  # see BatchConsumerThread
            yield tp, SpanMessage(tp, records, self.app.consumer_generation_id, ledger, behind=behind)

    async def _fetch(self, seconds: float) -> dict[TP, list[LogRecord]]:
        if not self.flow_active:
            await self.wait(self.can_resume_flow)  # type: ignore[arg-type]  # mode waits for asyncio's events too
        active = self._get_active_partitions()
        if self.should_stop or not active:
            await self.sleep(_IDLE_SECONDS)
            return {}
        fetched = await self._getmany(active_partitions=active, timeout=seconds)
        return {ensure_TP(tp): records for tp, records in fetched.items()}

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Nothing: a ledger has no use for gaps."""

    def on_buffer_full(self, tp: TP) -> None:
        """Nothing: a full buffer blocks the reader by itself. Faust would pause the partition that happened to
        overflow, and poll once a second when all are paused."""

    def on_buffer_drop(self, tp: TP) -> None:
        """Nothing, see on_buffer_full."""

    async def perform_seek(self) -> None:
        """Nothing: aiokafka starts each assignment at the committed offsets by itself. Faust's bookkeeping here drops
        every record of a topic that was remade shorter than the committed offset."""

    # --- acknowledgement

    def ack(self, message: Message) -> bool:
        """Finish the message's span; the next commit includes it if no span before it is unfinished."""
        assert isinstance(message, SpanMessage)
        if message.acked:
            return False
        message.acked = True
        message.ledger.finish(message.offset)
        self._unacked_messages.discard(message)
        return True

    async def force_commit(self, topics: object = None, start_new_transaction: bool = True) -> bool:
        """Commit what rose since the last commit.

        Faust's own version skips unfinished offsets when acknowledgements come out of order (its issue #606), and
        counts an offset as committed even if the commit failed.
        """
        ledgers = self._ledgers
        offsets = {
            tp: offset
            for tp, ledger in ledgers.items()
            if (offset := ledger.committable()) is not None and offset != self._committed.get(tp)
        }
        if not offsets or not await self._commit(offsets):
            return False
        if ledgers is self._ledgers:
            self._committed.update(offsets)
        return True

    async def _commit_everything(self) -> None:
        try:
            async with asyncio.timeout(_FINAL_SECONDS):
                # The first may have joined a commit that began before the last acknowledgement.
                await self.commit()
                await self.commit()
        except TimeoutError:
            self.log.warning("Kafka did not take the last commit; the next owner repeats what it would have covered")

    # --- rebalances

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Start fresh ledgers, then let Faust resume the flow."""
        try:
            self._ledgers = {tp: SpanLedger() for tp in assigned}
            self._committed = {}
            if assigned:
                await self._hooks.on_assigned(_numbers(assigned))
        except Exception as error:  # else aiokafka logs it and goes on
            await self.crash(error)
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Stop the flow, let the lanes finish, commit, forget the spans.

        Faust forgets the acknowledged offsets before its last commit, so that the commit holds nothing.
        """
        self.stop_flow()
        self.app.flow_control.suspend()
        self.app.flow_control.clear()
        await self._give_up(revoked)
        await super().on_partitions_revoked(revoked)

    async def on_stop(self) -> None:
        """Give everything up as in a rebalance, so that the next owner repeats nothing."""
        await self._give_up(set(self._ledgers))
        await super().on_stop()

    async def _give_up(self, revoked: Collection[TP]) -> None:
        held = self._ledgers.keys() & set(revoked)
        try:
            if held:
                await self._hooks.on_revoked(_numbers(held))
                await self._commit_everything()
        except Exception as error:
            await self.crash(error)
        finally:
            self._ledgers = {tp: ledger for tp, ledger in self._ledgers.items() if tp not in held}


class BatchTransport(driver.Transport):
    """Faust's aiokafka transport with the consumer above."""

    Consumer = BatchConsumer


def _numbers(partitions: Collection[TP]) -> frozenset[int]:
    return frozenset(tp.partition for tp in partitions)


def _in_turn(fetched: Mapping[TP, list[LogRecord]]) -> Iterator[tuple[TP, list[LogRecord]]]:
    """Chunks of all partitions in turn, so that one long partition does not hold the others up."""
    chunked = ([(tp, chunk) for chunk in _chunks(records)] for tp, records in fetched.items())
    for round_ in zip_longest(*chunked):
        yield from (each for each in round_ if each is not None)


def _chunks(records: list[LogRecord]) -> Iterator[list[LogRecord]]:
    for start in range(0, len(records), CHUNK_RECORDS):
        yield records[start : start + CHUNK_RECORDS]
