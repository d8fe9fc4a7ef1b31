"""Idiomatic Bytewax: counts per user in tumbling windows of an hour. Reads the topic to its end.

Its state lies in memory: it keeps none on disk unless it is asked for recovery.
Argument: {"kafka", "topic", "records", "results"}.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import operators as kafka
from bytewax.dataflow import Dataflow
from bytewax.operators.windowing import EventClock, TumblingWindower, count_window
from bytewax.testing import TestingSink, run_main

from benchmarks.meter import Meter

HOUR_MS = 3_600_000
arguments: dict[str, Any] = json.loads(sys.argv[1])
meter = Meter()
windows: list[tuple[str, tuple[int, int]]] = []


def decode(message: Any) -> dict[str, Any]:
    """The event."""
    meter.begin()
    view: dict[str, Any] = json.loads(message.value)
    return view


def moment(view: dict[str, Any]) -> datetime:
    """Its time."""
    return datetime.fromtimestamp(view["eventTime"] / 1000, UTC)


start = datetime(1970, 1, 1, tzinfo=UTC)
flow = Dataflow("counts")
source = kafka.input("source", flow, brokers=[arguments["kafka"]], topics=[arguments["topic"]], tail=False)
views = op.map("decode", source.oks, decode)
clock = EventClock(ts_getter=moment, wait_for_system_duration=timedelta(seconds=10))
windower = TumblingWindower(length=timedelta(hours=1), align_to=start)
counted = count_window("count", views, clock, windower, key=lambda view: view["userId"])
op.output("collect", counted.down, TestingSink(windows))

run_main(flow)
meter.report("", arguments["records"])
results = {f"{user}@{window * HOUR_MS}": count for user, (window, count) in windows}
Path(arguments["results"]).write_text(json.dumps(results))
