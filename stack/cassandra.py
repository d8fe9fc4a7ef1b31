"""A Cassandra node with a Jolokia agent: JMX over loopback HTTP, since RMI does not work on this Java runtime."""

import json
import os
from pathlib import Path
from typing import Final

from stack import logs, versions
from stack.config import CassandraNode, StackConfig
from stack.jars import JarFolder, locked
from stack.java import common_options, java, write_arguments
from stack.ports import is_open
from stack.processes import ProcessSpec, RunningProcess

_STARTED: Final = "Starting listening for CQL clients"
DATACENTER: Final = "dc1"
_RACK: Final = "rack1"

# Offsets are committed once a write is acknowledged, so an acknowledged write must already be on the disk: with the
# stock `periodic` a power loss would take up to 10 s of rows that nobody would send again. `batch` acknowledges after
# an fsync that the writes which came while another one ran share; `group` would wait for a window on top.
# `auto` means direct I/O on a solid-state disk: of a log that is mapped instead each sync walks over all 32 MiB.
_COMMIT_LOG: Final = {"commitlog_sync": "batch", "commitlog_disk_access_mode": "auto"}
_MAPPED_COMMIT_LOG: Final = {"commitlog_disk_access_mode": "legacy"}

# Batches hold rows of many users that share their replicas, up to what a stock server takes; it would log each of them.
_BATCHES: Final = {
    "batch_size_warn_threshold": "50KiB",
    "batch_size_fail_threshold": "50KiB",
    "unlogged_batch_across_partitions_warn_threshold": 1000,
}

_SETTINGS: Final = {
    **_COMMIT_LOG,
    **_BATCHES,
    "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
    "num_tokens": 16,
    "auto_bootstrap": False,
    "auto_snapshot": False,
    "endpoint_snitch": "GossipingPropertyFileSnitch",
    "storage_compatibility_mode": "NONE",
    "disk_optimization_strategy": "ssd",
    "memtable_heap_space": "128MiB",
    "memtable_offheap_space": "64MiB",
    # A full or broken disk ends the process, which is seen, instead of leaving one that answers nobody.
    "disk_failure_policy": "die",
    "commit_failure_policy": "die",
    "concurrent_reads": 16,
    "concurrent_writes": 16,
    "hinted_handoff_enabled": True,
}

_DIRECTORIES: Final = {
    "commitlog_directory": "commitlog",
    "saved_caches_directory": "saved_caches",
    "hints_directory": "hints",
    "cdc_raw_directory": "cdc_raw",
}

# After a request Cassandra's workers look for the next one for 10 ms, in sleeps of 10 us and the timer slack, 50 us on
# Linux: under a light load 20 000 wake-ups a second, a quarter of its CPU. Threads inherit a longer slack, which makes
# these sleeps longer; a request then waits up to that long for a worker.
TIMER_SLACK_NS: Final = 300_000
# `$0` is the slack, `$@` the command.
_WITH_TIMER_SLACK: Final = ("/bin/sh", "-c", 'echo "$0" 2>/dev/null >/proc/self/timerslack_ns; exec "$@"')

# What Cassandra 5.0 asks of Java 17 in its own jvm17-server.options.
_EXPORTS: Final = (
    "java.base/jdk.internal.misc",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "java.base/java.lang.ref",
    "jdk.unsupported/sun.misc",
    "jdk.attach/sun.tools.attach",
)
_OPENS: Final = (
    "java.base/java.lang.module",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.util.jar",
    "jdk.management/com.sun.management.internal",
    "java.base/sun.nio.ch",
    "java.base/java.io",
    "java.base/java.lang.reflect",
    "java.base/java.lang",
    "java.base/java.util",
    "java.base/java.nio",
)

_LOGBACK: Final = """\
<configuration>
  <appender name="STDOUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%date{ISO8601} %-5level [%thread] %logger{0} - %msg%n</pattern></encoder>
  </appender>
  <logger name="org.apache.cassandra" level="INFO"/>
  <root level="INFO"><appender-ref ref="STDOUT"/></root>
</configuration>
"""


