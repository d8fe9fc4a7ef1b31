"""The whole system on this machine: Kafka, Cassandra, APIs and workers as background processes."""

from __future__ import annotations

import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from cli.errors import NOT_READY, CommandFailed
from cli.migrate import migrate
from runtime.settings import Settings, as_environment
from stack import ProcessSpec, Role, RunningProcess, Stack, StackConfig

ROOT: Final = Path(__file__).resolve().parent.parent
_READY_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.05
# A worker that cannot reach Kafka gives its last batch, its commit, its group and its producer up one after the other.
_STOP_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Service:
    """One of our own processes. APIs share `port`; `admin_port` is each one's own, that of a worker is its only one."""

    name: str
    role: Role
    port: int
    admin_port: int | None = None

    @property
    def url(self) -> str:
        """Base URL on loopback."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin_url(self) -> str:
        """Base URL of /livez, /readyz and /metrics of this very process."""
        return self.url if self.admin_port is None else f"http://127.0.0.1:{self.admin_port}"


class System:
    """Starts, stops and inspects everything; every call may be repeated."""

    def __init__(self, settings: Settings, report: Callable[[str], None]) -> None:
        self.settings = on_local_stack(settings)
        self.stack = Stack(_stack_config(settings), report)
        self.api = self.service("api", 1)
        self.worker = self.service("worker", 1)
        self._report = report

    def service(self, role: Literal["api", "worker"], number: int) -> Service:
        """The process of that role and number, from 1 on; ports of their own are consecutive."""
        name = role if number == 1 else f"{role}-{number}"
        if role == "worker":
            return Service(name, role, self.settings.worker.port + number - 1)
        return Service(name, role, self.settings.api.port, self.settings.api.admin_port + number - 1)

    def up(self, *, apis: int | None = None, workers: int | None = None) -> None:
        """Returns when an event can go in and come out, with that many APIs and workers.

        Without a number those that run stay, those that died come back, and there is at least one. Raises StackError,
        StoreError or CommandFailed.
        """
        self.stack.up()
        made = migrate(self.settings)
        if made.tables or made.topics:
            self._report(f"migrated: {', '.join([*made.tables, *made.topics])}")
        wanted = [*self._wanted("api", apis), *self._wanted("worker", workers)]
        for service in wanted:
            self.start(service)
        for service in wanted:
            self.await_ready(service)

    def _wanted(self, role: Literal["api", "worker"], number: int | None) -> list[Service]:
        """The processes of a role that are to run: `number`, and the rest is stopped; or all known, at least one."""
        known = {process.name for process in self.stack.keeper.all() if process.role == role}
        known |= {name for name in self.stack.keeper.died() if name == role or name.startswith(f"{role}-")}
        if number is None:
            number = max((_number(role, name) for name in known), default=1)
        wanted = [self.service(role, each) for each in range(1, number + 1)]
        for name in sorted(known - {service.name for service in wanted}):
            self._stop(name)
        return wanted

    def _stop(self, name: str) -> None:
        self._report(f"stopping {name}")
        self.stack.keeper.stop(name, timeout_seconds=_STOP_SECONDS)

    def down(self) -> None:
        """Stop our processes first, so that they can finish their work, then the servers."""
        self.stop_all_but(())

    def stop_all_but(self, kept: Container[str]) -> None:
        """Like `down`, except for the processes called `kept`."""
        for process in self.stack.keeper.all():
            if process.role in ("api", "worker") and process.name not in kept:
                self._stop(process.name)
        self.stack.down(kept)
        for name in self.stack.keeper.died():
            self.stack.keeper.forget(name)

    def start(self, service: Service, *, argv: tuple[str, ...] | None = None) -> RunningProcess:
        """Start one of our processes in the background, by default `headrace.py ROLE`."""
        ports = self._own_ports(service)
        spec = ProcessSpec(
            name=service.name,
            role=service.role,
            argv=argv or (sys.executable, str(ROOT / "headrace.py"), service.role),
            env=_environment(self.settings, service),
            cwd=ROOT,
            ports=tuple(ports),
            port_settings=tuple(ports.values()),
        )
        return self.stack.keeper.start(spec)

    def _own_ports(self, service: Service) -> dict[int, str]:
        """The ports that must be free, each with its setting; another API of ours may hold the shared one."""
        prefix = f"HEADRACE_{service.role.upper()}__"
        ports = {} if service.admin_port is None else {service.admin_port: f"{prefix}ADMIN_PORT"}
        if service.role == "api" and any(process.role == "api" for process in self.stack.keeper.all()):
            return ports
        return {service.port: f"{prefix}PORT", **ports}

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

    def address_lines(self) -> list[str]:
        """Where its parts are reached, a line each."""
        kafka, cassandra = self.settings.kafka, self.settings.cassandra
        return [
            f"GraphQL      {self.api.url}/graphql",
            f"Kafka        {kafka.bootstrap_servers}",
            f"Cassandra    {', '.join(cassandra.contact_points)}:{cassandra.port}",
        ]

    def status(self) -> dict[str, object]:
        """What runs, as the command line prints it."""
        kafka, cassandra = self.settings.kafka, self.settings.cassandra
        return {
            "api": self.api.url,
            "kafka": [kafka.bootstrap_servers],
            "cassandra": {"contactPoints": cassandra.contact_points, "port": cassandra.port},
            "processes": [self._describe(process) for process in self.stack.keeper.all()],
            "died": [{"name": name, "log": str(self.stack.keeper.log_path(name))} for name in self.stack.keeper.died()],
        }

    def _describe(self, process: RunningProcess) -> dict[str, object]:
        service = self._service_of(process)
        described = {
            "name": process.name,
            "role": process.role,
            "pid": process.pid,
            "ready": is_ready(service) if service else self.stack.ready(process.name),
            "uptimeSeconds": round(process.uptime_seconds, 1),
            "rssBytes": process.rss_bytes,
        }
        return {**described, "admin": service.admin_url} if service else described

    def _service_of(self, process: RunningProcess) -> Service | None:
        if process.role not in ("api", "worker"):
            return None
        return self.service(process.role, _number(process.role, process.name))

    def _failed(self, service: Service, what: str, *, code: int) -> CommandFailed:
        log = self.stack.keeper.log_path(service.name)
        last = log.read_text(errors="replace").splitlines()[-3:] if log.exists() else []
        return CommandFailed(
            f"{service.name} {what}", " | ".join(last) or "it printed nothing", f"see {log}", code=code
        )


def _number(role: str, name: str) -> int:
    return int(name.removeprefix(role).removeprefix("-") or 1)


def is_ready(service: Service) -> bool:
    """Whether the process answers its readiness check with 200."""
    try:
        with urllib.request.urlopen(f"{service.admin_url}/readyz", timeout=5) as response:
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
    """The settings of this process for another one, which listens on its own ports."""
    prefix = f"HEADRACE_{service.role.upper()}__"
    own = {} if service.admin_port is None else {f"{prefix}ADMIN_PORT": str(service.admin_port)}
    return {**as_environment(settings), f"{prefix}PORT": str(service.port), **own}


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
