"""One real stack for the whole test run: its own ports, its own data, started when the first test asks for it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import hypothesis  # noqa: F401  # else its plugin does at the end of a run, too deep for Python 3.11.7 to compile it
import psutil
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from cli.migrate import migrate
from cli.system import ROOT, System
from runtime.settings import (
    ApiSettings,
    CassandraSettings,
    KafkaSettings,
    Settings,
    StackSettings,
    WorkerSettings,
)

RUNS = ROOT / ".headrace" / "tests"


def pytest_configure() -> None:
    """Neither a developer's own settings nor a shell that has interrupts ignored in the background decide a test."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what ignores it hands that down to its children
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a hundred processes would each compile all of our code
    for name in [name for name in os.environ if name.startswith("HEADRACE_")]:
        del os.environ[name]


class OneStack(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """What needs servers runs in one of the processes, since a run has one stack; the rest may run beside it."""

    def _split_scope(self, nodeid: str) -> str:
        return "servers" if nodeid.startswith(("tests/contract/", "tests/integration/")) else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneStack:
    """Of a run with --numprocesses."""
    return OneStack(config, log)


def free_ports(count: int) -> list[int]:
    """Distinct ports of loopback on which nobody listens, chosen by the system."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def settings_in(directory: Path) -> Settings:
    """Settings of a system that shares nothing with another one but the jars."""
    ports = free_ports(9)
    return Settings(
        _env_file=None,  # type: ignore[call-arg]  # an argument of pydantic-settings
        kafka=KafkaSettings(bootstrap_servers=f"127.0.0.1:{ports[0]}"),  # type: ignore[call-arg]
        cassandra=CassandraSettings(port=ports[2]),  # type: ignore[call-arg]
        api=ApiSettings(port=ports[6], admin_port=ports[8], drain_ms=50),  # type: ignore[call-arg]
        worker=WorkerSettings(port=ports[7], session_timeout_ms=2_000, pending_mib=16),  # type: ignore[call-arg]
        stack=StackSettings(  # type: ignore[call-arg]
            directory=directory,
            kafka_port=ports[0],
            kafka_controller_port=ports[1],
            cassandra_port=ports[2],
            cassandra_storage_port=ports[3],
            cassandra_jmx_port=ports[4],
            jolokia_port=ports[5],
        ),
    )


@pytest.fixture(scope="session")
def system() -> Iterator[System]:
    """Kafka and Cassandra, up and migrated. API and workers are started by the tests that need them."""
    _sweep()
    directory = RUNS / str(os.getpid())
    made = System(settings_in(directory), lambda line: print(line, file=sys.stderr))
    try:
        made.stack.up()
        with ThreadPoolExecutor(1) as thread:  # it runs an event loop, and an async fixture may have asked for us
            thread.submit(migrate, made.settings).result()
        yield made
    finally:
        made.down()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka_bootstrap(system: System) -> str:
    """Address of the real Kafka."""
    return system.settings.kafka.bootstrap_servers


@pytest.fixture(scope="session")
def cassandra(system: System) -> CassandraSettings:
    """Address of the real Cassandra, whose tables exist."""
    return system.settings.cassandra


def _sweep() -> None:
    """Stop and remove what a test run left behind that was killed."""
    for left in RUNS.glob("[0-9]*"):
        if not psutil.pid_exists(int(left.name)):
            System(settings_in(left), lambda line: None).down()
            shutil.rmtree(left, ignore_errors=True)
