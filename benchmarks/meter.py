"""What a measured process uses to measure itself, whatever environment it runs in: standard library only."""

from __future__ import annotations

import json
import resource
import sys
import time


def cpu_seconds() -> float:
    """CPU of this process so far: all its threads and the children it has waited for, user and system."""
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


class Meter:
    """Wall clock and CPU from `begin` to `report`."""

    def __init__(self) -> None:
        self.began = False

    def begin(self) -> None:
        """Now; only the first call counts."""
        if not self.began:
            self.began = True
            self._wall = time.perf_counter()
            self._cpu = cpu_seconds()

    def report(self, case: str, items: int, **more: object) -> None:
        """Print what the harness reads: one JSON object a line, on stdout."""
        measured = {
            "case": case,
            "items": items,
            "wallSeconds": time.perf_counter() - self._wall,
            "cpuSeconds": cpu_seconds() - self._cpu,
        }
        print(json.dumps({**measured, **more}), file=sys.__stdout__, flush=True)  # frameworks replace sys.stdout
