"""A worker process as `./headrace worker` runs it, which measures itself until everything is acknowledged, then stops.

Argument: {"records": how many to fold, "statesAlone": without the timeline and the feature topic}.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.meter import Meter
from cli import worker
from runtime.metrics import RECORDS, REGISTRY
from runtime.settings import Settings
from storage import CassandraUserStore
from streams import worker as stream_worker

_LOOK_SECONDS = 0.01


class StatesAlone(CassandraUserStore):
    """Writes the users' states and no other rows."""

    async def write(self, states: Sequence[Any], *others: Iterable[Any]) -> None:
        """See UserStore.write."""
        await super().write(states, *(() for _ in others))


class Silent:
    """Publishes nothing."""

    def __init__(self, *_: object) -> None:
        pass

    def prepare(self, changed: object) -> Any:
        """Nothing remains to be done."""

        async def nothing() -> None:
            pass

        return nothing


def watch(records: int) -> None:
    """Measure from the first folded record until all are folded and acknowledged, so their rows are durable."""
    meter = Meter()
    first = 0
    while True:
        folded = int(sum(s.value for m in RECORDS.collect() for s in m.samples if s.name.endswith("_total")))
        if folded and not meter.began:
            meter.begin()
            first = folded
        if folded >= records and not metric("headrace_lane_pending_records"):
            break
        time.sleep(_LOOK_SECONDS)
    meter.report("", folded - first, figures={"records_a_flush": records_a_flush()})
    os.kill(os.getpid(), signal.SIGTERM)


def records_a_flush() -> float:
    """Mean size of the batches that were folded at once."""
    return metric("headrace_flush_records_sum") / max(1.0, metric("headrace_flush_records_count"))


def metric(name: str) -> float:
    """A metric of this process; 0 without one of that name."""
    return REGISTRY.get_sample_value(name) or 0.0


def main() -> int:
    """The exit code."""
    arguments = json.loads(sys.argv[1])
    if arguments["statesAlone"]:
        vars(worker)["CassandraUserStore"] = StatesAlone
        vars(stream_worker)["FeatureAnnouncer"] = Silent
    threading.Thread(target=watch, args=[arguments["records"]], daemon=True).start()
    return worker.run(Settings(_env_file=None))  # type: ignore[call-arg]  # an argument of pydantic-settings


if __name__ == "__main__":
    sys.exit(main())
