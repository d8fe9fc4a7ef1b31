"""Where one stack lives, on which ports, and how much memory it may take. Knows nothing about processes."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StackConfig:
    """One stack: several may share `jars_dir`, each needs its own `data_dir` and ports."""

    data_dir: Path
    jars_dir: Path
    kafka_port: int = 9092
    kafka_controller_port: int = 9093
    cassandra_port: int = 9042
    cassandra_storage_port: int = 7000
    cassandra_jmx_port: int = 7199
    jolokia_port: int = 8778
    kafka_heap_mb: int = 256
    cassandra_heap_mb: int = 512
    host: str = "127.0.0.1"

    def kafka_nodes(self) -> tuple["KafkaNode", ...]:
        """The brokers of this stack; one today, and nothing that reads them may assume so."""
        return (KafkaNode(1, "kafka", self.host, self.kafka_port, self.kafka_controller_port),)

    def cassandra_nodes(self) -> tuple["CassandraNode", ...]:
        """The Cassandra nodes of this stack, the seed first."""
        return (
            CassandraNode(
                1,
                "cassandra",
                self.host,
                self.cassandra_port,
                self.cassandra_storage_port,
                self.cassandra_jmx_port,
                self.jolokia_port,
            ),
        )


@dataclass(frozen=True, slots=True)
class KafkaNode:
    """One process that is broker and controller."""

    node_id: int
    name: str
    host: str
    port: int
    controller_port: int

    def port_settings(self) -> dict[int, str]:
        """Each port with the setting that chooses it."""
        return {self.port: "HEADRACE_STACK__KAFKA_PORT", self.controller_port: "HEADRACE_STACK__KAFKA_CONTROLLER_PORT"}


@dataclass(frozen=True, slots=True)
class CassandraNode:
    """One Cassandra process."""

    node_id: int
    name: str
    host: str
    port: int
    storage_port: int
    jmx_port: int
    jolokia_port: int

    def port_settings(self) -> dict[int, str]:
        """Each port with the setting that chooses it."""
        return {
            self.port: "HEADRACE_STACK__CASSANDRA_PORT",
            self.storage_port: "HEADRACE_STACK__CASSANDRA_STORAGE_PORT",
            self.jmx_port: "HEADRACE_STACK__CASSANDRA_JMX_PORT",
            self.jolokia_port: "HEADRACE_STACK__JOLOKIA_PORT",
        }
