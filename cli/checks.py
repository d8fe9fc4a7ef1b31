"""What the processes of ours report under /readyz."""

from __future__ import annotations

import asyncio
from typing import Protocol

from runtime.health import Check
from runtime.producer import EventProducer
from storage import UserStore


def kafka(producer: EventProducer) -> Check:
    """A broker answers, and what was sent is acknowledged."""

    async def check() -> str | None:
        await producer.ping()
        return None if producer.healthy else producer.last_error or "sent events are not acknowledged"

    return check


def running(stop: asyncio.Event) -> Check:
    """The process was not asked to stop."""

    async def check() -> str | None:
        return "stopping" if stop.is_set() else None

    return check


class DeploymentCheck:
    """The store answers; on the way it learns the epoch of the events topic, also when that is made anew."""

    def __init__(self, store: UserStore) -> None:
        self._store = store
        self.events_epoch: int | None = None

    async def __call__(self) -> str | None:
        self.events_epoch = (await self._store.deployment()).events_epoch
        return None


class Member(Protocol):
    """A worker that may be part of the consumer group."""

    @property
    def joined(self) -> bool: ...


class MembershipCheck:
    """The worker has joined its consumer group."""

    def __init__(self) -> None:
        self.worker: Member | None = None

    async def __call__(self) -> str | None:
        return None if self.worker is not None and self.worker.joined else "not a member of the consumer group yet"
