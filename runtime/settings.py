"""Every setting, in one tree. Read only in the composition roots; each package is handed its slice.

Environment: prefix `HEADRACE_`, `__` between levels. Precedence: flag > environment > `.env` > default.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from runtime import native

PREFIX: Final = "HEADRACE_"
NESTED: Final = "__"
# Read before there are settings: by the script ./headrace and by runtime.native.
_READ_EARLIER: Final = frozenset({"HEADRACE_PYTHON", native.SWITCH})

Port = Annotated[int, Field(ge=1, le=65_535)]


class Section(BaseModel):
    """A branch of the tree; a name that it does not know is a typo."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class KafkaSettings(Section):
    """Where Kafka is and how we talk to it."""

    bootstrap_servers: str = Field(
        "127.0.0.1:9092",
        pattern=r"^[^\s:,]+:\d{1,5}(,[^\s:,]+:\d{1,5})*$",
        description="Comma-separated host:port list of brokers; by default the local stack's.",
    )
    replication_factor: int = Field(1, ge=1, description="Replicas of each topic that `migrate` creates.")
    min_insync_replicas: int = Field(1, ge=1, description="`min.insync.replicas` of each topic that `migrate` creates.")


class CassandraSettings(Section):
    """Where Cassandra is and which keyspace is ours."""

    contact_points: list[str] = Field(["127.0.0.1"], description="JSON list of addresses to start from.")
    port: Port = Field(9042, description="CQL port; by default the local stack's.")
    keyspace: str = Field("headrace", pattern="^[a-z][a-z0-9_]{0,47}$", description="Keyspace; `migrate` creates it.")
    local_datacenter: str = Field("dc1", description="Data centre whose replicas answer us.")
    replication_factor: int = Field(1, ge=1, description="Replicas in the local data centre when `migrate` creates it.")


class ApiSettings(Section):
    """The GraphQL API."""

    host: str = Field("127.0.0.1", description="Address to bind.")
    port: Port = Field(8080, description="Port to bind; processes of one user on one machine may share it.")
    admin_port: int = Field(
        8180, ge=0, le=65_535, description="Port of this process alone, for health and metrics; 0 picks a free one."
    )
    drain_ms: int = Field(500, ge=0, description="How long /readyz fails on SIGTERM before connections are refused.")
    track_deadline_ms: int = Field(2000, ge=1, description="After this an unacknowledged event is reported as `retry`.")
    max_body_bytes: int = Field(1 << 20, ge=1024, description="A larger request body is answered with 413.")
    max_events: int = Field(1000, ge=1, description="Most events in one request.")
    in_flight_events: int = Field(
        20_000, ge=1, description="Most events on their way to Kafka; a request beyond it is answered with OVERLOADED."
    )
    in_flight_mib: int = Field(32, ge=1, description="The same in MiB.")
    max_deadline_ms: int = Field(10_000, ge=1, description="Longest wait that a read with a receipt may ask for.")
    known_documents: int = Field(
        1000, ge=0, description="Query texts that are kept compiled, and known by their ids; 0 compiles nothing."
    )
    max_subscriptions: int = Field(10, ge=1, description="Most operations at a time on one WebSocket.")


class WorkerSettings(Section):
    """The stream worker."""

    group: str = Field("headrace-features", description="Prefix of the consumer group; the store's id is appended.")
    host: str = Field("127.0.0.1", description="Address of the health and metrics port.")
    port: int = Field(8081, ge=0, le=65_535, description="Port for health and metrics; 0 picks a free one.")
    flush_records: int = Field(8000, ge=1, le=20_000, description="Most records that a lane folds as one batch.")
    pending_records: int = Field(
        100_000, ge=2000, description="Most records waiting in all lanes before reading stops."
    )
    pending_mib: int = Field(64, ge=1, description="Most MiB of records waiting in all lanes before reading stops.")
    cache_mib: int = Field(
        64,
        ge=1,
        description="MiB of packed user states kept by a worker; unpacked they take about 8 times that.",
    )
    session_timeout_ms: int = Field(10_000, ge=1000, description="After this long without heartbeat others take over.")
    dead_letter_excess: int = Field(
        1000, ge=10, description="This many more dead letters than good records stop the worker."
    )


