"""Make tables and topics. Safe to repeat."""

from __future__ import annotations

import asyncio
import dataclasses

from runtime.kafka_topics import create_topics, require_no_members
from runtime.settings import Settings
from schemas import topics
from storage.migrate import Migrator


@dataclasses.dataclass(frozen=True, slots=True)
class Migrated:
    """What was missing and has been made."""

    tables: list[str]
    topics: list[str]


def migrate(settings: Settings) -> Migrated:
    """Tables first: an events topic that is made anew begins a new epoch, which the tables must know beforehand."""
    migrator = Migrator(settings.cassandra)
    try:
        with migrator.in_turn():
            tables = migrator.migrate()

            async def before_creating(topic: str) -> None:
                if topic == topics.EVENTS.name:
                    group = migrator.deployment().consumer_group(settings.worker.group)
                    await require_no_members(settings.kafka, group)
                    migrator.start_epoch()

            wanted = [(topic.name, topic.partitions, topic.config) for topic in topics.ALL]
            created = asyncio.run(create_topics(settings.kafka, wanted, before_creating=before_creating))
            migrator.adopt_topic()
            return Migrated(tables, created)
    finally:
        migrator.close()
