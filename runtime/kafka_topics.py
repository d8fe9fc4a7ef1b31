"""Creating topics and asking for them, as `migrate` and the health checks need it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError

from runtime.settings import KafkaSettings


class KafkaUnavailable(Exception):
    """No broker answered."""


async def create_topics(
    settings: KafkaSettings,
    topics: Sequence[tuple[str, int, dict[str, str]]],
    *,
    before_creating: Callable[[str], None],
) -> list[str]:
    """Create those of `topics` (name, partitions, configuration) that are missing; returns their names.

    `before_creating` is called for each before it comes into being. Raises KafkaUnavailable.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    try:
        await admin.start()
        existing = set(await admin.list_topics())
        created = []
        for name, partitions, configuration in topics:
            if name in existing:
                continue
            before_creating(name)
            await _create(admin, settings, name, partitions, configuration)
            created.append(name)
        return created
    except (KafkaError, OSError) as error:
        raise KafkaUnavailable(
            f"Kafka at {settings.bootstrap_servers} does not answer: {type(error).__name__}"
        ) from error
    finally:
        await admin.close()


async def _create(
    admin: AIOKafkaAdminClient, settings: KafkaSettings, name: str, partitions: int, configuration: dict[str, str]
) -> None:
    topic = NewTopic(
        name,
        partitions,
        settings.replication_factor,
        topic_configs={**configuration, "min.insync.replicas": str(settings.min_insync_replicas)},
    )
    try:
        response = await admin.create_topics([topic])
    except TopicAlreadyExistsError:
        return
    for _, code, *rest in response.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):
            raise KafkaError(f"topic {name} was not created: code {code} {rest}")
