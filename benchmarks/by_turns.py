"""Fold and pack with the code of several checkouts by turns, flush by flush on one core.

    python -m benchmarks.by_turns ../before .

What else the machine does meanwhile slows all of them down alike: of runs one after the other, a difference of a
twentieth cannot be told from it. The modules of each checkout must have been compiled: `python -m runtime.native`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

_BATCH: Final = 2_000  # records of one flush
_READY: Final = "ready"


class Cost(NamedTuple):
    """CPU time of one flush."""

    fold_us: float
    """Of an event."""
    pack_us: float
    """Of a user who changed."""


def by_turns(roots: Sequence[Path], users: int, batches: int) -> list[list[Cost]]:
    """The costs of as many flushes for each checkout. Raises RuntimeError if the code of one does not run."""
    sides = [_start(root, users) for root in roots]
    try:
        costs: list[list[Cost]] = [[] for _ in roots]
        for side, root in zip(sides, roots, strict=True):
            if _answer(side) != _READY:
                raise RuntimeError(f"the code in {root} does not run: see above")
        order = [*range(len(roots))]
        for _ in range(batches):
            for number in order:
                assert sides[number].stdin is not None
                print(file=sides[number].stdin, flush=True)
                costs[number].append(Cost(*map(float, _answer(sides[number]).split())))
            order.reverse()
        return costs
    finally:
        for side in sides:
            side.kill()
            side.communicate()  # closes its pipes and waits for its end


def _start(root: Path, users: int) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, str(root), "--serve", "--users", str(users)]
    return subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _answer(side: subprocess.Popen[str]) -> str:
    assert side.stdout is not None
    return side.stdout.readline().strip()


def _serve(root: Path, users: int) -> None:
    """Fold the next flush for each line on stdin, with the code under `root`."""
    sys.path.insert(0, str(root))
    from runtime import native

    native.install()
    if native.missing():
        raise SystemExit(f"{len(native.missing())} modules in {root} are not compiled: python -m runtime.native")
    import msgspec

    from benchmarks.collector import as_in_the_product
    from features.default import CATALOGUE
    from features.fold import Folder
    from features.packing import pack
    from features.state import UserState, new_state
    from loadgen.simulation import Simulation
    from schemas.events import Event
    from schemas.receipts import Position

    log = Simulation(events=100 * users, users=users).log()
    states: dict[str, UserState] = {}
    folder, start = Folder(CATALOGUE), 0
    if sys.platform == "linux":
        os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
    with as_in_the_product():
        print(_READY, flush=True)
        for _ in sys.stdin:
            if start >= len(log):
                start = 0
                states.clear()
            batch = [
                (msgspec.convert({"receivedAt": append_ms, **fields}, Event), Position(1, 0, start + place), append_ms)
                for place, (append_ms, fields) in enumerate(log[start : start + _BATCH])
            ]
            start += _BATCH
            changed = {event.user_id for event, _, _ in batch}
            for user_id in changed - states.keys():
                states[user_id] = new_state(CATALOGUE)
            begun = time.process_time()
            for event, position, append_ms in batch:
                folder.fold(states[event.user_id], event, position, append_ms)
            folded = time.process_time()
            for user_id in changed:
                pack(states[user_id], CATALOGUE)
            packed = time.process_time()
            print((folded - begun) / len(batch) * 1e6, (packed - folded) / len(changed) * 1e6, flush=True)


def main() -> None:
    """Print the means and medians of each checkout."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkout", nargs="+", type=lambda text: Path(text).resolve())
    parser.add_argument("--users", type=int, default=2_000)
    parser.add_argument("--batches", type=int, default=150)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        _serve(options.checkout[0], options.users)
        return
    costs = by_turns(options.checkout, options.users, options.batches)
    for root, of_root in zip(options.checkout, costs, strict=True):
        folds, packs = zip(*of_root, strict=True)
        print(
            f"{root}: fold {statistics.mean(folds):.2f} us an event (median {statistics.median(folds):.2f}), "
            f"pack {statistics.mean(packs):.1f} us a user (median {statistics.median(packs):.1f})"
        )


if __name__ == "__main__":
    main()
