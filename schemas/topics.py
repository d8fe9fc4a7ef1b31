"""The three public topics: name, partitions, retention and limits. Every other place asks here."""

from dataclasses import dataclass, field
from typing import Final

DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Topic:
    """A Kafka topic as `migrate` creates it; `config` holds broker-side topic settings."""

    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict)


EVENTS: Final = Topic(
    "public.behavior.events.v1",
    partitions=12,
    config={
        "cleanup.policy": "delete",
        "retention.ms": str(7 * DAY_MS),
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(1 << 20),
    },
)

FEATURES: Final = Topic(
    "public.personalization.features.v1",
    partitions=12,
    config={"cleanup.policy": "compact", "max.message.bytes": str(1 << 20)},
)

# A dead letter is the original record, untouched, plus headers: it needs more room than the original.
DEAD_LETTERS: Final = Topic(
    "public.behavior.events.dlq.v1",
    partitions=12,
    config={"cleanup.policy": "delete", "retention.ms": str(30 * DAY_MS), "max.message.bytes": str(2 << 20)},
)

ALL: Final = (EVENTS, FEATURES, DEAD_LETTERS)
