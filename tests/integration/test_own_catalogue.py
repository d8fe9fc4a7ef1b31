"""A team's own catalogue on the real servers, from its first release to the next ones."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import uuid
from typing import Any

import pytest

from cli.migrate import migrate
from cli.system import ROOT, System
from runtime.settings import FeatureSettings, as_environment
from tests.conftest import free_ports
from tests.integration.world import World, new_world, until, view

CATALOGUES = "tests.integration.changed_catalogues"


class Team:
    """Releases of one team, over a keyspace of its own on the servers of the test run."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._keyspace = f"team_{uuid.uuid4().hex[:8]}"
        self._ports = free_ports(2)

    def release(self, catalogue: str) -> System:
        """The same system with this catalogue."""
        settings = self._system.settings.model_copy(
            update={
                "cassandra": self._system.settings.cassandra.model_copy(update={"keyspace": self._keyspace}),
                "features": FeatureSettings(catalogue=catalogue),
                "api": self._system.settings.api.model_copy(update={"port": self._ports[0]}),
                "worker": self._system.settings.worker.model_copy(update={"port": self._ports[1]}),
            }
        )
        return System(settings, lambda line: None)

    async def migrate(self) -> None:
        """Make the keyspace."""
        await asyncio.to_thread(migrate, self.release("features.default:CATALOGUE").settings)


@pytest.fixture
async def team(system: System) -> Team:
    made = Team(system)
    await made.migrate()
    return made


async def headrace(system: System, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command with the system's settings."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, str(ROOT / "headrace.py"), *arguments],
        cwd=ROOT,
        env={**os.environ, **as_environment(system.settings)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


async def values(world: World, user_id: str, *names: str) -> dict[str, Any]:
    query = "query($id: ID!, $names: [String!]) { user(id: $id) { featureValues(names: $names) { name value } } }"
    answer = await world.graphql(query, id=user_id, names=list(names))
    return {each["name"]: each["value"] for each in answer["data"]["user"]["featureValues"]}


async def test_a_news_site_serves_its_own_features_typed(team: Team) -> None:
    async with new_world(team.release("examples.news_site:CATALOGUE")) as world:
        await world.start(world.api, world.worker)
        user_id = f"reader-{uuid.uuid4()}"
        events = [{**view(user_id), "itemId": f"article-{n}", "category": "politics", "value": 30.0} for n in range(3)]
        tracked = await world.client.track("trackEventsJson", events)
        query = """query($id: ID!, $after: String) { __type(name: "UserFeatures") { fields { name } }
            user(id: $id, after: $after, deadlineMs: 10000) { fresh featureValues { name value } } }"""
        answer = await world.graphql(query, id=user_id, after=tracked.receipt)
        served = {each["name"]: each["value"] for each in answer["data"]["user"]["featureValues"]}
        assert answer["data"]["user"]["fresh"]
        assert set(served) == {field["name"] for field in answer["data"]["__type"]["fields"]}
        assert "viewCount1h" not in served
        assert 3 in served.values()


async def test_a_new_feature_works_at_once_and_a_new_measure_says_since_when_it_counts(team: Team) -> None:
    user_id = f"old-{uuid.uuid4()}"
    first = team.release(f"{CATALOGUES}:FIRST")
    async with new_world(first) as world:
        await world.start(world.api, world.worker)
        tracked = await world.client.track("trackEvents", [view(user_id), purchase(user_id)])
        assert tracked.receipt is not None
        answer = await world.graphql(FRESH, id=user_id, after=tracked.receipt)
        assert answer["data"]["user"]["fresh"]

    more = team.release(f"{CATALOGUES}:MORE")
    check = await headrace(more, "features", "check")
    assert check.returncode == 0, check.stderr
    assert "added measure 'spent': starts empty" in check.stdout
    assert "added feature 'viewCount24h'" in check.stdout
    async with new_world(more) as world:
        await world.start(world.api, world.worker)
        assert await values(world, user_id, "viewCount24h") == {"viewCount24h": 1}
        tracked = await world.client.track("trackEvents", [purchase(user_id)])
        answer = await world.graphql(FRESH, id=user_id, after=tracked.receipt)
        assert answer["data"]["user"]["fresh"]
        spent = (await world.graphql(SPENT, id=user_id))["data"]["user"]["features"]["spent24h"]
        assert spent["value"] == 12.5, "the purchase before the new measure is not counted"
        assert spent["countsFrom"] is not None
        assert spent["coveredFrom"] >= spent["countsFrom"]


FRESH = "query($id: ID!, $after: String) { user(id: $id, after: $after, deadlineMs: 10000) { fresh } }"
SPENT = "query($id: ID!) { user(id: $id) { features { spent24h { value countsFrom coveredFrom } } } }"


def purchase(user_id: str) -> dict[str, Any]:
    return {**view(user_id), "type": "purchase", "value": 12.5, "currency": "EUR"}


async def test_a_changed_definition_without_a_new_version_is_refused_with_the_diff(team: Team) -> None:
    async with new_world(team.release(f"{CATALOGUES}:FIRST")) as world:
        await world.start(world.worker)

    changed = team.release(f"{CATALOGUES}:CHANGED")
    for command, code in ((["worker"], 3), (["api"], 3), (["features", "check"], 6)):
        result = await headrace(changed, *command)
        assert result.returncode == code, (command, result.stderr[-2000:])
        assert "definitions changed without a new version" in result.stderr
        assert "of: 'view_item' -> 'select_item'" in result.stderr


async def test_explain_says_where_a_value_comes_from_and_sees_a_wrong_one(world: World) -> None:
    await world.start(world.api)
    await world.start(world.worker, sabotage="no-duplicate-guard")
    right, wrong = f"explained-{uuid.uuid4()}", f"explained-{uuid.uuid4()}"
    twice = view(wrong)
    for events in ([view(right), view(right)], [twice], [twice]):
        await world.client.track("trackEvents", events)

    async def counted() -> bool:
        return all([(await world.client.features(user_id))["viewCount1h"] == 2 for user_id in (right, wrong)])

    await until(counted, 30, "the fold of both users")
    told = await headrace(world.system, "features", "explain", right, "viewCount1h", "--json")
    assert told.returncode == 0, told.stderr
    explained = json.loads(told.stdout)
    assert (explained["feature"]["value"], explained["recomputed"], explained["differs"]) == (2, 2, False)
    assert sum(cell["amounts"]["views"] for cell in explained["cells"]) == 2
    assert len(explained["lastEvents"]) == 2
    assert explained["position"]["partition"] >= 0

    alarm = await headrace(world.system, "features", "explain", wrong, "viewCount1h")
    assert alarm.returncode == 1
    assert "!!! THE TIMELINE GIVES ANOTHER VALUE" in alarm.stdout
    assert "served 2, recomputed 1" in alarm.stdout

    unknown = await headrace(world.system, "features", "explain", right, "viewCount2h")
    assert unknown.returncode == 7
    assert "viewCount1h" in unknown.stderr
