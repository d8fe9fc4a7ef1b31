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
from typing import Any, Final

import psutil
from rich.console import Console

from benchmarks import report, targets
from benchmarks.bench import Bench
from benchmarks.harness import Entry

ENTRIES: Final = ("ingest", "worker", "path", "reads", "freshness", "growth", "features")
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
    """Measure the entries, all if none is named; prints tables on `console`. Raises UnknownBenchmark."""
    for name in names:
        if name not in ENTRIES:
            raise UnknownBenchmark(f"no benchmark is called {name}; there are {', '.join(ENTRIES)}")
    facts = machine(quick=quick, runs=runs)
    entries: list[Entry] = []
    with Bench(home, quick=quick, runs=runs, say=say) as bench:
        for name in names or ENTRIES:
            say(f"benchmark {name}")
            entries.append(import_module(f"benchmarks.{name}").measure(bench))
            written = write(home, facts, entries)  # what is done is kept if the next one fails
    report.print_all(console, facts, entries, _verdicts(entries))
    return written


def write(home: Path, facts: dict[str, Any], entries: Sequence[Entry]) -> Written:
    """The results so far as `results.json`, `.html` and `.md` under `home`."""
    everything = facts, entries, _verdicts(entries)
    written = Written(*(home / f"results.{suffix}" for suffix in ("json", "html", "md")))
    written.json.write_bytes(report.to_json(*everything))
    written.html.write_text(report.to_html(*everything))
    written.markdown.write_text(report.to_markdown(*everything))
    return written


def machine(*, quick: bool, runs: int) -> dict[str, Any]:
    """Where and how it was measured."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "size": "quick: too small for figures" if quick else "full",
        "runs": runs,
        "cores": os.cpu_count(),
        "load before": round(os.getloadavg()[0], 1),
        "GiB": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
    }


def _verdicts(entries: Sequence[Entry]) -> list[targets.Verdict]:
    return targets.judge({entry.name: entry for entry in entries})
