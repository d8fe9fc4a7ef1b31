"""`./headrace bench`: the benchmarks of `benchmarks/`, beside their peers."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from typing import Final

import typer
from rich.console import Console

from benchmarks.run import UnknownBenchmark
from benchmarks.run import run as run_entries
from cli.system import ROOT

HOME: Final = ROOT / ".headrace" / "bench"


def bench(names: Sequence[str], *, quick: bool, runs: int, markdown: bool, say: Callable[[str], None]) -> None:
    """Measure, print the tables on stdout and write the files. Raises typer.BadParameter for an unknown name."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that servers and sides are stopped
    console = Console(quiet=markdown, width=None if Console().is_terminal else 200)
    try:
        written = run_entries(HOME, names, quick=quick, runs=runs, console=console, say=say)
    except UnknownBenchmark as error:
        raise typer.BadParameter(str(error)) from error
    if markdown:
        print(written.markdown.read_text())
    say(f"written: {written.json}, {written.html}, {written.markdown}")
