"""A Kafka broker in KRaft mode, broker and controller in one process."""

import asyncio
import base64
import logging
import os
import shutil
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from stack import logs
from stack.config import KafkaNode, StackConfig
from stack.errors import ServerDied
from stack.jars import JarFolder, locked
from stack.java import common_options, java, write_arguments
from stack.ports import is_open
from stack.processes import ProcessSpec, RunningProcess

_STARTED: Final = "Kafka Server started"
_PROBE_GROUP: Final = "headrace-ready"  # never joined: asking for its offsets only proves that a coordinator answers
_PROBE_TIMEOUT_MS: Final = 2000
_FORMAT_TIMEOUT_SECONDS: Final = 60

# The values under "failure" are those with which a killed broker was seen to be replaced in under 4 s.
_SETTINGS: Final = {
    "auto.create.topics.enable": "false",
    "message.max.bytes": 2097152,
    "offsets.topic.num.partitions": 4,
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "default.replication.factor": 1,
    "min.insync.replicas": 1,
    # groups
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,
    # failure
    "broker.session.timeout.ms": 3000,
    "broker.heartbeat.interval.ms": 500,
    "controller.quorum.election.timeout.ms": 500,
    "controller.quorum.fetch.timeout.ms": 1000,
    "replica.lag.time.max.ms": 4000,
    # memory: the stock 128 MiB for the cleaner would be half of the heap; 16 MiB still maps 700 000 keys a pass
    "log.cleaner.dedupe.buffer.size": 16777216,
}


class Kafka:
    """One broker and its files under `data_dir/<name>`."""

    def __init__(self, config: StackConfig, node: KafkaNode, jars: JarFolder) -> None:
        self._config = config
        self._node = node
        self._jars = jars
        self._home = config.data_dir.absolute() / node.name

    @property
    def name(self) -> str:
        """Name of its process."""
        return self._node.name

    def prepare(self) -> ProcessSpec:
        """Write `server.properties`, format the storage once, and say how the broker is run."""
        self._home.mkdir(parents=True, exist_ok=True)
        class_path = [self._jars.path("kafka", jar) for jar in locked("kafka")]
        options = [*common_options(self._config.kafka_heap_mb), *_logging_options()]
        arguments = write_arguments(self._home / "java.args", options, class_path)
        self._format_once(arguments)
        properties = self._write_properties("server.properties", self._log_dir)
        return ProcessSpec(
            name=self.name,
            role="kafka",
            argv=(java(), arguments, "kafka.Kafka", str(properties)),
            cwd=self._home,
            ports=tuple(self._node.port_settings()),
            port_settings=tuple(self._node.port_settings().values()),
            host=self._node.host,
        )

    def ready(self, process: RunningProcess) -> bool:
        """Started, and a group coordinator answers: before that a first consumer sees errors."""
        return (
            logs.contains(process.log_path, _STARTED, process.log_offset)
            and is_open(self._node.host, self._node.port)
            and _coordinator_answers(f"{self._node.host}:{self._node.port}")
        )

    @property
    def _log_dir(self) -> Path:
        return self._home / "log"

    def _format_once(self, arguments: str) -> None:
        """Format beside and rename: the folder exists whole or not at all, whenever a format is cut short."""
        if self._log_dir.exists():
            return
        for left_over in self._home.glob("log.formatting-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        fresh = self._home / f"log.formatting-{os.getpid()}"
        properties = self._write_properties("format.properties", fresh)
        tool = (java(), arguments, "kafka.tools.StorageTool", "format")
        result = subprocess.run(
            (*tool, "-t", self._cluster_id(), "-c", str(properties)),
            capture_output=True,
            text=True,
            timeout=_FORMAT_TIMEOUT_SECONDS,
            check=False,
        )
        if result.returncode != 0:
            report = self._home / "format.log"
            report.write_text(result.stdout + result.stderr)
            raise ServerDied(f"formatting the storage of {self.name}", report, logs.last_lines(report, 0))
        fresh.rename(self._log_dir)

    def _cluster_id(self) -> str:
        """The cluster's uuid, made up once and kept beside the data of all its brokers."""
        path = self._config.data_dir / "kafka-cluster-id"
        if not path.exists() or not path.read_text():
            path.write_text(new_cluster_id())
        return path.read_text()

    def _write_properties(self, file: str, log_dir: Path) -> Path:
        node = self._node
        client, controller = f"PLAINTEXT://{node.host}:{node.port}", f"CONTROLLER://{node.host}:{node.controller_port}"
        voters = ",".join(f"{n.node_id}@{n.host}:{n.controller_port}" for n in self._config.kafka_nodes())
        own = {
            "process.roles": "broker,controller",
            "node.id": node.node_id,
            "controller.quorum.voters": voters,
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listeners": f"{client},{controller}",
            "advertised.listeners": client,
            "log.dirs": log_dir,
        }
        path = self._home / file
        path.write_text("".join(f"{key}={value}\n" for key, value in {**own, **_SETTINGS}.items()))
        return path


def new_cluster_id() -> str:
    """A random uuid in base64, as Kafka writes it; its tools take one that begins with a dash for an option."""
    while True:
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not cluster_id.startswith("-"):
            return cluster_id


def _logging_options() -> list[str]:
    prefix = "-Dorg.slf4j.simpleLogger"
    return [
        f"{prefix}.showDateTime=true",
        f"{prefix}.dateTimeFormat=yyyy-MM-dd HH:mm:ss,SSS",
        f"{prefix}.showShortLogName=true",
        f"{prefix}.log.org.apache.kafka.clients=warn",
    ]


def _coordinator_answers(address: str) -> bool:
    logger = logging.getLogger("aiokafka")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # it logs an error for each question that comes too early
    try:
        # In a thread of its own, so that a caller inside an event loop may ask too.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, _ask_coordinator(address)).result()
    finally:
        logger.setLevel(level)


async def _ask_coordinator(address: str) -> bool:
    client = AIOKafkaAdminClient(bootstrap_servers=address, request_timeout_ms=_PROBE_TIMEOUT_MS)
    try:
        await client.start()
        await client.list_consumer_group_offsets(_PROBE_GROUP)
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        await client.close()
    return True
