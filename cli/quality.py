"""`./headrace check` and `./headrace test`: what a change must pass."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from cli.system import ROOT

BIN: Final = Path(sys.executable).parent
CHECKS: Final = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy", "."),
    ("lint-imports", "--no-logo"),
    ("deptry", "."),
)


def check() -> bool:
    """Run every check, all of them even if one fails; whether all passed."""
    passed = True
    for command in CHECKS:
        print(f"headrace: {' '.join(command)}", file=sys.stderr, flush=True)
        result = subprocess.run([BIN / command[0], *command[1:]], cwd=ROOT, check=False)
        passed = passed and result.returncode == 0
    return passed


def test(arguments: list[str]) -> int:
    """Run pytest; its exit code. Without arguments in two processes: the one with the servers mostly waits for them."""
    chosen = arguments or ["--numprocesses=2"]
    return subprocess.run([sys.executable, "-m", "pytest", *chosen], cwd=ROOT, check=False).returncode
