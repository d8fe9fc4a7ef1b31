"""The whole system on this machine: Kafka, Cassandra, one API and its workers as background processes."""

from __future__ import annotations

import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.errors import NOT_READY, CommandFailed
from cli.migrate import migrate
from runtime.settings import Settings, as_environment
from stack import ProcessSpec, Role, RunningProcess, Stack, StackConfig

ROOT: Final = Path(__file__).resolve().parent.parent
_READY_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Service:
    """One of our own processes and where it says whether it is ready."""

    name: str
    role: Role
    port: int

    @property
    def url(self) -> str:
        """Base URL on loopback."""
        return f"http://127.0.0.1:{self.port}"


class System:
    """Starts, stops and inspects everything; every call may be repeated."""

    def __init__(self, settings: Settings, report: Callable[[str], None]) -> None:
        self.settings = on_local_stack(settings)
        self.stack = Stack(_stack_config(settings), report)
        self.api = Service("api", "api", settings.api.port)
        self.worker = Service("worker", "worker", settings.worker.port)
        self._report = report

    def up(self) -> None:
        """Returns when an event can go in and come out. Raises StackError, StoreError or CommandFailed."""
        self.stack.up()
        made = migrate(self.settings)
        if made.tables or made.topics:
            self._report(f"migrated: {', '.join([*made.tables, *made.topics])}")
        for service in (self.api, self.worker):
            self.start(service)
        for service in (self.api, self.worker):
            self.await_ready(service)

    def down(self) -> None:
        """Stop our processes first, so that they can finish their work, then the servers."""
        self.stop_all_but(())

    def stop_all_but(self, kept: Container[str]) -> None:
        """Like `down`, except for the processes called `kept`."""
        for process in self.stack.keeper.all():
            if process.role in ("api", "worker") and process.name not in kept:
                self._report(f"stopping {process.name}")
                self.stack.keeper.stop(process.name)
        self.stack.down(kept)
        for name in self.stack.keeper.died():
            self.stack.keeper.forget(name)

    def start(self, service: Service, *, argv: tuple[str, ...] | None = None) -> RunningProcess:
        """Start one of our processes in the background, by default `headrace.py ROLE`."""
        spec = ProcessSpec(
            name=service.name,
            role=service.role,
            argv=argv or (sys.executable, str(ROOT / "headrace.py"), service.role),
            env=_environment(self.settings, service),
            cwd=ROOT,
            ports=(service.port,),
            port_settings=(f"HEADRACE_{service.role.upper()}__PORT",),
        )
        return self.stack.keeper.start(spec)

    def await_ready(self, service: Service) -> None:
        """Returns when the process says that it is ready. Raises CommandFailed with its last log lines."""
        deadline = time.monotonic() + _READY_SECONDS
        while not is_ready(service):
            process = self.stack.keeper.running(service.name)
            if process is None:
                raise self._failed(service, "ended while it was starting", code=1)
            if time.monotonic() > deadline:
                raise self._failed(service, f"was not ready within {_READY_SECONDS:.0f} s", code=NOT_READY)
            time.sleep(_POLL_SECONDS)
        self._report(f"{service.name} is ready at {service.url}")

    def status(self) -> dict[str, object]:
        """What runs, as the command line prints it."""
        config = self.stack.config
        return {
            "api": self.api.url,
            "kafka": [f"127.0.0.1:{config.kafka_port}"],
            "cassandra": {"contactPoints": ["127.0.0.1"], "port": config.cassandra_port},
            "processes": [self._describe(process) for process in self.stack.keeper.all()],
            "died": [{"name": name, "log": str(self.stack.keeper.log_path(name))} for name in self.stack.keeper.died()],
        }

    def is_up(self) -> bool:
        """Whether every process runs and is ready."""
        servers_ready = all(self.stack.ready(name) for name in ("kafka", "cassandra"))
        return servers_ready and is_ready(self.api) and is_ready(self.worker)

    def _describe(self, process: RunningProcess) -> dict[str, object]:
        service = next((each for each in (self.api, self.worker) if each.name == process.name), None)
        return {
            "name": process.name,
            "role": process.role,
            "pid": process.pid,
            "ready": is_ready(service) if service else self.stack.ready(process.name),
            "uptimeSeconds": round(process.uptime_seconds, 1),
            "rssBytes": process.rss_bytes,
        }

    def _failed(self, service: Service, what: str, *, code: int) -> CommandFailed:
        log = self.stack.keeper.log_path(service.name)
        last = log.read_text(errors="replace").splitlines()[-3:] if log.exists() else []
        return CommandFailed(
            f"{service.name} {what}", " | ".join(last) or "it printed nothing", f"see {log}", code=code
        )


def is_ready(service: Service) -> bool:
    """Whether the process answers its readiness check with 200."""
    try:
        with urllib.request.urlopen(f"{service.url}/readyz", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def on_local_stack(settings: Settings) -> Settings:
    """The same settings, with the addresses of the local stack."""
    return settings.model_copy(
        update={
            "kafka": settings.kafka.model_copy(update={"bootstrap_servers": f"127.0.0.1:{settings.stack.kafka_port}"}),
            "cassandra": settings.cassandra.model_copy(
                update={"contact_points": ["127.0.0.1"], "port": settings.stack.cassandra_port}
            ),
        }
    )


def _environment(settings: Settings, service: Service) -> dict[str, str]:
    """The settings of this process for another one, which listens on its own port."""
    return {**as_environment(settings), f"HEADRACE_{service.role.upper()}__PORT": str(service.port)}


def _stack_config(settings: Settings) -> StackConfig:
    stack = settings.stack
    return StackConfig(
        data_dir=ROOT / stack.directory,  # an absolute path stays itself
        jars_dir=ROOT / stack.jars_directory,
        kafka_port=stack.kafka_port,
        kafka_controller_port=stack.kafka_controller_port,
        cassandra_port=stack.cassandra_port,
        cassandra_storage_port=stack.cassandra_storage_port,
        cassandra_jmx_port=stack.cassandra_jmx_port,
        jolokia_port=stack.jolokia_port,
        kafka_heap_mb=stack.kafka_heap_mb,
        cassandra_heap_mb=stack.cassandra_heap_mb,
    )
