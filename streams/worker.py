"""A worker: a member of the consumer group that runs a lane for each partition it holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from features.catalogue import Catalogue
from features.fold import Folder
from runtime import metrics
from runtime.producer import Producer
from runtime.settings import KafkaSettings, WorkerSettings
from schemas.topics import EVENTS
from storage import UserStore
from streams.announcer import FeatureAnnouncer
from streams.dead_letters import DeadLetterOffice
from streams.faust_app import WorkerApp, new_faust_app
from streams.lane import Budget, Delivery, FoldBatch, Lane
from streams.partition import PartitionFold, Pipeline, partition_of_user
from streams.state_cache import CacheRoom
from streams.transport import PartitionHooks

log = structlog.get_logger()

# A batch in hand gets this long to become durable before its partition is given up: well within the time that the
# group waits for its members in a rebalance (30 s).
_GRACE_SECONDS = 10.0


class Worker:
    """Reads the events topic; each partition that it is assigned is folded by a `new_fold()` of its own.

    Must be made in the running event loop.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        settings: WorkerSettings,
        *,
        group: str,
        events_epoch: int,
        new_fold: Callable[[], FoldBatch],
    ) -> None:
        self.events_epoch = events_epoch
        self._settings = settings
        self._new_fold = new_fold
        self._budget = Budget(settings.pending_records, settings.pending_mib << 20)
        self._lanes: dict[int, Lane] = {}
        self._failed = asyncio.get_running_loop().create_future()
        self._app: WorkerApp = new_faust_app(
            kafka,
            settings,
            group=group,
            topic=EVENTS.name,
            on_delivery=self._on_delivery,
            partition_hooks=PartitionHooks(self._on_assigned, self._on_revoked),
        )

    @property
    def joined(self) -> bool:
        """Whether the group has assigned partitions to this worker; with many workers they may be none."""
        return bool(self._app.consumer_generation_id)

    async def start(self) -> None:
        """Join the group; returns after the first assignment."""
        metrics.LANE_PENDING_RECORDS.set_function(lambda: self._budget.records)
        await self._app.start()

    async def stop(self) -> None:
        """Finish the batches in hand, commit them and leave the group."""
        await self._app.stop()

    async def wait_failed(self) -> BaseException:
        """Returns why the worker cannot go on: an error of a lane, or of Faust. The process should stop then."""
        crashed = asyncio.ensure_future(self._app.wait_crashed())
        try:
            await asyncio.wait({crashed, self._failed}, return_when=asyncio.FIRST_COMPLETED)
            reason: BaseException = self._failed.result() if self._failed.done() else crashed.result()
            return reason
        finally:
            crashed.cancel()

    async def _on_delivery(self, delivery: Delivery) -> None:
        partition = delivery.records[0].partition
        lane = self._lanes.get(partition)
        await self._budget.wait_for_room()
        # If the partition was given up in the meantime, its next owner gets these records again, in order.
        if lane is not None and lane is self._lanes.get(partition):
            lane.offer(delivery)

    async def _on_assigned(self, partitions: frozenset[int]) -> None:
        log.info("partitions assigned", partitions=sorted(partitions))
        for partition in partitions:
            lane = Lane(self._new_fold(), self._budget, self._settings.flush_records)
            lane.task.add_done_callback(self._on_lane_ended)
            self._lanes[partition] = lane

    async def _on_revoked(self, partitions: frozenset[int]) -> None:
        log.info("partitions revoked", partitions=sorted(partitions))
        revoked = [self._lanes.pop(partition) for partition in partitions]
        await asyncio.gather(*(lane.stop(_GRACE_SECONDS) for lane in revoked))

    def _on_lane_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or self._failed.done():
            return
        error = task.exception()
        if error is not None:
            self._failed.set_result(error)


async def new_worker(
    kafka: KafkaSettings, settings: WorkerSettings, *, store: UserStore, producer: Producer, catalogue: Catalogue
) -> Worker:
    """The worker that folds users' features. Raises StoreUnavailable and NotMigrated.

    The group's name holds the store's id: committed offsets mean nothing beside other rows than those they stand for.
    """
    deployment = await store.deployment()
    pipeline = Pipeline(
        catalogue=catalogue,
        folder=Folder(catalogue),
        store=store,
        announcer=FeatureAnnouncer(producer, catalogue),
        dead_letters=DeadLetterOffice(producer, most_excess=settings.dead_letter_excess),
        events_epoch=deployment.events_epoch,
        partition_of=partition_of_user,
        cache_room=CacheRoom(settings.cache_mib << 20),
    )
    return Worker(
        kafka,
        settings,
        group=deployment.consumer_group(settings.group),
        events_epoch=deployment.events_epoch,
        new_fold=lambda: PartitionFold(pipeline).fold,
    )
