"""The wall clock, in the unit of the wire formats. Durations are measured with time.monotonic instead."""

import time


def now_ms() -> int:
    """Milliseconds since the epoch, UTC."""
    return time.time_ns() // 1_000_000
