"""Topics on a real Kafka: made as designed, and refused where something else is there."""

from __future__ import annotations

import uuid

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from runtime.kafka_topics import KafkaUnavailable, TopicUnusable, create_topics, require_no_members
from runtime.settings import KafkaSettings
from schemas import topics
from tests.conftest import free_ports

LOG: dict[str, str] = {"cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime"}


@pytest.fixture
def settings(kafka_bootstrap: str) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=kafka_bootstrap)  # type: ignore[call-arg]  # every field has a default


@pytest.fixture
def name() -> str:
    return f"topics-{uuid.uuid4().hex[:12]}"


async def create(settings: KafkaSettings, name: str, partitions: int, configuration: dict[str, str]) -> list[str]:
    return await create_topics(settings, [(name, partitions, configuration)], before_creating=nothing)


async def nothing(name: str) -> None:
    """Before a topic of a test is made."""


async def configuration_of(settings: KafkaSettings, name: str) -> dict[str, str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await admin.start()
    try:
        [response] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
        [[*_, entries]] = response.resources
        return {entry[0]: entry[1] for entry in entries}
    finally:
        await admin.close()


async def test_the_topics_of_the_system_are_as_their_definitions_say(settings: KafkaSettings) -> None:
    for topic in topics.ALL:
        assert topic.config.items() <= (await configuration_of(settings, topic.name)).items()


async def test_a_broker_alone_has_each_event_on_disk_before_it_says_so(settings: KafkaSettings) -> None:
    assert (await configuration_of(settings, topics.EVENTS.name))["flush.messages"] == "1"


async def test_what_exists_is_not_made_again(settings: KafkaSettings, name: str) -> None:
    assert await create(settings, name, 3, LOG) == [name]
    assert await create(settings, name, 3, LOG) == []


async def test_a_topic_with_other_partitions_is_refused(settings: KafkaSettings, name: str) -> None:
    await create(settings, name, 3, LOG)
    with pytest.raises(TopicUnusable, match=f"{name} has 3 partitions instead of 12"):
        await create(settings, name, 12, LOG)


async def test_a_topic_whose_times_are_the_clients_is_refused(settings: KafkaSettings, name: str) -> None:
    await create(settings, name, 3, {"message.timestamp.type": "CreateTime"})
    with pytest.raises(TopicUnusable, match=r"message\.timestamp\.type=CreateTime instead of LogAppendTime"):
        await create(settings, name, 3, LOG)


async def test_what_the_broker_refuses_is_told_with_its_reason(settings: KafkaSettings, name: str) -> None:
    with pytest.raises(TopicUnusable, match=f"refuses the topic {name}: InvalidConfig"):
        await create(settings, name, 3, {"cleanup.policy": "keep"})
    three = settings.model_copy(update={"replication_factor": 3})
    with pytest.raises(TopicUnusable, match="InvalidReplicationFactor"):
        await create(three, name, 3, LOG)


async def test_a_kafka_that_is_away_is_told_apart(name: str) -> None:
    nowhere = KafkaSettings(bootstrap_servers=f"127.0.0.1:{free_ports(1)[0]}")  # type: ignore[call-arg]
    with pytest.raises(KafkaUnavailable, match="does not answer"):
        await create(nowhere, name, 3, LOG)


async def test_the_members_of_a_group_keep_their_topic_from_being_made_anew(settings: KafkaSettings, name: str) -> None:
    await create(settings, name, 3, LOG)
    await require_no_members(settings, name)
    reader = AIOKafkaConsumer(name, bootstrap_servers=settings.bootstrap_servers, group_id=name)
    await reader.start()
    with pytest.raises(TopicUnusable, match=f"1 members of {name} run .*stop the workers first"):
        await require_no_members(settings, name)
    await reader.stop()
    await require_no_members(settings, name)
