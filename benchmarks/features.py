"""Costs of the fold, the read and the packed state, over a simulated log. Prints a table; medians of several runs.

.venv/bin/python -m benchmarks.features [--events 200000 --users 2000 --runs 5]
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable

import msgspec

from features.default import CATALOGUE
from features.derive import derive
from features.fold import Folder
from features.packing import pack, unpack
from features.state import UserState, new_state
from loadgen.simulation import Arrival, Simulation
from schemas.events import Event
from schemas.receipts import Position

BATCH = 2_000  # the most records of one flush


def timed(work: Callable[[], object], runs: int, per: int) -> tuple[float, float, float]:
    """(median, least, most) microseconds of CPU for each of `per` operations of `work`."""
    costs = []
    for _ in range(runs):
        begin = time.process_time_ns()
        work()
        costs.append((time.process_time_ns() - begin) / 1000 / per)
    return statistics.median(costs), min(costs), max(costs)


def fold_all(log: list[Arrival], folder: Folder, states: dict[str, UserState]) -> float:
    """Fold the log in batches that were decoded just before, as a lane does. Microseconds of CPU an event."""
    states.clear()
    spent = 0
    for start in range(0, len(log), BATCH):
        batch = [
            (msgspec.convert({"receivedAt": append_ms, **fields}, Event), Position(1, 0, start + place), append_ms)
            for place, (append_ms, fields) in enumerate(log[start : start + BATCH])
        ]
        for event, _, _ in batch:
            if event.user_id not in states:
                states[event.user_id] = new_state(CATALOGUE)
        begin = time.process_time_ns()
        for event, position, append_ms in batch:
            folder.fold(states[event.user_id], event, position, append_ms)
        spent += time.process_time_ns() - begin
    return spent / 1000 / len(log)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--users", type=int, default=2_000)
    parser.add_argument("--spread", type=float, default=Simulation.spread, help="of events over users")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    simulation = Simulation(events=options.events, users=options.users, spread=options.spread)
    log = simulation.log()
    gc.collect()
    gc.freeze()  # the log is not the worker's: its collector never walks over it
    folder = Folder(CATALOGUE)
    states: dict[str, UserState] = {}
    fold_us = sorted(fold_all(log, folder, states) for _ in range(options.runs))
    rows = [("fold one event", (statistics.median(fold_us), fold_us[0], fold_us[-1]))]
    users = list(states.values())
    now_ms = simulation.end_ms

    def pack_all() -> list[bytes]:
        return [pack(state, CATALOGUE) for state in users]

    blobs = pack_all()
    rows += [
        ("pack one user", timed(pack_all, options.runs, len(users))),
        ("unpack one user", timed(lambda: [unpack(blob, CATALOGUE) for blob in blobs], options.runs, len(users))),
        ("derive all features", timed(lambda: [derive(CATALOGUE, s, now_ms) for s in users], options.runs, len(users))),
    ]
    print(f"{len(log)} records, {len(users)} users, {len(CATALOGUE.features)} features, {options.runs} runs\n")
    print(f"{'microseconds of CPU':<24}{'median':>10}{'least':>10}{'most':>10}")
    for name, costs in rows:
        print(f"{name:<24}" + "".join(f"{cost:>10.2f}" for cost in costs))
    sizes = sorted(map(len, blobs))
    print(f"\npacked bytes: p50 {sizes[len(sizes) // 2]}, p99 {sizes[len(sizes) * 99 // 100]}, most {sizes[-1]}")


if __name__ == "__main__":
    main()
