"""A world for every test of the whole path."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from cli.system import System
from tests.integration.world import World, new_world


@pytest.fixture
async def world(system: System) -> AsyncIterator[World]:
    """Servers up, none of our processes running."""
    async with new_world(system) as made:
        yield made


@pytest.fixture(scope="module")
async def served(system: System) -> AsyncIterator[World]:
    """A world with an API and a worker that all tests of a module share; for tests that harm neither."""
    async with new_world(system) as made:
        await made.start(made.api, made.worker)
        yield made
