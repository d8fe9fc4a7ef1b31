"""The commands of the README, as a user types them, on the servers of the test run."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from typing import Any

import pytest

from cli.demo import send_and_verify
from cli.system import ROOT, System
from loadgen.traffic import Shape
from runtime.settings import as_environment
from tests.integration.world import World, until

README = (ROOT / "README.md").read_text()


def headrace(system: System, arguments: tuple[str, ...], variables: dict[str, str]) -> Any:
    """Run `headrace.py` with the settings of the test run and more variables."""
    environment = {**os.environ, **as_environment(system.settings), **variables}
    return subprocess.run(
        [sys.executable, str(ROOT / "headrace.py"), *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


async def run(system: System, *arguments: str, **variables: str) -> Any:
    return await asyncio.to_thread(headrace, system, arguments, variables)


async def test_the_demo_verifies_every_user_also_when_it_runs_for_the_second_time(world: World) -> None:
    for _ in range(2):
        result = await run(world.system, "demo", "--once", "--json", "--events", "2000", "--seed", "7")
        assert result.returncode == 0, result.stderr
        summary = json.loads(result.stdout)
        assert summary["sent"] == 2_000
        assert summary["accepted"] == 1_980
        assert summary["rejected"] == 20
        assert summary["duplicatesSent"] == 100
        assert (summary["retried"], summary["mismatches"]) == (0, 0)
        assert summary["usersVerified"] > 20
        assert 0 < summary["freshnessMs"]["p50"] <= summary["freshnessMs"]["p99"]
        assert summary["eventsPerSecond"] > 0
        assert summary["seconds"] > 0
    roles = {process.role for process in world.system.stack.keeper.all()}
    assert roles == {"kafka", "cassandra"}, "--once stops what it has started and leaves what it found"


async def test_a_cold_system_is_warmed_up_with_traffic_that_is_verified_and_not_counted(world: World) -> None:
    await world.start(world.api, world.worker)
    outcome = await send_and_verify(world.system, Shape(events=200, rate=200, seed=7), lambda line: None, cold=True)
    assert outcome.ok, outcome.mismatches + outcome.out_of_plan
    assert outcome.summary()["sent"] == 200
    assert outcome.warm_up.accepted > 200
    outcome.warm_up.surprises.append("a verdict that the plan did not expect")
    assert not outcome.ok


async def test_the_demo_fails_where_duplicates_count_twice(world: World) -> None:
    await world.start(world.api)
    await world.start(world.worker, sabotage="no-duplicate-guard")
    result = await run(world.system, "demo", "--json", "--events", "1000")
    assert result.returncode == 1
    assert json.loads(result.stdout)["mismatches"] > 0
    assert "MISMATCH" in result.stderr


async def test_status_says_what_runs_as_one_object(world: World) -> None:
    await world.start(world.api, world.worker)
    result = await run(world.system, "status", "--json")
    status = json.loads(result.stdout)
    assert status["api"] == world.api.url
    assert status["kafka"] == [world.system.settings.kafka.bootstrap_servers]
    assert status["cassandra"]["port"] == world.system.settings.cassandra.port
    assert {(process["role"], process["ready"]) for process in status["processes"]} == {
        (role, True) for role in ("kafka", "cassandra", "api", "worker")
    }
    assert all(process["rssBytes"] > 0 for process in status["processes"])


async def test_status_says_what_died_until_it_is_started_again(world: World) -> None:
    await world.start(world.worker)
    process = world.system.stack.keeper.running(world.worker.name)
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)

    async def gone() -> bool:
        return not process.alive

    await until(gone, 30, "the worker's end")
    result = await run(world.system, "status")
    assert re.search(r"^worker +died +see .*worker\.log", result.stdout, re.MULTILINE)
    await world.start(world.worker)
    assert "died" not in (await run(world.system, "status")).stdout


async def test_migrate_may_be_repeated(world: World) -> None:
    result = await run(world.system, "migrate", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == {"tables": [], "topics": []}


async def test_up_is_idempotent_and_names_the_process_that_holds_a_port(world: World) -> None:
    await world.start(world.api, world.worker)
    again = await run(world.system, "up", "--json")
    assert again.returncode == 0, again.stderr
    await world.stop(world.api)
    holder = await asyncio.start_server(lambda *_: None, "127.0.0.1", world.system.settings.api.port)
    try:
        result = await run(world.system, "up")
    finally:
        holder.close()
        await holder.wait_closed()
    assert result.returncode == 1
    assert f"port {world.system.settings.api.port} is taken" in result.stderr
    assert f"pid {os.getpid()}" in result.stderr


@pytest.mark.parametrize("role", ["api", "worker"])
async def test_sigterm_ends_a_process_in_order_with_0(world: World, role: str) -> None:
    service = world.api if role == "api" else world.worker
    environment = {**os.environ, **as_environment(world.system.settings)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "headrace.py"), role, env=environment, stderr=asyncio.subprocess.DEVNULL
    )

    async def ready() -> bool:
        return (await world.readyz(service))[0]

    await until(ready, 60, "readiness")
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 60) == 0


@pytest.mark.parametrize("command", ["api", "worker", "migrate"])
async def test_a_setting_that_is_wrong_is_named_with_exit_code_3(system: System, command: str) -> None:
    result = await run(system, command, HEADRACE_KAFKA__REPLICATION_FACTOR="many")
    assert result.returncode == 3
    assert "HEADRACE_KAFKA__REPLICATION_FACTOR" in result.stderr
    assert len(result.stderr.splitlines()) == 3
    assert result.stdout == ""


async def test_migrate_without_a_server_says_so_with_exit_code_4(system: System) -> None:
    result = await run(system, "migrate", HEADRACE_CASSANDRA__PORT="1")
    assert result.returncode == 4
    assert "does not answer" in result.stderr


async def test_the_curl_commands_of_the_readme_work_as_they_stand(world: World) -> None:
    await world.start(world.api, world.worker)
    write, read = [block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if block.startswith("curl")]

    async def shell(command: str) -> Any:
        command = command.replace("http://127.0.0.1:8080", world.api.url)
        process = await asyncio.create_subprocess_exec("sh", "-c", command, stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
        return json.loads(output)

    tracked = (await shell(write))["data"]["trackEventsJson"]
    assert (tracked["acceptedCount"], tracked["rejected"]) == (1, [])
    assert await world.client.wait_until_fresh("ann", tracked["receipt"])
    features = (await shell(read))["data"]["user"]["features"]
    assert features["viewCount1h"]["value"] == 1
    assert features["recentItems"]["value"] == ["sku-1"]


def test_every_file_that_the_documents_name_is_there() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} names {target}"
