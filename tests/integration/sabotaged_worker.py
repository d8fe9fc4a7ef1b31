"""A worker with one guarantee removed, so that the tests of the guarantees can be seen to fail.

The first argument says what is done to it:

    slow-store             nothing is removed, but every write takes a while: the control of the controls
    no-duplicate-guard     every event id is taken for new
    no-commits             nothing is removed, but nothing is committed: who is killed leaves everything to be replayed
    no-replay-guard        the same, and records that a row holds already are folded again
    acknowledge-first      deliveries are acknowledged before they are handled
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from cli import worker
from features.duplicates import DuplicateWindow
from features.fold import Folder, Outcome
from features.state import UserState
from runtime.settings import load_settings
from storage import CassandraUserStore, StateRow, TimelineRow
from streams import faust_app
from streams import worker as stream_worker
from streams.lane import Lane

_SLOW_WRITE_SECONDS = 0.7  # longer than the interval between two commits
_STUCK_WRITE_SECONDS = 10.0  # long enough to be killed meanwhile


def slow_store(seconds: float = _SLOW_WRITE_SECONDS) -> None:
    write = CassandraUserStore.write

    async def slow_write(self: CassandraUserStore, states: Sequence[StateRow], events: Iterable[TimelineRow]) -> None:
        await asyncio.sleep(seconds)
        await write(self, states, events)

    CassandraUserStore.write = slow_write  # type: ignore[method-assign]


def no_duplicate_guard() -> None:
    class Forgetful(Folder):
        def fold(self, state: UserState, *record: Any) -> Outcome:
            state.duplicates = DuplicateWindow()
            return super().fold(state, *record)

    vars(stream_worker)["Folder"] = Forgetful


def no_commits() -> None:
    vars(faust_app)["_COMMIT_SECONDS"] = 3_600.0


def no_replay_guard() -> None:
    no_commits()

    class Repeating(Folder):
        def fold(self, state: UserState, *record: Any) -> Outcome:
            state.offset = -1
            return super().fold(state, *record)

    vars(stream_worker)["Folder"] = Repeating


def acknowledge_first() -> None:
    slow_store(_STUCK_WRITE_SECONDS)
    take = Lane._take

    def take_and_acknowledge(self: Lane) -> list[object]:
        deliveries = take(self)
        for delivery in deliveries:
            delivery.acknowledge()
        return deliveries  # type: ignore[return-value]

    Lane._take = take_and_acknowledge  # type: ignore[assignment,method-assign]


SABOTAGE = {
    "slow-store": slow_store,
    "no-duplicate-guard": no_duplicate_guard,
    "no-commits": no_commits,
    "no-replay-guard": no_replay_guard,
    "acknowledge-first": acknowledge_first,
}

if __name__ == "__main__":
    SABOTAGE[sys.argv[1]]()
    sys.exit(worker.run(load_settings()))
