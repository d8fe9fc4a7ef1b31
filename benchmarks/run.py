"""Runs entries by name and writes what they show."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec
import psutil
from rich.console import Console

from benchmarks import report, targets
from benchmarks.bench import Bench
from benchmarks.harness import Facts, Measured
from runtime import native

ENTRIES: Final = ("graphql", "ingest", "worker", "path", "reads", "freshness", "growth", "features")
_LIBRARIES: Final = ("strawberry-graphql", "aiokafka", "faust-streaming", "cassandra-driver")


class UnknownBenchmark(ValueError):
    """There is no entry of that name; the message lists those there are."""


@dataclass(frozen=True, slots=True)
class Written:
    """The files of a run."""

    json: Path
    html: Path
    markdown: Path


def run(
    home: Path, names: Sequence[str], *, quick: bool, runs: int, console: Console, say: Callable[[str], None]
) -> Written:
    """Measure the entries, all if none is named; prints tables on `console`. Raises UnknownBenchmark.

    The files show the latest result of every entry of that size, also of those that are not measured now.
    """
    for name in names:
        if name not in ENTRIES:
            raise UnknownBenchmark(f"no benchmark is called {name}; there are {', '.join(ENTRIES)}")
    latest = Latest(home / ("quick" if quick else "full"))
    measured = []
    with Bench(home, quick=quick, runs=runs, say=say) as bench:
        for name in names or ENTRIES:
            say(f"benchmark {name}")
            facts = machine(quick=quick, runs=runs)
            measured.append(Measured(facts, import_module(f"benchmarks.{name}").measure(bench)))
            latest.keep(measured[-1])  # what is done stays if the next one fails
    report.print_all(console, measured, _judged(latest.all()))
    return _write(home, latest.all())


class Latest:
    """The latest result of each entry, a file each in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, measured: Measured) -> None:
        """In place of the one before."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / f"{measured.entry.name}.json").write_bytes(msgspec.json.encode(measured))

    def all(self) -> list[Measured]:
        """In the order of ENTRIES."""
        files = [self._folder / f"{name}.json" for name in ENTRIES]
        return [msgspec.json.decode(file.read_bytes(), type=Measured) for file in files if file.exists()]


def _write(home: Path, results: Sequence[Measured]) -> Written:
    everything = results, _judged(results)
    written = Written(*(home / f"results.{suffix}" for suffix in ("json", "html", "md")))
    written.json.write_bytes(report.to_json(*everything))
    written.html.write_text(report.to_html(*everything))
    written.markdown.write_text(report.to_markdown(*everything))
    return written


def _judged(results: Sequence[Measured]) -> list[targets.Verdict]:
    return targets.judge({measured.entry.name: measured.entry for measured in results})


def machine(*, quick: bool, runs: int) -> Facts:
    """Where and how it was measured."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "size": "quick: too small for figures" if quick else "full",
        "runs": runs,
        "cores": os.cpu_count() or 1,
        "load before": round(os.getloadavg()[0], 1),
        "GiB": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "compiled modules": len(native.MODULES) - len(native.missing()),
        **{name: version(name) for name in _LIBRARIES},
    }
