"""The guide to own features: its code runs, and what it shows is what comes out."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.system import ROOT
from features import catalogue as definitions
from features.catalogue import Catalogue, load_catalogue
from features.cells import HOURS, LONGEST_WINDOW_MS
from features.decayed import MAX_KEYS, MAX_TOP
from features.definitions import PartMeasure
from features.packing import pack
from features.recents import MAX_LAST
from features.state import UserState
from graphql_api.app import create_app
from graphql_api.watch import Hub
from runtime.health import Readiness
from runtime.memory_change_feed import MemoryChangeFeed
from runtime.memory_producer import MemoryProducer
from runtime.settings import ApiSettings
from schemas.receipts import Position
from schemas.topics import DAY_MS
from storage.memory import MemoryUserStore
from storage.rows import StateRow
from tests.asgi import graphql

GUIDE = (ROOT / "docs" / "features.md").read_text()
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
CODE = [text for language, text in BLOCKS if language == "python"]


@pytest.fixture
def my_shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalogue:
    """The guide's first block as the file that it is said to be."""
    assert CODE[0].startswith("# my_shop.py\n")
    (tmp_path / "my_shop.py").write_text(CODE[0])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_shop", raising=False)
    return load_catalogue("my_shop:CATALOGUE")


def run(code: str) -> tuple[str, dict[str, Any]]:
    """What the block prints, and its names."""
    names: dict[str, Any] = {"__name__": "guide"}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, "docs/features.md", "exec"), names)
    return printed.getvalue(), names


def test_every_block_prints_what_is_shown_below_it(my_shop: Catalogue) -> None:
    shown = 0
    for (language, text), following in zip(BLOCKS, [*BLOCKS[1:], ("", "")], strict=True):
        if language == "python":
            printed, _ = run(text)
            assert printed == (following[1] if following[0] == "text" else "")
            shown += bool(printed)
    assert shown == 2


def test_the_own_feature_takes_about_20_lines() -> None:
    assert len([line for line in CODE[0].splitlines() if line.strip()]) <= 21


async def test_graphql_answers_what_is_shown(my_shop: Catalogue) -> None:
    _, names = run(CODE[1])
    state: UserState = names["state"]
    position = state.position
    assert isinstance(position, Position)
    store = MemoryUserStore()
    await store.write([StateRow("ann", pack(state, my_shop), state.version, position)], [])
    app = create_app(
        ApiSettings(),  # type: ignore[call-arg]  # every field has a default
        store=store,
        producer=MemoryProducer(),
        catalogue=my_shop,
        hub=Hub(MemoryChangeFeed()),
        events_epoch=lambda: 1,
        readiness=Readiness({}),
        clock=lambda: int(names["NOON_MS"]),
    )
    [query] = [text for language, text in BLOCKS if language == "graphql"]
    [shown] = [text for language, text in BLOCKS if language == "json"]
    answer = (await graphql(app, query)).json()
    assert answer["data"] == json.loads(shown)


def test_every_aggregation_and_every_feature_is_in_the_list() -> None:
    [code] = [text for text in CODE if "EVERYTHING" in text]
    used = {node.attr for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Attribute)}
    exported = {getattr(definitions, name): name for name in definitions.__all__}
    known = {
        name
        for kind, name in exported.items()
        if isinstance(kind, type)
        and (issubclass(kind, PartMeasure) or hasattr(kind, "bind") or hasattr(kind, "amount"))
    }
    assert {"Count", "Sum", "Sessions", "Windowed"} <= known
    assert used == known | {"Catalogue"}


def test_the_bounds_are_those_that_are_checked() -> None:
    rows = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", GUIDE, re.MULTILINE))
    assert rows["counts and sums"] == str(definitions.MAX_CELL_MEASURES)
    assert rows["other measures"] == str(definitions.MAX_PART_MEASURES)
    assert rows["window"].startswith(f"{LONGEST_WINDOW_MS // DAY_MS}d; {HOURS.longest_window_ms // DAY_MS}d for")
    assert rows["`k` of `Last` and `LastDistinct`"] == str(MAX_LAST)
    assert rows["`k` of `Top`"].startswith(f"{MAX_TOP}, ")
    assert rows["`keys` of `Decayed`"].startswith(f"{MAX_KEYS} (50 ")


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)", GUIDE))))
def test_every_link_leads_somewhere(link: str) -> None:
    assert (ROOT / "docs" / link).exists()