class Cassandra:
    """One node and its files under `data_dir/<name>`."""

    def __init__(self, config: StackConfig, node: CassandraNode, jars: JarFolder) -> None:
        self._config = config
        self._node = node
        self._jars = jars
        self._home = config.data_dir.absolute() / node.name
        self._conf = self._home / "conf"

    @property
    def name(self) -> str:
        """Name of its process."""
        return self._node.name

    def prepare(self) -> ProcessSpec:
        """Write the configuration and say how the node is run."""
        self._conf.mkdir(parents=True, exist_ok=True)
        self._yaml_path.write_text(json.dumps(self._settings(), indent=1))  # JSON is valid YAML
        (self._conf / "logback.xml").write_text(_LOGBACK)
        (self._conf / "cassandra-rackdc.properties").write_text(f"dc={DATACENTER}\nrack={_RACK}\n")
        jars = (jar for jar in locked("cassandra") if jar.coordinate != versions.JOLOKIA_COORDINATE)
        class_path = [self._conf, *(self._jars.path("cassandra", jar) for jar in jars)]
        arguments = write_arguments(self._home / "java.args", self._options(), class_path)
        return ProcessSpec(
            name=self.name,
            role="cassandra",
            argv=with_timer_slack(java(), arguments, "org.apache.cassandra.service.CassandraDaemon"),
            cwd=self._home,
            ports=tuple(self._node.port_settings()),
            port_settings=tuple(self._node.port_settings().values()),
            host=self._node.host,
        )

    def ready(self, process: RunningProcess) -> bool:
        """It says that it listens for CQL clients, and does."""
        return logs.contains(process.log_path, _STARTED, process.log_offset) and is_open(
            self._node.host, self._node.port
        )

    @property
    def _yaml_path(self) -> Path:
        return self._conf / "cassandra.yaml"

    def _settings(self) -> dict[str, object]:
        node, seed = self._node, self._config.cassandra_nodes()[0]
        seeds = [{"seeds": f"{seed.host}:{seed.storage_port}"}]
        data = self._home / "data"
        return {
            "cluster_name": "headrace",
            "listen_address": node.host,
            "rpc_address": node.host,
            "native_transport_port": node.port,
            "storage_port": node.storage_port,
            "seed_provider": [{"class_name": "org.apache.cassandra.locator.SimpleSeedProvider", "parameters": seeds}],
            "data_file_directories": [str(data / "data")],
            **{setting: str(data / folder) for setting, folder in _DIRECTORIES.items()},
            **_SETTINGS,
            **({} if takes_direct_io(self._home) else _MAPPED_COMMIT_LOG),
        }

    def _options(self) -> list[str]:
        node = self._node
        return [
            *common_options(self._config.cassandra_heap_mb),
            f"-javaagent:{self._jar('com.github.jbellis:jamm:')}",
            f"-javaagent:{self._jar(versions.JOLOKIA_COORDINATE)}=host={node.host},port={node.jolokia_port}",
            *(f"--add-exports={package}=ALL-UNNAMED" for package in _EXPORTS),
            *(f"--add-opens={package}=ALL-UNNAMED" for package in _OPENS),
            "-Djdk.attach.allowAttachSelf=true",
            "-Dio.netty.tryReflectionSetAccessible=true",
            f"-Dcassandra.config={self._yaml_path.as_uri()}",
            f"-Dcassandra.storagedir={self._home / 'data'}",
            f"-Dcassandra.logdir={self._home}",
            f"-Dlogback.configurationFile={(self._conf / 'logback.xml').as_uri()}",
            f"-Dcassandra.jmx.local.port={node.jmx_port}",
            "-Dcassandra-foreground=yes",
            # One node has nobody to wait for.
            "-Dcassandra.superuser_setup_delay_ms=0",
            "-Dcassandra.skip_wait_for_gossip_to_settle=0",
            "-Dcassandra.ring_delay_ms=100",
            "-Dcassandra.shutdown_announce_in_ms=0",
        ]

    def _jar(self, coordinate_prefix: str) -> Path:
        jar = next(jar for jar in locked("cassandra") if jar.coordinate.startswith(coordinate_prefix))
        return self._jars.path("cassandra", jar)


def with_timer_slack(*argv: str) -> tuple[str, ...]:
    """The command that runs `argv` with TIMER_SLACK_NS, where the system has such a thing."""
    return (*_WITH_TIMER_SLACK, str(TIMER_SLACK_NS), *argv)


def takes_direct_io(folder: Path) -> bool:
    """Whether files in `folder` can be opened for direct I/O. Some file systems refuse, and Cassandra does not ask."""
    probe = folder / "direct-io-probe"
    try:
        os.close(os.open(probe, os.O_CREAT | os.O_WRONLY | os.O_DIRECT))
    except (AttributeError, OSError):  # macOS has no such flag
        return False
    finally:
        probe.unlink(missing_ok=True)
    return True
