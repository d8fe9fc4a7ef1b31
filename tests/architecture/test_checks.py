"""What `./headrace check` runs is part of the test run, and the import contracts are able to fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.quality import BIN, CHECKS
from cli.system import ROOT


@pytest.mark.parametrize("command", CHECKS, ids=lambda command: command[0] + command[1])
def test_every_check_passes(command: tuple[str, ...]) -> None:
    result = subprocess.run([BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("features/cells.py", "import asyncio", "What is pure knows nothing of processes"),
        ("streams/spans.py", "import graphql_api.ingest", "Rooms depend downwards only"),
        ("schemas/events.py", "import features.cells", "Rooms depend downwards only"),
        ("loadgen/traffic.py", "import storage.rows", "Load comes through the front door"),
        ("loadgen/oracle.py", "import features.fold", "Load comes through the front door"),
        ("runtime/clock.py", "import faust", "Faust is known in streams only"),
    ],
)
def test_an_import_against_the_rules_breaks_its_contract(tmp_path: Path, module: str, line: str, contract: str) -> None:
    rooms = [path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests"]
    for room in rooms:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("static", "__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    broken = tmp_path / module
    broken.write_text(f"{broken.read_text()}\n{line}\n")
    result = subprocess.run(
        [BIN / "lint-imports", "--no-logo", "--no-cache"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode != 0
    assert f"{contract} BROKEN" in result.stdout


def test_importing_any_room_has_no_side_effect() -> None:
    """No module prints, starts a thread or opens a connection when it is imported."""
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for room in ROOT.glob("*/__init__.py")
        if room.parent.name not in ("tests", "examples", "benchmarks")
        for path in sorted(room.parent.rglob("*.py"))
        if path.name != "__init__.py"
    ]
    script = "\n".join(
        [
            "import sys, threading, importlib, socket",
            "def refuse(*_): raise AssertionError('a connection at import')",
            "socket.socket.connect = refuse",
            f"for module in {modules!r}: importlib.import_module(module)",
            "assert threading.active_count() == 1, threading.enumerate()",
        ]
    )
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
