"""Creating topics and asking for them, as `migrate` and the health checks need it.

KafkaUnavailable   no broker answered; retriable
TopicUnusable      the broker refuses the topic, or one of that name exists that we cannot use
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from runtime.settings import KafkaSettings

# What readers rely on; everything else about an existing topic is its operator's business.
_RELIED_ON: Final = ("cleanup.policy", "message.timestamp.type")
_KNOWN_SECONDS: Final = 20.0
# A broker alone has a record safe when it is on disk; with replicas it is safe when they have it.
_ALONE: Final = {"flush.messages": "1"}


class KafkaUnavailable(Exception):
    """No broker answered."""

    retriable: ClassVar[bool] = True


class TopicUnusable(Exception):
    """Trying again does not help."""

    retriable: ClassVar[bool] = False


async def create_topics(
    settings: KafkaSettings,
    topics: Sequence[tuple[str, int, dict[str, str]]],
    *,
    before_creating: Callable[[str], Awaitable[None]],
) -> list[str]:
    """Create those of `topics` (name, partitions, configuration) that are missing; returns their names.

    `before_creating` is awaited for each before it comes into being. Raises KafkaUnavailable, and TopicUnusable for one
    that exists with another number of partitions or in another way that readers cannot take.
    """
    async with _admin(settings) as admin:
        existing = set(await admin.list_topics())
        created = []
        for name, partitions, configuration in topics:
            if name in existing:
                await _require_fit(admin, name, partitions, configuration)
                continue
            await before_creating(name)
            await _create(admin, settings, name, partitions, configuration)
            created.append(name)
        await _until_known(admin, created)
        return created


async def require_no_members(settings: KafkaSettings, group: str) -> None:
    """Returns if nobody reads as a member of `group`. Raises KafkaUnavailable, and TopicUnusable if somebody does."""
    async with _admin(settings) as admin:
        for response in await admin.describe_consumer_groups([group]):
            members = [member for *_, members in response.groups for member in members]
            if members:
                raise TopicUnusable(
                    f"{len(members)} members of {group} run while the topic that they read has to be made anew; "
                    "stop the workers first (one that was killed counts for some seconds)"
                )


async def _until_known(admin: AIOKafkaAdminClient, names: Sequence[str]) -> None:
    """The controller has made them; the brokers hear of it a moment later."""
    try:
        async with asyncio.timeout(_KNOWN_SECONDS):
            while not set(names) <= set(await admin.list_topics()):  # noqa: ASYNC110  # only the broker knows
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise KafkaUnavailable(f"the topics {', '.join(names)} were made, but no broker knows them yet") from error


@asynccontextmanager
async def _admin(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    try:
        await admin.start()
        yield admin
    except (KafkaError, OSError) as error:
        raise KafkaUnavailable(
            f"Kafka at {settings.bootstrap_servers} does not answer: {type(error).__name__}"
        ) from error
    finally:
        await admin.close()


async def _create(
    admin: AIOKafkaAdminClient, settings: KafkaSettings, name: str, partitions: int, configuration: dict[str, str]
) -> None:
    alone = _ALONE if settings.replication_factor == 1 else {}
    topic = NewTopic(
        name,
        partitions,
        settings.replication_factor,
        topic_configs={**alone, **configuration, "min.insync.replicas": str(settings.min_insync_replicas)},
    )
    try:
        response = await admin.create_topics([topic])
    except TopicAlreadyExistsError:
        return
    for _, code, *rest in response.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):
            reason = next((str(each) for each in rest if each), "no reason given")
            raise TopicUnusable(f"Kafka refuses the topic {name}: {for_code(code).__name__}: {reason}")


async def _require_fit(admin: AIOKafkaAdminClient, name: str, partitions: int, configuration: dict[str, str]) -> None:
    [described] = await admin.describe_topics([name])
    found = len(described["partitions"])
    if found != partitions:
        raise TopicUnusable(f"the topic {name} has {found} partitions instead of {partitions}")
    [response] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    entries = {entry[0]: entry[1] for *_, resource in response.resources for entry in resource}
    for key in _RELIED_ON:
        if key in configuration and entries.get(key) != configuration[key]:
            raise TopicUnusable(f"the topic {name} has {key}={entries.get(key)} instead of {configuration[key]}")