class FeatureSettings(Section):
    """What is computed."""

    catalogue: str = Field("features.default:CATALOGUE", description="`module:NAME` of the feature catalogue.")


class StackSettings(Section):
    """The local Kafka and Cassandra that `./headrace up` runs."""

    directory: Path = Field(Path(".headrace/stack"), description="Where data, logs and pid files live.")
    jars_directory: Path = Field(Path(".headrace/jars"), description="Where the jars lie; several stacks may share it.")
    kafka_port: Port = Field(9092, description="Broker port.")
    kafka_controller_port: Port = Field(9093, description="KRaft controller port.")
    cassandra_port: Port = Field(9042, description="CQL port.")
    cassandra_storage_port: Port = Field(7000, description="Port between Cassandra nodes.")
    cassandra_jmx_port: Port = Field(7199, description="Local JMX port.")
    jolokia_port: Port = Field(8778, description="JMX over HTTP.")
    kafka_heap_mb: int = Field(256, ge=128, description="Kafka's Java heap.")
    cassandra_heap_mb: int = Field(512, ge=256, description="Cassandra's Java heap.")


class LogSettings(Section):
    """Logs go to stderr."""

    level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level that is written.")
    json_lines: bool = Field(True, description="One JSON object a line; false writes for eyes.")


class Settings(BaseSettings):
    """The whole tree."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=NESTED, env_file=".env", extra="forbid", frozen=True
    )

    kafka: KafkaSettings = KafkaSettings()  # type: ignore[call-arg]  # every field has a default
    cassandra: CassandraSettings = CassandraSettings()  # type: ignore[call-arg]
    api: ApiSettings = ApiSettings()  # type: ignore[call-arg]
    worker: WorkerSettings = WorkerSettings()  # type: ignore[call-arg]
    features: FeatureSettings = FeatureSettings()  # type: ignore[call-arg]
    stack: StackSettings = StackSettings()  # type: ignore[call-arg]
    log: LogSettings = LogSettings()  # type: ignore[call-arg]


class UnknownSetting(ValueError):
    """A variable with our prefix that no setting has."""


def load_settings() -> Settings:
    """The settings of this process. Raises UnknownSetting, pydantic's ValidationError and SettingsError.

    Kafka and Cassandra are those of the local stack, also where its ports are changed, unless they are named.
    """
    sections = tuple(f"{PREFIX}{name.upper()}{NESTED}" for name in Settings.model_fields)
    for name in os.environ:
        if name.startswith(PREFIX) and not name.startswith(sections) and name not in _READ_EARLIER:
            raise UnknownSetting(f"{name} is no setting: they begin with {', '.join(sections)}")
    settings = Settings()
    kafka, cassandra = settings.kafka, settings.cassandra
    if "bootstrap_servers" not in kafka.model_fields_set:
        kafka = kafka.model_copy(update={"bootstrap_servers": f"127.0.0.1:{settings.stack.kafka_port}"})
    if not {"contact_points", "port"} & cassandra.model_fields_set:
        cassandra = cassandra.model_copy(update={"port": settings.stack.cassandra_port})
    return settings.model_copy(update={"kafka": kafka, "cassandra": cassandra})


def as_environment(settings: Settings) -> dict[str, str]:
    """The variables that give another process the same settings, whatever its `.env` and its environment say."""
    return dict(_variables(PREFIX, settings.model_dump(mode="json")))


def _variables(prefix: str, tree: Mapping[str, object]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in tree.items():
        variable = prefix + name.upper()
        if isinstance(value, Mapping):
            found += _variables(variable + NESTED, value)
        else:
            found.append((variable, value if isinstance(value, str) else json.dumps(value)))
    return found
